"""The terms of query-exchanged mask learning (QEML): inside a video, and across videos."""

from typing import NamedTuple

import torch
from torch import Tensor

from qcen_core.method import losses
from qcen_core.method.scene import Scene
from qcen_core.method.set_terms import mask_terms
from qcen_core.method.shares import Share, Shares
from qcen_core.ops.place import PLACE_CHANNELS
from qcen_core.ops.ranks import Ranks
from qcen_core.structures import FramePairs, Match, SegmenterOutput


class Strangers(NamedTuple):
    """V queries on frames of another video.

    Attributes:
        embeddings: (V, C) mask embeddings.
        frames: (V,) int64, the frame each is taken to.
    """

    embeddings: Tensor
    frames: Tensor


def intra_terms(
    output: SegmenterOutput, match: Match, pairs: FramePairs, scene: Scene, weights: dict[str, float]
) -> Shares:
    """QEML inside a video: the anchor's query must draw its instance in the other frame; mean over the pairs.

    Args:
        output: predictions of the batch's N frames.
        match: of the final decoder output.
        pairs: into the match.
        scene: the batch.
        weights: of the terms.
    """
    if not any(weight for name, weight in weights.items() if name.startswith("intra")):
        return {}
    frames = match.frames[pairs.positive]
    count = scene.pair_count(pairs)
    exchanged = masks_inside_video(output, match, pairs)
    terms = mask_terms(exchanged, frames, match.labels[pairs.positive], scene, weights, count, prefix="intra_")
    if weights["intra_consistency"]:
        own = output.final.mask_logits[frames, match.queries[pairs.positive]]
        consistency = losses.consistency_loss(exchanged, own, scene.valid[frames])
        terms["intra_consistency"] = Share(consistency.sum(), count)
    return terms


def inter_terms(output: SegmenterOutput, match: Match, sources: tuple[str, ...], scene: Scene) -> Shares:
    """QEML across videos: a query taken to the next video of the step must draw nothing there.

    Args:
        output: predictions of the batch's N frames.
        match: of the final decoder output.
        sources: names of the videos of all clips of the step; without two different ones there is no term.
        scene: the batch.
    """
    strangers = strangers_from_other_videos(output, match, sources, scene.clip_frames, scene.ranks)
    if strangers is None:
        return {}
    exchanged = losses.exchanged_masks(strangers.embeddings, strangers.frames, output.mask_features)
    return {"inter": Share(losses.background_loss(exchanged, scene.valid[strangers.frames]).sum(), scene.count)}


def masks_inside_video(output: SegmenterOutput, match: Match, pairs: FramePairs) -> Tensor:
    """What the query of each pair's anchor draws on the frame of its positive: (P, h, w) logits.

    Where queries have a place, the positive's place is taken: the instance may have moved.
    """
    embeddings = output.mask_embeddings[match.frames[pairs.anchor], match.queries[pairs.anchor]]
    frames = match.frames[pairs.positive]
    if output.final.boxes is not None:
        there = output.mask_embeddings[frames, match.queries[pairs.positive]]
        embeddings = torch.cat((embeddings[:, :-PLACE_CHANNELS], there[:, -PLACE_CHANNELS:]), dim=1)
    return losses.exchanged_masks(embeddings, frames, output.mask_features)


def strangers_from_other_videos(
    output: SegmenterOutput, match: Match, sources: tuple[str, ...], clip_frames: int, ranks: Ranks
) -> Strangers | None:
    """The matched queries of other videos that are taken to frames of this process; `None` if all clips show one video.

    Args:
        output: predictions of the N frames of this process.
        match: of the final decoder output.
        sources: names of the videos of all clips of the step, process by process.
        clip_frames: T.
        ranks: the processes.
    """
    others = clips_of_other_videos(sources)
    if others is None:
        return None
    embeddings = ranks.gather(output.mask_embeddings)
    matched = ranks.gather(matched_queries(match, output.mask_embeddings))
    first = ranks.index * len(sources) // ranks.count
    here = range(first, first + len(sources) // ranks.count)
    visits = [(clip, other - first) for clip, other in enumerate(others) if other in here]
    table = torch.tensor(visits, dtype=torch.int64, device=matched.device).view(-1, 2)
    times = torch.arange(clip_frames, device=matched.device)
    home, away = (table.T[:, :, None] * clip_frames + times).flatten(1)
    visit, queries = matched[home].nonzero(as_tuple=True)
    return Strangers(embeddings[home[visit], queries], away[visit])


def matched_queries(match: Match, per_query: Tensor) -> Tensor:
    """(N, Q) uint8, 1 where a query has a label; `per_query` is any tensor (N, Q, ...)."""
    matched = torch.zeros(per_query.shape[:2], dtype=torch.uint8, device=per_query.device)
    matched[match.frames, match.queries] = 1
    return matched


def clips_of_other_videos(sources: tuple[str, ...]) -> list[int] | None:
    """For each clip of a batch the next one that shows another video; `None` if all show the same."""
    count = len(sources)
    if len(set(sources)) < 2:
        return None
    following = [[(clip + step) % count for step in range(1, count)] for clip in range(count)]
    return [next(o for o in others if sources[o] != sources[clip]) for clip, others in enumerate(following)]
