"""Filled boxes against a loop over cells."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.models.detection._utils import BoxCoder

from qcen_core.ops.boxes import LARGEST_GROWTH, box_coverage, filled_boxes, relative_boxes, shifted_boxes

SIZE, STRIDE = (7, 11), 4  # cells of the grid: 28 x 44 pixels


def plain_fill(box, size, stride):
    """One axis at a time: cells whose centre is inside, else the one cell that holds the middle."""

    def covered(low, high, cells):
        inside = [low <= (cell + 0.5) * stride < high for cell in range(cells)]
        if not any(inside):
            inside[min(max(math.floor((low + high) / 2 / stride), 0), cells - 1)] = True
        return inside

    x1, y1, x2, y2 = box
    rows, columns = covered(y1, y2, size[0]), covered(x1, x2, size[1])
    return [[row and column for column in columns] for row in rows]


@st.composite
def boxes(draw):
    # Quarters of a pixel are exact in float32, so that both sides see the same numbers.
    x1, x2 = sorted(draw(st.lists(st.integers(0, 4 * 44), min_size=2, max_size=2, unique=True)))
    y1, y2 = sorted(draw(st.lists(st.integers(0, 4 * 28), min_size=2, max_size=2, unique=True)))
    return [x1 / 4, y1 / 4, x2 / 4, y2 / 4]


@given(st.lists(boxes(), min_size=1, max_size=3))
def test_fill_is_that_of_the_loop(drawn):
    filled = filled_boxes(torch.tensor(drawn), SIZE, STRIDE)
    assert filled.dtype == torch.bool
    assert filled.tolist() == [plain_fill(box, SIZE, STRIDE) for box in drawn]
    assert filled.flatten(1).any(dim=1).all()


def test_a_box_is_half_open_and_decided_by_cell_centres():
    # Centres of columns lie at 2, 6, 10, ...: 2 is in [2, 10), 10 is not.
    filled = filled_boxes(torch.tensor([[2.0, 6.0, 10.0, 14.0]]), SIZE, STRIDE)[0]
    assert filled.nonzero().tolist() == [[1, 0], [1, 1], [2, 0], [2, 1]]


@pytest.mark.parametrize(
    ("box", "cell"),
    [([16.5, 8.5, 17.5, 9.5], (2, 4)), ([43.0, 27.0, 44.0, 28.0], (6, 10)), ([0.0, 0.0, 0.5, 0.5], (0, 0))],
)
def test_a_box_smaller_than_a_cell_takes_one_cell(box, cell):
    assert filled_boxes(torch.tensor([box]), SIZE, STRIDE)[0].nonzero().tolist() == [list(cell)]


def test_neighbouring_boxes_share_no_cell():
    left, right = filled_boxes(torch.tensor([[3.0, 0.0, 18.0, 28.0], [18.0, 0.0, 44.0, 28.0]]), SIZE, STRIDE)
    assert not (left & right).any()


def test_no_boxes():
    assert filled_boxes(torch.zeros(0, 4), SIZE, STRIDE).shape == (0, *SIZE)


@given(st.lists(boxes(), min_size=1, max_size=3), st.sampled_from([2, 4]))
def test_coverage_is_the_share_of_quarter_pixels_inside(drawn, stride):
    size = (28 // stride, 44 // stride)
    columns, rows = box_coverage(torch.tensor(drawn), size, stride)
    assert columns.dtype == rows.dtype == torch.float32

    def shares(low, high, cells):
        samples = [[low < cell * stride + (i + 0.5) / 4 < high for i in range(4 * stride)] for cell in range(cells)]
        return [sum(inside) / len(inside) for inside in samples]

    assert columns.tolist() == [shares(x1, x2, size[1]) for x1, _, x2, _ in drawn]
    assert rows.tolist() == [shares(y1, y2, size[0]) for _, y1, _, y2 in drawn]
    raster = rows[:, :, None] * columns[:, None]  # a box is a product of intervals
    areas = [(x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in drawn]
    assert (raster.sum((1, 2)) * stride**2).tolist() == pytest.approx(areas, rel=1e-5)


def test_coverage_of_a_box_that_leaves_the_grid_and_of_none():
    columns, rows = box_coverage(torch.tensor([[-5.0, 25.0, 3.0, 99.0]]), SIZE, STRIDE)
    assert columns.tolist() == [[0.75] + [0.0] * 10]
    assert rows.tolist() == [[0.0] * 6 + [0.75]]
    columns, rows = box_coverage(torch.zeros(0, 4), SIZE, STRIDE)
    assert (columns.shape, rows.shape) == ((0, 11), (0, 7))


def test_shifts_are_those_of_torchvisions_coder():
    generator = torch.Generator().manual_seed(2)
    low = 50 * torch.rand(20, 2, generator=generator)
    boxes = torch.cat((low, low + 1 + 30 * torch.rand(20, 2, generator=generator)), dim=1)
    shifts = torch.randn(20, 4, generator=generator)
    shifts[0, 2:] = 99.0
    coder = BoxCoder((1.0, 1.0, 1.0, 1.0), bbox_xform_clip=LARGEST_GROWTH)
    torch.testing.assert_close(shifted_boxes(boxes, shifts), coder.decode_single(shifts, boxes), rtol=1e-4, atol=1e-3)


def test_relative_boxes_are_shares_of_their_own_frame():
    boxes = torch.tensor([[[0.0, 0.0, 50.0, 20.0]], [[10.0, 10.0, 30.0, 20.0]]])
    extent = torch.tensor([[100.0, 40.0], [40.0, 20.0]])
    expected = torch.tensor([[[0.25, 0.25, 0.5, 0.5]], [[0.5, 0.75, 0.5, 0.5]]])
    torch.testing.assert_close(relative_boxes(boxes, extent), expected)
