import numpy as np
import pytest

from qcen_core.visualization.side_by_side import side_by_side, side_by_side_size


def grey(height: int, width: int, value: int) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


@pytest.mark.parametrize("size", [(211, 307, 401), (480, 853, 853), (97, 31, 64), (720, 1280, 1280)])
def test_both_pictures_are_kept_and_both_sides_are_even(size):
    height, width, other = size
    left, right = grey(height, width, 40), grey(height, other, 200)
    both = side_by_side(left, right, ("input", "instances"))
    assert both.shape[:2] == side_by_side_size(height, width, other)
    assert both.shape[0] % 2 == both.shape[1] % 2 == 0
    assert both.shape[0] > height
    np.testing.assert_array_equal(both[-height:, :width], left)
    np.testing.assert_array_equal(both[-height:, -other:], right)


def test_each_title_stands_over_its_picture():
    bare = side_by_side(grey(211, 307, 40), grey(211, 401, 200), ("", ""))
    for titles, start, end in ((("input", ""), 0, 307), (("", "instances"), 307, 712)):
        rows, columns = np.nonzero((side_by_side(grey(211, 307, 40), grey(211, 401, 200), titles) != bare).any(2))
        assert rows.max() < bare.shape[0] - 211
        assert start <= columns.min() <= columns.max() < end


def test_another_pair_of_titles_is_not_taken_for_the_one_before():
    pictures = grey(211, 307, 40), grey(211, 307, 200)
    first = side_by_side(*pictures, ("one", "two"))
    assert (side_by_side(*pictures, ("three", "two")) != first).any()
    np.testing.assert_array_equal(side_by_side(*pictures, ("one", "two")), first)


def test_heights_must_agree():
    with pytest.raises(ValueError, match="heights"):
        side_by_side(grey(211, 307, 0), grey(212, 307, 0))
