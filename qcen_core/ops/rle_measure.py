"""Areas, boxes and soundness of many compressed masks in one go, several times as fast as mask by mask."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qcen_core.ops import rle
from qcen_core.records import BoolArray, Float64Array, IntArray, Rle

# So many that numpy's cost of a call vanishes, so few that what is read stays in the processor's cache.
_AT_ONCE = 512
# Sums of three numbers up to here keep within 32 bits; so the first sum that is out of bounds is seen to be.
_MOST_PIXELS = 2**29


@dataclass(frozen=True, slots=True)
class MaskMeasures:
    """M masks measured.

    Attributes:
        sound: (M,) bool, whether the runs are readable, not negative, and fill the mask; else all is 0. Without boxes
            a negative run is not seen where others make up for it, so that the sum is still that of the mask.
        areas: (M,) float64, foreground pixels.
        boxes: (M, 4) float64, the smallest box, `x1 y1 x2 y2` half-open; 0 for a mask without pixels.
    """

    sound: BoolArray
    areas: Float64Array
    boxes: Float64Array


def measure_masks(counts: Sequence[str], height: int, width: int, *, boxes: bool = True) -> MaskMeasures:
    """Measure compressed masks of one size; nothing is taken on trust.

    Args:
        counts: M compressed run lengths.
        height: of all masks, in pixels.
        width: of all masks.
        boxes: whether to find boxes; else all are 0, which is quicker.
    """
    found = MaskMeasures(np.zeros(len(counts), np.bool_), np.zeros(len(counts)), np.zeros((len(counts), 4)))
    for first in range(0, len(counts), _AT_ONCE):
        part = counts[first : first + _AT_ONCE]
        place = np.arange(first, first + len(part))
        measured = _measure(part, height, width, boxes=boxes)
        if measured is None:
            # One is damaged, or written in an odd way: look at each.
            masks: list[Rle] = [{"size": [height, width], "counts": text} for text in part]
            sound = rle.are_sound(masks)
            good = [mask for mask, kept in zip(masks, sound, strict=True) if kept]
            place = place[sound]
            corners = [box or (0.0,) * 4 for box in rle.bounding_boxes(good)] if boxes else np.zeros((len(good), 4))
            measured = rle.areas(good), np.array(corners).reshape(-1, 4)
        found.sound[place] = True
        found.areas[place], found.boxes[place] = measured
    return found


def _measure(
    counts: Sequence[str], height: int, width: int, *, boxes: bool
) -> tuple[Float64Array, Float64Array] | None:
    """Areas (M,) and boxes (M, 4) of masks, or `None` where one of them is not sound."""
    pixels = height * width
    read = _read(counts)
    if read is None:
        return None
    values, runs = read
    # A run is at most all pixels, and so is its difference to another one. What keeps to it cannot overflow below.
    if not runs.all() or pixels > _MOST_PIXELS or max(-values.min(), values.max()) > pixels:
        return None
    # Each mask is filled up to whole pairs of background and foreground.
    pairs = (runs + 1) >> 1
    stops = np.cumsum(pairs)
    starts = stops - pairs
    odd = np.flatnonzero(runs & 1)
    flat = np.insert(values, np.cumsum(runs)[odd], 0)
    # The third run is written as it is, not as a difference to the first one.
    third = starts[pairs > 1] + 1
    flat[2 * third] -= flat[2 * third - 2]
    if not boxes:
        return _areas(flat.reshape(-1, 2), starts, stops, odd, pixels)
    background, foreground = _running_sums(flat[::2], starts), _running_sums(flat[1::2], starts)
    foreground[stops[odd] - 1] = 0
    if min(background.min(), foreground.min()) < 0 or max(background.max(), foreground.max()) > pixels:
        return None
    ends = background + foreground
    # Where every mask ends with its last pixel, this begins each anew; where one does not, it is seen.
    ends[starts[1:]] -= pixels
    np.cumsum(ends, out=ends)
    if ends.min() < 0 or ends.max() > pixels or (ends[stops - 1] != pixels).any():
        return None
    areas = np.add.reduceat(foreground, starts, dtype=np.int32).astype(np.float64)
    return areas, _boxes(ends - foreground, ends, foreground > 0, starts, height)


def _areas(
    differences: NDArray[np.int32], starts: IntArray, stops: IntArray, odd: IntArray, pixels: int
) -> tuple[Float64Array, Float64Array] | None:
    """Areas, and no boxes, from (P, 2) differences of runs, or `None` where the runs of a mask do not fill it.

    A difference counts once for each run from its own on, so sums need no runs; they are right modulo 2**32.
    """
    weights = np.repeat(stops.astype(np.int32), stops - starts) - np.arange(len(differences), dtype=np.int32)
    background = np.add.reduceat(differences[:, 0] * weights, starts, dtype=np.int32)
    sums = np.add.reduceat(differences[:, 1] * weights, starts, dtype=np.int32)
    # Where a mask ends with background, its foreground differences count once less.
    sums[odd] -= np.add.reduceat(differences[:, 1], starts, dtype=np.int32)[odd]
    if sums.min() < 0 or sums.max() > pixels or (background + sums != pixels).any():
        return None
    return sums.astype(np.float64), np.zeros((len(starts), 4))


def _running_sums(values: NDArray[np.int32], starts: IntArray) -> NDArray[np.int32]:
    """What the values sum up to, anew from each start."""
    sums = values.copy()
    sums[starts[1:]] -= np.add.reduceat(values, starts, dtype=np.int32)[:-1]
    return np.cumsum(sums, out=sums)


def _boxes(
    begins: NDArray[np.int32], ends: NDArray[np.int32], seen: BoolArray, starts: IntArray, height: int
) -> Float64Array:
    """(M, 4) boxes around runs that begin and end at positions down the columns, by the pairs that are `seen`."""
    left, last = begins // height, (ends - 1) // height
    several = (last > left) & seen
    top = np.where(several, 0, begins - left * height)
    bottom = np.where(several, height, ends - last * height)
    far = np.int32(2**31 - 1)
    edges = [
        np.minimum.reduceat(np.where(seen, left, far), starts),
        np.minimum.reduceat(np.where(seen, top, far), starts),
        np.maximum.reduceat(np.where(seen, last + 1, 0), starts),
        np.maximum.reduceat(np.where(seen, bottom, 0), starts),
    ]
    boxes = np.stack(edges, axis=1).astype(np.float64)
    boxes[boxes[:, 2] == 0] = 0
    return boxes


def _read(counts: Sequence[str]) -> tuple[NDArray[np.int32], IntArray] | None:
    """What strings write, (R,) int32, and how many runs each has, (M,) int64; `None` where one cannot be read.

    A character holds five bits of a number, lowest first, and whether more follow; the last one's highest bit is the
    sign. Most numbers are of one or two characters, which are put together for all characters at once.
    """
    text = "".join(counts)
    lengths = np.fromiter(map(len, counts), np.int64, len(counts))
    if not text.isascii() or not lengths.all():
        return None
    digits = np.frombuffer(text.encode(), np.uint8) - np.uint8(48)
    if digits.max() > 63:
        return None
    stops = np.cumsum(lengths)
    goes_on, bits = digits >> np.uint8(5), digits & np.uint8(31)
    if goes_on[stops - 1].any():
        return None
    signed = (bits ^ np.uint8(16)).astype(np.int16) - np.int16(16)
    numbers = signed.copy()
    numbers[1:] *= goes_on[:-1] * np.uint8(31) + np.uint8(1)
    numbers[1:] += bits[:-1] * goes_on[:-1]
    ends = np.flatnonzero(goes_on == 0)
    values = numbers[ends].astype(np.int32)
    long = np.flatnonzero((goes_on[1:-1] & goes_on[:-2]) > goes_on[2:]) + 2
    if not _read_long(values, np.searchsorted(ends, long), long, signed, bits, goes_on):
        return None
    return values, np.diff(np.searchsorted(ends, stops), prepend=0)


def _read_long(
    values: NDArray[np.int32],
    places: IntArray,
    ends: IntArray,
    signed: NDArray[np.int16],
    bits: NDArray[np.uint8],
    goes_on: NDArray[np.uint8],
) -> bool:
    """Write numbers of three characters or more to their places in `values`; whether all have 25 bits or less."""
    numbers = signed[ends].astype(np.int32)
    for _ in range(5):
        if not len(ends):
            return True
        longer = (ends > 0) & (goes_on[ends - 1] == 1)
        values[places[~longer]] = numbers[~longer]
        places, ends = places[longer], ends[longer] - 1
        numbers = (numbers[longer] << 5) + bits[ends]
    return not len(ends)
