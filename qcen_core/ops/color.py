"""Colour spaces on tensors."""

import torch
from torch import Tensor

# sRGB (D65) to XYZ, each row divided by the white point.
_RGB_TO_XYZ = (
    (0.4124564 / 0.95047, 0.3575761 / 0.95047, 0.1804375 / 0.95047),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339 / 1.08883, 0.1191920 / 1.08883, 0.9503041 / 1.08883),
)


def rgb_to_lab(rgb: Tensor) -> Tensor:
    """CIE L*a*b* (D65, 2 degrees) of sRGB colours.

    Args:
        rgb: (..., 3, H, W) float, red, green, blue in 0..1.

    Returns:
        (..., 3, H, W) float: L in 0..100, a and b about -128..127.
    """
    linear = torch.where(rgb > 0.04045, ((rgb + 0.055) / 1.055).clamp(min=0) ** 2.4, rgb / 12.92)
    matrix = torch.tensor(_RGB_TO_XYZ, dtype=rgb.dtype, device=rgb.device)
    xyz = torch.einsum("ij,...jhw->...ihw", matrix, linear)
    f = torch.where(xyz > 0.008856, xyz.clamp(min=0.008856) ** (1 / 3), 7.787 * xyz + 16 / 116)
    x, y, z = f.unbind(-3)
    return torch.stack((116 * y - 16, 500 * (x - y), 200 * (y - z)), dim=-3)
