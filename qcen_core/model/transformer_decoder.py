"""Masked-attention transformer decoder of Mask2Former with a head for contrast embeddings."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qcen_core.config import ModelConfig
from qcen_core.model.mlp import Mlp
from qcen_core.model.pixel_decoder import ATTENDED_LEVELS, FINEST_ATTENDED_STRIDE, MASK_STRIDE, PixelFeatures
from qcen_core.model.place_head import PlaceHead
from qcen_core.model.position_encoding import sine_position_encoding
from qcen_core.model.query_seeds import QuerySeeds
from qcen_core.ops.place import place_features
from qcen_core.structures import LayerPrediction, SegmenterOutput


class DecoderLayer(nn.Module):
    """Masked cross-attention, self-attention, feed-forward network; each normalised after its sum."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        dim = config.hidden_dim
        self.cross_attn = nn.MultiheadAttention(dim, config.heads, batch_first=True)
        self.cross_norm = nn.LayerNorm(dim)
        self.self_attn = nn.MultiheadAttention(dim, config.heads, batch_first=True)
        self.self_norm = nn.LayerNorm(dim)
        self.linear1 = nn.Linear(dim, config.decoder_feedforward)
        self.linear2 = nn.Linear(config.decoder_feedforward, dim)
        self.feedforward_norm = nn.LayerNorm(dim)

    def forward(self, queries: Tensor, query_position: Tensor, memory: Tensor, key: Tensor, blocked: Tensor) -> Tensor:
        """One refinement of the queries.

        Args:
            queries: (N, Q, D).
            query_position: (Q, D) or (N, Q, D), added to queries where they attend.
            memory: (N, S, D) values.
            key: (N, S, D) values with position.
            blocked: (N * heads, Q, S) bool, cells a query must not see.

        Returns:
            (N, Q, D).
        """
        attended = self.cross_attn(queries + query_position, key, memory, attn_mask=blocked, need_weights=False)[0]
        queries = self.cross_norm(queries + attended)
        placed = queries + query_position
        queries = self.self_norm(queries + self.self_attn(placed, placed, queries, need_weights=False)[0])
        return self.feedforward_norm(queries + self.linear2(F.relu(self.linear1(queries))))  # type: ignore[no-any-return]


class _Start(NamedTuple):
    """What the layers begin with: queries, their position, and what their masks and boxes refer to."""

    queries: Tensor
    position: Tensor
    mask_features: Tensor
    centres: Tensor | None
    center_logits: Tensor | None


class TransformerDecoder(nn.Module):
    """Queries look at strides 32, 16, 8 in turn and predict after every layer.

    Queries are learned vectors (Mask2Former), or begin at the centres of objects and have a place of their own.
    """

    def __init__(self, config: ModelConfig, classes: int) -> None:
        super().__init__()
        dim = config.hidden_dim
        self.heads = config.heads
        if config.located_queries:
            self.seeds = QuerySeeds(config, classes)
            self.place = PlaceHead(dim)
        else:
            self.query_feat = nn.Embedding(config.queries, dim)
            self.query_embed = nn.Embedding(config.queries, dim)
        self.located = config.located_queries
        self.level_embed = nn.Embedding(ATTENDED_LEVELS, dim)
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.decoder_layers))
        self.norm = nn.LayerNorm(dim)
        self.class_embed = nn.Linear(dim, classes + 1)
        self.mask_embed = Mlp((dim, dim, dim, dim))
        self.contrast_embed = Mlp((dim, dim, dim, config.contrast_dim))
        for name, parameter in self.layers.named_parameters():
            if parameter.dim() > 1 and "norm" not in name:
                nn.init.xavier_uniform_(parameter)

    def forward(self, features: PixelFeatures) -> SegmenterOutput:
        """Decode N frames, each on its own."""
        start = self._start(features)
        queries = start.queries
        memories, keys = self._memories(features)
        normed, embeddings, prediction = self._predict(queries, start, features.extent)
        predictions = [prediction]
        for index, layer in enumerate(self.layers):
            level = index % ATTENDED_LEVELS
            blocked = self._attention_mask(prediction.mask_logits, features.valid[level])
            queries = layer(queries, start.position, memories[level], keys[level], blocked)
            normed, embeddings, prediction = self._predict(queries, start, features.extent)
            predictions.append(prediction)
        return SegmenterOutput(
            layers=tuple(predictions),
            queries=normed,
            mask_embeddings=embeddings,
            mask_features=start.mask_features,
            contrast_embeddings=self.contrast_embed(normed),
            center_logits=start.center_logits,
        )

    def _start(self, features: PixelFeatures) -> _Start:
        fine = features.mask_features
        if not self.located:
            queries = self.query_feat.weight.expand(len(fine), -1, -1)
            return _Start(queries, self.query_embed.weight, fine, None, None)
        coarse, stride = features.levels[-1], FINEST_ATTENDED_STRIDE
        seeds = self.seeds(coarse, features.valid[-1], features.extent / stride)
        place = place_features((fine.shape[-2], fine.shape[-1]), features.extent / MASK_STRIDE)
        fine = torch.cat((fine.float(), place), dim=1)
        return _Start(seeds.queries, seeds.position, fine, seeds.centres, seeds.center_logits)

    def _memories(self, features: PixelFeatures) -> tuple[list[Tensor], list[Tensor]]:
        memories, keys = [], []
        for level, valid, embed in zip(features.levels, features.valid, self.level_embed.weight, strict=True):
            memory = level.flatten(2).transpose(1, 2) + embed
            position = sine_position_encoding(valid, memory.shape[-1]).flatten(2).transpose(1, 2)
            memories.append(memory)
            keys.append(memory + position.to(memory.dtype))
        return memories, keys

    def _predict(self, queries: Tensor, start: _Start, extent: Tensor) -> tuple[Tensor, Tensor, LayerPrediction]:
        """Normed queries, their mask embeddings, and what they predict."""
        normed = self.norm(queries)
        embeddings, boxes = self.mask_embed(normed), None
        if start.centres is not None:
            boxes, place = self.place(normed, start.centres, extent)
            embeddings = torch.cat((embeddings.float(), place), dim=-1)
        # Place embeddings are large numbers that cancel: half precision would move the masks.
        device = queries.device.type
        with torch.autocast(device, enabled=torch.is_autocast_enabled(device) and boxes is None):
            mask_logits = torch.einsum("nqc,nchw->nqhw", embeddings, start.mask_features)
        return normed, embeddings, LayerPrediction(self.class_embed(normed), mask_logits, boxes)

    def _attention_mask(self, mask_logits: Tensor, valid: Tensor) -> Tensor:
        """(N * heads, Q, S) bool: cells outside the query's last mask; a query that saw nothing sees everything."""
        resized = F.interpolate(
            mask_logits.detach().float(), size=valid.shape[-2:], mode="bilinear", align_corners=False
        )
        padded = ~valid.flatten(1)[:, None, :]
        blocked = (resized < 0).flatten(2) | padded
        blocked = torch.where(blocked.all(dim=-1, keepdim=True), padded, blocked)
        return blocked.repeat_interleave(self.heads, dim=0)
