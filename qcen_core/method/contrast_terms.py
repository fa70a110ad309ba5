"""The terms of instance query contrast (IQC)."""

import torch
import torch.nn.functional as F

from qcen_core.method import losses
from qcen_core.method.scene import Scene, Terms
from qcen_core.structures import FramePairs, Match, SegmenterOutput


def contrast_terms(
    output: SegmenterOutput, match: Match, pairs: FramePairs, scene: Scene, weights: dict[str, float]
) -> Terms:
    """IQC: each anchor against all queries of the other frame, mean over the pairs.

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
    similarity = torch.einsum("pe,pqe->pq", anchors, others)
    terms: Terms = {}
    if weights["contrast"]:
        terms["contrast"] = losses.query_contrast_loss(similarity, positive).sum() / count
    if weights["contrast_auxiliary"]:
        cosine = F.cosine_similarity(anchors[:, None], others, dim=-1)
        terms["contrast_auxiliary"] = losses.contrast_auxiliary_loss(cosine, positive).sum() / count
    return terms
