"""The tracks of a video that a person sees: objects without crowds, and results of a score that is shown."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qcen_core.evaluation.association import LinkCounts, count_links, match_frames
from qcen_core.evaluation.error_split import ERRORS, Verdicts
from qcen_core.evaluation.timeline import VideoTimeline
from qcen_core.evaluation.tracking import VideoTracking, count_tracking
from qcen_core.evaluation.tube_iou import Overlap, frame_iou
from qcen_core.evaluation.video_comparison import VideoComparison
from qcen_core.records import Float64Array, IntArray


@dataclass(frozen=True, slots=True)
class ShownTracks:
    """S results and N objects of one video.

    Attributes:
        video: all of its results and tracks.
        results: (S,) int64, indices of the results among all of the video.
        objects: (N,) int64, likewise.
        overlap: of the two.
        iou: (F, S, N) float64, in each frame.
        matches: (F, N) int64, index among the S results of each object's result in each frame, or -1.
    """

    video: VideoComparison
    results: IntArray
    objects: IntArray
    overlap: Overlap
    iou: Float64Array
    matches: IntArray

    def links(self) -> LinkCounts:
        """Association of the video."""
        return count_links(self.iou, self.overlap.truth_areas, self.matches)

    def tracking(self) -> VideoTracking:
        """Counts of HOTA and of identities."""
        return count_tracking(
            self.iou,
            self.overlap.result_areas > 0,
            self.overlap.truth_areas > 0,
            self.video.result_classes[self.results],
            self.video.truth_classes[self.objects],
            self.matches,
        )

    def timeline(
        self, verdicts: Verdicts, quality: float | None, truth_ids: Sequence[int], result_ids: Sequence[int]
    ) -> VideoTimeline:
        """What happens in the video.

        Args:
            verdicts: on all of its results.
            quality: of the video as a whole.
            truth_ids: of all tracks of its ground truth.
            result_ids: of all results.
        """
        kinds = verdicts.kinds[self.results].tolist()
        errors = {kind: kinds.count(kind) for kind in ERRORS} | {"missed": int(verdicts.missed.sum())}
        return VideoTimeline(
            video=self.video.name,
            quality=quality,
            errors=errors,
            object_ids=np.array(truth_ids, dtype=np.int64)[self.objects],
            object_classes=self.video.truth_classes[self.objects],
            visible=self.overlap.truth_areas > 0,
            matches=self.matches,
            result_ids=np.array(result_ids, dtype=np.int64)[self.results],
            result_classes=self.video.result_classes[self.results],
            scores=self.video.scores[self.results],
            seen=self.overlap.result_areas > 0,
            verdicts=tuple(kinds),
        )


def shown_tracks(video: VideoComparison, shown_score: float) -> ShownTracks:
    """Those of one video.

    Args:
        video: the video.
        shown_score: results with at least this score are shown.
    """
    results, objects = np.flatnonzero(video.scores >= shown_score), np.flatnonzero(~video.crowd)
    best = video.best
    overlap = Overlap(
        best.intersections[:, results[:, None], objects], best.result_areas[:, results], best.truth_areas[:, objects]
    )
    iou = frame_iou(overlap)
    return ShownTracks(video, results, objects, overlap, iou, match_frames(iou))
