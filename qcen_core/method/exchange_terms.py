"""The terms of query-exchanged mask learning (QEML): inside a video, and across videos."""

import torch
from torch import Tensor

from qcen_core.method import losses
from qcen_core.method.scene import Scene, Terms
from qcen_core.method.set_terms import mask_terms
from qcen_core.ops.place import PLACE_CHANNELS
from qcen_core.structures import FramePairs, Match, SegmenterOutput


def intra_terms(
    output: SegmenterOutput, match: Match, pairs: FramePairs, scene: Scene, weights: dict[str, float]
) -> Terms:
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
        terms["intra_consistency"] = consistency.sum() / count
    return terms


def inter_terms(output: SegmenterOutput, match: Match, sources: tuple[str, ...], scene: Scene) -> Terms:
    """QEML across videos: a query taken to the next video of the batch must draw nothing there.

    Args:
        output: predictions of the batch's N frames.
        match: of the final decoder output.
        sources: B names of the videos; without two different ones there is no term.
        scene: the batch.
    """
    frames = frames_of_other_videos(match, sources, scene.clip_frames)
    if frames is None:
        return {}
    exchanged = masks_across_videos(output, match, frames)
    return {"inter": losses.background_loss(exchanged, scene.valid[frames]).sum() / scene.count}


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


def masks_across_videos(output: SegmenterOutput, match: Match, frames: Tensor) -> Tensor:
    """What each matched query draws on a frame of another video, (M,) `frames`: (M, h, w) logits."""
    embeddings = output.mask_embeddings[match.frames, match.queries]
    return losses.exchanged_masks(embeddings, frames, output.mask_features)


def frames_of_other_videos(match: Match, sources: tuple[str, ...], clip_frames: int) -> Tensor | None:
    """The frame of another video that each matched query is taken to, the same in the order of its clip: (M,) int64.

    `None` if all clips show one video.
    """
    others = clips_of_other_videos(sources)
    if others is None:
        return None
    clip, time = match.frames // clip_frames, match.frames % clip_frames
    return torch.tensor(others, device=clip.device)[clip] * clip_frames + time


def clips_of_other_videos(sources: tuple[str, ...]) -> list[int] | None:
    """For each clip of a batch the next one that shows another video; `None` if all show the same."""
    count = len(sources)
    if len(set(sources)) < 2:
        return None
    following = [[(clip + step) % count for step in range(1, count)] for clip in range(count)]
    return [next(o for o in others if sources[o] != sources[clip]) for clip, others in enumerate(following)]
