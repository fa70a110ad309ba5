"""How much predicted and true tracks of one video cover each other, frame by frame and over the whole video."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qcen_core.ops import rle
from qcen_core.records import Box, Float64Array, Rle


@dataclass(frozen=True, slots=True)
class Overlap:
    """Areas in square pixels of D results and G ground-truth tracks in the F frames of one video.

    An area of 0 means that the track is absent from the frame.

    Attributes:
        intersections: (F, D, G) float64.
        result_areas: (F, D) float64.
        truth_areas: (F, G) float64.
    """

    intersections: Float64Array
    result_areas: Float64Array
    truth_areas: Float64Array

    def __post_init__(self) -> None:
        frames, results, truths = self.intersections.shape
        if self.result_areas.shape != (frames, results) or self.truth_areas.shape != (frames, truths):
            raise ValueError(
                f"intersections {self.intersections.shape}, result_areas {self.result_areas.shape} and "
                f"truth_areas {self.truth_areas.shape} must be (F, D, G), (F, D) and (F, G)"
            )


def mask_overlap(
    results: Sequence[Sequence[Rle | None]], truths: Sequence[Sequence[Rle | None]], frames: int
) -> Overlap:
    """Overlap of masks.

    Args:
        results: D tracks of one mask a frame, `None` where absent.
        truths: G tracks, likewise.
        frames: F.

    Raises:
        ValueError: a track has another number of frames, or masks of a frame differ in size.
    """
    overlap = Overlap(
        np.zeros((frames, len(results), len(truths))),
        np.zeros((frames, len(results))),
        np.zeros((frames, len(truths))),
    )
    if any(len(track) != frames for track in (*results, *truths)):
        raise ValueError(f"a track does not have {frames} frames")
    for frame in range(frames):
        here = [(index, mask) for index, track in enumerate(results) if (mask := track[frame]) is not None]
        there = [(index, mask) for index, track in enumerate(truths) if (mask := track[frame]) is not None]
        rows, columns = [index for index, _ in here], [index for index, _ in there]
        found, true = [mask for _, mask in here], [mask for _, mask in there]
        overlap.result_areas[frame, rows] = rle.areas(found)
        overlap.truth_areas[frame, columns] = rle.areas(true)
        overlap.intersections[frame, np.array(rows, dtype=int)[:, None], columns] = rle.intersections(found, true)
    return overlap


def box_overlap(
    results: Sequence[Sequence[Box | None]], truths: Sequence[Sequence[Box | None]], frames: int
) -> Overlap:
    """Overlap of boxes; arguments, result and errors as for `mask_overlap`."""
    a, b = _box_array(results, frames), _box_array(truths, frames)
    low = np.maximum(a[:, :, None, :2], b[:, None, :, :2])
    high = np.minimum(a[:, :, None, 2:], b[:, None, :, 2:])
    return Overlap(
        (high - low).clip(min=0).prod(axis=-1),
        (a[..., 2:] - a[..., :2]).prod(axis=-1),
        (b[..., 2:] - b[..., :2]).prod(axis=-1),
    )


def tube_iou(overlap: Overlap) -> Float64Array:
    """(D, G) IoU over the whole video: the sum of intersections over the sum of unions, 0 where all is empty.

    Where one side is absent, the other's area joins the union, as in the official YouTube-VIS evaluation.
    """
    shared = overlap.intersections.sum(axis=0)
    total = overlap.result_areas.sum(axis=0)[:, None] + overlap.truth_areas.sum(axis=0)[None]
    return _ratio(shared, total - shared)


def frame_iou(overlap: Overlap) -> Float64Array:
    """(F, D, G) IoU in each frame, 0 where either side is absent."""
    total = overlap.result_areas[:, :, None] + overlap.truth_areas[:, None, :]
    return _ratio(overlap.intersections, total - overlap.intersections)


def mean_areas(areas: Float64Array) -> Float64Array:
    """A track's size: its mean area over the frames that show it, 0 for a track never shown.

    Args:
        areas: (F, N) float64, 0 where absent.

    Returns:
        (N,) float64.
    """
    return _ratio(areas.sum(axis=0), (areas > 0).sum(axis=0).astype(np.float64))


def _box_array(tracks: Sequence[Sequence[Box | None]], frames: int) -> Float64Array:
    if any(len(track) != frames for track in tracks):
        raise ValueError(f"a track does not have {frames} frames")
    boxes = [[box or (0.0, 0.0, 0.0, 0.0) for box in track] for track in tracks]
    return np.array(boxes, dtype=np.float64).reshape(len(tracks), frames, 4).transpose(1, 0, 2)


def _ratio(part: Float64Array, whole: Float64Array) -> Float64Array:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
