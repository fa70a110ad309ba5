"""Per-frame assignment of labels to queries, for all frames and all decoder outputs at once."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from qcen_core.config import MatchingConfig
from qcen_core.method.losses import box_giou_loss, box_l1_loss, projections, squared_dice
from qcen_core.method.mask_points import PointLabels, values_at
from qcen_core.ops.assignment import assign_each
from qcen_core.ops.boxes import box_coverage, filled_boxes
from qcen_core.structures import BoxTarget, LayerPrediction, Match


@dataclass(frozen=True, slots=True)
class PaddedLabels:
    """The labels of N frames on a grid, padded to the largest count G.

    Attributes:
        labels: (N, G) int64, 0 on padding.
        boxes: (N, G, 4) float32, 0 on padding.
        box_masks: (N, G, h, w) bool filled boxes, padded pixels of the input excluded.
        columns: (N, G, w) float32 in 0..1, how much of each column the box covers, 0 on padding.
        rows: (N, G, h) float32, the same of each row.
        masks: (N, G, h, w) float32 true masks in 0..1, the share of each cell, or `None` where the level has none.
        counts: N numbers of labels.
    """

    labels: Tensor
    boxes: Tensor
    box_masks: Tensor
    columns: Tensor
    rows: Tensor
    masks: Tensor | None
    counts: tuple[int, ...]


def grid_labels(
    targets: tuple[BoxTarget, ...], masks: tuple[Tensor, ...] | None, valid: Tensor, stride: int
) -> PaddedLabels:
    """Bring the labels of N frames to a grid and stack them.

    Args:
        targets: boxes and classes of each frame.
        masks: N tensors (G, H, W) bool true masks in pixels of the input, or `None`.
        valid: (N, h, w) bool, False on padding.
        stride: pixels a cell.
    """
    size = (valid.shape[-2], valid.shape[-1])
    covered = [box_coverage(target.boxes, size, stride) for target in targets]
    filled = [filled_boxes(t.boxes, size, stride) & inside for t, inside in zip(targets, valid, strict=True)]
    pooled = None if masks is None else [F.avg_pool2d(mask.float()[:, None], stride)[:, 0] for mask in masks]
    return PaddedLabels(
        labels=_pad([target.labels for target in targets]),
        boxes=_pad([target.boxes for target in targets]),
        box_masks=_pad(filled),
        columns=_pad([columns for columns, _ in covered]),
        rows=_pad([rows for _, rows in covered]),
        masks=None if pooled is None else _pad(pooled),
        counts=tuple(len(target.labels) for target in targets),
    )


def _pad(parts: list[Tensor]) -> Tensor:
    return torch.nn.utils.rnn.pad_sequence(parts, batch_first=True)


def class_cost(class_logits: Tensor, labels: Tensor) -> Tensor:
    """-probability of each label's class: (N, Q, G) for (N, Q, K + 1) and (N, G)."""
    index = labels[:, None, :].expand(-1, class_logits.shape[1], -1)
    return -class_logits.softmax(-1).gather(-1, index)


def projection_cost(mask_logits: Tensor, columns: Tensor, rows: Tensor, valid: Tensor) -> Tensor:
    """Dice of both projections of every query against every label (BoxVIS): (N, Q, G).

    Args:
        mask_logits: (N, Q, h, w).
        columns: (N, G, w) how much of each column the box covers.
        rows: (N, G, h) the same of each row.
        valid: (N, h, w) bool.
    """
    inside = mask_logits.masked_fill(~valid[:, None], torch.finfo(mask_logits.dtype).min)
    x, y = projections(inside)
    return squared_dice(x[:, :, None], columns[:, None]) + squared_dice(y[:, :, None], rows[:, None])


def box_cost(boxes: Tensor, labels: Tensor, extent: Tensor, l1_weight: float, giou_weight: float) -> Tensor:
    """Distance and generalised IoU of every predicted box against every label (DETR): (N, Q, G).

    Args:
        boxes: (N, Q, 4) pixels.
        labels: (N, G, 4) pixels.
        extent: (N, 2) width and height of the frames in pixels.
        l1_weight: of the distance, relative to the frame.
        giou_weight: of minus the generalised IoU.
    """
    distance = box_l1_loss(boxes[:, :, None], labels[:, None], extent[:, None, None])
    return l1_weight * distance + giou_weight * (box_giou_loss(boxes[:, :, None], labels[:, None]) - 1)


def mask_cost(
    mask_logits: Tensor, masks: Tensor, valid: Tensor | None, bce_weight: float, dice_weight: float
) -> Tensor:
    """BCE and dice of every query against every true mask (Mask2Former): (N, Q, G).

    Args:
        mask_logits: (N, Q, h, w).
        masks: (N, G, h, w) float in 0..1.
        valid: (N, h, w) bool, or `None` if all pixels are.
        bce_weight: of the cross-entropy, mean over valid pixels.
        dice_weight: of the dice.
    """
    logits, target = mask_logits.flatten(2), masks.flatten(2)
    uncertainty, probability = F.softplus(logits), logits.sigmoid()
    pixels: Tensor | int = logits.shape[-1]
    if valid is not None:
        inside = valid.float().flatten(1)[:, None]
        target, uncertainty, probability = target * inside, uncertainty * inside, probability * inside
        pixels = inside.sum(-1).clamp(min=1)[..., None]
    overlap = torch.einsum("nqp,ngp->nqg", logits, target)
    bce = (uncertainty.sum(-1)[..., None] - overlap) / pixels
    shared = torch.einsum("nqp,ngp->nqg", probability, target)
    dice = 1 - (2 * shared + 1) / (probability.sum(-1)[..., None] + target.sum(-1)[:, None] + 1)
    return bce_weight * bce + dice_weight * dice


@torch.no_grad()
def match_layers(
    layers: tuple[LayerPrediction, ...],
    labels: PaddedLabels,
    valid: Tensor,
    extent: Tensor,
    config: MatchingConfig,
    points: PointLabels | None = None,
) -> tuple[Match, ...]:
    """Assign labels to queries on every decoder output (DETR's matching; costs of BoxVIS or Mask2Former).

    All costs are computed on the device and cross to the host in one transfer, all matches back in another.

    Args:
        layers: L predictions.
        labels: the labels; where they hold true masks the mask costs are used, else the projection cost.
        valid: (N, h, w) bool, False on padding.
        extent: (N, 2) width and height of the frames in pixels.
        config: cost weights.
        points: true masks at points, at which the mask costs are then computed; by default on every cell.

    Returns:
        L matches, each with the same number of couples, sorted by frame and label.
    """
    outputs, frames, device = len(layers), len(valid), valid.device
    if max(labels.counts, default=0) == 0:
        empty = torch.zeros(0, dtype=torch.int64, device=device)
        return (Match(empty, empty, empty),) * outputs
    cost = torch.stack([_layer_cost(layer, labels, valid, extent, config, points) for layer in layers])
    assigned = assign_each(cost.flatten(0, 1).float().cpu().numpy(), labels.counts * outputs)
    rows = []
    for place, (queries, indices) in enumerate(assigned):
        couples = sorted(zip(indices.tolist(), queries.tolist(), strict=True))
        rows += [(place % frames, query, label) for label, query in couples]
    tables = torch.tensor(rows, dtype=torch.int64).view(outputs, -1, 3)
    if device.type == "cuda":
        tables = tables.pin_memory()
    return tuple(Match(*table.unbind(dim=1)) for table in tables.to(device, non_blocking=True))


def _layer_cost(
    layer: LayerPrediction,
    labels: PaddedLabels,
    valid: Tensor,
    extent: Tensor,
    config: MatchingConfig,
    points: PointLabels | None,
) -> Tensor:
    cost = config.class_cost * class_cost(layer.class_logits, labels.labels)
    if layer.boxes is not None:
        cost = cost + box_cost(layer.boxes, labels.boxes, extent, config.box_l1_cost, config.box_giou_cost)
    if labels.masks is None:
        projection = projection_cost(layer.mask_logits, labels.columns, labels.rows, valid)
        return cost + config.projection_cost * projection
    if points is None:
        return cost + mask_cost(layer.mask_logits, labels.masks, valid, config.mask_bce_cost, config.mask_dice_cost)
    logits, masks = values_at(layer.mask_logits, points.points)[:, :, None], points.masks[:, :, None]  # of one row
    return cost + mask_cost(logits, masks, None, config.mask_bce_cost, config.mask_dice_cost)
