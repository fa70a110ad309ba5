"""What the queries of tracks see in a frame that they visit as guests, and which objects were missed there."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from qcen_core.inference.postprocess import CONTAINED_SHARE, intersections, mask_iou
from qcen_core.structures import FramePrediction

# Least score of a guest whose mask is taken for the place of its object.
LOCATING_SCORE = 0.3
# Least score of a guest that is shown although no query of the frame found its object.
SHOWN_SCORE = 0.5
# Two masks of one object are averaged if they agree more than this; else one of them shows something else.
AVERAGED_IOU = 0.5


def expected_masks(visit: FramePrediction, last_masks: Tensor) -> Tensor:
    """Where the objects of R tracks are expected in a frame: where their guests see them, else where they were.

    Args:
        visit: what the R guests predict.
        last_masks: (R, h, w) bool, where the objects were last seen.

    Returns:
        (R, h, w) bool.
    """
    located = visit.scores >= LOCATING_SCORE
    return torch.where(located[:, None, None], visit.mask_logits > 0, last_masks)


def averaged_masks(
    prediction: FramePrediction, visit: FramePrediction, couples: Sequence[tuple[int, int]], share: float
) -> Tensor:
    """Masks of D instances, each averaged with that of its guest where the two agree.

    Args:
        prediction: the D instances of a frame.
        visit: what the R guests predict for it.
        couples: (instance, guest) held to be one object.
        share: of the guest in the mean of the logits.

    Returns:
        (D, h, w) logits.
    """
    masks = prediction.mask_logits.clone()
    if not couples:
        return masks
    rows, columns = torch.tensor(couples, device=masks.device).unbind(1)
    overlap = mask_iou(prediction.mask_logits > 0, visit.mask_logits > 0)[rows, columns]
    agree = (overlap > AVERAGED_IOU) & (visit.scores[columns] >= LOCATING_SCORE)
    rows, columns = rows[agree], columns[agree]
    masks[rows] = (1 - share) * masks[rows] + share * visit.mask_logits[columns]
    return masks


def missed_objects(visit: FramePrediction, candidates: Iterable[int], shown: Tensor, nms_iou: float) -> list[int]:
    """Guests that are sure of an object which nothing in the frame shows.

    The better guest goes first: a worse one that draws the same, or lies inside it, is dropped.

    Args:
        visit: what the guests predict.
        candidates: the guests in question.
        shown: (S, h, w) bool, masks shown already.
        nms_iou: a guest that overlaps one of them by more is no object of its own.

    Returns:
        The guests to show, best first.
    """
    masks, scores = visit.mask_logits > 0, visit.scores.tolist()
    sure = [guest for guest in candidates if scores[guest] >= SHOWN_SCORE]
    found = []
    for guest in sorted(sure, key=lambda guest: -scores[guest]):
        mask = masks[guest, None]
        inside = intersections(mask, shown) >= CONTAINED_SHARE * mask.sum()
        if not (overlaps(mask, shown, nms_iou) | inside.any(1)).item():
            found.append(guest)
            shown = torch.cat((shown, mask))
    return found


def overlaps(masks: Tensor, shown: Tensor, nms_iou: float) -> Tensor:
    """(A,) bool: which of (A, h, w) bool masks overlap one of (S, h, w) bool by an IoU above `nms_iou`."""
    return (mask_iou(masks, shown) > nms_iou).any(1)
