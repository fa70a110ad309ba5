"""Boxes on tensors: `x1 y1 x2 y2`, pixels, continuous and half-open."""

import torch
from torch import Tensor

LARGEST_GROWTH = 4.0  # logarithm of the largest factor by which one shift changes a side


def filled_boxes(boxes: Tensor, size: tuple[int, int], stride: int) -> Tensor:
    """Rasterise boxes on a grid: a cell is inside if its centre is; no box vanishes.

    A box that covers no cell centre (it is smaller than a cell) takes the cell its own centre lies in.

    Args:
        boxes: (G, 4) float, pixels of the input.
        size: (h, w) of the grid.
        stride: pixels a cell.

    Returns:
        (G, h, w) bool.
    """
    rows = _covered(boxes[:, 1], boxes[:, 3], size[0], stride)
    columns = _covered(boxes[:, 0], boxes[:, 2], size[1], stride)
    return rows[:, :, None] & columns[:, None, :]


def _covered(low: Tensor, high: Tensor, cells: int, stride: int) -> Tensor:
    """(G, cells) bool: which cells of one axis an interval covers, at least one."""
    index = torch.arange(cells, device=low.device)
    centres = (index + 0.5) * stride
    inside = (centres >= low[:, None]) & (centres < high[:, None])
    nearest = ((low + high) / 2 / stride).floor().clamp(0, cells - 1)
    return inside | (~inside.any(dim=1, keepdim=True) & (index == nearest[:, None]))


def box_coverage(boxes: Tensor, size: tuple[int, int], stride: int) -> tuple[Tensor, Tensor]:
    """How much of each column and each row of a grid a box covers: (G, w) and (G, h) float32 in 0..1.

    Unlike `filled_boxes` this keeps where inside a cell the box ends.

    Args:
        boxes: (G, 4) float, pixels of the input.
        size: (h, w) of the grid.
        stride: pixels a cell.
    """
    return (
        _coverage(boxes[:, 0], boxes[:, 2], size[1], stride),
        _coverage(boxes[:, 1], boxes[:, 3], size[0], stride),
    )


def _coverage(low: Tensor, high: Tensor, cells: int, stride: int) -> Tensor:
    start = torch.arange(cells, device=low.device) * stride
    shared = torch.minimum(high[:, None], start + stride) - torch.maximum(low[:, None], start)
    return (shared / stride).clamp(0, 1)


def shifted_boxes(boxes: Tensor, shifts: Tensor) -> Tensor:
    """Boxes moved in units of themselves (R-CNN): c' = c + s d_c, s' = s exp(d_s), c the centre and s the side.

    Args:
        boxes: (..., 4) float32.
        shifts: (..., 4) float32, d_c of x and y, then d_s of both.

    Returns:
        (..., 4).
    """
    sides = boxes[..., 2:] - boxes[..., :2]
    centres = (boxes[..., :2] + boxes[..., 2:]) / 2 + sides * shifts[..., :2]
    half = sides * shifts[..., 2:].clamp(max=LARGEST_GROWTH).exp() / 2
    return torch.cat((centres - half, centres + half), dim=-1)


def relative_boxes(boxes: Tensor, extent: Tensor) -> Tensor:
    """Boxes as `cx cy w h` relative to their frames: (N, Q, 4) for (N, Q, 4) pixels.

    Args:
        boxes: (N, Q, 4) float32.
        extent: (N, 2) float32, width and height of the frames in pixels.
    """
    low, high = (boxes / extent.repeat(1, 2)[:, None]).split(2, dim=-1)
    return torch.cat(((low + high) / 2, high - low), dim=-1)
