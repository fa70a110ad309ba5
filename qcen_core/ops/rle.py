"""Masks in compressed COCO run-length form; the only file that touches pycocotools.

A mask's runs are counted down the columns, starting with background. All pixel counts are exact.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from qcen_core.records import BoolArray, Box, Float64Array, IntArray, Rle

# A character holds five bits of a run, from "0" on; from "P" on another one follows.
_CHARACTERS = bytes(range(ord("0"), ord("o") + 1))
_GOES_ON = ord("P")
_MOST_GROUPS = 7
_GOING_ON = bytes(1 if code >= _GOES_ON else 0 for code in range(256))
_OVERLONG = bytes([1] * _MOST_GROUPS)


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
    if not are_sound([rle])[0]:
        raise ValueError(f"the runs do not fill a mask of {rle['size'][0]} x {rle['size'][1]}")
    lengths = run_lengths([rle])[0]
    # Not pycocotools: its decoder warns under numpy 2.
    columns = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths).reshape(rle["size"][::-1])
    return np.ascontiguousarray(columns.T)


def area(rle: Rle) -> int:
    """Number of foreground pixels."""
    return int(coco_mask.area(rle))


def areas(masks: Sequence[Rle]) -> Float64Array:
    """Number of foreground pixels of each mask, (len(masks),) float64."""
    # pycocotools 2.0.11 refuses more than 255 masks at once under numpy 2.
    parts = [coco_mask.area(list(masks[first : first + 255])) for first in range(0, len(masks), 255)]
    return np.concatenate([np.zeros(0), *parts], dtype=np.float64)


def bounding_box(rle: Rle) -> Box | None:
    """The smallest box around the mask, `x1 y1 x2 y2` half-open, or `None` where no pixel is set."""
    x, y, width, height = coco_mask.toBbox(rle).tolist()
    return (x, y, x + width, y + height) if width and height else None


def bounding_boxes(masks: Sequence[Rle]) -> list[Box | None]:
    """`bounding_box` of each mask; the masks must be sound."""
    corners = np.asarray(coco_mask.toBbox(list(masks)), dtype=np.float64).reshape(-1, 4)
    seen = np.all(corners[:, 2:] > 0, axis=1).tolist()
    corners[:, 2:] += corners[:, :2]
    return [(x1, y1, x2, y2) if box else None for (x1, y1, x2, y2), box in zip(corners.tolist(), seen, strict=True)]


def intersections(a: Sequence[Rle], b: Sequence[Rle], areas_of_a: Float64Array | None = None) -> Float64Array:
    """Pixels common to every pair of masks of one frame.

    Args:
        a: masks of one size.
        b: masks of the same size.
        areas_of_a: (len(a),) what `areas` says of them, if that is known already.

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
    return np.rint(np.asarray(shares) * (areas(a) if areas_of_a is None else areas_of_a)[:, None])


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


def run_lengths(masks: Sequence[Rle]) -> IntArray:
    """The run lengths that compressed masks state, background first.

    Nothing is taken on trust: a damaged string gives negative lengths, or lengths that do not fill the mask.

    Returns:
        (len(masks), R) int64, each row filled up with zeros at its end.

    Raises:
        ValueError: a string is not written the way run lengths are.
    """
    if not are_readable(masks).all():
        raise ValueError("not a compressed run-length string")
    digits = np.frombuffer("".join(mask["counts"] for mask in masks).encode(), dtype=np.uint8) - np.uint8(48)
    stops = np.cumsum([len(mask["counts"]) for mask in masks])
    # A run is written in groups of five bits, lowest first; a run's last group has bit 5 off and the sign in bit 4.
    ends = np.flatnonzero(digits < 32)
    groups = np.diff(ends, prepend=-1)
    starts = ends - groups + 1
    bits = digits & 31
    values = bits[starts].astype(np.int64)
    longer = np.flatnonzero(groups > 1)
    for place in range(1, _MOST_GROUPS):
        values[longer] += bits[starts[longer] + place].astype(np.int64) << (5 * place)
        longer = longer[groups[longer] > place + 1]
    negative = (digits[ends] & 16) > 0
    values[negative] -= np.int64(1) << (5 * groups[negative])
    # One row a mask.
    runs = np.diff(np.searchsorted(ends, stops), prepend=0)
    stated = np.arange(runs.max(initial=0)) < runs[:, None]
    lengths = np.zeros(stated.shape, dtype=np.int64)
    lengths[stated] = values
    # From the fourth run on, a value is the difference to the run two before.
    lengths[:, 1::2] = np.cumsum(lengths[:, 1::2], axis=1)
    lengths[:, 2::2] = np.cumsum(lengths[:, 2::2], axis=1)
    lengths[~stated] = 0
    return lengths


def are_readable(masks: Sequence[Rle]) -> BoolArray:
    """Whether each compressed mask is a whole string of run lengths, whatever they sum up to.

    Returns:
        (len(masks),) bool.
    """
    written = [mask["counts"].encode("utf-8", "xmlcharrefreplace") for mask in masks]
    # The last character must end a run: pycocotools would read on beyond the string.
    good = [
        not text.translate(None, _CHARACTERS)
        and (not text or text[-1] < _GOES_ON)
        and _OVERLONG not in text.translate(_GOING_ON)
        for text in written
    ]
    return np.array(good, dtype=np.bool_)


def are_sound(masks: Sequence[Rle]) -> BoolArray:
    """Whether the runs of each compressed mask are readable, not negative, and fill its size.

    Returns:
        (len(masks),) bool.
    """
    sound = are_readable(masks)
    readable = [mask for mask, good in zip(masks, sound, strict=True) if good]
    lengths = run_lengths(readable)
    pixels = np.array([mask["size"][0] * mask["size"][1] for mask in readable], dtype=np.int64)
    sound[sound] = (lengths >= 0).all(axis=1) & (lengths.sum(axis=1) == pixels)
    return sound


def _from_coco(coco: dict[str, Any]) -> Rle:
    height, width = coco["size"]
    return Rle(size=[int(height), int(width)], counts=coco["counts"].decode("ascii"))
