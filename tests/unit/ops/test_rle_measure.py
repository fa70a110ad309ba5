"""Many masks measured at once, against each of them as an array of pixels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from qcen_core.ops import rle, rle_measure
from qcen_core.ops.rle_measure import measure_masks

HEIGHT, WIDTH = 11, 13
masks = st.lists(arrays(np.bool_, (HEIGHT, WIDTH)), max_size=7)


def box(mask):
    if not mask.any():
        return [0, 0, 0, 0]
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]


@pytest.mark.parametrize("at_once", [1, 3, 512])
@given(masks)
def test_areas_and_boxes_are_those_of_the_pixels(at_once, found):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rle_measure, "_AT_ONCE", at_once)
        measured = measure_masks([rle.encode(mask)["counts"] for mask in found], HEIGHT, WIDTH)
        quick = measure_masks([rle.encode(mask)["counts"] for mask in found], HEIGHT, WIDTH, boxes=False)
    assert measured.sound.all()
    assert measured.areas.tolist() == quick.areas.tolist() == [mask.sum() for mask in found]
    assert measured.boxes.tolist() == [box(mask) for mask in found]
    assert not quick.boxes.any()


@pytest.mark.parametrize("size", [(719, 1283), (4099, 3001)])
def test_long_runs_are_read(size):
    """Numbers of one to six characters; the largest masks need more than are put together at once."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(9):
        mask = np.zeros(size, dtype=bool)
        y, x = rng.integers(size[0] - 100), rng.integers(size[1] - 100)
        mask[y : y + rng.integers(1, 100), x : x + rng.integers(1, 100)] = True
        mask[rng.integers(size[0]), rng.integers(size[1])] ^= True
        found.append(mask)
    found += [np.zeros(size, dtype=bool), np.ones(size, dtype=bool)]
    measured = measure_masks([rle.encode(mask)["counts"] for mask in found], *size)
    assert measured.sound.all()
    assert measured.areas.tolist() == [mask.sum() for mask in found]
    assert measured.boxes.tolist() == [box(mask) for mask in found]


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
def test_runs_that_make_no_mask_are_told_as_one_by_one(runs, fill):
    if fill:
        runs = [*runs, HEIGHT * WIDTH - sum(runs)]
    good = bool(runs) and min(runs) >= 0 and sum(runs) == HEIGHT * WIDTH
    sound = rle.encode(np.ones((HEIGHT, WIDTH), dtype=bool))["counts"]
    measured = measure_masks([sound, written(runs), sound], HEIGHT, WIDTH)
    quick = measure_masks([sound, written(runs), sound], HEIGHT, WIDTH, boxes=False)
    assert quick.sound[[0, 2]].all()
    if good or sum(runs) != HEIGHT * WIDTH:
        assert quick.sound[1] == good
        assert quick.areas.tolist() == measured.areas.tolist()
    assert measured.sound.tolist() == [True, good, True]
    area = HEIGHT * WIDTH
    assert measured.areas.tolist() == [area, sum(runs[1::2]) if good else 0, area]
    if good:
        pixels = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(WIDTH, HEIGHT).T
        assert measured.boxes[1].tolist() == box(pixels)


@given(st.text(alphabet="0123PQno~ é", max_size=12))
def test_any_text_is_as_sound_as_it_is_by_itself(text):
    expected = rle.are_sound([{"size": [3, 5], "counts": text}])[0]
    assert measure_masks([text, "0?", text][:2], 3, 5).sound.tolist()[0] == expected


def test_numbers_with_needless_characters_are_read():
    plain = rle.encode(np.ones((3, 5), dtype=bool))["counts"]
    assert plain == "0?"
    for padded in ("P0?", "PPPPP0?", "0_P0", "0_PPPP0"):
        measured = measure_masks([padded, plain], 3, 5)
        assert measured.sound.tolist() == [True, True]
        assert measured.areas.tolist() == [15, 15]
        assert measured.boxes.tolist() == [[0, 0, 5, 3]] * 2


def test_more_masks_than_a_byte_counts():
    mask = rle.encode(np.ones((3, 5), dtype=bool))
    assert rle.areas([mask] * 1009).tolist() == [15] * 1009
