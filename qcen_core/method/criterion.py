"""From predictions and labels to named loss terms: the set losses of every decoder output, contrast and exchange."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from qcen_core.config import LossConfig, MatchingConfig, PairConfig
from qcen_core.method import losses
from qcen_core.method.matching import PaddedLabels, match_layers, pad_labels
from qcen_core.method.pairs import identity_pairs, pseudo_identity_pairs
from qcen_core.ops.boxes import filled_boxes
from qcen_core.ops.color import rgb_to_lab
from qcen_core.structures import ClipBatch, FramePairs, LayerPrediction, Match, SegmenterOutput

Terms = dict[str, Tensor]

TERM_NAMES = (
    "class",
    "projection",
    "pairwise",
    "filled_box",
    "mask_bce",
    "mask_dice",
    "contrast",
    "contrast_auxiliary",
    "intra_projection",
    "intra_pairwise",
    "intra_mask_bce",
    "intra_mask_dice",
    "intra_consistency",
    "inter",
)


def warmup_factor(step: int, steps: int) -> float:
    """0 at step 0, rising linearly to 1 at `steps`."""
    return min(1.0, step / steps) if steps > 0 else 1.0


def loss_weights(config: LossConfig, step: int) -> dict[str, float]:
    """Weight of every term at a step; a term of weight 0 is not computed.

    Args:
        config: the full weights and their schedules.
        step: optimizer steps done so far.
    """
    pairwise = config.pairwise_weight * warmup_factor(step, config.pairwise_warmup)
    filled = config.filled_box_weight * (1 - warmup_factor(step, config.filled_box_steps))
    exchange = 1.0 if step >= config.exchange_start else 0.0
    intra = exchange * config.intra_weight
    return {
        "class": config.class_weight,
        "projection": config.projection_weight,
        "pairwise": pairwise,
        "filled_box": filled,
        "mask_bce": config.mask_bce_weight,
        "mask_dice": config.mask_dice_weight,
        "contrast": exchange * config.contrast_weight,
        "contrast_auxiliary": exchange * config.contrast_auxiliary_weight,
        "intra_projection": intra * config.projection_weight,
        "intra_pairwise": intra * pairwise,
        "intra_mask_bce": intra * config.mask_bce_weight,
        "intra_mask_dice": intra * config.mask_dice_weight,
        "intra_consistency": intra * config.intra_consistency_weight,
        "inter": exchange * config.inter_weight,
    }


def clips_of_other_videos(sources: tuple[str, ...]) -> list[int] | None:
    """For each clip of a batch the next one that shows another video; `None` if all show the same."""
    count = len(sources)
    if len(set(sources)) < 2:
        return None
    following = [[(clip + step) % count for step in range(1, count)] for clip in range(count)]
    return [next(o for o in others if sources[o] != sources[clip]) for clip, others in enumerate(following)]


def total_loss(terms: Terms, weights: dict[str, float]) -> Tensor:
    """Weighted sum of the terms."""
    return torch.stack([weights[name] * value for name, value in terms.items()]).sum()


@dataclass(frozen=True, slots=True)
class _Scene:
    """What the losses of one batch share, at the resolution of the mask logits.

    Attributes:
        labels: padded labels.
        valid: (N, h, w) bool.
        edges: four tensors (N, h', w') bool, or `None` where no pairwise term is on.
        times: (N,) frame index in the video.
        clip_frames: T.
        count: number of labels, averaged over ranks, at least 1.
    """

    labels: PaddedLabels
    valid: Tensor
    edges: tuple[Tensor, ...] | None
    times: Tensor
    clip_frames: int
    count: Tensor


class SetCriterion:
    """The loss terms of a batch. Reads boxes and classes; masks and identities only if the batch carries them.

    Args:
        loss: constants of the terms.
        matching: costs of the assignment.
        pairs: cross-frame matching.
        mean_over_ranks: averages a scalar tensor over all processes.
    """

    def __init__(
        self,
        loss: LossConfig,
        matching: MatchingConfig,
        pairs: PairConfig,
        mean_over_ranks: Callable[[Tensor], Tensor] = lambda value: value,
    ) -> None:
        self.loss = loss
        self.matching = matching
        self.pairs = pairs
        self.mean_over_ranks = mean_over_ranks

    def __call__(self, output: SegmenterOutput, batch: ClipBatch, weights: dict[str, float]) -> Terms:
        """Compute every term whose weight is not 0.

        Args:
            output: float32 predictions of the batch's N frames.
            batch: the clips.
            weights: from `loss_weights`.

        Returns:
            Unweighted scalar terms by name.
        """
        scene = self._scene(output, batch)
        matches = match_layers(output.layers, scene.labels, scene.valid, self.matching)
        terms = self._set_terms(output, matches, scene, weights)
        match = matches[-1]
        needs_pairs = any(weight for name, weight in weights.items() if name.startswith(("contrast", "intra")))
        if needs_pairs and scene.clip_frames > 1:
            pairs = self._pairs(output, match, batch, scene)
            terms |= self._contrast_terms(output, match, pairs, weights)
            terms |= self._intra_terms(output, match, pairs, scene, weights)
        if weights["inter"]:
            terms |= self._inter_terms(output, match, batch.sources, scene)
        return terms

    def _scene(self, output: SegmenterOutput, batch: ClipBatch) -> _Scene:
        size = (output.mask_features.shape[-2], output.mask_features.shape[-1])
        stride = batch.images.shape[-2] // size[0]
        valid = F.max_pool2d((~batch.frame_valid()).float()[:, None], stride)[:, 0] == 0
        boxes = [
            filled_boxes(target.boxes, size, stride) & frame_valid
            for target, frame_valid in zip(batch.targets, valid, strict=True)
        ]
        masks = None
        if batch.strong is not None and batch.strong.masks is not None:
            masks = tuple(F.avg_pool2d(mask.float()[:, None], stride)[:, 0] for mask in batch.strong.masks)
        labels = pad_labels(batch.targets, tuple(boxes), masks)
        edges = None
        if masks is None and self.loss.pairwise_weight:
            edges = self._strong_edges(batch.frames(), valid, stride)
        total = torch.tensor(sum(labels.counts), device=valid.device)
        return _Scene(
            labels=labels,
            valid=valid,
            edges=edges,
            times=batch.frame_times.flatten(),
            clip_frames=batch.images.shape[1],
            count=self._mean_count(total),
        )

    def _strong_edges(self, frames: Tensor, valid: Tensor, stride: int) -> tuple[Tensor, ...]:
        dilation = self.loss.pairwise_dilation
        lab = rgb_to_lab(F.avg_pool2d(frames.float() / 255, stride))
        edges = []
        for offset, affinity in zip(losses.HALF_NEIGHBOURHOOD, losses.color_affinity(lab, dilation), strict=True):
            first, second = losses.shifted(valid, (offset[0] * dilation, offset[1] * dilation))
            edges.append((affinity >= self.loss.pairwise_threshold) & first & second)
        return tuple(edges)

    def _set_terms(
        self, output: SegmenterOutput, matches: tuple[Match, ...], scene: _Scene, weights: dict[str, float]
    ) -> Terms:
        """Class and mask losses, summed over the decoder outputs."""
        match = matches[-1]  # the frames are those of every match
        queries = torch.stack([m.queries for m in matches])
        columns = torch.stack([m.labels for m in matches])
        matched = torch.stack(
            [layer.mask_logits[match.frames, row] for layer, row in zip(output.layers, queries, strict=True)]
        )
        terms = {"class": self._class_term(output.layers, matches, scene.labels)} if weights["class"] else {}
        return terms | self._mask_terms(matched, match.frames, columns, scene, weights, scene.count, prefix="")

    def _class_term(
        self, layers: tuple[LayerPrediction, ...], matches: tuple[Match, ...], labels: PaddedLabels
    ) -> Tensor:
        """Matched queries owe the class of their label, all others "no object"."""
        values = []
        for layer, match in zip(layers, matches, strict=True):
            no_object = layer.class_logits.shape[-1] - 1
            targets = torch.full(layer.class_logits.shape[:-1], no_object, device=layer.class_logits.device)
            targets[match.frames, match.queries] = labels.labels[match.frames, match.labels]
            values.append(losses.class_loss(layer.class_logits, targets, self.loss.no_object_weight))
        return torch.stack(values).sum()

    def _mask_terms(
        self,
        mask_logits: Tensor,
        frames: Tensor,
        columns: Tensor,
        scene: _Scene,
        weights: dict[str, float],
        count: Tensor,
        prefix: str,
    ) -> Terms:
        """What a mask owes to its label: true masks where there are any, else the box.

        Args:
            mask_logits: (..., M, h, w).
            frames: (M,) frame whose label is meant.
            columns: (..., M) label in the frame.
            scene: the batch.
            weights: of the terms.
            count: number of masks to divide by.
            prefix: "" for the own masks, "intra_" for exchanged ones.
        """
        labels, valid = scene.labels, scene.valid[frames]
        terms: Terms = {}
        if labels.masks is not None:
            masks = labels.masks[frames, columns]
            if weights[f"{prefix}mask_bce"]:
                terms[f"{prefix}mask_bce"] = losses.mask_bce_loss(mask_logits, masks, valid).sum() / count
            if weights[f"{prefix}mask_dice"]:
                terms[f"{prefix}mask_dice"] = losses.mask_dice_loss(mask_logits, masks, valid).sum() / count
            return terms
        box_masks = labels.box_masks[frames, columns]
        if weights[f"{prefix}projection"]:
            inside = mask_logits.masked_fill(~valid, torch.finfo(mask_logits.dtype).min)
            terms[f"{prefix}projection"] = losses.projection_loss(inside, box_masks).sum() / count
        if weights[f"{prefix}pairwise"] and scene.edges is not None:
            edges = tuple(edge[frames] for edge in scene.edges)
            total, strong_edges = losses.pairwise_loss(mask_logits, edges, box_masks, self.loss.pairwise_dilation)
            terms[f"{prefix}pairwise"] = (total.sum(-1) / self._mean_count(strong_edges.sum(-1))).sum()
        if not prefix and weights["filled_box"]:
            filled = box_masks.float()
            bce = losses.mask_bce_loss(mask_logits, filled, valid)
            dice = losses.mask_dice_loss(mask_logits, filled, valid)
            terms["filled_box"] = (bce + dice).sum() / count
        return terms

    def _pairs(self, output: SegmenterOutput, match: Match, batch: ClipBatch, scene: _Scene) -> FramePairs:
        if batch.strong is not None and batch.strong.track_ids is not None:
            ids = torch.nn.utils.rnn.pad_sequence(list(batch.strong.track_ids), batch_first=True)
            return identity_pairs(ids[match.frames, match.labels], match.frames, clip_frames=scene.clip_frames)
        return pseudo_identity_pairs(
            scene.labels.boxes[match.frames, match.labels],
            scene.labels.labels[match.frames, match.labels],
            output.contrast_embeddings[match.frames, match.queries],
            match.frames,
            scene.times[match.frames],
            clip_frames=scene.clip_frames,
            affinity=self.pairs.affinity,
            threshold=self.pairs.threshold,
        )

    def _mean_count(self, count: Tensor) -> Tensor:
        """A count to divide by: averaged over ranks, so that each label, pair or edge weighs the same, at least 1."""
        return self.mean_over_ranks(count.float()).clamp(min=1)

    def _pair_count(self, pairs: FramePairs) -> Tensor:
        return self._mean_count(torch.tensor(len(pairs.anchor), device=pairs.anchor.device))

    def _contrast_terms(
        self, output: SegmenterOutput, match: Match, pairs: FramePairs, weights: dict[str, float]
    ) -> Terms:
        """IQC: each anchor against all queries of the other frame, mean over the pairs."""
        if not weights["contrast"] and not weights["contrast_auxiliary"]:
            return {}
        anchors = output.contrast_embeddings[match.frames[pairs.anchor], match.queries[pairs.anchor]]
        others = output.contrast_embeddings[match.frames[pairs.positive]]  # P, Q, E
        positive = match.queries[pairs.positive]
        count = self._pair_count(pairs)
        similarity = torch.einsum("pe,pqe->pq", anchors, others)
        terms: Terms = {}
        if weights["contrast"]:
            terms["contrast"] = losses.query_contrast_loss(similarity, positive).sum() / count
        if weights["contrast_auxiliary"]:
            cosine = F.cosine_similarity(anchors[:, None], others, dim=-1)
            terms["contrast_auxiliary"] = losses.contrast_auxiliary_loss(cosine, positive).sum() / count
        return terms

    def _intra_terms(
        self, output: SegmenterOutput, match: Match, pairs: FramePairs, scene: _Scene, weights: dict[str, float]
    ) -> Terms:
        """QEML inside a video: the anchor's query must draw its instance in the other frame; mean over the pairs."""
        if not any(weight for name, weight in weights.items() if name.startswith("intra")):
            return {}
        source, target = pairs.anchor, pairs.positive
        frames = match.frames[target]
        count = self._pair_count(pairs)
        embeddings = output.mask_embeddings[match.frames[source], match.queries[source]]
        exchanged = losses.exchanged_masks(embeddings, frames, output.mask_features)
        terms = self._mask_terms(exchanged, frames, match.labels[target], scene, weights, count, prefix="intra_")
        if weights["intra_consistency"]:
            own = output.final.mask_logits[frames, match.queries[target]]
            consistency = losses.consistency_loss(exchanged, own, scene.valid[frames])
            terms["intra_consistency"] = consistency.sum() / count
        return terms

    def _inter_terms(self, output: SegmenterOutput, match: Match, sources: tuple[str, ...], scene: _Scene) -> Terms:
        """QEML across videos: a query taken to the next video of the batch must draw nothing there."""
        others = clips_of_other_videos(sources)
        if others is None:
            return {}
        clip, time = match.frames // scene.clip_frames, match.frames % scene.clip_frames
        frames = torch.tensor(others, device=clip.device)[clip] * scene.clip_frames + time
        embeddings = output.mask_embeddings[match.frames, match.queries]
        exchanged = losses.exchanged_masks(embeddings, frames, output.mask_features)
        return {"inter": losses.background_loss(exchanged, scene.valid[frames]).sum() / scene.count}
