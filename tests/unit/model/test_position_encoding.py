"""Position encoding, padding masks and reference points, against formulas written out."""

import math

import pytest
import torch

from qcen_core.model.pixel_decoder import reference_points, shrink_valid
from qcen_core.model.position_encoding import sine_at, sine_position_encoding


def padded(height, width, valid_height, valid_width):
    valid = torch.zeros(1, height, width, dtype=torch.bool)
    valid[:, :valid_height, :valid_width] = True
    return valid


@pytest.mark.parametrize(("valid_height", "valid_width"), [(5, 7), (3, 7), (2, 4), (1, 1)])
def test_sine_encoding_of_every_cell(valid_height, valid_width):
    channels = 12
    encoded = sine_position_encoding(padded(5, 7, valid_height, valid_width), channels)[0]
    half = channels // 2
    for row in range(valid_height):
        for column in range(valid_width):
            for channel in range(channels):
                place, total = (row, valid_height) if channel < half else (column, valid_width)
                position = 2 * math.pi * (place + 1) / (total + 1e-6)
                within = channel % half
                angle = position / 10000 ** (2 * (within // 2) / half)
                expected = math.sin(angle) if within % 2 == 0 else math.cos(angle)
                assert encoded[channel, row, column].item() == pytest.approx(expected, abs=1e-5)


def test_sine_encoding_does_not_depend_on_the_amount_of_padding():
    snug = sine_position_encoding(padded(3, 5, 3, 5), 8)
    wide = sine_position_encoding(padded(7, 11, 3, 5), 8)
    assert torch.equal(wide[..., :3, :5], snug)


def test_points_are_encoded_as_the_cells_whose_lower_right_corner_they_are():
    cells = sine_position_encoding(padded(5, 7, 3, 7), 12)[0]
    for row in range(3):
        for column in range(7):
            point = torch.tensor([(column + 1) / 7, (row + 1) / 3])
            torch.testing.assert_close(sine_at(point, 12), cells[:, row, column], rtol=0, atol=1e-5)
    points = torch.rand(2, 5, 2)
    assert torch.equal(sine_at(points, 8)[1, 3], sine_at(points[1, 3], 8))


def test_reference_points_without_padding_are_cell_centres():
    points = reference_points((padded(1, 2, 1, 2), padded(2, 3, 2, 3)))
    assert points.shape == (1, 2 + 6, 2, 2)
    coarse = [(0.25, 0.5), (0.75, 0.5)]
    fine = [(x / 6, y) for y in (0.25, 0.75) for x in (1, 3, 5)]
    expected = torch.tensor(coarse + fine)
    for level in range(2):
        torch.testing.assert_close(points[0, :, level], expected)


def test_reference_points_with_padding_stay_in_the_valid_part_of_each_level():
    # Three quarters of the coarse level's width are valid, but only five eighths of the fine one's; height 1/2 each.
    points = reference_points((padded(2, 4, 1, 3), padded(4, 8, 2, 5)))
    first = points[0, 0]  # centre of the first coarse cell: 1/6 of the valid width, half of the valid height
    torch.testing.assert_close(first[0], torch.tensor([1 / 6 * 3 / 4, 0.25]))
    torch.testing.assert_close(first[1], torch.tensor([1 / 6 * 5 / 8, 0.25]))
    fine = points[0, 2 * 4 + 8 * 1 + 4]  # second row, fifth column of the fine level: the last valid cell
    torch.testing.assert_close(fine[1], torch.tensor([4.5 / 8, 1.5 / 4]))
    torch.testing.assert_close(fine[0], torch.tensor([0.9 * 3 / 4, 0.75 / 2]))


def test_a_cell_is_valid_if_it_shows_any_valid_pixel():
    for valid_height, valid_width in [(64, 96), (33, 31), (1, 65), (32, 64)]:
        valid = padded(64, 96, valid_height, valid_width)
        for stride in (8, 16, 32):
            shrunk = shrink_valid(valid, (64 // stride, 96 // stride))
            cells = valid.view(1, 64 // stride, stride, 96 // stride, stride).any(dim=4).any(dim=2)
            assert torch.equal(shrunk, cells)
