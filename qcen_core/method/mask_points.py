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
        mask_logits: (M, L, h, w), L masks to which the same points are proposed.
        extent: (M, 2) as for `random_points`.
        count: P.

    Returns:
        (M, L, P, 2).
    """
    candidates = random_points(extent, int(OVERSAMPLING * count))
    certainty = values_at(mask_logits, candidates).abs_()
    chosen = certainty.topk(int(UNCERTAIN_SHARE * count), largest=False).indices
    layers = mask_logits.shape[1]
    uncertain = candidates[:, None].expand(-1, layers, -1, -1).gather(2, chosen[..., None].expand(-1, -1, -1, 2))
    others = random_points(extent, count - chosen.shape[-1])
    return torch.cat((uncertain, others[:, None].expand(-1, layers, -1, -1)), dim=2)


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
    bordered = F.pad(pixels, (1, 2, 1, 2))  # a point that lies outside reads zeros
    labels, height, width = bordered.shape[1:]
    x, y = (points * points.new_tensor((width - 3, height - 3)) + 0.5).unbind(-1)
    left, top = x.floor(), y.floor()
    right, down = x - left, y - top
    first = (frames * labels + columns) * (height * width)
    corner = first[:, None] + (top * width + left).long()
    upper_left, upper_right, lower_left, lower_right = (
        bordered.flatten()[corner + step].to(x.dtype) for step in (0, 1, width, width + 1)
    )
    upper, lower = torch.lerp(upper_left, upper_right, right), torch.lerp(lower_left, lower_right, right)
    return torch.lerp(upper, lower, down)
