"""Boxes on tensors: `x1 y1 x2 y2`, pixels, continuous and half-open."""

import torch
from torch import Tensor


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
