"""Compressed masks read, proven sound, measured and compared, many at once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from qcen_core.ops.compiled import compiled
from qcen_core.records import BoolArray, Float64Array, IntArray

# A character holds five bits of a number, from "0" on, and one that tells whether another follows.
_FIRST, _BITS, _GOES_ON, _SIGN, _MOST_BITS = ord("0"), 5, 32, 16, 35

# Places down the columns; large masks need more than 32 bits.
Places = NDArray[np.int32] | NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class MeasuredMasks:
    """M masks of one size.

    Attributes:
        sound: (M,) bool, whether the runs are readable, not negative, and fill the mask. One that is not has no runs,
            and all its measures are 0.
        areas: (M,) int64, foreground pixels.
        boxes: (M, 4) int64, the smallest box, `x1 y1 x2 y2` half-open; 0 for a mask without pixels.
        ends: (R,) where each run ends, counted in pixels down the columns; runs of background and of foreground take
            turns from the first of each mask on.
        firsts: (M + 1,) int64, `ends[firsts[m] : firsts[m + 1]]` are those of mask m.
    """

    sound: BoolArray
    areas: IntArray
    boxes: IntArray
    ends: Places
    firsts: IntArray


def measure_masks(counts: Sequence[str], height: int, width: int) -> MeasuredMasks:
    """Read and measure compressed masks of one size; nothing is taken on trust.

    Args:
        counts: M compressed run lengths.
        height: of all masks, in pixels.
        width: of all masks.
    """
    number = len(counts)
    text = "".join(counts)
    if not text.isascii():
        counts = [one if one.isascii() else "" for one in counts]  # as unreadable, and a byte a character
        text = "".join(counts)
    stops = np.cumsum(np.fromiter(map(len, counts), np.int64, number))
    found = MeasuredMasks(
        sound=np.zeros(number, np.bool_),
        areas=np.zeros(number, np.int64),
        boxes=np.zeros((number, 4), np.int64),
        ends=np.empty(len(text), np.int32) if height * width < 2**31 else np.empty(len(text), np.int64),
        firsts=np.zeros(number + 1, np.int64),
    )
    letters = np.frombuffer(text.encode(), np.uint8)
    _measure_all(letters, stops, height, width, found.sound, found.areas, found.boxes, found.ends, found.firsts)
    return replace(found, ends=found.ends[: found.firsts[-1]])


def common_pixels(a: MeasuredMasks, of_a: IntArray, b: MeasuredMasks, of_b: IntArray) -> Float64Array:
    """How many pixels two masks of one size have in common, pair by pair.

    Args:
        a: masks.
        of_a: (P,) which of them is in each pair.
        b: masks.
        of_b: (P,) likewise.

    Returns:
        (P,) float64 of whole numbers.
    """
    shared = np.zeros(len(of_a))
    _share_all(a.ends, a.firsts, of_a, b.ends, b.firsts, of_b, shared)
    return shared


@compiled
def _measure_all(
    letters: NDArray[np.uint8],
    stops: IntArray,
    height: int,
    width: int,
    sound: BoolArray,
    areas: IntArray,
    boxes: IntArray,
    ends: Places,
    firsts: IntArray,
) -> None:
    """Measure masks whose texts, one after the other, stop at `stops`, into the arrays that follow."""
    start, first = 0, 0
    for mask in range(len(stops)):
        runs = _read_ends(letters[start : stops[mask]], height * width, ends[first:])
        start = stops[mask]
        if runs > 0:
            sound[mask] = True
            areas[mask] = _measure(ends[first : first + runs], height, width, boxes[mask])
            first += runs
        firsts[mask + 1] = first


@compiled
def _read_ends(letters: NDArray[np.uint8], pixels: int, ends: Places) -> int:
    """Where the runs of one mask end, into `ends`, and how many there are; 0 for a mask that is not sound.

    From the fourth run on, a number is the difference to the run two before.
    """
    runs, place, last, before = 0, 0, 0, 0
    number, shift, seen = 0, 0, 0
    for letter in letters:
        digit = letter - _FIRST
        seen |= digit
        number |= (digit & (_GOES_ON - 1)) << shift
        shift += _BITS
        if digit >= _GOES_ON:
            if shift >= _MOST_BITS:
                return 0
            continue
        if digit & _SIGN:
            number -= 1 << shift
        if runs > 2:
            number += before
        place += number
        if number < 0 or place > pixels:
            return 0
        ends[runs] = place
        before, last = last, number
        runs += 1
        number, shift = 0, 0
    # A letter that is none of the 64 has left a bit beyond theirs.
    return runs if place == pixels and shift == 0 and 0 <= seen < 2 * _GOES_ON else 0


@compiled
def _measure(ends: Places, height: int, width: int, box: IntArray) -> int:
    """The foreground pixels of one mask, and the box around them into `box`."""
    area, left, top, right, bottom = 0, width, height, 0, 0
    column, floor = 0, height  # of the run at hand, and where this column ends
    for run in range(1, len(ends), 2):
        begin, end = ends[run - 1], ends[run]
        if begin == end:
            continue
        area += end - begin
        while floor <= begin:
            floor += height
            column += 1
        left = min(left, column)
        if end > floor:
            top, bottom = 0, height
            while floor < end:
                floor += height
                column += 1
        else:
            top = min(top, begin - floor + height)
            bottom = max(bottom, end - floor + height)
        right = column + 1
    if area:
        box[0], box[1], box[2], box[3] = left, top, right, bottom
    return area


@compiled
def _share_all(
    ends_a: Places,
    firsts_a: IntArray,
    of_a: IntArray,
    ends_b: Places,
    firsts_b: IntArray,
    of_b: IntArray,
    shared: Float64Array,
) -> None:
    for pair in range(len(shared)):
        a, b = of_a[pair], of_b[pair]
        shared[pair] = _share(ends_a[firsts_a[a] : firsts_a[a + 1]], ends_b[firsts_b[b] : firsts_b[b + 1]])


@compiled
def _share(a: Places, b: Places) -> int:
    """Pixels in the foreground of both masks, by the ends of their runs."""
    common, i, j = 0, 1, 1
    while i < len(a) and j < len(b):
        common += max(min(a[i], b[j]) - max(a[i - 1], b[j - 1]), 0)
        if a[i] < b[j]:
            i += 2
        else:
            j += 2
    return common
