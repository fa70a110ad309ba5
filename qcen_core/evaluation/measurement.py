"""What there is to know of videos one by one, before the figures of all of them are made of it."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from qcen_core.evaluation.association import LinkCounts, count_links
from qcen_core.evaluation.average_precision import ANY_SIZE, VIDEO_BANDS, Bands, Outcome, join
from qcen_core.evaluation.official import OCCLUSION_BANDS
from qcen_core.evaluation.tube_iou import frame_iou
from qcen_core.evaluation.video_comparison import (
    FoundTrack,
    VideoComparison,
    compare_video,
    judge_box_frames,
    judge_box_tubes,
    judge_mask_tubes,
    mean_best_iou,
)
from qcen_core.records import Float64Array, ObjectTrack, TrackDataset, VideoRecord

BOX_BANDS = Bands((ANY_SIZE,))


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """Ground truth and how results are compared with it.

    Attributes:
        dataset: the ground truth.
        tracks_of: its tracks by video id.
        with_masks: whether all of it has masks.
        with_occlusion: whether all of it tells how much is hidden.
        shown_score: association is measured on results with at least this score.
        official_quirks: whether to do as the official program does where it is odd.
    """

    dataset: TrackDataset
    tracks_of: dict[int, list[ObjectTrack]]
    with_masks: bool
    with_occlusion: bool
    shown_score: float
    official_quirks: bool

    @property
    def mask_bands(self) -> Bands:
        """Those that results are judged in by their masks."""
        return Bands(VIDEO_BANDS, tuple(OCCLUSION_BANDS.values()) if self.with_occlusion else ())

    def videos(self) -> list[VideoRecord]:
        """In the official order, by id, which decides between results of equal score."""
        return sorted(self.dataset.videos, key=lambda video: video.id)


def ground_truth_of(dataset: TrackDataset, shown_score: float, *, official_quirks: bool) -> GroundTruth:
    """Look at ground truth as a whole."""
    tracks_of = defaultdict(list)
    for track in dataset.tracks:
        tracks_of[track.video_id].append(track)
    return GroundTruth(
        dataset=dataset,
        tracks_of=dict(tracks_of),
        with_masks=all(track.segmentations is not None for track in dataset.tracks),
        with_occlusion=bool(dataset.tracks) and all(track.occlusion is not None for track in dataset.tracks),
        shown_score=shown_score,
        official_quirks=official_quirks,
    )


@dataclass(frozen=True, slots=True)
class Measurement:
    """What was measured of some videos, in the order of their ids.

    Attributes:
        masks: of whole tracks by their masks; `None` where the ground truth has only boxes.
        box_tubes: of whole tracks by their boxes.
        box_frames: of single frames by their boxes.
        links: association in each video.
        best_iou: name of a video to the mean over its objects of the IoU with the best result of their class.
        results: number of results.
        odd_scores: number of those of a score that is not between 0 and 1.
    """

    masks: Outcome | None
    box_tubes: Outcome
    box_frames: Outcome
    links: tuple[LinkCounts, ...]
    best_iou: dict[str, float | None]
    results: int
    odd_scores: int


def measure_video(video: VideoRecord, results: Sequence[FoundTrack], truth: GroundTruth) -> Measurement:
    """Measure the results of one video.

    Raises:
        ValueError: the results do not fit the video.
    """
    compared = compare_video(
        video,
        results,
        truth.tracks_of.get(video.id, []),
        with_masks=truth.with_masks,
        shown_score=truth.shown_score,
        official_quirks=truth.official_quirks,
    )
    kinds = len(truth.dataset.categories)
    scores = compared.scores
    return Measurement(
        masks=judge_mask_tubes(compared, kinds, truth.mask_bands) if truth.with_masks else None,
        box_tubes=judge_box_tubes(compared, kinds, BOX_BANDS),
        box_frames=judge_box_frames(compared, kinds, BOX_BANDS),
        links=(_links(compared, truth.shown_score),),
        best_iou={video.name: mean_best_iou(compared)},
        results=len(scores),
        odd_scores=int(((scores < 0) | (scores > 1)).sum()),
    )


def join_measurements(parts: Sequence[Measurement]) -> Measurement:
    """One measurement of all, in their order."""
    masks = [part.masks for part in parts if part.masks is not None]
    return Measurement(
        masks=join(masks) if masks else None,
        box_tubes=join([part.box_tubes for part in parts]),
        box_frames=join([part.box_frames for part in parts]),
        links=tuple(counts for part in parts for counts in part.links),
        best_iou={name: iou for part in parts for name, iou in part.best_iou.items()},
        results=sum(part.results for part in parts),
        odd_scores=sum(part.odd_scores for part in parts),
    )


def _links(video: VideoComparison, shown_score: float) -> LinkCounts:
    iou = frame_iou(video.best)[:, video.scores >= shown_score][:, :, ~video.crowd]
    areas: Float64Array = video.best.truth_areas[:, ~video.crowd]
    return count_links(iou, areas)
