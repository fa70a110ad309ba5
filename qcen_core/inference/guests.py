"""What the queries of tracks see in a frame that they visit as guests, and which objects were missed there."""

import torch
from torch import Tensor

from qcen_core.inference.postprocess import CONTAINED_SHARE
from qcen_core.ops.mask_overlap import areas, intersections, iou, iou_of_couples, ratio

# Least score of a guest whose mask is taken for the place of its object.
LOCATING_SCORE = 0.3
# Least score of a guest that is shown although no query of the frame found its object.
SHOWN_SCORE = 0.5
# Two masks of one object are averaged if they agree more than this; else one of them shows something else.
AVERAGED_IOU = 0.5


def expected_masks(guests: Tensor, scores: Tensor, last_masks: Tensor) -> Tensor:
    """Where the objects of R tracks are expected in a frame: where their guests see them, else where they were.

    Args:
        guests: (R, W) int64, packed masks of the guests.
        scores: (R,) of the guests.
        last_masks: (R, W) int64, where the objects were last seen.

    Returns:
        (R, W) int64.
    """
    return torch.where((scores >= LOCATING_SCORE)[:, None], guests, last_masks)


def agreeing(masks: Tensor, guests: Tensor, scores: Tensor) -> Tensor:
    """(M,) bool: which of M instances and their guests show the same, from packed masks and the guests' scores.

    Args:
        masks: (M, W) int64, of the instances.
        guests: (M, W) int64, of their guests.
        scores: (M,) of the guests.
    """
    return (iou_of_couples(masks, guests) > AVERAGED_IOU) & (scores >= LOCATING_SCORE)


def missed_objects(guests: Tensor, scores: Tensor, candidates: Tensor, shown: Tensor, nms_iou: float) -> Tensor:
    """Guests that are sure of an object which nothing in the frame shows.

    The better guest goes first: a worse one that draws the same, or lies inside it, is dropped.

    Args:
        guests: (R, W) int64, packed masks of the guests.
        scores: (R,) of the guests.
        candidates: (R,) bool on the host, the guests in question.
        shown: (S, W) int64, masks shown already.
        nms_iou: a guest that overlaps one of them by more is no object of its own.

    Returns:
        (A,) int64 on the host, the guests to show, best first.
    """
    scores = scores.cpu()
    sure = (candidates & (scores >= SHOWN_SCORE)).nonzero()[:, 0]
    sure = sure[scores[sure].argsort(descending=True, stable=True)]
    masks = guests[sure]
    others = torch.cat((shown, masks))
    common, area = intersections(masks, others), areas(masks)
    inside = common >= CONTAINED_SHARE * area[:, None]
    same = (inside | (ratio(common, area[:, None], areas(others)[None, :]) > nms_iou)).cpu()
    # [i, j]: i is dropped if j is shown.
    covered, by_guest = same[:, : len(shown)].any(1), same[:, len(shown) :]
    found = []
    for place in range(len(sure)):
        if not covered[place]:
            found.append(place)
            covered |= by_guest[:, place]
    return sure[found]


def overlaps(masks: Tensor, shown: Tensor, nms_iou: float) -> Tensor:
    """(A,) bool: which of packed masks (A, W) overlap one of (S, W) by an IoU above `nms_iou`."""
    return (iou(masks, shown) > nms_iou).any(1)
