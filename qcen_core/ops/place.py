"""Places: where in the frame a mask may lie, as an inner product of an embedding with coordinate channels."""

import torch
from torch import Tensor

PLACE_CHANNELS = 5
LEAST_HALF_SIZE = 0.02  # of a box, relative to the frame: an emptier one would make the embedding explode


def place_features(size: tuple[int, int], extent: Tensor) -> Tensor:
    """Coordinate channels x^2, y^2, x, y, 1 of the cells of a grid (N, 5, h, w) float32.

    Args:
        size: (h, w) of the grid.
        extent: (N, 2) float32, width and height of the frame in cells; coordinates run from 0 to 1 over it.
    """
    rows = torch.arange(size[0], device=extent.device) + 0.5
    columns = torch.arange(size[1], device=extent.device) + 0.5
    x = (columns / extent[:, :1])[:, None, :].expand(-1, size[0], -1)
    y = (rows / extent[:, 1:])[:, :, None].expand(-1, -1, size[1])
    return torch.stack((x.square(), y.square(), x, y, torch.ones_like(x)), dim=1)


def place_embeddings(boxes: Tensor, gain: Tensor) -> Tensor:
    """Embeddings whose product with `place_features` is g (1 - ((x - cx) / rx)^2 - ((y - cy) / ry)^2).

    (cx, cy) is the centre of the box and rx, ry half its sides: g in the centre, 0 on the inscribed ellipse, -g in
    the corners, and falling without bound outside, so that a mask logit out there needs ever more evidence.

    Args:
        boxes: (..., 4) float32, `cx cy w h` relative to the frame.
        gain: scalar g.

    Returns:
        (..., 5).
    """
    centre, half = boxes[..., :2], (boxes[..., 2:] / 2).clamp(min=LEAST_HALF_SIZE)
    slope = gain / half.square()
    constant = gain - (slope * centre.square()).sum(-1, keepdim=True)
    return torch.cat((-slope, 2 * slope * centre, constant), dim=-1)


def frame_extent(valid: Tensor) -> Tensor:
    """Width and height of frames inside their padding: (N, 2) float32 pixels for (N, H, W) bool."""
    return torch.stack((valid.any(dim=1).sum(-1), valid.any(dim=2).sum(-1)), dim=-1).float()
