"""Masked-attention transformer decoder of Mask2Former with a head for contrast embeddings."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qcen_core.config import ModelConfig
from qcen_core.model.attention import Attention
from qcen_core.model.mask_product import MaskProducts
from qcen_core.model.mlp import Mlp
from qcen_core.model.pixel_decoder import ATTENDED_LEVELS, FINEST_ATTENDED_STRIDE, MASK_STRIDE, PixelFeatures
from qcen_core.model.place_head import PlaceHead
from qcen_core.model.position_encoding import sine_position_encoding
from qcen_core.model.query_seeds import QuerySeeds
from qcen_core.ops.exchange import inter_source, intra_source
from qcen_core.ops.place import place_features
from qcen_core.ops.ranks import Ranks
from qcen_core.structures import Exchanged, Guests, LayerPrediction, SegmenterOutput


class DecoderLayer(nn.Module):
    """Masked cross-attention, self-attention, feed-forward network; each normalised after its sum."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        dim = config.hidden_dim
        self.cross_attn = Attention(dim, config.heads, batch_first=True)
        self.cross_norm = nn.LayerNorm(dim)
        self.self_attn = Attention(dim, config.heads, batch_first=True)
        self.self_norm = nn.LayerNorm(dim)
        self.linear1 = nn.Linear(dim, config.decoder_feedforward)
        self.linear2 = nn.Linear(config.decoder_feedforward, dim)
        self.feedforward_norm = nn.LayerNorm(dim)

    def forward(self, queries: Tensor, query_position: Tensor, memory: Tensor, key: Tensor, allowed: Tensor) -> Tensor:
        """One refinement of the queries.

        Args:
            queries: (N, Q, D).
            query_position: (Q, D) or (N, Q, D), added to queries where they attend.
            memory: (N, S, D) values.
            key: (N, S, D) values with position.
            allowed: (N, Q, S) bool, cells a query may look at.

        Returns:
            (N, Q, D).
        """
        queries = self.cross_norm(queries + self.cross_attn(queries + query_position, key, memory, allowed))
        placed = queries + query_position
        queries = self.self_norm(queries + self.self_attn(placed, placed, queries))
        return self.feedforward_norm(queries + self.linear2(F.relu(self.linear1(queries))))  # type: ignore[no-any-return]


class _Start(NamedTuple):
    """What the layers begin with: queries, the same normed, and where they are or what is added where they attend."""

    queries: Tensor
    normed: Tensor
    positions: Tensor | None
    boxes: Tensor | None


class _Frames(NamedTuple):
    """What queries look at: values, keys and mask features of each level, and what their masks and boxes refer to."""

    memories: list[Tensor]
    keys: list[Tensor]
    gates: list[Tensor]
    valid: tuple[Tensor, ...]
    mask_features: Tensor
    extent: Tensor

    def repeated(self, times: int) -> "_Frames":
        """All frames `times` times over."""
        return _Frames(
            [torch.cat([memory] * times) for memory in self.memories],
            [torch.cat([key] * times) for key in self.keys],
            [torch.cat([gate] * times) for gate in self.gates],
            tuple(torch.cat([valid] * times) for valid in self.valid),
            torch.cat([self.mask_features] * times),
            torch.cat([self.extent] * times),
        )


class TransformerDecoder(nn.Module):
    """Queries look at strides 32, 16, 8 in turn and predict after every layer.

    Queries are learned vectors (Mask2Former), or begin at the centres of objects and have a place of their own.
    """

    def __init__(self, config: ModelConfig, classes: int) -> None:
        super().__init__()
        dim = config.hidden_dim
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
        self.contrast_gradient = config.contrast_gradient
        for name, parameter in self.layers.named_parameters():
            if parameter.dim() > 1 and "norm" not in name:
                nn.init.xavier_uniform_(parameter)

    def forward(
        self,
        features: PixelFeatures,
        clip_frames: int = 1,
        ranks: Ranks | None = None,
        *,
        every_layer: bool = True,
    ) -> SegmenterOutput:
        """Decode N frames, each on its own; with `clip_frames` above 1 their queries then visit each other's frames.

        Args:
            features: of the frames.
            clip_frames: T, of which N is a multiple.
            ranks: the processes whose queries visit each other; by default this one on its own.
            every_layer: predict before the first layer and after each, as the losses need it; else after the last only.
        """
        frames = self._frames(features)
        start, center_logits = self._start(features)
        output = self._refine(start, frames, every_layer=every_layer)._replace(center_logits=center_logits)
        if clip_frames == 1:
            return output
        return output._replace(exchanged=self._exchange(output, frames, clip_frames, ranks or Ranks()))

    def visit(self, features: PixelFeatures, guests: Guests, *, every_layer: bool = True) -> SegmenterOutput:
        """Decode guests on N frames, each on its own; arguments as `forward`."""
        return self._refine(_arrival(guests), self._frames(features), every_layer=every_layer)

    def _exchange(self, output: SegmenterOutput, frames: _Frames, clip_frames: int, ranks: Ranks) -> Exchanged:
        """Both visits in one pass: first the guests from the own clip, then those from another, if there is one."""
        count, first = len(output.queries), ranks.index * len(output.queries)
        index = torch.arange(first, first + count, device=output.queries.device)
        sources = [intra_source(index, clip_frames)]
        if ranks.count * count > clip_frames:
            sources.append(inter_source(index, clip_frames, ranks.count * count))
        source, visited = torch.cat(sources), frames.repeated(len(sources))
        guests = _guests(output, frames.extent, visited.extent, source, ranks)
        layers = self._refine(_arrival(guests), visited, every_layer=True).layers
        intra, inter = (tuple(layer.take(part) for layer in layers) for part in (slice(count), slice(count, None)))
        return Exchanged(intra, inter if len(sources) > 1 else ())

    def _start(self, features: PixelFeatures) -> tuple[_Start, Tensor | None]:
        """Where the own queries of the frames begin, and the map of centres."""
        if not self.located:
            count = features.mask_features.shape[0]  # len() would fix the number in an exported program
            queries = self.query_feat.weight.expand(count, -1, -1)
            return _Start(queries, self.norm(queries), self.query_embed.weight.expand(count, -1, -1), None), None
        seeds = self.seeds(features.levels[-1], features.valid[-1])
        boxes = seeds.boxes * FINEST_ATTENDED_STRIDE
        return _Start(seeds.queries, self.norm(seeds.queries), None, boxes), seeds.center_logits

    def _frames(self, features: PixelFeatures) -> _Frames:
        fine = features.mask_features
        if self.located:
            place = place_features((fine.shape[-2], fine.shape[-1]), features.extent / MASK_STRIDE)
            fine = torch.cat((fine.float(), place), dim=1)
        memories, keys, gates = [], [], []
        for level, valid, embed in zip(features.levels, features.valid, self.level_embed.weight, strict=True):
            memory = level.flatten(2).transpose(1, 2) + embed
            position = sine_position_encoding(valid, memory.shape[-1]).flatten(2).transpose(1, 2)
            memories.append(memory)
            keys.append(memory + position.to(memory.dtype))
            # Masks are linear in their features: these give the shrunken mask without the whole one.
            gates.append(shrunk(fine.detach(), fine.shape[-1] // valid.shape[-1]))
        return _Frames(memories, keys, gates, features.valid, fine, features.extent)

    def _refine(self, start: _Start, frames: _Frames, *, every_layer: bool) -> SegmenterOutput:
        """Look and change, layer by layer, and predict."""
        queries, normed, boxes = start.queries, start.normed, start.boxes
        embeddings = self._mask_embeddings(normed, boxes, frames)
        steps = [(normed, boxes, embeddings)]
        for index, layer in enumerate(self.layers):
            level = index % ATTENDED_LEVELS
            (gate,) = self._mask_logits([embeddings.detach()], frames.gates[level])
            positions = self._positions(start, boxes, frames)
            allowed = allowed_cells(gate, frames.valid[level])
            queries = layer(queries, positions, frames.memories[level], frames.keys[level], allowed)
            normed = self.norm(queries)
            boxes = None if boxes is None else self.place(normed, boxes)
            embeddings = self._mask_embeddings(normed, boxes, frames)
            steps.append((normed, boxes, embeddings))
        positions = self._positions(start, boxes, frames)
        return SegmenterOutput(
            layers=self._predict(steps if every_layer else steps[-1:], frames),
            queries=normed,
            mask_embeddings=embeddings,
            mask_features=frames.mask_features,
            contrast_embeddings=self._contrast(normed, positions),
            positions=positions,
        )

    def _contrast(self, normed: Tensor, positions: Tensor) -> Tensor:
        """Contrast embeddings (N, Q, E); objects of one look are told apart by where they are."""
        share = self.contrast_gradient
        features = share * normed + (1 - share) * normed.detach()
        embeddings: Tensor = self.contrast_embed(features + positions if self.located else features)
        return embeddings

    def _positions(self, start: _Start, boxes: Tensor | None, frames: _Frames) -> Tensor:
        """(N, Q, D) added to queries where they attend: that of their boxes, else what they began with."""
        if boxes is None:
            assert start.positions is not None  # noqa: S101  # a query has the one or the other
            return start.positions
        positions: Tensor = self.place.positions(boxes, frames.extent)
        return positions

    def _mask_embeddings(self, normed: Tensor, boxes: Tensor | None, frames: _Frames) -> Tensor:
        """Mask embeddings (N, Q, C) of normed queries and, where they have any, of their boxes."""
        embeddings: Tensor = self.mask_embed(normed)
        if boxes is None:
            return embeddings
        return torch.cat((embeddings.float(), self.place.embeddings(boxes, frames.extent)), dim=-1)

    def _mask_logits(self, embeddings: list[Tensor], features: Tensor) -> tuple[Tensor, ...]:
        """Mask logits (N, Q, h, w) of the mask embeddings of each layer in features (N, C, h, w)."""
        # Place embeddings are large numbers that cancel: half precision would move the masks.
        device, size = features.device.type, features.shape[-2:]
        with torch.autocast(device, enabled=torch.is_autocast_enabled(device) and not self.located):
            if device == "cpu" and not torch.compiler.is_compiling() and not torch.is_autocast_enabled(device):
                masks = MaskProducts.apply(features.flatten(2), *embeddings)
            else:  # all in one product
                masks = (torch.cat(embeddings, dim=1) @ features.flatten(2)).tensor_split(len(embeddings), dim=1)
            return tuple(mask.unflatten(-1, size) for mask in masks)

    def _predict(
        self, steps: list[tuple[Tensor, Tensor | None, Tensor]], frames: _Frames
    ) -> tuple[LayerPrediction, ...]:
        """What queries predict that were normed, with their boxes and mask embeddings."""
        masks = self._mask_logits([embeddings for _, _, embeddings in steps], frames.mask_features)
        return tuple(
            LayerPrediction(self.class_embed(normed), own_masks, boxes)
            for (normed, boxes, _), own_masks in zip(steps, masks, strict=True)
        )


def shrunk(maps: Tensor, times: int) -> Tensor:
    """Maps (N, C, h, w) of a size that is smaller by an even factor: what bilinear interpolation gives there.

    That is the mean of the four cells around the middle of each block.
    """
    first, second = times // 2 - 1, times // 2
    rows = maps[..., first::times, :] + maps[..., second::times, :]
    return (rows[..., first::times] + rows[..., second::times]) / 4


def allowed_cells(mask_logits: Tensor, valid: Tensor) -> Tensor:
    """Where queries may look: inside their last mask; a query whose mask is empty looks everywhere.

    Args:
        mask_logits: (N, Q, h, w).
        valid: (N, h, w) bool, False where nobody looks.

    Returns:
        (N, Q, h * w) bool.
    """
    seen = valid.flatten(1)[:, None]
    inside = (mask_logits >= 0).flatten(2) & seen
    return inside | (seen & ~inside.any(dim=-1, keepdim=True))


def _arrival(guests: Guests) -> _Start:
    """Where guests begin: at their boxes, which learn nothing from it."""
    boxes = None if guests.boxes is None else guests.boxes.detach()
    return _Start(guests.queries, guests.queries, guests.positions if boxes is None else None, boxes)


def _guests(output: SegmenterOutput, extent: Tensor, visited: Tensor, source: Tensor, ranks: Ranks) -> Guests:
    """The queries of the frames `source`, of all processes, with boxes that fit the frames they visit.

    Args:
        output: of the N frames of this process.
        extent: (N, 2) width and height of these frames.
        visited: (V, 2) the same of the frames visited.
        source: (V,) int64, the frame that each guest comes from.
        ranks: the processes.
    """
    boxes = output.final.boxes
    parts = [output.queries, output.positions]
    if boxes is not None:
        parts += [boxes.detach(), extent[:, None].expand(-1, boxes.shape[1], -1)]
    packed = ranks.gather(torch.cat(parts, dim=-1))[source]  # one message for all of it
    queries, positions, *placed = packed.split([part.shape[-1] for part in parts], dim=-1)
    if boxes is None:
        return Guests(queries, positions)
    there, home = placed
    return Guests(queries, positions, there * (visited[:, None] / home).repeat(1, 1, 2))
