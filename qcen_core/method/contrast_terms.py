"""The terms of instance query contrast (IQC)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from qcen_core.method import losses
from qcen_core.method.scene import Scene
from qcen_core.method.shares import Share, Shares
from qcen_core.structures import FramePairs, Match, SegmenterOutput

DUPLICATE_IOU = 0.5


def contrast_terms(
    output: SegmenterOutput, match: Match, pairs: FramePairs, scene: Scene, weights: dict[str, float]
) -> Shares:
    """IQC: each anchor against all queries of the other frame, mean over the pairs.

    Queries without a label that draw the positive's mask once more are no negatives: at inference one of them may take
    its place.

    Args:
        output: predictions of the batch's N frames.
        match: of the final decoder output.
        pairs: into the match.
        scene: the batch.
        weights: of the terms.
    """
    if not weights["contrast"] and not weights["contrast_auxiliary"]:
        return {}
    anchors = output.contrast_embeddings[match.frames[pairs.anchor], match.queries[pairs.anchor]]
    others = output.contrast_embeddings[match.frames[pairs.positive]]  # P, Q, E
    positive = match.queries[pairs.positive]
    count = scene.pair_count(pairs)
    present = ~duplicates(output.final.mask_logits, match, pairs.positive)
    terms: Shares = {}
    if weights["contrast"]:
        similarity = torch.einsum("pe,pqe->pq", anchors, others).masked_fill(~present, -torch.inf)
        terms["contrast"] = Share(losses.query_contrast_loss(similarity, positive).sum(), count)
    if weights["contrast_auxiliary"]:
        cosine = F.cosine_similarity(anchors[:, None], others, dim=-1)
        auxiliary = losses.contrast_auxiliary_loss(cosine, positive, present)
        terms["contrast_auxiliary"] = Share(auxiliary.sum(), count)
    return terms


@torch.no_grad()
def duplicates(mask_logits: Tensor, match: Match, instances: Tensor) -> Tensor:
    """Queries that draw an instance once more: (P, Q) bool, without a label and with a mask IoU of at least 0.5.

    A query of another label is another instance, however much its mask covers this one.

    Args:
        mask_logits: (N, Q, h, w).
        match: of the final decoder output.
        instances: (P,) int64, index into the match.
    """
    masks = (mask_logits > 0).flatten(2).float()
    common = masks @ masks.transpose(1, 2)
    area = masks.sum(-1)
    iou = common / (area[:, :, None] + area[:, None] - common).clamp(min=1)
    same = iou >= DUPLICATE_IOU
    same[match.frames, :, match.queries] = False
    return same[match.frames[instances], match.queries[instances]]
