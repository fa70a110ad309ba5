"""Masked-attention transformer decoder of Mask2Former with a head for contrast embeddings."""

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qcen_core.config import ModelConfig
from qcen_core.model.pixel_decoder import ATTENDED_LEVELS, PixelFeatures
from qcen_core.model.position_encoding import sine_position_encoding
from qcen_core.structures import LayerPrediction, SegmenterOutput


class Mlp(nn.Module):
    """Linear layers with ReLU between them."""

    def __init__(self, dims: tuple[int, ...]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(dims))

    def forward(self, x: Tensor) -> Tensor:
        """(..., dims[0]) to (..., dims[-1])."""
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)  # type: ignore[no-any-return]


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
            query_position: (Q, D), added to queries where they attend.
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


class TransformerDecoder(nn.Module):
    """Learned queries look at strides 32, 16, 8 in turn and predict after every layer."""

    def __init__(self, config: ModelConfig, classes: int) -> None:
        super().__init__()
        dim = config.hidden_dim
        self.heads = config.heads
        self.query_feat = nn.Embedding(config.queries, dim)
        self.query_embed = nn.Embedding(config.queries, dim)
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
        frames = features.mask_features.shape[0]
        queries = self.query_feat.weight.expand(frames, -1, -1)
        memories, keys = self._memories(features)
        normed, prediction = self._predict(queries, features.mask_features)
        predictions = [prediction]
        for index, layer in enumerate(self.layers):
            level = index % ATTENDED_LEVELS
            blocked = self._attention_mask(prediction.mask_logits, features.valid[level])
            queries = layer(queries, self.query_embed.weight, memories[level], keys[level], blocked)
            normed, prediction = self._predict(queries, features.mask_features)
            predictions.append(prediction)
        return SegmenterOutput(
            layers=tuple(predictions),
            queries=normed,
            mask_embeddings=self.mask_embed(normed),
            mask_features=features.mask_features,
            contrast_embeddings=self.contrast_embed(normed),
        )

    def _memories(self, features: PixelFeatures) -> tuple[list[Tensor], list[Tensor]]:
        memories, keys = [], []
        for level, valid, embed in zip(features.levels, features.valid, self.level_embed.weight, strict=True):
            memory = level.flatten(2).transpose(1, 2) + embed
            position = sine_position_encoding(valid, memory.shape[-1]).flatten(2).transpose(1, 2)
            memories.append(memory)
            keys.append(memory + position.to(memory.dtype))
        return memories, keys

    def _predict(self, queries: Tensor, mask_features: Tensor) -> tuple[Tensor, LayerPrediction]:
        normed = self.norm(queries)
        mask_logits = torch.einsum("nqc,nchw->nqhw", self.mask_embed(normed), mask_features)
        return normed, LayerPrediction(self.class_embed(normed), mask_logits)

    def _attention_mask(self, mask_logits: Tensor, valid: Tensor) -> Tensor:
        """(N * heads, Q, S) bool: cells outside the query's last mask; a query that saw nothing sees everything."""
        resized = F.interpolate(
            mask_logits.detach().float(), size=valid.shape[-2:], mode="bilinear", align_corners=False
        )
        padded = ~valid.flatten(1)[:, None, :]
        blocked = (resized < 0).flatten(2) | padded
        blocked = torch.where(blocked.all(dim=-1, keepdim=True), padded, blocked)
        return blocked.repeat_interleave(self.heads, dim=0)
