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
def test_area_and_box_are_those_of_the_array(mask):
    code = rle.encode(mask)
    assert rle.area(code) == mask.sum()
    rows, columns = np.nonzero(mask)
    if mask.any():
        assert rle.bounding_box(code) == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    else:
        assert rle.bounding_box(code) is None


@given(masks)
def test_uncompressed_runs_give_the_same_mask(mask):
    assert rle.from_counts(plain_runs(mask), *mask.shape) == rle.encode(mask)


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
def test_a_damaged_string_is_not_decoded(counts):
    with pytest.raises(ValueError, match="do not fill"):
        rle.decode(Rle(size=[5, 7], counts=counts))
