"""Cross-frame instance matching: which matched queries of a clip's frames are held to be one instance."""

import itertools
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import box_iou

from qcen_core.ops.assignment import assign_each
from qcen_core.records import FloatArray
from qcen_core.structures import FramePairs

Affinity = Literal["boxes", "queries", "queries+boxes"]


def box_affinity(boxes: Tensor, times: Tensor) -> Tensor:
    """How well boxes of different frames fit one moving object: (M, M) in 0..1.

    The mean of their overlap (IoU) and of exp(-d), d being the distance of the centres in units of the boxes'
    mean size times the frames between them, so that fast objects still find themselves.

    Args:
        boxes: (M, 4) float32, pixels.
        times: (M,) frame index of each box in its video.
    """
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    sizes = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1).prod(dim=1).sqrt()
    gap = (times[:, None] - times[None]).abs().clamp(min=1)
    distance = torch.cdist(centres, centres) / ((sizes[:, None] + sizes[None]) / 2)
    overlap: Tensor = box_iou(boxes, boxes)
    return (overlap + (-distance / gap).exp()) / 2


def query_affinity(embeddings: Tensor) -> Tensor:
    """Cosine of contrast embeddings, moved to 0..1: (M, M) for (M, E)."""
    unit = F.normalize(embeddings, dim=-1)
    return (1 + unit @ unit.T) / 2


@torch.no_grad()
def pseudo_identity_pairs(
    boxes: Tensor,
    labels: Tensor,
    embeddings: Tensor,
    frames: Tensor,
    times: Tensor,
    *,
    clip_frames: int,
    affinity: Affinity,
    threshold: float,
) -> FramePairs:
    """Match the labelled instances of every two frames of a clip, reading no identity (QCEN, form ours).

    Hungarian assignment on the affinity, forbidden between different categories; a couple stays if it is mutually
    best or if its affinity passes the threshold.

    Args:
        boxes: (M, 4) label boxes of the matched queries.
        labels: (M,) their classes.
        embeddings: (M, E) their contrast embeddings.
        frames: (M,) their frame in the batch, ascending.
        times: (M,) their frame index in the video.
        clip_frames: T.
        affinity: what counts: geometry of the labels, similarity of the queries, or the mean of both.
        threshold: least affinity of a couple that is not mutually best.

    Returns:
        Pairs of indices into the M couples, both directions.
    """
    match affinity:
        case "boxes":
            scores = box_affinity(boxes, times)
        case "queries":
            scores = query_affinity(embeddings)
        case "queries+boxes":
            scores = (box_affinity(boxes, times) + query_affinity(embeddings)) / 2
    scores = scores.masked_fill(labels[:, None] != labels[None], -1.0)
    table = scores.float().cpu().numpy()
    members = _members(frames.tolist())
    pairs: list[tuple[int, int]] = []
    for first, second in _frame_couples(sorted(members), clip_frames):
        rows, columns = members[first], members[second]
        pairs += _couple(table[np.ix_(rows, columns)], rows, columns, threshold)
    return _both_directions(pairs, boxes.device)


def identity_pairs(track_ids: Tensor, frames: Tensor, *, clip_frames: int) -> FramePairs:
    """Pairs of one true identity in two frames of a clip: for the levels with identities only.

    Args:
        track_ids: (M,) identities of the matched labels, unique in a clip.
        frames: (M,) frame of each in the batch.
        clip_frames: T.

    Returns:
        Pairs of indices into the M couples, both directions.
    """
    clips = frames // clip_frames
    same = (track_ids[:, None] == track_ids[None]) & (clips[:, None] == clips[None])
    anchor, positive = (same & (frames[:, None] != frames[None])).nonzero(as_tuple=True)
    return FramePairs(anchor, positive)


def _members(frames: Sequence[int]) -> dict[int, list[int]]:
    members: dict[int, list[int]] = {}
    for index, frame in enumerate(frames):
        members.setdefault(frame, []).append(index)
    return members


def _frame_couples(frames: Sequence[int], clip_frames: int) -> list[tuple[int, int]]:
    return [(s, t) for s, t in itertools.combinations(frames, 2) if s // clip_frames == t // clip_frames]


def _couple(scores: FloatArray, rows: list[int], columns: list[int], threshold: float) -> list[tuple[int, int]]:
    [(matched_rows, matched_columns)] = assign_each(-scores[None], [len(columns)])
    kept = []
    for row, column in zip(matched_rows, matched_columns, strict=True):
        score = scores[row, column]
        mutual_best = score >= scores[row].max() and score >= scores[:, column].max()
        if score >= 0 and (mutual_best or score >= threshold):
            kept.append((rows[row], columns[column]))
    return kept


def _both_directions(pairs: list[tuple[int, int]], device: torch.device) -> FramePairs:
    table = torch.tensor(pairs, dtype=torch.int64, device=device).reshape(-1, 2)
    return FramePairs(torch.cat((table[:, 0], table[:, 1])), torch.cat((table[:, 1], table[:, 0])))
