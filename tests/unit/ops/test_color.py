"""L*a*b* against OpenCV and against the published values of the primaries."""

import cv2
import numpy as np
import pytest
import torch

from qcen_core.ops.color import rgb_to_lab


def lab_of(red, green, blue):
    return rgb_to_lab(torch.tensor([red, green, blue], dtype=torch.float32).view(3, 1, 1)).flatten().tolist()


def test_random_colours_are_those_of_opencv():
    rgb = np.random.default_rng(0).random((37, 41, 3), dtype=np.float32)
    rgb[:5] *= 0.05  # dark colours, where both curves are straight lines
    # OpenCV reads sRGB through a coarse table, off by up to 0.5; from linear light it computes.
    linear = np.where(rgb > 0.04045, ((rgb.astype(np.float64) + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    expected = cv2.cvtColor(linear.astype(np.float32), cv2.COLOR_LRGB2LAB)
    ours = rgb_to_lab(torch.from_numpy(rgb).permute(2, 0, 1)).permute(1, 2, 0).numpy()
    np.testing.assert_allclose(ours, expected, rtol=0, atol=0.05)


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [
        ((1, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 1, 0), (87.73, -86.18, 83.18)),
        ((0, 0, 1), (32.30, 79.19, -107.86)),
        ((1, 1, 1), (100, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
        ((119 / 255, 119 / 255, 119 / 255), (50.03, 0, 0)),
        ((10 / 255, 10 / 255, 10 / 255), (2.74, 0, 0)),
    ],
)
def test_primaries(rgb, lab):
    assert lab_of(*rgb) == pytest.approx(lab, abs=0.02)


def test_leading_axes_are_kept():
    rgb = torch.rand(2, 5, 3, 7, 11, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(rgb_to_lab(rgb)[1, 3], rgb_to_lab(rgb[1, 3]))


def test_gradient_is_finite_at_black_and_white():
    rgb = torch.tensor([0.0, 1.0]).repeat(3, 1).view(3, 1, 2).requires_grad_()
    rgb_to_lab(rgb).sum().backward()
    assert torch.isfinite(rgb.grad).all()
