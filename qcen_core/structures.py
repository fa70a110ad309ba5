"""The tensors that flow from the loader through the segmenter to the losses.

Letters used for shapes everywhere:

    B  clips in a batch            T  frames in a clip          N  frames in a batch, N = B * T (index b * T + t)
    Q  queries of a frame          K  classes (index K: "no object")
    G  labels of a frame           M  matched (query, label) couples in a batch
    P  cross-frame pairs           C  channels of masks         E  channels of contrast embeddings
    H, W  padded input size        h, w  size of mask logits, a quarter of H, W
    L  decoder outputs, the last one being the final prediction
"""

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from torch import Tensor


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


@dataclass(frozen=True, slots=True)
class BoxTarget:
    """Labels of one frame. There is no field through which a mask or an identity could leak.

    Attributes:
        boxes: (G, 4) float32, `x1 y1 x2 y2` pixels of the padded input.
        labels: (G,) int64, 0..K-1.
        ignored: (I, 4) float32, boxes of regions that are neither object nor background, pixels of the padded input.
    """

    boxes: Tensor
    labels: Tensor
    ignored: Tensor = field(default_factory=lambda: torch.zeros(0, 4))

    def __post_init__(self) -> None:
        _require(
            self.boxes.shape == (len(self.labels), 4), f"boxes {tuple(self.boxes.shape)} must be (G, 4) for G labels"
        )
        _require(self.ignored.shape[1:] == (4,), f"ignored {tuple(self.ignored.shape)} must be (I, 4)")

    def to(self, device: torch.device) -> "BoxTarget":
        """The same labels on another device."""
        parts = (part.to(device, non_blocking=True) for part in (self.boxes, self.labels, self.ignored))
        return BoxTarget(*parts)


@dataclass(frozen=True, slots=True)
class StrongLabels:
    """Masks and identities for the levels `mask`, `box+id` and `mask+id`; a `box` batch has none of this.

    Attributes:
        masks: N tensors (G, H, W) bool in the order of the frame's `BoxTarget`, or `None` where the level has no masks.
        track_ids: N tensors (G,) int64, unique in a clip, or `None` where the level has no identities.
    """

    masks: tuple[Tensor, ...] | None
    track_ids: tuple[Tensor, ...] | None

    def to(self, device: torch.device) -> "StrongLabels":
        """The same labels on another device."""

        def move(tensors: tuple[Tensor, ...] | None) -> tuple[Tensor, ...] | None:
            return None if tensors is None else tuple(t.to(device, non_blocking=True) for t in tensors)

        return StrongLabels(move(self.masks), move(self.track_ids))


@dataclass(frozen=True, slots=True)
class ClipBatch:
    """A batch of clips, padded at the right and at the bottom to one size.

    Attributes:
        images: (B, T, 3, H, W) uint8, RGB.
        valid: (B, H, W) bool, False on padding.
        frame_times: (B, T) int64, index of each frame in its video; their differences are time gaps.
        targets: N `BoxTarget`s.
        strong: masks and identities, `None` for the level `box`.
        sources: B names of the videos.
        all_sources: the names of all clips of the step, those of other processes too, process by process; empty where
            this process learns on its own.
    """

    images: Tensor
    valid: Tensor
    frame_times: Tensor
    targets: tuple[BoxTarget, ...]
    strong: StrongLabels | None
    sources: tuple[str, ...]
    all_sources: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _require(self.images.ndim == 5 and self.images.shape[2] == 3, f"images {tuple(self.images.shape)}")
        clips, length, _, height, width = self.images.shape
        _require(self.images.dtype == torch.uint8, f"images are {self.images.dtype}, not uint8")
        _require(self.valid.shape == (clips, height, width), f"valid {tuple(self.valid.shape)}")
        _require(self.frame_times.shape == (clips, length), f"frame_times {tuple(self.frame_times.shape)}")
        _require(len(self.targets) == clips * length, f"{len(self.targets)} targets for {clips * length} frames")
        _require(len(self.sources) == clips, f"{len(self.sources)} sources for {clips} clips")

    @property
    def step_sources(self) -> tuple[str, ...]:
        """The names of the videos of all clips of the step."""
        return self.all_sources or self.sources

    def frames(self) -> Tensor:
        """(N, 3, H, W) uint8: every frame on its own."""
        return self.images.flatten(0, 1)

    def frame_valid(self) -> Tensor:
        """(N, H, W) bool: the clip's padding mask for each of its frames."""
        return self.valid.repeat_interleave(self.images.shape[1], dim=0)

    def pin_memory(self) -> "ClipBatch":
        """The same batch with its large tensors in pinned memory; the loader's pinning thread looks for this name."""
        return replace(self, images=self.images.pin_memory(), valid=self.valid.pin_memory())

    def to(self, device: torch.device) -> "ClipBatch":
        """The same batch on another device; copies from pinned memory do not block."""
        return ClipBatch(
            self.images.to(device, non_blocking=True),
            self.valid.to(device, non_blocking=True),
            self.frame_times.to(device, non_blocking=True),
            tuple(target.to(device) for target in self.targets),
            None if self.strong is None else self.strong.to(device),
            self.sources,
            self.all_sources,
        )


class LayerPrediction(NamedTuple):
    """What one decoder output predicts. What the model returns are named tuples: Fabric, DDP and export look into them.

    Attributes:
        class_logits: (N, Q, K + 1).
        mask_logits: (N, Q, h, w).
        boxes: (N, Q, 4) `x1 y1 x2 y2` pixels of the padded input, or `None` where queries have no place.
    """

    class_logits: Tensor
    mask_logits: Tensor
    boxes: Tensor | None = None

    def take(self, frames: slice) -> "LayerPrediction":
        """What is predicted for some of the frames."""
        boxes = None if self.boxes is None else self.boxes[frames]
        return LayerPrediction(self.class_logits[frames], self.mask_logits[frames], boxes)

    def float(self) -> "LayerPrediction":
        """The same prediction in float32."""
        boxes = None if self.boxes is None else self.boxes.float()
        return LayerPrediction(self.class_logits.float(), self.mask_logits.float(), boxes)


class Exchanged(NamedTuple):
    """What the queries of other frames predict as guests: they pass the decoder once more, on the frame they visit.

    The frame axis is the frame visited. Guest i of frame n is query i of frame `ops.exchange.intra_source(n)` or
    `inter_source(n)`. Each tuple holds L predictions, the one before the first layer included.

    Attributes:
        intra: guests from the same clip.
        inter: guests from another clip; empty if the batch has only one.
    """

    intra: tuple[LayerPrediction, ...]
    inter: tuple[LayerPrediction, ...]

    def float(self) -> "Exchanged":
        """The same predictions in float32."""
        return Exchanged(tuple(layer.float() for layer in self.intra), tuple(layer.float() for layer in self.inter))


class Guests(NamedTuple):
    """Queries of other frames that visit N frames, G in each, at least one.

    Attributes:
        queries: (N, G, D) as in `SegmenterOutput.queries`.
        positions: (N, G, D) as in `SegmenterOutput.positions`; with boxes they are computed anew from those.
        boxes: (N, G, 4) where they begin to look, `x1 y1 x2 y2` pixels of the padded input they visit, or `None` where
            queries have no place.
    """

    queries: Tensor
    positions: Tensor
    boxes: Tensor | None = None


class SegmenterOutput(NamedTuple):
    """What the segmenter returns for N frames, each segmented on its own.

    Attributes:
        layers: L predictions, the initial one first, the final one last.
        queries: (N, Q, D) query features after the last decoder layer, normed.
        mask_embeddings: (N, Q, C) of the last layer; `mask_logits = mask_embeddings . mask_features`.
        mask_features: (N, C, h, w).
        contrast_embeddings: (N, Q, E).
        positions: (N, Q, D) what was added to the queries where they attend.
        center_logits: (N, K, h', w') map of box centres, or `None` where queries are learned vectors.
        exchanged: what the queries predict in each other's frames, or `None` if they were not exchanged.

    Where queries have a place, the last `PLACE_CHANNELS` of the C channels hold it (see `ops.place`).
    """

    layers: tuple[LayerPrediction, ...]
    queries: Tensor
    mask_embeddings: Tensor
    mask_features: Tensor
    contrast_embeddings: Tensor
    positions: Tensor
    center_logits: Tensor | None = None
    exchanged: Exchanged | None = None

    @property
    def final(self) -> LayerPrediction:
        """The prediction of the last decoder layer."""
        return self.layers[-1]

    def float(self) -> "SegmenterOutput":
        """The same predictions in float32, in which all losses are computed."""
        return SegmenterOutput(
            tuple(layer.float() for layer in self.layers),
            self.queries.float(),
            self.mask_embeddings.float(),
            self.mask_features.float(),
            self.contrast_embeddings.float(),
            self.positions.float(),
            None if self.center_logits is None else self.center_logits.float(),
            None if self.exchanged is None else self.exchanged.float(),
        )


@dataclass(frozen=True, slots=True)
class Match:
    """M couples of a query and the label it was assigned to. A query and a label occur at most once.

    Attributes:
        frames: (M,) int64 in 0..N-1, ascending.
        queries: (M,) int64 in 0..Q-1.
        labels: (M,) int64, index into the labels of the frame.
    """

    frames: Tensor
    queries: Tensor
    labels: Tensor


@dataclass(frozen=True, slots=True)
class FramePairs:
    """P pairs of matched queries held to be one instance in two frames of one clip; both directions are listed.

    Attributes:
        anchor: (P,) int64, index into the `Match`.
        positive: (P,) int64, index into the `Match`.
    """

    anchor: Tensor
    positive: Tensor


@dataclass(frozen=True, slots=True)
class FramePrediction:
    """The instances found in one frame, before tracking; D of them.

    Attributes:
        class_logits: (D, K + 1) float32.
        scores: (D,) float32, highest class probability (without "no object") times mask quality.
        mask_logits: (D, h, w) float32 at a quarter of the model's input size.
        embeddings: (D, E) float32, unit length.
        mask_embeddings: (D, C) float32, what draws each mask.
        guests: the same queries as guests of another frame; N = 1, G = D.
    """

    class_logits: Tensor
    scores: Tensor
    mask_logits: Tensor
    embeddings: Tensor
    mask_embeddings: Tensor
    guests: Guests
