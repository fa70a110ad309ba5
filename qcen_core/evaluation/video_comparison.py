"""One video's results beside its ground truth, measured once and then looked at from several sides."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qcen_core.evaluation.average_precision import Bands, Comparison, Outcome, join, judge, judge_unopposed
from qcen_core.evaluation.official import occlusion_score
from qcen_core.evaluation.tube_iou import (
    Overlap,
    box_overlap,
    box_table,
    counts_of,
    frame_iou,
    largest_tube_iou,
    mean_areas,
    measure_tracks,
    overlap_of_tracks,
    tube_iou,
)
from qcen_core.records import BoolArray, Float64Array, IntArray, ObjectTrack, VideoRecord

# A result that covers an object this much is about that object, whatever its class.
MATCHING_IOU = 0.5


@dataclass(frozen=True, slots=True)
class VideoComparison:
    """D results and G ground-truth tracks of one video.

    Attributes:
        name: of the video.
        scores: (D,) float64.
        result_classes: (D,) int64.
        truth_classes: (G,) int64.
        crowd: (G,) bool.
        boxes: overlap of boxes, a result's box being the one around its mask.
        masks: overlap of masks, `None` where the ground truth has only boxes.
        result_sizes: (D,) float64, mean areas of masks.
        truth_sizes: (G,) float64, mean areas of masks.
        occlusion: (G,) float64, NaN where unknown.
        quirks: what only the official program does, `None` without it.
    """

    name: str
    scores: Float64Array
    result_classes: IntArray
    truth_classes: IntArray
    crowd: BoolArray
    boxes: Overlap
    masks: Overlap | None
    result_sizes: Float64Array
    truth_sizes: Float64Array
    occlusion: Float64Array
    quirks: "Quirks | None"

    @property
    def best(self) -> Overlap:
        """The overlap of masks, or of boxes where only those are known."""
        return self.boxes if self.masks is None else self.masks


@dataclass(frozen=True, slots=True)
class Quirks:
    """What the official program sees of D results and G ground truths.

    Attributes:
        listed: (D,) number of masks that a result lists.
        thankless: (G,) bool, ground truths of id 0.
    """

    listed: IntArray
    thankless: BoolArray


@dataclass(frozen=True, slots=True)
class Groups:
    """Which of B bands beside those of size D results and G ground truths belong to.

    Attributes:
        results: (B, D) bool.
        truths: (B, G) bool.
    """

    results: BoolArray
    truths: BoolArray


@dataclass(frozen=True, slots=True)
class FoundTrack:
    """A result of one video.

    Attributes:
        class_id: 0..K-1.
        score: confidence.
        masks: compressed run lengths, one a frame, of the size of the video's frames; `None` where absent.
        number: its place among the results of its video, from 1.
    """

    class_id: int
    score: float
    masks: Sequence[str | None]
    number: int = 0


def compare_video(
    video: VideoRecord,
    results: Sequence[FoundTrack],
    truths: Sequence[ObjectTrack],
    *,
    with_masks: bool,
    shown_score: float = 0.0,
    official_quirks: bool = False,
) -> VideoComparison:
    """Measure how results and ground truth of a video overlap.

    Args:
        video: the video.
        results: D results of this video.
        truths: G tracks of this video; each has masks, if `with_masks`.
        with_masks: whether to compare masks, and not boxes only.
        shown_score: for results of less the overlap of masks with ground truth of another class may be told as 0 where
            it is less than half of their union over the video.
        official_quirks: what `official.py` lists is as in the official program.

    Raises:
        ValueError: a result has another number of frames than the video, and `official_quirks` is off; or a mask is
            damaged.
    """
    frames, size = len(video.frame_files), (video.height, video.width)
    scores = np.array([result.score for result in results], dtype=np.float64)
    classes = np.array([result.class_id for result in results], dtype=np.int64)
    truth_classes = np.array([track.class_id for track in truths], dtype=np.int64)
    pairs = (classes[:, None] == truth_classes) | (scores >= shown_score)[:, None]
    listed = [result.masks for result in results]
    longest = max([frames, *map(len, listed)]) if official_quirks else frames
    filled = [[*masks, *[None] * (longest - len(masks))] for masks in listed] if official_quirks else listed
    found = measure_tracks(filled, longest, size)
    true = measure_tracks(counts_of([track.segmentations or (None,) * frames for track in truths]), frames, size)
    # Results of another class matter where they lie on an object, and most areas tell already that they do not.
    pairs |= largest_tube_iou(found.areas[:frames], true.areas) >= MATCHING_IOU
    sizes, found = mean_areas(found.areas), found.until(frames)
    return VideoComparison(
        name=video.name,
        scores=scores,
        result_classes=classes,
        truth_classes=truth_classes,
        crowd=np.array([track.is_crowd for track in truths], dtype=np.bool_),
        boxes=box_overlap(found.boxes, box_table([track.boxes for track in truths], frames)),
        masks=overlap_of_tracks(found, true, pairs) if with_masks else None,
        result_sizes=sizes,
        truth_sizes=_stated_sizes(truths, true.areas) if official_quirks else mean_areas(true.areas),
        occlusion=np.array([np.nan if t.occlusion is None else occlusion_score(t.occlusion) for t in truths]),
        quirks=_quirks(listed, truths) if official_quirks else None,
    )


def judge_mask_tubes(video: VideoComparison, kinds: int, bands: Bands, groups: Groups | None = None) -> Outcome:
    """Judge whole tracks by their masks: the unit is the video, the size is the mean area.

    Raises:
        ValueError: the ground truth has only boxes.
    """
    if video.masks is None:
        raise ValueError("the ground truth has no masks")
    iou = tube_iou(video.masks, None if video.quirks is None else video.quirks.listed)
    sizes = video.result_sizes[None], video.truth_sizes[None]
    return _judge(video, iou[None], *sizes, kinds, bands, groups, official=True)


def judge_box_tubes(video: VideoComparison, kinds: int, bands: Bands, groups: Groups | None = None) -> Outcome:
    """Judge whole tracks by their boxes."""
    sizes = mean_areas(video.boxes.result_areas)[None], mean_areas(video.boxes.truth_areas)[None]
    return _judge(video, tube_iou(video.boxes)[None], *sizes, kinds, bands, groups)


def judge_box_frames(video: VideoComparison, kinds: int, bands: Bands) -> Outcome:
    """Judge the boxes of single frames: the unit is the frame, as COCO's is the image.

    On a crowd it counts how much of the result lies on it; COCO has it so, YouTube-VIS does not.
    """
    overlap = video.boxes
    shared, areas = overlap.intersections, overlap.result_areas[:, :, None]
    on_crowd = np.divide(shared, areas, out=np.zeros_like(shared), where=areas > 0)
    return _judge(
        video,
        np.where(video.crowd, on_crowd, frame_iou(overlap)),
        np.where(overlap.result_areas > 0, overlap.result_areas, np.nan),
        np.where(overlap.truth_areas > 0, overlap.truth_areas, np.nan),
        kinds,
        bands,
    )


def mean_best_iou(video: VideoComparison) -> float | None:
    """Mean over the objects of the tube IoU with the best result of their class, `None` without an object."""
    same = video.result_classes[:, None] == video.truth_classes
    best = np.where(same, tube_iou(video.best), 0.0).max(axis=0, initial=0.0)[~video.crowd]
    return float(best.mean()) if best.size else None


def _judge(
    video: VideoComparison,
    similarity: Float64Array,
    result_sizes: Float64Array,
    truth_sizes: Float64Array,
    kinds: int,
    bands: Bands,
    groups: Groups | None = None,
    *,
    official: bool = False,
) -> Outcome:
    opposed = np.isin(video.result_classes, video.truth_classes)
    free = ~opposed
    members = None if groups is None else groups.results[:, free]
    outcomes = [
        judge_unopposed(video.scores[free], video.result_classes[free], result_sizes[:, free], kinds, bands, members),
    ]
    for kind in np.unique(video.truth_classes).tolist():
        here, there = video.result_classes == kind, video.truth_classes == kind
        comparison = Comparison(
            scores=video.scores[here],
            similarity=similarity[:, here][:, :, there],
            result_sizes=result_sizes[:, here],
            truth_sizes=truth_sizes[:, there],
            crowd=video.crowd[there],
            occlusion=video.occlusion[there],
            thankless=video.quirks.thankless[there] if official and video.quirks is not None else None,
            result_groups=None if groups is None else groups.results[:, here],
            truth_groups=None if groups is None else groups.truths[:, there],
        )
        outcomes.append(judge(comparison, kind, kinds, bands))
    return join(outcomes)


def _quirks(listed: Sequence[Sequence[str | None]], truths: Sequence[ObjectTrack]) -> Quirks:
    return Quirks(
        listed=np.array([len(masks) for masks in listed], dtype=np.int64),
        thankless=np.array([track.id == 0 for track in truths], dtype=np.bool_),
    )


def _stated_sizes(truths: Sequence[ObjectTrack], areas: Float64Array) -> Float64Array:
    """(G,) mean of the stated areas over frames where there is one; of the masks' areas where none are stated."""
    sizes = mean_areas(areas)
    for place, track in enumerate(truths):
        if track.areas is not None:
            seen = [area for area in track.areas if area]
            sizes[place] = sum(seen) / len(seen) if seen else 0.0
    return sizes
