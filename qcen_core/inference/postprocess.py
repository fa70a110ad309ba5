"""From the segmenter's queries to the instances of one frame: scores, duplicates, selection."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import box_iou

from qcen_core.model.pixel_decoder import MASK_STRIDE
from qcen_core.ops.mask_overlap import areas, intersections, packed, ratio
from qcen_core.structures import FramePrediction, Guests, SegmenterOutput

# A query that lies inside a better one of its own class to this share is taken for a part of the same object.
CONTAINED_SHARE = 0.9


def score_queries(
    output: SegmenterOutput, *, mask_cells: tuple[int, int], use_contrast: bool = True, least: float = 0.0
) -> FramePrediction:
    """All queries of one frame with their scores; nothing is dropped.

    Score = highest class probability without "no object" x mask quality; the quality is the mean mask
    probability over the pixels whose logit is positive, 0 for an empty mask. Where queries predict boxes the score is
    also multiplied by how well the mask fits its box: a mask that runs over into a neighbour of one look does not.

    Args:
        output: what the segmenter returned for N = 1 frame.
        mask_cells: rows and columns of the mask logits that show the frame; padding is cut off.
        use_contrast: take the contrast embeddings, else the queries themselves (as MinVIS does).
        least: a query whose class probability alone is below gets score 0, for its mask can only lower it.

    Raises:
        ValueError: the output is not that of one frame.
    """
    if len(output.queries) != 1:
        raise ValueError(f"an output of {len(output.queries)} frames; inference goes frame by frame")
    rows, columns = mask_cells
    class_logits = output.final.class_logits[0].float()
    mask_logits = output.final.mask_logits[0, :, :rows, :columns].float()
    embeddings = output.contrast_embeddings[0] if use_contrast else output.queries[0]
    class_scores = class_logits.softmax(-1)[:, :-1].amax(-1)
    likely = (class_scores >= least).nonzero()[:, 0]
    quality = mask_quality(mask_logits[likely])
    if output.final.boxes is not None:
        boxes = output.final.boxes[0, likely].float() / MASK_STRIDE
        quality = quality * box_agreement(mask_logits[likely] > 0, boxes)
    scores = torch.zeros_like(class_scores).index_copy(0, likely, class_scores[likely] * quality)
    mask_embeddings = output.mask_embeddings[0].float()
    embeddings = F.normalize(embeddings.float(), dim=-1)
    guests = Guests(output.queries, output.positions, output.final.boxes)
    return FramePrediction(class_logits, scores, mask_logits, embeddings, mask_embeddings, guests)


def mask_quality(mask_logits: Tensor) -> Tensor:
    """(D,) mean probability over the pixels with a positive logit of (D, h, w); 0 where there is none."""
    foreground = mask_logits > 0
    return (mask_logits.sigmoid() * foreground).sum((1, 2)) / foreground.sum((1, 2)).clamp(min=1)


def box_agreement(masks: Tensor, boxes: Tensor) -> Tensor:
    """IoU of the tight box of each mask with the box that its query predicted, cut at the frame: (D,), 0 if empty.

    Args:
        masks: (D, h, w) bool.
        boxes: (D, 4) `x1 y1 x2 y2` in cells of the masks.
    """
    height, width = masks.shape[-2:]
    limits = boxes.new_tensor([width, height, width, height])
    cut = torch.minimum(boxes.clamp(min=0), limits)
    (left, right), (top, bottom) = _extent(masks.any(dim=1)), _extent(masks.any(dim=2))
    tight = torch.stack((left, top, right, bottom), dim=1).to(boxes.dtype)
    overlap: Tensor = box_iou(tight, cut).diagonal()
    return overlap.nan_to_num()  # two empty boxes: 0 / 0


def _extent(occupied: Tensor) -> tuple[Tensor, Tensor]:
    """Begin and end of what (D, n) bool rows hold; two zeros where they hold nothing."""
    begin = occupied.int().argmax(dim=1)
    end = occupied.shape[1] - occupied.flip(1).int().argmax(dim=1)
    return begin, torch.where(occupied.any(dim=1), end, 0)


def select_instances(
    prediction: FramePrediction, *, keep: float, nms_iou: float, max_instances: int
) -> FramePrediction:
    """The queries that may be objects, best first: one for an object, no empty masks.

    Args:
        prediction: all queries of a frame.
        keep: least score.
        nms_iou: a query that overlaps a better one by more than this IoU is dropped, whatever its class.
        max_instances: at most so many remain.
    """
    found = (prediction.scores >= keep).nonzero()[:, 0]
    found = found[(prediction.mask_logits[found] > 0).flatten(1).any(1)]
    candidates = take(prediction, found[prediction.scores[found].argsort(descending=True, stable=True)])
    return take(candidates, distinct(candidates, nms_iou)[:max_instances])


def take(prediction: FramePrediction, indices: Tensor) -> FramePrediction:
    """The instances at `indices` (S,) int64, in that order."""
    return FramePrediction(
        prediction.class_logits[indices],
        prediction.scores[indices],
        prediction.mask_logits[indices],
        prediction.embeddings[indices],
        prediction.mask_embeddings[indices],
        take_guests(prediction.guests, indices),
    )


def take_guests(guests: Guests, indices: Tensor) -> Guests:
    """The guests at `indices` (S,) int64, in that order, of each frame."""
    boxes = None if guests.boxes is None else guests.boxes[:, indices]
    return Guests(guests.queries[:, indices], guests.positions[:, indices], boxes)


def join(first: FramePrediction, second: FramePrediction) -> FramePrediction:
    """The instances of one frame followed by others of it."""
    return FramePrediction(
        torch.cat((first.class_logits, second.class_logits)),
        torch.cat((first.scores, second.scores)),
        torch.cat((first.mask_logits, second.mask_logits)),
        torch.cat((first.embeddings, second.embeddings)),
        torch.cat((first.mask_embeddings, second.mask_embeddings)),
        join_guests((first.guests, second.guests)),
    )


def join_guests(parts: Sequence[Guests]) -> Guests:
    """At least one group of guests of the same frames, one group after the other."""
    boxes = [part.boxes for part in parts if part.boxes is not None]
    return Guests(
        torch.cat([part.queries for part in parts], dim=1),
        torch.cat([part.positions for part in parts], dim=1),
        torch.cat(boxes, dim=1) if boxes else None,
    )


def distinct(ordered: FramePrediction, nms_iou: float) -> Tensor:
    """Greedy suppression of duplicates among instances ordered from the best to the worst.

    An instance is dropped if a better, surviving one overlaps it by more than `nms_iou`, or if at least
    `CONTAINED_SHARE` of it lies inside a better, surviving one of the same class.

    Returns:
        (S,) int64 indices of the survivors, ascending.
    """
    bits = packed(ordered.mask_logits)
    common, area = intersections(bits, bits), areas(bits)
    iou = ratio(common, area[:, None], area[None, :])
    contained = common >= CONTAINED_SHARE * area[None, :]
    classes = ordered.class_logits[:, :-1].argmax(-1)
    duplicate = (iou > nms_iou) | (contained & (classes[:, None] == classes[None, :]))
    later = torch.ones_like(duplicate).triu(diagonal=1)
    suppresses = (duplicate & later).cpu()  # [i, j]: i, if it survives, drops j
    dropped = torch.zeros(len(suppresses), dtype=torch.bool)
    for row in range(len(suppresses)):
        if not dropped[row]:
            dropped |= suppresses[row]
    return (~dropped).nonzero()[:, 0].to(bits.device)
