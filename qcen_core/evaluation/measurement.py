"""What there is to know of videos one by one, before the figures of all of them are made of it."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from qcen_core.evaluation.association import LinkCounts
from qcen_core.evaluation.average_precision import ANY_SIZE, VIDEO_BANDS, Bands, Outcome, join
from qcen_core.evaluation.breakdown import GROUPS, groups_of
from qcen_core.evaluation.confusion import confused_classes
from qcen_core.evaluation.error_split import Verdicts, find_errors
from qcen_core.evaluation.official import OCCLUSION_BANDS
from qcen_core.evaluation.shown_tracks import shown_tracks
from qcen_core.evaluation.timeline import VideoTimeline, worst_videos
from qcen_core.evaluation.tracking import VideoTracking
from qcen_core.evaluation.video_comparison import (
    FoundTrack,
    compare_video,
    judge_box_frames,
    judge_box_tubes,
    judge_mask_tubes,
    mean_best_iou,
)
from qcen_core.records import IntArray, ObjectTrack, TrackDataset, VideoRecord

BOX_BANDS = Bands((ANY_SIZE,))


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """Ground truth and how results are compared with it.

    Attributes:
        dataset: the ground truth.
        tracks_of: its tracks by video id.
        with_masks: whether all of it has masks.
        with_occlusion: whether all of it tells how much is hidden.
        shown_score: association and confusion are measured on results with at least this score.
        official_quirks: whether to do as the official program does where it is odd.
    """

    dataset: TrackDataset
    tracks_of: dict[int, list[ObjectTrack]]
    with_masks: bool
    with_occlusion: bool
    shown_score: float
    official_quirks: bool

    @property
    def bands(self) -> Bands:
        """Those that whole tracks are judged in by their masks, or by their boxes where there are no masks."""
        told = self.with_masks and self.with_occlusion
        return Bands(VIDEO_BANDS, tuple(OCCLUSION_BANDS.values()) if told else (), GROUPS)

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
        masks: of whole tracks by their masks, in all bands; `None` where the ground truth has only boxes.
        box_tubes: of whole tracks by their boxes, in all bands where there are no masks, otherwise in one of any size.
        box_frames: of single frames by their boxes.
        links: association in each video.
        best_iou: name of a video to the mean over its objects of the IoU with the best result of their class.
        results: number of results.
        odd_scores: number of those of a score that is not between 0 and 1.
        verdicts: what is wrong in each video, whose outcome in `masks` and `box_tubes` is as long.
        tracking: counts of HOTA and of identities in each video.
        confused: true and found classes in each video, (N, 2) as in `confusion.py`.
        worst: the worst ten videos.
    """

    masks: Outcome | None
    box_tubes: Outcome
    box_frames: Outcome
    links: tuple[LinkCounts, ...]
    best_iou: dict[str, float | None]
    results: int
    odd_scores: int
    verdicts: tuple[Verdicts, ...]
    tracking: tuple[VideoTracking, ...]
    confused: tuple[IntArray, ...]
    worst: tuple[VideoTimeline, ...]

    @property
    def tubes(self) -> Outcome:
        """Of whole tracks in all bands: by their masks, or by their boxes where only those are known."""
        return self.box_tubes if self.masks is None else self.masks


def measure_video(video: VideoRecord, results: Sequence[FoundTrack], truth: GroundTruth) -> Measurement:
    """Measure the results of one video.

    Raises:
        ValueError: the results do not fit the video.
    """
    tracks = truth.tracks_of.get(video.id, [])
    compared = compare_video(
        video,
        results,
        tracks,
        with_masks=truth.with_masks,
        shown_score=truth.shown_score,
        official_quirks=truth.official_quirks,
    )
    kinds = len(truth.dataset.categories)
    scores = compared.scores
    groups = groups_of(compared, [track.boxes for track in tracks], occlusion_known=truth.with_occlusion)
    bands, by_box = truth.bands, (BOX_BANDS, None) if truth.with_masks else (truth.bands, groups)
    verdicts, best_iou = find_errors(compared), mean_best_iou(compared)
    shown = shown_tracks(compared, truth.shown_score)
    return Measurement(
        masks=judge_mask_tubes(compared, kinds, bands, groups) if truth.with_masks else None,
        box_tubes=judge_box_tubes(compared, kinds, *by_box),
        box_frames=judge_box_frames(compared, kinds, BOX_BANDS),
        links=(shown.links(),),
        best_iou={video.name: best_iou},
        results=len(scores),
        odd_scores=int(((scores < 0) | (scores > 1)).sum()),
        verdicts=(verdicts,),
        tracking=(shown.tracking(),),
        confused=(confused_classes(compared, shown.results),),
        worst=(
            shown.timeline(verdicts, best_iou, [track.id for track in tracks], [result.number for result in results]),
        ),
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
        verdicts=tuple(verdicts for part in parts for verdicts in part.verdicts),
        tracking=tuple(counts for part in parts for counts in part.tracking),
        confused=tuple(pairs for part in parts for pairs in part.confused),
        worst=worst_videos([timeline for part in parts for timeline in part.worst]),
    )
