"""Figures about a step for the training log: are the pairs true, do exchanged masks do what they should.

Every figure is a ratio of two sums, so that a mean over steps weighs each pair alike. Nothing here has a gradient,
and nothing here is seen by a loss.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from qcen_core.method.exchange_terms import masks_inside_video, matched_queries, strangers_from_other_videos
from qcen_core.method.guest_terms import leaving_clips, pairs_by_visit, visits_from_other_videos
from qcen_core.method.losses import exchanged_masks
from qcen_core.ops.ranks import Ranks
from qcen_core.structures import FramePairs, Match, SegmenterOutput

FIGURE_NAMES = ("pair_precision", "pair_recall", "exchanged_iou", "exchanged_mass")


class Ratio(NamedTuple):
    """A figure as two scalar tensors; ratios of several steps are added part by part, then divided."""

    numerator: Tensor
    denominator: Tensor


@torch.no_grad()
def pair_figures(pairs: FramePairs, match: Match, track_ids: tuple[Tensor, ...], clip_frames: int) -> dict[str, Ratio]:
    """How many pseudo-identity pairs are true identities, and how many of the true ones were found.

    `pair_precision` is the share of the pairs whose two labels belong to one true track. `pair_recall` is the share
    found of all true pairs: two matched labels of one track in two frames of a clip. Both directions count, as they do
    in the pairs; labels whose track is not known count nowhere.

    Args:
        pairs: pseudo-identity pairs, into the match.
        match: of the final decoder output.
        track_ids: N tensors (G,) int64, unique in a clip, -1 where not known.
        clip_frames: T.
    """
    padded = torch.nn.utils.rnn.pad_sequence(list(track_ids), batch_first=True, padding_value=-1)
    ids = padded[match.frames, match.labels]
    first, second = ids[pairs.anchor], ids[pairs.positive]
    correct = ((first == second) & (first >= 0)).sum()
    judged = ((first >= 0) & (second >= 0)).sum()
    clips = match.frames // clip_frames
    true = (ids[:, None] == ids[None]) & (ids >= 0) & (clips[:, None] == clips[None])
    true &= match.frames[:, None] != match.frames[None]
    return {"pair_precision": Ratio(correct, judged), "pair_recall": Ratio(correct, true.sum())}


@torch.no_grad()
def exchange_figures(
    output: SegmenterOutput,
    match: Match,
    pairs: FramePairs,
    valid: Tensor,
    sources: tuple[str, ...],
    clip_frames: int,
    ranks: Ranks,
) -> dict[str, Ratio]:
    """Whether exchanged queries draw their instance inside a video and nothing across videos.

    `exchanged_iou` is the mean over the pairs of the IoU, in the frame of the positive, of two masks: what the
    anchor's query draws there and what the positive's own query draws there, each where its logit is above 0. Pairs
    for which both are empty do not count.

    `exchanged_mass` is the mass, the mean of the mask probability over a frame, that all matched queries draw on a
    frame of another video, over the mass that they draw on their own. It is missing if the clips show one video.

    Where the queries passed the decoder as guests, their final masks are meant, and only the visits that were made:
    pairs whose positive is in the frame that the anchor visits, and queries whose neighbour clip is another video.

    Both read valid cells only.

    Args:
        output: float32 predictions of the batch's N frames.
        match: of the final decoder output.
        pairs: pseudo-identity pairs, into the match.
        valid: (N, h, w) bool, False on padding.
        sources: names of the videos of all clips of the step, process by process.
        clip_frames: T.
        ranks: the processes.
    """
    pairs, masks = _inside(output, match, pairs, clip_frames)
    targets = match.frames[pairs.positive]
    inside = valid[targets]
    exchanged = (masks > 0) & inside
    own = (output.final.mask_logits[targets, match.queries[pairs.positive]] > 0) & inside
    union = (exchanged | own).sum((-2, -1))
    overlap = (exchanged & own).sum((-2, -1))
    figures = {"exchanged_iou": Ratio((overlap / union.clamp(min=1)).sum(), (union > 0).sum())}
    across = _across(output, match, sources, clip_frames, ranks)
    if across is not None:
        masks, frames, leaving = across
        at_home = _mass(output.final.mask_logits[match.frames, match.queries], valid[match.frames])
        figures["exchanged_mass"] = Ratio(_mass(masks, valid[frames]).sum(), (at_home * leaving).sum())
    return figures


def _inside(output: SegmenterOutput, match: Match, pairs: FramePairs, clip_frames: int) -> tuple[FramePairs, Tensor]:
    """The pairs that are told of, and what the anchor's query draws on the frame of the positive: (P, h, w)."""
    if output.exchanged is None:
        return pairs, masks_inside_video(output, match, pairs)
    pairs = pairs_by_visit(match, pairs, clip_frames)
    final = output.exchanged.intra[-1]
    return pairs, final.mask_logits[match.frames[pairs.positive], match.queries[pairs.anchor]]


def _across(
    output: SegmenterOutput, match: Match, sources: tuple[str, ...], clip_frames: int, ranks: Ranks
) -> tuple[Tensor, Tensor, Tensor] | None:
    """What queries of other videos draw here, (V, h, w), on which frames, (V,), and which own ones leave, (M,) bool."""
    if output.exchanged is None:
        strangers = strangers_from_other_videos(output, match, sources, clip_frames, ranks)
        if strangers is None:
            return None
        masks = exchanged_masks(strangers.embeddings, strangers.frames, output.mask_features)
        return masks, strangers.frames, torch.ones_like(match.frames, dtype=torch.bool)
    matched = matched_queries(match, output.queries)
    visits = visits_from_other_videos(matched, sources, clip_frames, ranks)
    if visits is None:
        return None
    clips = match.frames // clip_frames + ranks.index * len(sources) // ranks.count
    leaving = torch.tensor(leaving_clips(sources), device=clips.device)[clips]
    return output.exchanged.inter[-1].mask_logits[visits.frames, visits.queries], visits.frames, leaving


def _mass(mask_logits: Tensor, valid: Tensor) -> Tensor:
    """Mean probability over the valid cells: (M,) for (M, h, w)."""
    return (mask_logits.sigmoid() * valid).sum((-2, -1)) / valid.sum((-2, -1)).clamp(min=1)
