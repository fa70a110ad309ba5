"""The terms of query-exchanged mask learning (QEML) for guests: queries that pass the decoder of another frame.

A guest inside its video must find its instance again; in another video it must say "no object" and draw nothing.
Each visits one frame: the one before its own in the clip, and one of the clip before. The predictions before the
first decoder layer are taught nothing, the guest has not yet seen the frame.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from qcen_core.method import losses
from qcen_core.method.scene import Scene, Terms
from qcen_core.method.set_terms import mask_terms
from qcen_core.ops.exchange import inter_target, intra_target
from qcen_core.structures import Exchanged, FramePairs, LayerPrediction, Match, SegmenterOutput


class Visits(NamedTuple):
    """V matched queries as guests.

    Attributes:
        guests: (V,) int64, index into the `Match`.
        frames: (V,) int64, the frame visited.
    """

    guests: Tensor
    frames: Tensor


def pairs_by_visit(match: Match, pairs: FramePairs, clip_frames: int) -> FramePairs:
    """The pairs whose positive is in the frame that the anchor visits: of two frames all, of more those in a row.

    Args:
        match: of the final decoder output.
        pairs: into the match.
        clip_frames: T.
    """
    met = match.frames[pairs.positive] == intra_target(match.frames[pairs.anchor], clip_frames)
    return FramePairs(pairs.anchor[met], pairs.positive[met])


def visits_to_other_videos(match: Match, sources: tuple[str, ...], clip_frames: int) -> Visits | None:
    """The matched queries whose visit to another clip leads to another video; `None` if no clip's does.

    Args:
        match: of the final decoder output.
        sources: B names of the videos.
        clip_frames: T.
    """
    away = [source != sources[clip - 1] for clip, source in enumerate(sources)]
    if not any(away):
        return None
    guests = torch.tensor(away, device=match.frames.device)[match.frames // clip_frames].nonzero()[:, 0]
    return Visits(guests, inter_target(match.frames[guests], clip_frames, len(sources) * clip_frames))


def guest_intra_terms(
    output: SegmenterOutput,
    exchanged: Exchanged,
    match: Match,
    pairs: FramePairs,
    scene: Scene,
    weights: dict[str, float],
) -> Terms:
    """QEML inside a video: class, mask and box of the guest's instance after every layer; masks and boxes of pairs.

    A guest without a partner in the frame it visits owes "no object": its instance is hidden or gone.

    Args:
        output: predictions of the batch's N frames.
        exchanged: those of the guests.
        match: of the final decoder output.
        pairs: into the match.
        scene: the batch.
        weights: of the terms.
    """
    if not any(weight for name, weight in weights.items() if name.startswith("intra")):
        return {}
    pairs = pairs_by_visit(match, pairs, scene.clip_frames)
    count = scene.pair_count(pairs)
    layers = exchanged.intra[1:]
    frames, columns = match.frames[pairs.positive], match.labels[pairs.positive]
    queries = match.queries[pairs.anchor]
    terms: Terms = {}
    if weights["intra_class"]:
        everyone = Visits(
            torch.arange(len(match.frames), device=match.frames.device), intra_target(match.frames, scene.clip_frames)
        )
        targets = torch.full_like(match.labels, layers[0].class_logits.shape[-1] - 1)
        targets[pairs.anchor] = scene.labels.labels[frames, columns]
        terms["intra_class"] = _class_term(layers, match, everyone, targets, scene.config.no_object_weight)
    masks = torch.stack([layer.mask_logits[frames, queries] for layer in layers])
    terms |= mask_terms(masks, frames, columns.expand(len(layers), -1), scene, weights, count, prefix="intra_")
    terms |= _box_terms(layers, frames, queries, columns, scene, weights, count)
    if weights["intra_consistency"]:
        own = output.final.mask_logits[frames, match.queries[pairs.positive]]
        terms["intra_consistency"] = losses.consistency_loss(masks[-1], own, scene.valid[frames]).sum() / count
    return terms


def guest_inter_terms(
    exchanged: Exchanged, match: Match, sources: tuple[str, ...], scene: Scene, weights: dict[str, float]
) -> Terms:
    """QEML across videos: "no object" and an empty mask after every layer.

    Args:
        exchanged: predictions of the guests.
        match: of the final decoder output.
        sources: B names of the videos; clips whose guests come to their own video take no part.
        scene: the batch.
        weights: of the terms.
    """
    visits = visits_to_other_videos(match, sources, scene.clip_frames)
    if visits is None:
        return {}
    layers = exchanged.inter[1:]
    terms: Terms = {}
    if weights["inter"]:
        masks = torch.stack([layer.mask_logits[visits.frames, match.queries[visits.guests]] for layer in layers])
        terms["inter"] = losses.background_loss(masks, scene.valid[visits.frames]).sum() / scene.count
    if weights["inter_class"]:
        targets = torch.full_like(visits.guests, layers[0].class_logits.shape[-1] - 1)
        terms["inter_class"] = _class_term(layers, match, visits, targets, no_object_weight=1.0)
    return terms


def _class_term(
    layers: tuple[LayerPrediction, ...], match: Match, visits: Visits, targets: Tensor, no_object_weight: float
) -> Tensor:
    """Sum over the layers of a mean over the guests; 0 without guests."""
    logits = [layer.class_logits[visits.frames, match.queries[visits.guests]] for layer in layers]
    if not len(targets):
        return torch.stack(logits).sum()
    return torch.stack(
        [losses.class_loss(of_layer[None], targets[None], no_object_weight) for of_layer in logits]
    ).sum()


def _box_terms(
    layers: tuple[LayerPrediction, ...],
    frames: Tensor,
    queries: Tensor,
    columns: Tensor,
    scene: Scene,
    weights: dict[str, float],
    count: Tensor,
) -> Terms:
    """Boxes of (P,) guests against the labels they shall find, summed over the layers; no terms without boxes."""
    found = [layer.boxes[frames, queries] for layer in layers if layer.boxes is not None]
    terms: Terms = {}
    if not found:
        return terms
    boxes = torch.stack(found)
    labels = scene.labels.boxes[frames, columns].expand_as(boxes)
    if weights["intra_box_l1"]:
        extent = scene.extent[frames].expand(len(layers), -1, -1)
        terms["intra_box_l1"] = losses.box_l1_loss(boxes, labels, extent).sum() / count
    if weights["intra_box_giou"]:
        terms["intra_box_giou"] = losses.box_giou_loss(boxes, labels).sum() / count
    return terms
