"""Many masks measured and compared at once, against each of them as an array of pixels."""

from itertools import groupby

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from qcen_core.ops import rle
from qcen_core.ops.rle_measure import common_pixels, measure_masks

HEIGHT, WIDTH = 11, 13
masks = st.lists(arrays(np.bool_, (HEIGHT, WIDTH)), max_size=7)


def texts(found):
    return [rle.encode(mask)["counts"] for mask in found]


def box(mask):
    if not mask.any():
        return [0, 0, 0, 0]
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]


def plain_ends(mask):
    runs = [(value, len(list(group))) for value, group in groupby(mask.flatten(order="F").tolist())]
    return np.cumsum([0] * bool(runs[0][0]) + [length for _, length in runs]).tolist()


@given(masks)
def test_measures_are_those_of_the_pixels(found):
    measured = measure_masks(texts(found), HEIGHT, WIDTH)
    assert measured.sound.all()
    assert measured.areas.tolist() == [mask.sum() for mask in found]
    assert measured.boxes.tolist() == [box(mask) for mask in found]
    for place, mask in enumerate(found):
        first, stop = measured.firsts[place : place + 2]
        assert measured.ends[first:stop].tolist() == plain_ends(mask)
    assert len(measured.ends) == measured.firsts[-1]


@given(masks, masks)
def test_common_pixels_are_counted(left, right):
    a, b = measure_masks(texts(left), HEIGHT, WIDTH), measure_masks(texts(right), HEIGHT, WIDTH)
    of_a, of_b = (places.ravel() for places in np.indices((len(left), len(right))))
    common = [(left[i] & right[j]).sum() for i, j in zip(of_a, of_b, strict=True)]
    assert common_pixels(a, of_a, b, of_b).tolist() == common


@pytest.mark.parametrize("size", [(719, 1283), (4099, 3001)])
def test_long_runs_are_read(size):
    """Numbers of one to six characters."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(9):
        mask = np.zeros(size, dtype=bool)
        y, x = rng.integers(size[0] - 100), rng.integers(size[1] - 100)
        mask[y : y + rng.integers(1, 100), x : x + rng.integers(1, 100)] = True
        mask[rng.integers(size[0]), rng.integers(size[1])] ^= True
        found.append(mask)
    found += [np.zeros(size, dtype=bool), np.ones(size, dtype=bool), rng.random(size) < 0.3]
    measured = measure_masks(texts(found), *size)
    assert measured.sound.all()
    assert measured.areas.tolist() == [mask.sum() for mask in found]
    assert measured.boxes.tolist() == [box(mask) for mask in found]
    of_a, of_b = (places.ravel() for places in np.indices((len(found), len(found))))
    common = [(found[i] & found[j]).sum() for i, j in zip(of_a, of_b, strict=True)]
    assert common_pixels(measured, of_a, measured, of_b).tolist() == common


def test_a_mask_of_more_pixels_than_32_bits_count():
    side = 2**16
    # All background but a column far to the right.
    runs = [side * (side - 2), side, side]
    measured = measure_masks([written(runs)], side, side)
    assert measured.sound.all()
    assert measured.ends.tolist() == np.cumsum(runs).tolist()
    assert measured.areas.tolist() == [side]
    assert measured.boxes.tolist() == [[side - 2, 0, side - 1, side]]


def written(runs):
    """Run lengths as COCO writes them, restated from its definition; they need not make sense."""
    text = ""
    for place, run in enumerate(runs):
        number, more = run - (runs[place - 2] if place > 2 else 0), True
        while more:
            digit, number = number & 31, number >> 5
            more = number != (-1 if digit & 16 else 0)
            text += chr(48 + digit + 32 * more)
    return text


@settings(max_examples=300)
@given(st.lists(st.integers(-30, 160), max_size=7), st.booleans())
def test_runs_that_make_no_mask_are_told_one_by_one(runs, fill):
    if fill:
        runs = [*runs, HEIGHT * WIDTH - sum(runs)]
    good = bool(runs) and min(runs) >= 0 and sum(runs) == HEIGHT * WIDTH
    full = rle.encode(np.ones((HEIGHT, WIDTH), dtype=bool))["counts"]
    measured = measure_masks([full, written(runs), full], HEIGHT, WIDTH)
    assert measured.sound.tolist() == [True, good, True]
    area = HEIGHT * WIDTH
    assert measured.areas.tolist() == [area, sum(runs[1::2]) if good else 0, area]
    if good:
        pixels = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(WIDTH, HEIGHT).T
        assert measured.boxes[1].tolist() == box(pixels)
    else:
        assert measured.boxes[1].tolist() == [0] * 4
        assert measured.firsts[1] == measured.firsts[2]


def plainly_sound(text, pixels):
    """The definition, character by character."""
    runs, number, digits = [], 0, 0
    for character in text:
        digit = ord(character) - 48
        if not 0 <= digit < 64 or digits == 7:
            return False
        number += (digit % 32) * 32**digits
        digits += 1
        if digit < 32:
            number -= 32**digits if digit >= 16 else 0
            runs.append(number + (runs[-2] if len(runs) > 2 else 0))
            number, digits = 0, 0
    return not digits and bool(runs) and min(runs) >= 0 and sum(runs) == pixels


@settings(max_examples=500)
@given(st.text(alphabet="0123?OPQno~/p é", max_size=12))
def test_any_text_is_sound_by_the_definition(text):
    sound = plainly_sound(text, 15)
    for together in ([text], ["0?", text], [text, "0?"]):
        assert measure_masks(together, 3, 5).sound.tolist() == [one == "0?" or sound for one in together]


@pytest.mark.parametrize("counts", ["", "S", "S1S1", "o", "\u00e9", "!!", "N", "oooooooooooooooooo0"])
def test_damaged_strings_are_told(counts):
    good = rle.encode(np.ones((5, 7), dtype=bool))["counts"]
    assert measure_masks([good, counts, counts, good], 5, 7).sound.tolist() == [True, False, False, True]


def test_numbers_with_needless_characters_are_read():
    plain = rle.encode(np.ones((3, 5), dtype=bool))["counts"]
    assert plain == "0?"
    for padded in ("P0?", "PPPPP0?", "0_P0", "0_PPPP0"):
        measured = measure_masks([padded, plain], 3, 5)
        assert measured.sound.tolist() == [True, True]
        assert measured.areas.tolist() == [15, 15]
        assert measured.boxes.tolist() == [[0, 0, 5, 3]] * 2


def test_no_masks():
    measured = measure_masks([], 3, 5)
    assert len(measured.sound) == len(measured.areas) == len(measured.ends) == 0
    assert measured.boxes.shape == (0, 4)
    none = np.zeros(0, np.int64)
    assert common_pixels(measured, none, measured, none).shape == (0,)
