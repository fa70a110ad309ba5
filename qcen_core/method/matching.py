"""Per-frame assignment of labels to queries, for all frames and all decoder outputs at once."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from qcen_core.config import MatchingConfig
from qcen_core.method.losses import projections, squared_dice
from qcen_core.ops.assignment import assign_each
from qcen_core.structures import BoxTarget, LayerPrediction, Match


@dataclass(frozen=True, slots=True)
class PaddedLabels:
    """The labels of N frames, padded to the largest count G.

    Attributes:
        labels: (N, G) int64, 0 on padding.
        boxes: (N, G, 4) float32, 0 on padding.
        box_masks: (N, G, h, w) bool filled boxes at a quarter of the input size, padded pixels of the input excluded.
        masks: (N, G, h, w) float32 true masks in 0..1, or `None` where the level has none.
        counts: N numbers of labels.
    """

    labels: Tensor
    boxes: Tensor
    box_masks: Tensor
    masks: Tensor | None
    counts: tuple[int, ...]


def pad_labels(
    targets: tuple[BoxTarget, ...], box_masks: tuple[Tensor, ...], masks: tuple[Tensor, ...] | None
) -> PaddedLabels:
    """Stack ragged labels; `box_masks` and `masks` hold one (G_n, h, w) tensor a frame."""
    counts = tuple(len(target.labels) for target in targets)

    def pad(parts: list[Tensor]) -> Tensor:
        return torch.nn.utils.rnn.pad_sequence(parts, batch_first=True)

    return PaddedLabels(
        labels=pad([target.labels for target in targets]),
        boxes=pad([target.boxes for target in targets]),
        box_masks=pad(list(box_masks)),
        masks=None if masks is None else pad(list(masks)),
        counts=counts,
    )


def class_cost(class_logits: Tensor, labels: Tensor) -> Tensor:
    """-probability of each label's class: (N, Q, G) for (N, Q, K + 1) and (N, G)."""
    index = labels[:, None, :].expand(-1, class_logits.shape[1], -1)
    return -class_logits.softmax(-1).gather(-1, index)


def projection_cost(mask_logits: Tensor, box_masks: Tensor, valid: Tensor) -> Tensor:
    """Dice of both projections of every query against every label (BoxVIS): (N, Q, G).

    Args:
        mask_logits: (N, Q, h, w).
        box_masks: (N, G, h, w) bool, False on padding.
        valid: (N, h, w) bool.
    """
    inside = mask_logits.masked_fill(~valid[:, None], torch.finfo(mask_logits.dtype).min)
    x, y = projections(inside)
    box_x, box_y = box_masks.any(dim=-2).float(), box_masks.any(dim=-1).float()
    return squared_dice(x[:, :, None], box_x[:, None]) + squared_dice(y[:, :, None], box_y[:, None])


def mask_cost(mask_logits: Tensor, masks: Tensor, valid: Tensor, bce_weight: float, dice_weight: float) -> Tensor:
    """BCE and dice of every query against every true mask (Mask2Former): (N, Q, G).

    Args:
        mask_logits: (N, Q, h, w).
        masks: (N, G, h, w) float in 0..1.
        valid: (N, h, w) bool.
        bce_weight: of the cross-entropy, mean over valid pixels.
        dice_weight: of the dice.
    """
    inside = valid.float().flatten(1)[:, None]
    logits, target = mask_logits.flatten(2), masks.flatten(2) * inside
    overlap = torch.einsum("nqp,ngp->nqg", logits, target)
    bce = ((F.softplus(logits) * inside).sum(-1)[..., None] - overlap) / inside.sum(-1).clamp(min=1)[..., None]
    probability = logits.sigmoid() * inside
    shared = torch.einsum("nqp,ngp->nqg", probability, target)
    dice = 1 - (2 * shared + 1) / (probability.sum(-1)[..., None] + target.sum(-1)[:, None] + 1)
    return bce_weight * bce + dice_weight * dice


@torch.no_grad()
def match_layers(
    layers: tuple[LayerPrediction, ...], labels: PaddedLabels, valid: Tensor, config: MatchingConfig
) -> tuple[Match, ...]:
    """Assign labels to queries on every decoder output (DETR's matching; costs of BoxVIS or Mask2Former).

    All costs are computed on the device and cross to the host in one transfer.

    Args:
        layers: L predictions.
        labels: the labels; where they hold true masks the mask costs are used, else the projection cost.
        valid: (N, h, w) bool, False on padding.
        config: cost weights.

    Returns:
        L matches, each with the same number of couples, sorted by frame and label.
    """
    outputs, frames, device = len(layers), len(valid), valid.device
    if max(labels.counts, default=0) == 0:
        empty = torch.zeros(0, dtype=torch.int64, device=device)
        return (Match(empty, empty, empty),) * outputs
    cost = torch.stack([_layer_cost(layer, labels, valid, config) for layer in layers])
    assigned = assign_each(cost.flatten(0, 1).float().cpu().numpy(), labels.counts * outputs)
    matches = []
    for output in range(outputs):
        rows = []
        for frame, (queries, indices) in enumerate(assigned[output * frames : (output + 1) * frames]):
            couples = sorted(zip(indices.tolist(), queries.tolist(), strict=True))
            rows += [(frame, query, label) for label, query in couples]
        table = torch.tensor(rows, dtype=torch.int64, device=device).reshape(-1, 3)
        matches.append(Match(table[:, 0], table[:, 1], table[:, 2]))
    return tuple(matches)


def _layer_cost(layer: LayerPrediction, labels: PaddedLabels, valid: Tensor, config: MatchingConfig) -> Tensor:
    cost = config.class_cost * class_cost(layer.class_logits, labels.labels)
    if labels.masks is None:
        return cost + config.projection_cost * projection_cost(layer.mask_logits, labels.box_masks, valid)
    return cost + mask_cost(layer.mask_logits, labels.masks, valid, config.mask_bce_cost, config.mask_dice_cost)
