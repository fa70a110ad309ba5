"""Multi-scale deformable attention (Deformable DETR) in plain PyTorch."""

import math
from itertools import accumulate

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qcen_core.model.corner_sums import CornerSums


class DeformableAttention(nn.Module):
    """Each query samples a few points around its reference point on every level and averages them."""

    def __init__(self, dim: int, *, heads: int, levels: int, points: int) -> None:
        super().__init__()
        self.heads, self.levels, self.points = heads, levels, points
        self.sampling_offsets = nn.Linear(dim, heads * levels * points * 2)
        self.attention_weights = nn.Linear(dim, heads * levels * points)
        self.value_proj = nn.Linear(dim, dim)
        self.output_proj = nn.Linear(dim, dim)
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        """Heads look in evenly spread directions, point k at distance k; all points weigh the same."""
        angles = torch.arange(self.heads) * (2 * math.pi / self.heads)
        directions = torch.stack((angles.cos(), angles.sin()), dim=-1)
        directions = directions / directions.abs().amax(dim=-1, keepdim=True)
        distances = torch.arange(1, self.points + 1)
        offsets = directions[:, None, None, :] * distances[None, None, :, None]
        nn.init.zeros_(self.sampling_offsets.weight)
        with torch.no_grad():
            self.sampling_offsets.bias.copy_(offsets.expand(-1, self.levels, -1, -1).flatten())
        nn.init.zeros_(self.attention_weights.weight)
        nn.init.zeros_(self.attention_weights.bias)
        for projection in (self.value_proj, self.output_proj):
            nn.init.xavier_uniform_(projection.weight)
            nn.init.zeros_(projection.bias)

    def forward(
        self, query: Tensor, reference: Tensor, memory: Tensor, valid: Tensor, shapes: list[tuple[int, int]]
    ) -> Tensor:
        """Attend.

        Args:
            query: (N, S, D), S the cells of all levels, coarsest level first.
            reference: (N, S, levels, 2) reference points, x and y in 0..1 of the padded level.
            memory: (N, S, D) values to sample from.
            valid: (N, S) bool; padded cells count as zero.
            shapes: (h, w) of each level.

        Returns:
            (N, S, D).
        """
        batch, cells, dim = query.shape
        value = self.value_proj(memory).masked_fill_(~valid[..., None], 0.0)
        value = value.view(batch, cells, self.heads, dim // self.heads)
        # Short last dimensions are slow ones: sums go over all samples of a head, the softmax over another dimension.
        samples = self.levels * self.points
        weights = self.attention_weights(query).view(batch, cells * self.heads, samples)
        weights = weights.transpose(1, 2).softmax(dim=1).transpose(1, 2).reshape(batch, cells, self.heads, samples)
        centres = (reference * level_sizes(shapes, query))[:, :, :, None].expand(-1, -1, -1, self.points, -1)
        offsets = self.sampling_offsets(query).view(batch, cells, self.heads, 2 * samples)
        locations = (centres.reshape(batch, cells, 1, 2 * samples) + offsets).unflatten(-1, (self.levels, -1, 2))
        # On a processor, gathering rows is three times as quick as sampling pictures.
        plain = value.device.type == "cpu" and not torch.compiler.is_compiling()
        sample = gather_levels if plain else sample_levels
        mixed: Tensor = self.output_proj(sample(value, shapes, locations, weights))
        return mixed


def level_sizes(shapes: list[tuple[int, int]], like: Tensor) -> Tensor:
    """(levels, 2) width and height of each level, filled in on the device of `like`: a copy would wait for it."""
    return torch.stack([like.new_full((), side) for h, w in shapes for side in (w, h)]).view(-1, 2)


def sample_levels(value: Tensor, shapes: list[tuple[int, int]], locations: Tensor, weights: Tensor) -> Tensor:
    """Weighted sum of bilinear samples; outside a level the value is zero.

    Args:
        value: (N, S, heads, d), the levels one after another.
        shapes: (h, w) of each level.
        locations: (N, S', heads, levels, points, 2), x and y in cells of the level, 0.5 the middle of the first one.
        weights: (N, S', heads, levels * points).

    Returns:
        (N, S', heads * d).
    """
    batch, _, heads, dim = value.shape
    queries = locations.shape[1]
    scale = 2 / level_sizes(shapes, locations)
    grid = (locations * scale[:, None] - 1).permute(3, 0, 2, 1, 4, 5).flatten(1, 2)  # levels, N * heads, S', points, 2
    maps = value.permute(0, 2, 3, 1).flatten(0, 1)  # N * heads, d, S
    level_weights = weights.unflatten(-1, (len(shapes), -1)).permute(3, 0, 2, 1, 4).flatten(1, 2)
    mixed = value.new_zeros(batch * heads, dim, queries)
    for level, level_map in enumerate(maps.split([h * w for h, w in shapes], dim=-1)):
        image = level_map.unflatten(-1, shapes[level])
        points = F.grid_sample(image, grid[level], mode="bilinear", padding_mode="zeros", align_corners=False)
        mixed = mixed + (points * level_weights[level][:, None]).sum(-1)
    return mixed.view(batch, heads * dim, queries).transpose(1, 2)


def gather_levels(value: Tensor, shapes: list[tuple[int, int]], locations: Tensor, weights: Tensor) -> Tensor:
    """`sample_levels` as one weighted sum of rows of a table, four for each sample; arguments as there.

    Every level stands in the table with a border of zeros: what lies outside it reads those.
    """
    edges = [0, *accumulate((h + 3) * (w + 3) for h, w in shapes)]
    table = value.new_zeros(len(value), edges[-1], *value.shape[2:])  # N, cells, heads, d
    maps = value.split([h * w for h, w in shapes], dim=1)
    for (h, w), level, begin, end in zip(shapes, maps, edges[:-1], edges[1:], strict=True):
        table[:, begin:end].unflatten(1, (h + 3, w + 3))[:, 1 : h + 1, 1 : w + 1] = level.unflatten(1, (h, w))
    samples = weights.shape[-1]
    size = level_sizes(shapes, locations).repeat_interleave(samples // len(shapes), dim=0)  # of each sample's level
    starts = torch.tensor(edges[:-1], dtype=torch.int32)
    place = (locations.flatten(3, 4) + 0.5).clamp_(min=0).minimum(size + 1).nan_to_num()  # on the bordered level
    corner = place.floor()
    right, down = (place - corner).unbind(-1)
    column, row = corner.int().unbind(-1)
    cell = row * (size[:, 0] + 3).int() + column + starts.repeat_interleave(samples // len(shapes))
    below = down * weights
    above = weights - below
    upper_right, lower_right = above * right, below * right
    shares = torch.stack((above - upper_right, upper_right, below - lower_right, lower_right), dim=-2)
    mixed: Tensor = CornerSums.apply(table, cell, shares, [(h + 3, w + 3) for h, w in shapes])
    return mixed.flatten(2)
