"""From predictions and labels to named loss terms: the set losses of every decoder output, contrast and exchange."""

from dataclasses import dataclass

import torch
from torch import Tensor

from qcen_core.config import LossConfig, MatchingConfig, PairConfig
from qcen_core.method.contrast_terms import contrast_terms
from qcen_core.method.exchange_terms import inter_terms, intra_terms
from qcen_core.method.guest_terms import guest_inter_terms, guest_intra_terms
from qcen_core.method.matching import match_layers
from qcen_core.method.pairs import identity_pairs, pseudo_identity_pairs
from qcen_core.method.scene import Scene, build_scene
from qcen_core.method.set_terms import set_terms
from qcen_core.method.shares import Shares, Terms, divided
from qcen_core.ops.ranks import Ranks
from qcen_core.structures import ClipBatch, FramePairs, Match, SegmenterOutput

TERM_NAMES = (
    "class",
    "center",
    "box_l1",
    "box_giou",
    "projection",
    "pairwise",
    "filled_box",
    "mask_bce",
    "mask_dice",
    "contrast",
    "contrast_auxiliary",
    "intra_class",
    "intra_box_l1",
    "intra_box_giou",
    "intra_projection",
    "intra_pairwise",
    "intra_mask_bce",
    "intra_mask_dice",
    "intra_consistency",
    "inter",
    "inter_class",
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
        "center": config.center_weight,
        "box_l1": config.box_l1_weight,
        "box_giou": config.box_giou_weight,
        "projection": config.projection_weight,
        "pairwise": pairwise,
        "filled_box": filled,
        "mask_bce": config.mask_bce_weight,
        "mask_dice": config.mask_dice_weight,
        "contrast": exchange * config.contrast_weight,
        "contrast_auxiliary": exchange * config.contrast_auxiliary_weight,
        "intra_class": intra * config.class_weight,
        "intra_box_l1": intra * config.box_l1_weight,
        "intra_box_giou": intra * config.box_giou_weight,
        "intra_projection": intra * config.projection_weight,
        "intra_pairwise": intra * pairwise,
        "intra_mask_bce": intra * config.mask_bce_weight,
        "intra_mask_dice": intra * config.mask_dice_weight,
        "intra_consistency": intra * config.intra_consistency_weight,
        "inter": exchange * config.inter_weight,
        "inter_class": exchange * config.inter_weight * config.class_weight,
    }


def exchange_is_taught(weights: dict[str, float]) -> bool:
    """Whether any term looks at exchanged queries."""
    return any(weight for name, weight in weights.items() if name.startswith(("intra", "inter")))


def total_loss(terms: Terms, weights: dict[str, float]) -> Tensor:
    """Weighted sum of the terms."""
    return torch.stack([weights[name] * value for name, value in terms.items()]).sum()


@dataclass(frozen=True, slots=True)
class CriterionResult:
    """What the criterion found in a batch.

    Attributes:
        scene: the batch as the terms saw it.
        terms: unweighted scalar terms by name.
        match: labels and queries of the final decoder output.
        pairs: matched queries held to be one instance: true identities where the batch carries them, else
            pseudo-identities; `None` if no term asked for pairs.
    """

    scene: Scene
    terms: Terms
    match: Match
    pairs: FramePairs | None


class SetCriterion:
    """The loss terms of a batch. Reads boxes and classes; masks and identities only if the batch carries them.

    Args:
        loss: constants of the terms.
        matching: costs of the assignment.
        pairs: cross-frame matching.
        ranks: the processes that learn together; by default this one on its own.
    """

    def __init__(
        self,
        loss: LossConfig,
        matching: MatchingConfig,
        pairs: PairConfig,
        ranks: Ranks | None = None,
    ) -> None:
        self.loss = loss
        self.matching = matching
        self.pairs = pairs
        self.ranks = ranks or Ranks()

    def __call__(self, output: SegmenterOutput, batch: ClipBatch, weights: dict[str, float]) -> CriterionResult:
        """Compute every term whose weight is not 0.

        Args:
            output: float32 predictions of the batch's N frames.
            batch: the clips.
            weights: from `loss_weights`.
        """
        size = (output.mask_features.shape[-2], output.mask_features.shape[-1])
        scene = build_scene(batch, size, self.loss, self.ranks)
        matches = match_layers(output.layers, scene.labels, scene.valid, scene.extent, self.matching, scene.points)
        match = matches[-1]
        shares = set_terms(output, matches, scene, weights)
        pairs = None
        needs_pairs = any(weight for name, weight in weights.items() if name.startswith(("contrast", "intra")))
        if needs_pairs and scene.clip_frames > 1:
            pairs = self._pairs(output, match, batch, scene)
            shares |= contrast_terms(output, match, pairs, scene, weights)
            shares |= self._intra_terms(output, match, pairs, scene, weights)
        shares |= self._inter_terms(output, match, batch.step_sources, scene, weights)
        return CriterionResult(scene, divided(shares, self.ranks), match, pairs)

    def _intra_terms(
        self, output: SegmenterOutput, match: Match, pairs: FramePairs, scene: Scene, weights: dict[str, float]
    ) -> Shares:
        if output.exchanged is None:
            return intra_terms(output, match, pairs, scene, weights)
        return guest_intra_terms(output, output.exchanged, match, pairs, scene, weights)

    def _inter_terms(
        self,
        output: SegmenterOutput,
        match: Match,
        sources: tuple[str, ...],
        scene: Scene,
        weights: dict[str, float],
    ) -> Shares:
        if output.exchanged is not None:
            return guest_inter_terms(output, output.exchanged, match, sources, scene, weights)
        return inter_terms(output, match, sources, scene) if weights["inter"] else {}

    def _pairs(self, output: SegmenterOutput, match: Match, batch: ClipBatch, scene: Scene) -> FramePairs:
        if batch.strong is not None and batch.strong.track_ids is not None:
            ids = torch.nn.utils.rnn.pad_sequence(list(batch.strong.track_ids), batch_first=True)
            return identity_pairs(ids[match.frames, match.labels], match.frames, clip_frames=scene.clip_frames)
        return self.pseudo_pairs(output, match, scene)

    def pseudo_pairs(self, output: SegmenterOutput, match: Match, scene: Scene) -> FramePairs:
        """The matched queries held to be one instance without reading an identity, both directions.

        Args:
            output: float32 predictions of the batch's N frames.
            match: of the final decoder output.
            scene: the batch.
        """
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
