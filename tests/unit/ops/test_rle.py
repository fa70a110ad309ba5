"""Run-length masks against plain numpy."""

from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from qcen_core.ops import rle
from qcen_core.records import Rle

masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=23))


def plain_runs(mask):
    runs = [(value, len(list(group))) for value, group in groupby(mask.flatten(order="F").tolist())]
    return [0] * bool(runs[0][0]) + [length for _, length in runs]


@given(masks)
def test_decode_undoes_encode(mask):
    code = rle.encode(mask)
    assert code["size"] == list(mask.shape)
    assert isinstance(code["counts"], str)
    decoded = rle.decode(code)
    assert decoded.dtype == np.bool_
    np.testing.assert_array_equal(decoded, mask)


@given(masks)
def test_area_box_and_runs_are_those_of_the_array(mask):
    code = rle.encode(mask)
    assert rle.area(code) == mask.sum()
    assert rle.areas([code, code]).tolist() == [mask.sum()] * 2
    assert rle.run_lengths([code])[0].tolist() == plain_runs(mask)
    assert rle.are_sound([code]).all()
    rows, columns = np.nonzero(mask)
    if mask.any():
        assert rle.bounding_box(code) == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    else:
        assert rle.bounding_box(code) is None


@given(masks)
def test_uncompressed_runs_give_the_same_mask(mask):
    assert rle.from_counts(plain_runs(mask), *mask.shape) == rle.encode(mask)


@given(st.data())
def test_intersections_count_common_pixels(data):
    shape = data.draw(array_shapes(min_dims=2, max_dims=2, max_side=19))
    a = data.draw(arrays(np.bool_, (3, *shape)))
    b = data.draw(arrays(np.bool_, (2, *shape)))
    found = rle.intersections([rle.encode(m) for m in a], [rle.encode(m) for m in b])
    np.testing.assert_array_equal(found, (a[:, None] & b[None]).sum(axis=(2, 3)))


@pytest.mark.parametrize("seed", range(3))
def test_large_masks_stay_exact(seed):
    rng = np.random.default_rng(seed)
    a, b = (rng.random((2, 503, 1009)) < rng.random((2, 1, 1))) | (np.arange(1009) % 7 == 0)
    codes = [rle.encode(a), rle.encode(b)]
    assert rle.intersections(codes[:1], codes[1:])[0, 0] == (a & b).sum()
    assert rle.are_sound(codes).all()
    assert rle.run_lengths(codes[1:])[0].tolist() == plain_runs(b)


def test_no_masks_give_an_empty_table():
    code = rle.encode(np.ones((3, 5), dtype=bool))
    assert rle.intersections([], [code]).shape == (0, 1)
    assert rle.intersections([code, code], []).shape == (2, 0)
    assert rle.intersections([], []).shape == (0, 0)
    assert rle.areas([]).shape == (0,)


def test_different_sizes_are_refused():
    with pytest.raises(ValueError, match="sizes"):
        rle.intersections([rle.encode(np.ones((3, 5), dtype=bool))], [rle.encode(np.ones((5, 3), dtype=bool))])


@given(st.integers(0, 11), st.integers(0, 13), st.integers(1, 6), st.integers(1, 4))
def test_a_rectangle_on_the_grid_covers_its_pixels(x, y, width, height):
    corners = [x, y, x + width, y, x + width, y + height, x, y + height]
    expected = np.zeros((17, 19), dtype=bool)
    expected[y : y + height, x : x + width] = True
    np.testing.assert_array_equal(rle.decode(rle.from_polygons([corners], 17, 19)), expected)


def test_polygons_join():
    left, right = [0, 0, 2, 0, 2, 3, 0, 3], [5, 1, 7, 1, 7, 2, 5, 2]
    expected = np.zeros((5, 11), dtype=bool)
    expected[0:3, 0:2] = True
    expected[1:2, 5:7] = True
    np.testing.assert_array_equal(rle.decode(rle.from_polygons([left, right], 5, 11)), expected)


@pytest.mark.parametrize(
    "polygons", [[], [[0, 0, 3, 3]], [[0, 0, 3, 3, 1]], [[0, 0, 3, 3, 1, 2, 4]], [[0, 0, 3, float("nan"), 1, 2]]]
)
def test_what_is_no_polygon_is_refused(polygons):
    with pytest.raises(ValueError, match="polygon"):
        rle.from_polygons(polygons, 5, 7)


@pytest.mark.parametrize("counts", [[], [3], [36], [-1, 36], [35, 1]])
def test_runs_that_do_not_fill_the_mask_are_refused(counts):
    with pytest.raises(ValueError, match="5 x 7"):
        rle.from_counts(counts, 5, 7)


@pytest.mark.parametrize("counts", ["", "S", "S1S1", "o", "\u00e9", "!!", "N", "oooooooooooooooooo0"])
def test_damaged_strings_are_not_sound(counts):
    good, bad = rle.encode(np.ones((5, 7), dtype=bool)), Rle(size=[5, 7], counts=counts)
    assert rle.are_sound([good, bad, bad, good]).tolist() == [True, False, False, True]
    with pytest.raises(ValueError, match="do not fill"):
        rle.decode(bad)


def test_a_batch_of_masks_is_read_as_each_of_them():
    rng = np.random.default_rng(7)
    planes = [rng.random((13, 17)) < share for share in (0.5, 0, 1, 0.1)]
    lengths = rle.run_lengths([rle.encode(plane) for plane in planes])
    for row, plane in zip(lengths.tolist(), planes, strict=True):
        runs = plain_runs(plane)
        assert row == runs + [0] * (len(row) - len(runs))
    assert rle.run_lengths([]).shape == (0, 0)
    assert rle.are_sound([]).shape == (0,)


def test_masks_must_be_planes():
    with pytest.raises(ValueError, match=r"\(H, W\)"):
        rle.encode(np.zeros((2, 3, 5), dtype=bool))
