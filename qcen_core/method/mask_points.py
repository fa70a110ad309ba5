"""True masks compared at sampled points instead of on every cell (PointRend; Mask2Former)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

OVERSAMPLING = 3.0  # candidates drawn for every point
UNCERTAIN_SHARE = 0.75  # of the points that are the least certain of the candidates; the others are random


@dataclass(frozen=True, slots=True)
class PointLabels:
    """The true masks of N frames, and what they are at P random points of each frame.

    Points are x and y in 0..1 of the padded input.

    Attributes:
        pixels: (N, G, H, W) bool, False on padding.
        extent: (N, 2) float32, the share of the padded width and height that is frame.
        points: (N, P, 2) float32.
        masks: (N, G, P) float32 in 0..1, the masks at the points.
    """

    pixels: Tensor
    extent: Tensor
    points: Tensor
    masks: Tensor

    @property
    def count(self) -> int:
        """P."""
        return self.points.shape[1]


def point_labels(masks: tuple[Tensor, ...], extent: Tensor, count: int) -> PointLabels:
    """Draw points in every frame, and look the true masks up there.

    Args:
        masks: N tensors (G_n, H, W) bool.
        extent: (N, 2) float32, the share of the padded width and height that is frame.
        count: P.
    """
    pixels = pad_sequence(list(masks), batch_first=True)
    points = random_points(extent, count)
    frames, columns = torch.meshgrid(*(torch.arange(n, device=pixels.device) for n in pixels.shape[:2]), indexing="ij")
    at_points = pixels_at(pixels, frames.flatten(), columns.flatten(), points[frames.flatten()])
    return PointLabels(pixels, extent, points, at_points.view(*pixels.shape[:2], count))


def random_points(extent: Tensor, count: int) -> Tensor:
    """Points (M, P, 2) spread evenly over frames that fill a share (M, 2) of the padded input."""
    return torch.rand(len(extent), count, 2, device=extent.device) * extent[:, None]


@torch.no_grad()
def uncertain_points(mask_logits: Tensor, extent: Tensor, count: int) -> Tensor:
    """Points, most of which lie where a mask is least certain.

    Args:
        mask_logits: (M, h, w).
        extent: (M, 2) as for `random_points`.
        count: P.

    Returns:
        (M, P, 2).
    """
    candidates = random_points(extent, int(OVERSAMPLING * count))
    certainty = values_at(mask_logits[:, None], candidates)[:, 0].abs()
    chosen = certainty.topk(int(UNCERTAIN_SHARE * count), largest=False).indices
    uncertain = candidates.gather(1, chosen[..., None].expand(-1, -1, 2))
    return torch.cat((uncertain, random_points(extent, count - uncertain.shape[1])), dim=1)


def values_at(maps: Tensor, points: Tensor) -> Tensor:
    """Bilinear values (M, C, P) of maps (M, C, h, w) at points (M, P, 2); outside of a map it is zero."""
    grid = 2 * points[:, :, None] - 1
    return F.grid_sample(maps, grid, mode="bilinear", padding_mode="zeros", align_corners=False)[..., 0]


def pixels_at(pixels: Tensor, frames: Tensor, columns: Tensor, points: Tensor) -> Tensor:
    """Bilinear values of true masks, read where they lie: as numbers they would fill the memory.

    Args:
        pixels: (N, G, H, W) bool.
        frames: (M,) frame of each mask.
        columns: (M,) its label in the frame.
        points: (M, P, 2).

    Returns:
        (M, P) float32 in 0..1, as `values_at` would give it.
    """
    labels, height, width = pixels.shape[1:]
    first = ((frames * labels + columns) * (height * width))[:, None]
    x, y = (points * points.new_tensor((width, height)) - 0.5).unbind(-1)
    left, top = x.floor(), y.floor()
    values = torch.zeros_like(x)
    for column, share_x in ((left, left + 1 - x), (left + 1, x - left)):
        for row, share_y in ((top, top + 1 - y), (top + 1, y - top)):
            inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            cell = row.clamp(0, height - 1).long() * width + column.clamp(0, width - 1).long()
            values += share_x * share_y * (inside & pixels.flatten()[first + cell])
    return values
