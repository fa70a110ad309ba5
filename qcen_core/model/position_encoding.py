"""Sine position encoding of the DETR family."""

import math

import torch
from torch import Tensor

TEMPERATURE = 10000.0


def sine_position_encoding(valid: Tensor, channels: int) -> Tensor:
    """Encode each cell's position relative to the valid part of its image (DETR, normalised form).

    Args:
        valid: (N, h, w) bool, False on padding.
        channels: number of channels, a multiple of 4; the first half encodes y, the second half x.

    Returns:
        (N, channels, h, w) float32.
    """
    y = _encode(_relative_position(valid, dim=1), channels // 2)
    x = _encode(_relative_position(valid, dim=2), channels // 2)
    return torch.cat((y, x), dim=-1).permute(0, 3, 1, 2)


def sine_at(points: Tensor, channels: int) -> Tensor:
    """Encode points as `sine_position_encoding` encodes cells, which stand there for their lower right corners.

    Args:
        points: (..., 2) x and y relative to the frame, 0..1.
        channels: number of channels, a multiple of 4.

    Returns:
        (..., channels) float32.
    """
    x, y = (points.float() * (2 * math.pi)).unbind(-1)
    return torch.cat((_encode(y, channels // 2), _encode(x, channels // 2)), dim=-1)


def _relative_position(valid: Tensor, dim: int) -> Tensor:
    """(N, h, w): running count of valid cells along an axis, scaled to 0..2 pi."""
    count = valid.to(torch.float32).cumsum(dim)
    total = count.amax(dim=dim, keepdim=True)
    return count / (total + 1e-6) * (2 * math.pi)


def _encode(position: Tensor, channels: int) -> Tensor:
    """(..., channels): interleaved sines and cosines of falling frequency."""
    index = torch.arange(channels, device=position.device, dtype=torch.float32)
    frequency = TEMPERATURE ** (2 * (index // 2) / channels)
    angle = position[..., None] / frequency
    return torch.stack((angle[..., 0::2].sin(), angle[..., 1::2].cos()), dim=-1).flatten(-2)
