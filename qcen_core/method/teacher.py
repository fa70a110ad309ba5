"""Masks of the averaged model as targets, where they agree with the box that is known (after BoxTeacher, BoxVIS)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from qcen_core.config import MatchingConfig
from qcen_core.method.losses import mask_bce_loss, mask_dice_loss
from qcen_core.method.matching import PaddedLabels, match_layers
from qcen_core.method.scene import Scene, Terms
from qcen_core.structures import LayerPrediction, Match, SegmenterOutput


@dataclass(frozen=True, slots=True)
class TeacherMasks:
    """What the teacher says about each label of N frames, padded to G labels.

    Attributes:
        masks: (N, G, h, w) float32 in 0..1; nothing outside the label's box.
        trusted: (N, G) bool, False on padding.
    """

    masks: Tensor
    trusted: Tensor


def projection_agreement(masks: Tensor, box_masks: Tensor) -> Tensor:
    """How well a mask fills its box on both axes: IoU of the x-projections times IoU of the y-projections, (...,).

    It is 1 if the mask has a cell in every row and column of the box and none elsewhere. A stray cell far away costs
    one row and one column, where the overlap of tight boxes would break down.

    Args:
        masks: (..., h, w) bool.
        box_masks: (..., h, w) bool, the filled boxes.
    """
    agreement = torch.ones(masks.shape[:-2], device=masks.device)
    for axis in (-2, -1):
        mask, box = masks.any(dim=axis), box_masks.any(dim=axis)
        agreement = agreement * (mask & box).sum(-1) / (mask | box).sum(-1).clamp(min=1)
    return agreement


@torch.no_grad()
def teacher_masks(
    layer: LayerPrediction,
    match: Match,
    labels: PaddedLabels,
    valid: Tensor,
    *,
    agreement: float,
    confidence: float,
) -> TeacherMasks:
    """Masks the teacher draws for the labels, and which of them are to be trusted. Reads boxes and classes only.

    Args:
        layer: the teacher's final prediction.
        match: of the teacher's queries to the labels.
        labels: of the frames.
        valid: (N, h, w) bool, False on padding.
        agreement: least `projection_agreement` of the whole mask with the label's box.
        confidence: least probability of the label's class.
    """
    frames, queries, columns = match.frames, match.queries, match.labels
    boxes = labels.box_masks[frames, columns]
    logits = layer.mask_logits[frames, queries]
    drawn = (logits > 0) & valid[frames]
    probability = layer.class_logits[frames, queries].softmax(-1)
    likely = probability.gather(1, labels.labels[frames, columns][:, None])[:, 0] >= confidence
    masks = torch.zeros_like(labels.box_masks, dtype=torch.float32)
    trusted = torch.zeros(labels.labels.shape, dtype=torch.bool, device=valid.device)
    masks[frames, columns] = logits.sigmoid() * boxes
    trusted[frames, columns] = likely & (projection_agreement(drawn, boxes) >= agreement)
    return TeacherMasks(masks, trusted)


def teacher_loss(mask_logits: Tensor, masks: Tensor, trusted: Tensor, valid: Tensor) -> Tensor:
    """BCE + dice against the teacher's masks, 0 where it is not trusted: (..., M).

    Args:
        mask_logits: (..., M, h, w).
        masks: (..., M, h, w) float.
        trusted: (..., M) bool.
        valid: (M, h, w) bool.
    """
    loss = mask_bce_loss(mask_logits, masks, valid) + mask_dice_loss(mask_logits, masks, valid)
    return loss * trusted


def teacher_terms(
    output: SegmenterOutput,
    matches: tuple[Match, ...],
    teacher: SegmenterOutput,
    scene: Scene,
    config: MatchingConfig,
) -> Terms:
    """The term `teacher`: every label whose teacher mask is trusted, summed over the decoder outputs.

    It is divided by the number of labels, so that it is small as long as few masks are trusted. There is no term
    where the batch has true masks.

    Args:
        output: predictions of the batch's N frames.
        matches: of them, one for each decoder output.
        teacher: predictions of the averaged model for the same frames.
        scene: the batch.
        config: costs of the teacher's own assignment.
    """
    if scene.labels.masks is not None:
        return {}
    [own_match] = match_layers(teacher.layers[-1:], scene.labels, scene.valid, scene.extent, config)
    found = teacher_masks(
        teacher.final,
        own_match,
        scene.labels,
        scene.valid,
        agreement=scene.config.teacher_agreement,
        confidence=scene.config.teacher_confidence,
    )
    values = []
    for layer, match in zip(output.layers, matches, strict=True):
        frames, columns = match.frames, match.labels
        logits = layer.mask_logits[frames, match.queries]
        masks, trusted = found.masks[frames, columns], found.trusted[frames, columns]
        values.append(teacher_loss(logits, masks, trusted, scene.valid[frames]).sum())
    return {"teacher": torch.stack(values).sum() / scene.count}
