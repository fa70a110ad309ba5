"""The terms of query-exchanged mask learning (QEML) for guests: queries that pass the decoder of another frame.

A guest inside its video must find its instance again; in another video it must say "no object" and draw nothing.
Each visits one frame: the one before its own in the clip, and one of the clip before. The predictions before the
first decoder layer are taught nothing, the guest has not yet seen the frame.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from qcen_core.method import losses
from qcen_core.method.exchange_terms import matched_queries
from qcen_core.method.scene import Scene
from qcen_core.method.set_terms import class_share, mask_terms
from qcen_core.method.shares import Share, Shares
from qcen_core.ops.exchange import inter_source, intra_target
from qcen_core.ops.ranks import Ranks
from qcen_core.structures import Exchanged, FramePairs, LayerPrediction, Match, SegmenterOutput


class Visits(NamedTuple):
    """V matched queries as guests.

    Attributes:
        frames: (V,) int64, the frame visited.
        queries: (V,) int64, the query of the frame it comes from.
    """

    frames: Tensor
    queries: Tensor


def pairs_by_visit(match: Match, pairs: FramePairs, clip_frames: int) -> FramePairs:
    """The pairs whose positive is in the frame that the anchor visits: of two frames all, of more those in a row.

    Args:
        match: of the final decoder output.
        pairs: into the match.
        clip_frames: T.
    """
    met = match.frames[pairs.positive] == intra_target(match.frames[pairs.anchor], clip_frames)
    return FramePairs(pairs.anchor[met], pairs.positive[met])


def visits_inside(match: Match, clip_frames: int) -> Visits:
    """The visits of all matched queries inside their clips, in the order of the match."""
    return Visits(intra_target(match.frames, clip_frames), match.queries)


def leaving_clips(sources: tuple[str, ...]) -> list[bool]:
    """For each clip of a step whether the clip that its queries visit, the one before, shows another video."""
    return [source != sources[clip - 1] for clip, source in enumerate(sources)]


def visits_from_other_videos(
    matched: Tensor, sources: tuple[str, ...], clip_frames: int, ranks: Ranks
) -> Visits | None:
    """The matched queries of other videos that visit frames of this process; `None` if no clip of the step is visited.

    Args:
        matched: (N, Q) uint8, 1 where a query of this process has a label.
        sources: names of the videos of all clips of the step, process by process.
        clip_frames: T.
        ranks: the processes.
    """
    leaving = leaving_clips(sources)
    if not any(leaving):
        return None
    count = len(matched)
    here = torch.arange(ranks.index * count, (ranks.index + 1) * count, device=matched.device)
    home = inter_source(here, clip_frames, ranks.count * count)
    strange = torch.tensor(leaving, device=matched.device)[home // clip_frames]
    return Visits(*(ranks.gather(matched)[home] * strange[:, None]).nonzero(as_tuple=True))


def guest_intra_terms(
    output: SegmenterOutput,
    exchanged: Exchanged,
    match: Match,
    pairs: FramePairs,
    scene: Scene,
    weights: dict[str, float],
) -> Shares:
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
    terms: Shares = {}
    if weights["intra_class"]:
        targets = torch.full_like(match.labels, layers[0].class_logits.shape[-1] - 1)
        targets[pairs.anchor] = scene.labels.labels[frames, columns]
        visits = visits_inside(match, scene.clip_frames)
        terms["intra_class"] = _class_term(layers, visits, targets, scene.config.no_object_weight)
    masks = torch.stack([layer.mask_logits[frames, queries] for layer in layers])
    terms |= mask_terms(masks, frames, columns.expand(len(layers), -1), scene, weights, count, prefix="intra_")
    terms |= _box_terms(layers, frames, queries, columns, scene, weights, count)
    if weights["intra_consistency"]:
        own = output.final.mask_logits[frames, match.queries[pairs.positive]]
        consistency = losses.consistency_loss(masks[-1], own, scene.valid[frames])
        terms["intra_consistency"] = Share(consistency.sum(), count)
    return terms


def guest_inter_terms(
    output: SegmenterOutput,
    exchanged: Exchanged,
    match: Match,
    sources: tuple[str, ...],
    scene: Scene,
    weights: dict[str, float],
) -> Shares:
    """QEML across videos: "no object" and an empty mask after every layer.

    Args:
        output: predictions of the batch's N frames.
        exchanged: those of the guests.
        match: of the final decoder output.
        sources: names of the videos of all clips of the step; guests that come to their own video take no part.
        scene: the batch.
        weights: of the terms.
    """
    if not weights["inter"] and not weights["inter_class"]:
        return {}
    matched = matched_queries(match, output.queries)
    visits = visits_from_other_videos(matched, sources, scene.clip_frames, scene.ranks)
    if visits is None:
        return {}
    layers = exchanged.inter[1:]
    terms: Shares = {}
    if weights["inter"]:
        masks = torch.stack([layer.mask_logits[visits.frames, visits.queries] for layer in layers])
        terms["inter"] = Share(losses.background_loss(masks, scene.valid[visits.frames]).sum(), scene.count)
    if weights["inter_class"]:
        targets = torch.full_like(visits.frames, layers[0].class_logits.shape[-1] - 1)
        terms["inter_class"] = _class_term(layers, visits, targets, no_object_weight=1.0)
    return terms


def _class_term(layers: tuple[LayerPrediction, ...], visits: Visits, targets: Tensor, no_object_weight: float) -> Share:
    """A mean over the guests for every layer; 0 without guests."""
    logits = [layer.class_logits[visits.frames, visits.queries] for layer in layers]
    return class_share([losses.class_loss(of_layer, targets, no_object_weight) for of_layer in logits])


def _box_terms(
    layers: tuple[LayerPrediction, ...],
    frames: Tensor,
    queries: Tensor,
    columns: Tensor,
    scene: Scene,
    weights: dict[str, float],
    count: Tensor,
) -> Shares:
    """Boxes of (P,) guests against the labels they shall find, summed over the layers; no terms without boxes."""
    found = [layer.boxes[frames, queries] for layer in layers if layer.boxes is not None]
    terms: Shares = {}
    if not found:
        return terms
    boxes = torch.stack(found)
    labels = scene.labels.boxes[frames, columns].expand_as(boxes)
    if weights["intra_box_l1"]:
        extent = scene.extent[frames].expand(len(layers), -1, -1)
        terms["intra_box_l1"] = Share(losses.box_l1_loss(boxes, labels, extent).sum(), count)
    if weights["intra_box_giou"]:
        terms["intra_box_giou"] = Share(losses.box_giou_loss(boxes, labels).sum(), count)
    return terms
