"""One video's results beside its ground truth, measured once and then looked at from several sides."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qcen_core.evaluation.average_precision import Comparison
from qcen_core.evaluation.tube_iou import Overlap, box_overlap, frame_iou, mask_overlap, mean_areas, tube_iou
from qcen_core.ops import rle
from qcen_core.records import BoolArray, Float64Array, IntArray, ObjectTrack, TrackResult, VideoRecord


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
    """

    name: str
    scores: Float64Array
    result_classes: IntArray
    truth_classes: IntArray
    crowd: BoolArray
    boxes: Overlap
    masks: Overlap | None

    @property
    def best(self) -> Overlap:
        """The overlap of masks, or of boxes where only those are known."""
        return self.boxes if self.masks is None else self.masks


def compare_video(
    video: VideoRecord, results: Sequence[TrackResult], truths: Sequence[ObjectTrack], *, with_masks: bool
) -> VideoComparison:
    """Measure how results and ground truth of a video overlap.

    Args:
        video: the video.
        results: D results of this video.
        truths: G tracks of this video; each has masks, if `with_masks`.
        with_masks: whether to compare masks, and not boxes only.
    """
    frames = len(video.frame_files)
    found = [result.segmentations for result in results]
    true = [track.segmentations for track in truths if track.segmentations is not None]
    found_boxes = [[None if mask is None else rle.bounding_box(mask) for mask in masks] for masks in found]
    return VideoComparison(
        name=video.name,
        scores=np.array([result.score for result in results], dtype=np.float64),
        result_classes=np.array([result.class_id for result in results], dtype=np.int64),
        truth_classes=np.array([track.class_id for track in truths], dtype=np.int64),
        crowd=np.array([track.is_crowd for track in truths], dtype=np.bool_),
        boxes=box_overlap(found_boxes, [track.boxes for track in truths], frames),
        masks=mask_overlap(found, true, frames) if with_masks else None,
    )


def compare_tubes(video: VideoComparison, overlap: Overlap) -> dict[int, Comparison]:
    """Whole tracks of each class present: the unit is the video, the size is the mean area."""
    return _by_class(
        video,
        tube_iou(overlap)[None],
        mean_areas(overlap.result_areas)[None],
        mean_areas(overlap.truth_areas)[None],
    )


def compare_frames(video: VideoComparison, overlap: Overlap) -> dict[int, Comparison]:
    """Single frames of each class present: the unit is the frame, as COCO's is the image.

    On a crowd it counts how much of the result lies on it; COCO has it so, YouTube-VIS does not.
    """
    shared, areas = overlap.intersections, overlap.result_areas[:, :, None]
    on_crowd = np.divide(shared, areas, out=np.zeros_like(shared), where=areas > 0)
    return _by_class(
        video,
        np.where(video.crowd, on_crowd, frame_iou(overlap)),
        np.where(overlap.result_areas > 0, overlap.result_areas, np.nan),
        np.where(overlap.truth_areas > 0, overlap.truth_areas, np.nan),
    )


def mean_best_iou(video: VideoComparison) -> float | None:
    """Mean over the objects of the tube IoU with the best result of their class, `None` without an object."""
    same = video.result_classes[:, None] == video.truth_classes
    best = np.where(same, tube_iou(video.best), 0.0).max(axis=0, initial=0.0)[~video.crowd]
    return float(best.mean()) if best.size else None


def _by_class(
    video: VideoComparison, similarity: Float64Array, result_sizes: Float64Array, truth_sizes: Float64Array
) -> dict[int, Comparison]:
    comparisons = {}
    for class_id in np.union1d(video.result_classes, video.truth_classes).tolist():
        here, there = video.result_classes == class_id, video.truth_classes == class_id
        comparisons[class_id] = Comparison(
            scores=video.scores[here],
            similarity=similarity[:, here][:, :, there],
            result_sizes=result_sizes[:, here],
            truth_sizes=truth_sizes[:, there],
            crowd=video.crowd[there],
        )
    return comparisons
