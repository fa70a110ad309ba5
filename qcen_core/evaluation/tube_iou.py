"""How much predicted and true tracks of one video cover each other, frame by frame and over the whole video."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qcen_core.ops.rle_measure import MeasuredMasks, common_pixels, measure_masks
from qcen_core.records import BoolArray, Box, Float64Array, IntArray, Rle


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


@dataclass(frozen=True, slots=True)
class MeasuredTracks:
    """The masks of N tracks in F frames, and their measures.

    Attributes:
        masks: those of all tracks.
        places: (F, N) int64, which of them each is, -1 where absent.
        areas: (F, N) float64, 0 where absent.
        boxes: (F, N, 4) float64 `x1 y1 x2 y2` in pixels, 0 where absent.
    """

    masks: MeasuredMasks
    places: IntArray
    areas: Float64Array
    boxes: Float64Array

    def until(self, frames: int) -> "MeasuredTracks":
        """The same in the first frames."""
        return MeasuredTracks(self.masks, self.places[:frames], self.areas[:frames], self.boxes[:frames])


def measure_tracks(tracks: Sequence[Sequence[str | None]], frames: int, size: tuple[int, int]) -> MeasuredTracks:
    """Measure masks.

    Args:
        tracks: N tracks of one mask a frame, as compressed run lengths, `None` where absent.
        frames: F.
        size: (height, width) of all masks.

    Raises:
        ValueError: a track has another number of frames, or a mask is damaged.
    """
    if any(len(track) != frames for track in tracks):
        raise ValueError(f"a track does not have {frames} frames")
    masks = measure_masks([mask for track in tracks for mask in track if mask is not None], *size)
    if not masks.sound.all():
        raise ValueError("a mask is damaged")
    there = np.array([[mask is not None for mask in track] for track in tracks], np.bool_).reshape(len(tracks), frames)
    areas, boxes = np.zeros(there.shape), np.zeros((*there.shape, 4))
    areas[there], boxes[there] = masks.areas, masks.boxes
    places = np.where(there, np.cumsum(there).reshape(there.shape) - 1, -1)
    return MeasuredTracks(masks, places.T, areas.T, boxes.transpose(1, 0, 2))


def mask_overlap(
    results: Sequence[Sequence[Rle | None]], truths: Sequence[Sequence[Rle | None]], frames: int
) -> Overlap:
    """Overlap of masks of one size.

    Args:
        results: D tracks of one mask a frame, `None` where absent.
        truths: G tracks, likewise.
        frames: F.

    Raises:
        ValueError: a track has another number of frames, masks differ in size, or one is damaged.
    """
    sizes = {tuple(mask["size"]) for track in (*results, *truths) for mask in track if mask is not None}
    if len(sizes) > 1:
        raise ValueError("masks of different sizes cannot be compared")
    height, width = sizes.pop() if sizes else (1, 1)
    found, true = (measure_tracks(counts_of(side), frames, (height, width)) for side in (results, truths))
    return overlap_of_tracks(found, true)


def counts_of(tracks: Sequence[Sequence[Rle | None]]) -> list[list[str | None]]:
    """The masks of tracks as compressed run lengths alone."""
    return [[None if mask is None else mask["counts"] for mask in track] for track in tracks]


def overlap_of_tracks(results: MeasuredTracks, truths: MeasuredTracks, pairs: BoolArray | None = None) -> Overlap:
    """Overlap of measured masks.

    Args:
        results: D tracks in F frames.
        truths: G tracks in the same frames, of the same size.
        pairs: (D, G) bool, which intersections are asked for; those of others may be left at 0.
    """
    wanted = box_overlap(results.boxes, truths.boxes).intersections > 0
    if pairs is not None:
        wanted &= pairs
    shared = np.zeros(wanted.shape)
    frame, result, truth = np.nonzero(wanted)
    shared[frame, result, truth] = common_pixels(
        results.masks, results.places[frame, result], truths.masks, truths.places[frame, truth]
    )
    return Overlap(shared, results.areas, truths.areas)


def box_overlap(results: Float64Array, truths: Float64Array) -> Overlap:
    """Overlap of boxes.

    Args:
        results: (F, D, 4) `x1 y1 x2 y2` in pixels; a box of no extent is an absent one.
        truths: (F, G, 4) likewise.
    """
    low = np.maximum(results[:, :, None, :2], truths[:, None, :, :2])
    high = np.minimum(results[:, :, None, 2:], truths[:, None, :, 2:])
    return Overlap(
        (high - low).clip(min=0).prod(axis=-1),
        (results[..., 2:] - results[..., :2]).prod(axis=-1),
        (truths[..., 2:] - truths[..., :2]).prod(axis=-1),
    )


def box_table(tracks: Sequence[Sequence[Box | None]], frames: int) -> Float64Array:
    """(F, N, 4) boxes of N tracks, 0 where absent.

    Raises:
        ValueError: a track has another number of frames.
    """
    if any(len(track) != frames for track in tracks):
        raise ValueError(f"a track does not have {frames} frames")
    boxes = [[box or (0.0, 0.0, 0.0, 0.0) for box in track] for track in tracks]
    return np.array(boxes, dtype=np.float64).reshape(len(tracks), frames, 4).transpose(1, 0, 2)


def tube_iou(overlap: Overlap, listed: IntArray | None = None) -> Float64Array:
    """(D, G) IoU over the whole video: the sum of intersections over the sum of unions, 0 where all is empty.

    Where one side is absent, the other's area joins the union, as in the official YouTube-VIS evaluation.

    Args:
        overlap: of the two.
        listed: (D,) number of frames from the first on that count for a result, all by default.
    """
    shared = overlap.intersections.sum(axis=0)
    frames = len(overlap.truth_areas)
    until = np.full(shared.shape[0], frames) if listed is None else np.minimum(listed, frames)
    sums = np.concatenate([np.zeros((1, shared.shape[1])), np.cumsum(overlap.truth_areas, axis=0)])
    return _ratio(shared, overlap.result_areas.sum(axis=0)[:, None] + sums[until] - shared)


def largest_tube_iou(result_areas: Float64Array, truth_areas: Float64Array) -> Float64Array:
    """(D, G) tube IoU of tracks of these areas, (F, D) and (F, G), if in every frame one lay in the other."""
    return tube_iou(Overlap(np.minimum(result_areas[:, :, None], truth_areas[:, None]), result_areas, truth_areas))


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


def _ratio(part: Float64Array, whole: Float64Array) -> Float64Array:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
