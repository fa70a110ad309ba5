"""Masks in compressed COCO run-length form; the only file that touches pycocotools.

A mask's runs are counted down the columns, starting with background. All pixel counts are exact.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from qcen_core.records import BoolArray, Box, Float64Array, IntArray, Rle


def encode(mask: BoolArray) -> Rle:
    """Compress a mask.

    Args:
        mask: (H, W) bool.

    Raises:
        ValueError: the array is not two-dimensional.
    """
    if mask.ndim != 2:
        raise ValueError(f"a mask is (H, W), not {mask.shape}")
    return _from_coco(coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8)))


def decode(rle: Rle) -> BoolArray:
    """The mask as (H, W) bool.

    Raises:
        ValueError: the runs do not fill the mask's size.
    """
    if not is_sound(rle):
        raise ValueError(f"the runs do not fill a mask of {rle['size'][0]} x {rle['size'][1]}")
    lengths = run_lengths(rle)
    # Not pycocotools: its decoder warns under numpy 2.
    columns = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths).reshape(rle["size"][::-1])
    return np.ascontiguousarray(columns.T)


def area(rle: Rle) -> int:
    """Number of foreground pixels."""
    return int(coco_mask.area(rle))


def areas(masks: Sequence[Rle]) -> Float64Array:
    """Number of foreground pixels of each mask, (len(masks),) float64."""
    return np.asarray(coco_mask.area(list(masks)), dtype=np.float64)


def bounding_box(rle: Rle) -> Box | None:
    """The smallest box around the mask, `x1 y1 x2 y2` half-open, or `None` where no pixel is set."""
    x, y, width, height = coco_mask.toBbox(rle).tolist()
    return (x, y, x + width, y + height) if width and height else None


def intersections(a: Sequence[Rle], b: Sequence[Rle]) -> Float64Array:
    """Pixels common to every pair of masks of one frame.

    Args:
        a: masks of one size.
        b: masks of the same size.

    Returns:
        (len(a), len(b)) float64 of whole numbers.

    Raises:
        ValueError: the sizes differ.
    """
    if not a or not b:
        return np.zeros((len(a), len(b)))
    if len({tuple(rle["size"]) for rle in (*a, *b)}) > 1:
        raise ValueError("masks of different sizes cannot be compared")
    # A crowd's "IoU" is the intersection over the first mask's area: one division to undo, exactly.
    shares = coco_mask.iou(list(a), list(b), [1] * len(b))
    return np.rint(np.asarray(shares) * areas(a)[:, None])


def from_polygons(polygons: Sequence[Sequence[float]], height: int, width: int) -> Rle:
    """The union of polygons, rasterised as COCO does.

    Args:
        polygons: each is `x y x y ...` in pixels, three corners or more.
        height: of the mask.
        width: of the mask.

    Raises:
        ValueError: no polygon, fewer than three corners, an odd number of coordinates, or absurd ones.
    """
    if not polygons:
        raise ValueError("there is no polygon")
    for polygon in polygons:
        # pycocotools would read four numbers as a box, without a word.
        if len(polygon) < 6 or len(polygon) % 2:
            raise ValueError(f"a polygon needs three or more pairs of coordinates, not {len(polygon)} numbers")
        if not all(-1e6 < coordinate < 1e6 for coordinate in polygon):
            raise ValueError("a polygon's coordinates are not pixels")
    # One at a time, so that the number of coordinates is never taken for another form.
    parts = [coco_mask.frPyObjects([[float(v) for v in polygon]], height, width)[0] for polygon in polygons]
    return _from_coco(coco_mask.merge(parts))


def from_counts(counts: Sequence[int], height: int, width: int) -> Rle:
    """A mask from uncompressed run lengths.

    Args:
        counts: lengths of runs down the columns, background first.
        height: of the mask.
        width: of the mask.

    Raises:
        ValueError: a run is negative, or the runs do not fill height x width.
    """
    if any(count < 0 for count in counts) or sum(counts) != height * width:
        raise ValueError(f"the runs do not fill a mask of {height} x {width}")
    return _from_coco(
        coco_mask.frPyObjects({"size": [height, width], "counts": [int(c) for c in counts]}, height, width)
    )


def run_lengths(rle: Rle) -> IntArray:
    """The run lengths that a compressed mask states, (R,) int64, background first; sound only if they fill it.

    Unlike pycocotools this never trusts them: a damaged string gives negative or wrong lengths, or a ValueError.

    Raises:
        ValueError: the string breaks off, or holds characters that no run is written with.
    """
    digits = np.frombuffer(rle["counts"].encode("utf-8"), dtype=np.uint8).astype(np.int64) - 48
    if not len(digits):
        return np.zeros(0, dtype=np.int64)
    more = (digits & 32) != 0
    if digits.min() < 0 or digits.max() > 63 or more[-1]:
        raise ValueError("not a compressed run-length string")
    # Little-endian groups of five bits; bit 5 says that another group follows, bit 4 of the last is the sign.
    starts = np.concatenate(([0], np.flatnonzero(~more)[:-1] + 1))
    lengths = np.diff(starts, append=len(digits))
    if lengths.max() > 12:
        raise ValueError("a run is longer than any mask")
    places = 5 * (np.arange(len(digits)) - np.repeat(starts, lengths))
    values = np.add.reduceat((digits & 31) << places, starts)
    ends = starts + lengths - 1
    values -= np.where(digits[ends] & 16, np.int64(1) << (5 * lengths), 0)
    # From the fourth run on, a value is the difference to the run two before.
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values


def is_sound(rle: Rle) -> bool:
    """Whether the runs of a compressed mask are readable, not negative, and fill its size."""
    try:
        lengths = run_lengths(rle)
    except ValueError:
        return False
    height, width = rle["size"]
    return bool((lengths >= 0).all()) and int(lengths.sum()) == height * width


def _from_coco(coco: dict[str, Any]) -> Rle:
    height, width = coco["size"]
    return Rle(size=[int(height), int(width)], counts=coco["counts"].decode("ascii"))
