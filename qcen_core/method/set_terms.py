"""The set terms: what every matched query of every frame and decoder output owes to its label."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from qcen_core.method import losses
from qcen_core.method.mask_points import PointLabels, pixels_at, uncertain_points, values_at
from qcen_core.method.scene import Scene
from qcen_core.method.shares import Share, Shares
from qcen_core.structures import LayerPrediction, Match, SegmenterOutput


def set_terms(output: SegmenterOutput, matches: tuple[Match, ...], scene: Scene, weights: dict[str, float]) -> Shares:
    """Class and mask losses, summed over the decoder outputs.

    Args:
        output: predictions of the batch's N frames.
        matches: one for each of the L decoder outputs.
        scene: the batch.
        weights: of the terms.
    """
    match = matches[-1]  # the frames are those of every match
    queries = torch.stack([m.queries for m in matches])
    columns = torch.stack([m.labels for m in matches])
    matched = torch.stack(
        [layer.mask_logits[match.frames, row] for layer, row in zip(output.layers, queries, strict=True)]
    )
    terms: Shares = {}
    if weights["class"]:
        terms["class"] = _class_term(output.layers, matches, scene)
    terms |= located_terms(output, matches, scene, weights)
    return terms | mask_terms(matched, match.frames, columns, scene, weights, scene.count, prefix="")


def located_terms(
    output: SegmenterOutput, matches: tuple[Match, ...], scene: Scene, weights: dict[str, float]
) -> Shares:
    """What located queries owe beside their masks: the map of box centres, and a box on every decoder output.

    Args:
        output: predictions of the batch's N frames; without places there are no such terms.
        matches: one for each of the L decoder outputs.
        scene: the batch.
        weights: of the terms.
    """
    terms: Shares = {}
    if output.center_logits is not None and weights["center"]:
        terms["center"] = _center_term(output.center_logits, scene)
    if output.final.boxes is None:
        return terms
    own = torch.cat([_boxes(layer)[m.frames, m.queries] for layer, m in zip(output.layers, matches, strict=True)])
    labels = torch.cat([scene.labels.boxes[m.frames, m.labels] for m in matches])
    if weights["box_l1"]:
        extent = torch.cat([scene.extent[m.frames] for m in matches])
        terms["box_l1"] = Share(losses.box_l1_loss(own, labels, extent).sum(), scene.count)
    if weights["box_giou"]:
        terms["box_giou"] = Share(losses.box_giou_loss(own, labels).sum(), scene.count)
    return terms


def _boxes(layer: LayerPrediction) -> Tensor:
    assert layer.boxes is not None  # noqa: S101  # all decoder outputs have boxes, or none
    return layer.boxes


def _center_term(center_logits: Tensor, scene: Scene) -> Share:
    classes, height, width = center_logits.shape[1:]
    stride = scene.stride * scene.valid.shape[-1] // width
    targets = [
        losses.center_targets(boxes[:count], labels[:count], classes, (height, width), stride)
        for boxes, labels, count in zip(scene.labels.boxes, scene.labels.labels, scene.labels.counts, strict=True)
    ]
    # A label is owed even where it lies in a region to ignore.
    owed = scene.valid if scene.ignored is None else scene.valid & (~scene.ignored | scene.labels.box_masks.any(dim=1))
    valid = F.interpolate(owed[:, None].float(), size=(height, width), mode="area")[:, 0] == 1
    return Share(losses.center_loss(center_logits, torch.stack(targets), valid).sum(), scene.count)


def mask_terms(
    mask_logits: Tensor,
    frames: Tensor,
    columns: Tensor,
    scene: Scene,
    weights: dict[str, float],
    count: Tensor,
    prefix: str,
) -> Shares:
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
    terms: Shares = {}
    if labels.masks is not None:
        masks = labels.masks[frames, columns]
        if scene.points is not None:
            mask_logits, masks = _at_points(mask_logits, frames, columns, scene.points)
        inside = valid if scene.points is None else None
        if weights[f"{prefix}mask_bce"]:
            terms[f"{prefix}mask_bce"] = Share(losses.mask_bce_loss(mask_logits, masks, inside).sum(), count)
        if weights[f"{prefix}mask_dice"]:
            terms[f"{prefix}mask_dice"] = Share(losses.mask_dice_loss(mask_logits, masks, inside).sum(), count)
        return terms
    box_masks = labels.box_masks[frames, columns]
    if weights[f"{prefix}projection"]:
        inside = mask_logits.masked_fill(~valid, torch.finfo(mask_logits.dtype).min)
        projection = losses.projection_loss(inside, labels.columns[frames, columns], labels.rows[frames, columns])
        terms[f"{prefix}projection"] = Share(projection.sum(), count)
    if weights[f"{prefix}pairwise"] and scene.edges is not None:
        edges = tuple(edge[frames] for edge in scene.edges)
        total, strong_edges = losses.pairwise_loss(mask_logits, edges, box_masks, scene.config.pairwise_dilation)
        terms[f"{prefix}pairwise"] = Share(total.sum(-1), strong_edges.sum(-1))
    if not prefix and weights["filled_box"]:
        filled = box_masks.float()
        bce = losses.mask_bce_loss(mask_logits, filled, valid)
        dice = losses.mask_dice_loss(mask_logits, filled, valid)
        terms["filled_box"] = Share((bce + dice).sum(), count)
    return terms


def _at_points(mask_logits: Tensor, frames: Tensor, columns: Tensor, labels: PointLabels) -> tuple[Tensor, Tensor]:
    """Masks (..., M, h, w) and their labels at uncertain points of each mask, as maps (..., M, 1, P)."""
    shape = mask_logits.shape[:-2]
    layers = mask_logits.flatten(0, -4) if len(shape) > 1 else mask_logits[None]
    points = uncertain_points(layers.transpose(0, 1), labels.extent[frames], labels.count).unbind(1)
    # Layer by layer, so that what is made on the way stays in a processor's cache.
    values = [values_at(layer[:, None], own) for layer, own in zip(layers, points, strict=True)]
    meant = columns.reshape(len(layers), -1)
    targets = [pixels_at(labels.pixels, frames, own, place) for own, place in zip(meant, points, strict=True)]
    row = (*shape, 1, labels.count)
    return torch.stack(values).view(row), torch.stack(targets).view(row)


def _class_term(layers: tuple[LayerPrediction, ...], matches: tuple[Match, ...], scene: Scene) -> Share:
    """Matched queries owe the class of their label, all others "no object", unless they lie in an ignored region."""
    sums = []
    for layer, match in zip(layers, matches, strict=True):
        no_object = layer.class_logits.shape[-1] - 1
        targets = torch.full(layer.class_logits.shape[:-1], no_object, device=layer.class_logits.device)
        if scene.ignored is not None:
            targets[_lie_in(layer.mask_logits, scene.ignored)] = losses.IGNORED
        targets[match.frames, match.queries] = scene.labels.labels[match.frames, match.labels]
        sums.append(losses.class_loss(layer.class_logits, targets, scene.config.no_object_weight))
    return class_share(sums)


def class_share(sums: Sequence[tuple[Tensor, Tensor]]) -> Share:
    """The class losses of several layers, each a mean of its own."""
    return Share(*(torch.stack(parts) for parts in zip(*sums, strict=True)))


def _lie_in(mask_logits: Tensor, region: Tensor) -> Tensor:
    """(N, Q) bool: whether more than half of a query's mask lies in a region, (N, h, w)."""
    masks = mask_logits > 0
    return 2 * (masks & region[:, None]).sum(dim=(-2, -1)) > masks.sum(dim=(-2, -1))
