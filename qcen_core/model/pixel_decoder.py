"""Pixel decoder of Mask2Former: deformable attention over strides 32, 16, 8, then one pyramid step to stride 4."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qcen_core.config import ModelConfig
from qcen_core.model.deformable_attention import DeformableAttention
from qcen_core.model.norms import group_norm
from qcen_core.model.position_encoding import sine_position_encoding
from qcen_core.ops.place import frame_extent

ATTENDED_LEVELS = 3
FINEST_ATTENDED_STRIDE = 8
MASK_STRIDE = 4
TOKENS_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class PixelFeatures:
    """What the transformer decoder works on.

    Attributes:
        mask_features: (N, C, h, w) at stride 4.
        levels: three tensors (N, C, h_i, w_i), strides 32, 16, 8.
        valid: three tensors (N, h_i, w_i) bool, the cells that queries may look at.
        extent: (N, 2) float32, width and height of each frame in pixels of the input, padding left out.
    """

    mask_features: Tensor
    levels: tuple[Tensor, ...]
    valid: tuple[Tensor, ...]
    extent: Tensor


class EncoderLayer(nn.Module):
    """Deformable self-attention and a feed-forward network, normalised after each."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        dim = config.hidden_dim
        self.self_attn = DeformableAttention(
            dim, heads=config.heads, levels=ATTENDED_LEVELS, points=config.encoder_points
        )
        self.norm1 = nn.LayerNorm(dim)
        self.linear1 = nn.Linear(dim, config.encoder_feedforward)
        self.linear2 = nn.Linear(config.encoder_feedforward, dim)
        self.norm2 = nn.LayerNorm(dim)

    def forward(
        self, tokens: Tensor, position: Tensor, reference: Tensor, valid: Tensor, shapes: list[tuple[int, int]]
    ) -> Tensor:
        """(N, S, D) tokens to tokens; see `DeformableAttention.forward` for the arguments."""
        seen = self.self_attn(tokens + position, reference, tokens, valid, shapes)
        if tokens.device.type != "cpu" or torch.compiler.is_compiling():
            return self._transform(tokens, seen)
        # On a processor, what is made of a part of the tokens stays in the cache.
        parts = zip(tokens.split(TOKENS_AT_ONCE, dim=1), seen.split(TOKENS_AT_ONCE, dim=1), strict=True)
        return torch.cat([self._transform(*part) for part in parts], dim=1)

    def _transform(self, tokens: Tensor, seen: Tensor) -> Tensor:
        tokens = self.norm1(tokens + seen)
        hidden: Tensor = self.norm2(tokens + self.linear2(F.relu(self.linear1(tokens))))
        return hidden


class PixelDecoder(nn.Module):
    """Backbone features to mask features and three levels of memory."""

    def __init__(self, config: ModelConfig, channels: tuple[int, ...]) -> None:
        super().__init__()
        dim = config.hidden_dim
        self.see_padding = config.see_padding
        self.input_proj = nn.ModuleList(
            nn.Sequential(nn.Conv2d(count, dim, 1), group_norm(dim)) for count in reversed(channels[1:])
        )
        self.level_embed = nn.Parameter(torch.empty(ATTENDED_LEVELS, dim))
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.encoder_layers))
        self.lateral = nn.Sequential(nn.Conv2d(channels[0], dim, 1, bias=False), group_norm(dim))
        self.output = nn.Sequential(
            nn.Conv2d(dim, dim, 3, padding=1, bias=False), group_norm(dim), nn.ReLU(inplace=True)
        )
        self.mask_features = nn.Conv2d(dim, dim, 1)
        nn.init.normal_(self.level_embed)
        for projection in self.input_proj:
            nn.init.xavier_uniform_(projection[0].weight)  # type: ignore[index]
            nn.init.zeros_(projection[0].bias)  # type: ignore[index]

    def forward(self, features: list[Tensor], valid: Tensor) -> PixelFeatures:
        """Decode, in float32 whatever the run's precision: sampling locations need it (Mask2Former does the same).

        Args:
            features: four tensors (N, channels[i], H_i, W_i), strides 4, 8, 16, 32.
            valid: (N, H, W) bool, False on padding.

        Returns:
            The features for the transformer decoder.
        """
        with torch.autocast(valid.device.type, enabled=False):
            return self._decode([feature.float() for feature in features], valid)

    def _decode(self, features: list[Tensor], valid: Tensor) -> PixelFeatures:
        maps = [project(feature) for project, feature in zip(self.input_proj, reversed(features[1:]), strict=True)]
        shapes = [(m.shape[-2], m.shape[-1]) for m in maps]
        seen = torch.ones_like(valid) if self.see_padding else valid
        level_valid = tuple(shrink_valid(seen, shape) for shape in shapes)
        maps = self._attend(maps, shapes, level_valid)
        fine = self.lateral(features[0])
        fine = fine + enlarged(maps[-1], (fine.shape[-2], fine.shape[-1]))
        return PixelFeatures(self.mask_features(self.output(fine)), tuple(maps), level_valid, frame_extent(valid))

    def _attend(
        self, maps: list[Tensor], shapes: list[tuple[int, int]], level_valid: tuple[Tensor, ...]
    ) -> list[Tensor]:
        tokens = torch.cat([m.flatten(2).transpose(1, 2) for m in maps], dim=1)
        position = torch.cat(
            [
                sine_position_encoding(v, tokens.shape[-1]).flatten(2).transpose(1, 2) + embed
                for v, embed in zip(level_valid, self.level_embed, strict=True)
            ],
            dim=1,
        )
        valid = torch.cat([v.flatten(1) for v in level_valid], dim=1)
        reference = reference_points(level_valid)
        for layer in self.layers:
            tokens = layer(tokens, position, reference, valid, shapes)
        parts = tokens.split([h * w for h, w in shapes], dim=1)
        return [part.transpose(1, 2).unflatten(-1, shape) for part, shape in zip(parts, shapes, strict=True)]


def enlarged(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps (N, C, h, w) on a finer grid: bilinear interpolation as two matrix products, which keep channels last."""
    rows, columns = (
        F.interpolate(torch.eye(old, dtype=maps.dtype, device=maps.device)[None], size=new, mode="linear")[0].T
        for old, new in zip(maps.shape[-2:], size, strict=True)
    )
    wide = columns @ maps.permute(0, 2, 3, 1)  # N, h, W, C
    fine: Tensor = (rows @ wide.flatten(2)).unflatten(-1, (size[1], -1))
    return fine.permute(0, 3, 1, 2)


def shrink_valid(valid: Tensor, size: tuple[int, int]) -> Tensor:
    """The padding mask (N, H, W) bool on a coarser grid `size`: nearest neighbour, as for the features' cells."""
    return F.interpolate(valid[:, None].float(), size=size, mode="nearest")[:, 0] > 0.5


def reference_points(level_valid: tuple[Tensor, ...]) -> Tensor:
    """Centre of every cell, as a share of the valid part of its level, placed on each level.

    Args:
        level_valid: one (N, h_i, w_i) bool a level.

    Returns:
        (N, S, levels, 2) float32, x and y in 0..1 of the padded level.
    """
    ratios = torch.stack(
        [torch.stack((v[:, 0, :].float().mean(-1), v[:, :, 0].float().mean(-1)), dim=-1) for v in level_valid], dim=1
    )  # N, levels, 2: valid share of each level's width and height
    points = []
    for level, v in enumerate(level_valid):
        height, width = v.shape[-2:]
        y = (torch.arange(height, device=v.device, dtype=torch.float32) + 0.5) / height
        x = (torch.arange(width, device=v.device, dtype=torch.float32) + 0.5) / width
        grid = torch.stack((x.expand(height, -1), y[:, None].expand(-1, width)), dim=-1).flatten(0, 1)
        points.append(grid[None] / ratios[:, None, level])
    return torch.cat(points, dim=1)[:, :, None] * ratios[:, None]
