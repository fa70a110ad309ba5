"""Every equation of the method as one pure function: no state, no randomness, no configuration.

Shapes as in `qcen_core.structures`. Functions return one value a mask or a pair (`(M,)` or `(P,)`) unless they say
otherwise; the criterion sums them and divides by the number of labels. All of them take float32 logits of any size
and stay finite. Sources: BoxInst (Tian et al., CVPR 2021), Mask2Former (Cheng et al., CVPR 2022), CenterNet
(Zhou et al., 2019), DETR (Carion et al., ECCV 2020), IDOL (Wu et al., ECCV 2022) and QCEN (Li et al., IEEE TMM 2025);
`docs/method.md` maps each equation to its function.
"""

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import generalized_box_iou_loss

# Half of the 3 x 3 neighbourhood: an edge and its reverse are one term.
HALF_NEIGHBOURHOOD = ((0, 1), (1, -1), (1, 0), (1, 1))
DICE_EPSILON = 1e-5
IGNORED = -100  # stands in place of a class where none is owed


def class_loss(class_logits: Tensor, targets: Tensor, no_object_weight: float) -> tuple[Tensor, Tensor]:
    """Cross-entropy over K + 1 classes with a small weight on "no object" (DETR).

    Args:
        class_logits: (..., K + 1).
        targets: (...,) int64, K where the query has no label, `IGNORED` where it owes nothing.
        no_object_weight: weight of class K.

    Returns:
        The weighted sum over all queries, and the sum of their weights, both scalars; the loss is their ratio.
    """
    weights = class_logits.new_ones(class_logits.shape[-1])
    weights[-1] = no_object_weight
    total = F.cross_entropy(
        class_logits.flatten(0, -2), targets.flatten(), weights, ignore_index=IGNORED, reduction="sum"
    )
    return total, (weights[targets.clamp(min=0)] * (targets != IGNORED)).sum()


def center_targets(boxes: Tensor, labels: Tensor, classes: int, size: tuple[int, int], stride: int) -> Tensor:
    """Map of box centres, one a class: a bump at each box, 1 in the cell of its centre (CenterNet), (K, h, w).

    The bump's deviation is a sixth of the box's sides, at least a third of a cell; where bumps meet the higher counts.

    Args:
        boxes: (G, 4) pixels of the input.
        labels: (G,) int64.
        classes: K.
        size: (h, w).
        stride: pixels a cell.
    """
    y, x = (torch.arange(length, device=boxes.device) + 0.5 for length in size)
    centre = ((boxes[:, :2] + boxes[:, 2:]) / 2 / stride).floor() + 0.5
    deviation = ((boxes[:, 2:] - boxes[:, :2]) / 6 / stride).clamp(min=1 / 3)
    bump_x = (-((x - centre[:, :1]) / deviation[:, :1]).square() / 2).exp()
    bump_y = (-((y - centre[:, 1:]) / deviation[:, 1:]).square() / 2).exp()
    bumps = bump_y[:, :, None] * bump_x[:, None, :]
    index = labels[:, None, None].expand_as(bumps)
    return boxes.new_zeros((classes, *size)).scatter_reduce(0, index, bumps, "amax")


def center_loss(center_logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Focal loss with less penalty near a centre (CenterNet, exponents 2 and 4), summed over valid cells: (N,).

    Args:
        center_logits: (N, K, h, w).
        target: (N, K, h, w) from `center_targets`.
        valid: (N, h, w) bool.
    """
    probability = center_logits.sigmoid()
    found = (1 - probability).square() * F.softplus(-center_logits)
    false_alarm = (1 - target).pow(4) * probability.square() * F.softplus(center_logits)
    loss = torch.where(target == 1, found, false_alarm)
    return (loss * valid[:, None]).sum((1, 2, 3))


def box_l1_loss(boxes: Tensor, labels: Tensor, extent: Tensor) -> Tensor:
    """Distance of centres and sides, each relative to the frame, summed (DETR): (...,).

    Args:
        boxes: (..., 4) `x1 y1 x2 y2` pixels.
        labels: (..., 4) the boxes they shall be.
        extent: (..., 2) width and height of the frame in pixels.
    """
    low, high = ((boxes - labels) / torch.cat((extent, extent), dim=-1)).split(2, dim=-1)
    distance: Tensor = ((low + high) / 2).abs().sum(-1) + (high - low).abs().sum(-1)
    return distance


def box_giou_loss(boxes: Tensor, labels: Tensor) -> Tensor:
    """1 - generalised IoU (DETR): (...,) for pairs of (..., 4) boxes in pixels, broadcast against each other."""
    loss: Tensor = generalized_box_iou_loss(*torch.broadcast_tensors(boxes, labels))
    return loss


def squared_dice(prediction: Tensor, target: Tensor) -> Tensor:
    """Dice distance with squared denominator over the last axis (BoxInst): 1 - 2 x.t / (x.x + t.t + eps).

    Args:
        prediction: (..., n) in 0..1.
        target: (..., n) in 0..1, broadcast against `prediction`.
    """
    overlap = (prediction * target).sum(-1)
    return 1 - 2 * overlap / (prediction.square().sum(-1) + target.square().sum(-1) + DICE_EPSILON)


def projections(mask_logits: Tensor) -> tuple[Tensor, Tensor]:
    """Max-projections of the mask probabilities onto x and y (BoxInst, projection term): (..., w) and (..., h) in 0..1.

    The sigmoid is monotone, so it is taken after the maximum.
    """
    return mask_logits.amax(dim=-2).sigmoid(), mask_logits.amax(dim=-1).sigmoid()


def projection_loss(mask_logits: Tensor, columns: Tensor, rows: Tensor) -> Tensor:
    """The mask must fill its box on both axes and nothing beyond (BoxInst, projection term): (...,) for (..., h, w).

    With the squared denominator the loss is smallest where projection and box agree, also at a border cell that the
    box covers in part: so borders are placed more finely than the grid.

    Args:
        mask_logits: (..., h, w).
        columns: (..., w) in 0..1, how much of each column the box covers.
        rows: (..., h), the same of each row.
    """
    x, y = projections(mask_logits)
    return squared_dice(x, columns) + squared_dice(y, rows)


def shifted(values: Tensor, offset: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Views of a map and of its neighbour map at `offset` (rows down, columns right), cropped to where both exist."""
    down, right = offset
    height, width = values.shape[-2:]
    first = values[..., : height - down, max(0, -right) : width - max(0, right)]
    second = values[..., down:, max(0, right) : width + min(0, right)]
    return first, second


def color_affinity(lab: Tensor, dilation: int) -> tuple[Tensor, ...]:
    """Colour affinity exp(-0.5 ||LAB_i - LAB_j||) of each pixel with half of its neighbours (BoxInst).

    Args:
        lab: (N, 3, h, w) colours.
        dilation: distance of the neighbours in cells.

    Returns:
        Four tensors (N, h', w'), one an offset of `HALF_NEIGHBOURHOOD`, cropped as `shifted` crops.
    """
    affinities = []
    for down, right in HALF_NEIGHBOURHOOD:
        first, second = shifted(lab, (down * dilation, right * dilation))
        affinities.append((-0.5 * (first - second).norm(dim=-3)).exp())
    return tuple(affinities)


def pairwise_loss(
    mask_logits: Tensor, edges: tuple[Tensor, ...], box_masks: Tensor, dilation: int
) -> tuple[Tensor, Tensor]:
    """Neighbours of alike colour must have alike labels (BoxInst, pairwise term): -log P_same over strong edges.

    With logits a and b, P_same = s(a) s(b) + s(-a) s(-b), so -log P_same = sp(a) + sp(b) - sp(a + b) with the
    softplus sp. An edge counts once for each of its ends that lies in the box, as in the sum over 8 neighbours.

    Args:
        mask_logits: (..., h, w).
        edges: four tensors (..., h', w') bool: affinity above the threshold and both ends valid.
        box_masks: (..., h, w) bool.
        dilation: as for `color_affinity`.

    Returns:
        Sum of the loss over the edges, and the number of edges, each of shape (...,).
    """
    softplus = F.softplus(mask_logits)
    inside = box_masks.float()
    total = mask_logits.new_zeros(mask_logits.shape[:-2])
    count = torch.zeros_like(total)
    for (down, right), edge in zip(HALF_NEIGHBOURHOOD, edges, strict=True):
        offset = (down * dilation, right * dilation)
        a, b = shifted(mask_logits, offset)
        softplus_a, softplus_b = shifted(softplus, offset)
        inside_a, inside_b = shifted(inside, offset)
        weight = (inside_a + inside_b) * edge
        total = total + ((softplus_a + softplus_b - F.softplus(a + b)) * weight).sum((-2, -1))
        count = count + weight.sum((-2, -1))
    return total, count


def mask_bce_loss(mask_logits: Tensor, masks: Tensor, valid: Tensor | None = None) -> Tensor:
    """Binary cross-entropy, mean over valid pixels (Mask2Former): (...,) for (..., h, w).

    Args:
        mask_logits: (..., h, w).
        masks: (..., h, w) float in 0..1.
        valid: (..., h, w) bool, by default all.
    """
    loss = F.binary_cross_entropy_with_logits(mask_logits, masks.expand_as(mask_logits), reduction="none")
    if valid is None:
        return loss.mean((-2, -1))
    return (loss * valid).sum((-2, -1)) / valid.sum((-2, -1)).clamp(min=1)


def mask_dice_loss(mask_logits: Tensor, masks: Tensor, valid: Tensor | None = None) -> Tensor:
    """Dice loss with plain sums and one added on both sides (Mask2Former): (...,); arguments as `mask_bce_loss`."""
    probability, target = mask_logits.sigmoid(), masks
    if valid is not None:
        probability, target = probability * valid, target * valid
    overlap = (probability * target).sum((-2, -1))
    return 1 - (2 * overlap + 1) / (probability.sum((-2, -1)) + target.sum((-2, -1)) + 1)


def query_contrast_loss(similarity: Tensor, positive: Tensor) -> Tensor:
    """Instance query contrast: log(1 + sum over negatives of exp(s_neg - s_pos)) (QCEN; form of IDOL).

    With one positive this is the cross-entropy of the similarities against the positive's index.

    Args:
        similarity: (P, Q) dot products of the anchor with every query of the other frame.
        positive: (P,) int64, the anchor's own instance among them.

    Returns:
        (P,).
    """
    return F.cross_entropy(similarity, positive, reduction="none")


def contrast_auxiliary_loss(cosine: Tensor, positive: Tensor, present: Tensor | None = None) -> Tensor:
    """Cosine part of the contrast: (cos - y)^2, y = 1 for the positive, 0 for negatives (IDOL's auxiliary loss).

    The positive and the mean of the negatives weigh the same, so that Q does not matter.

    Args:
        cosine: (P, Q) cosines of the anchor with every query of the other frame.
        positive: (P,) int64.
        present: (P, Q) bool, which queries count, among them the positive; all by default.

    Returns:
        (P,).
    """
    own = cosine.gather(1, positive[:, None])[:, 0]
    present = torch.ones_like(cosine, dtype=torch.bool) if present is None else present
    squares = cosine.square().masked_fill(~present, 0.0).sum(1)
    negatives = (squares - own.square()) / (present.sum(1) - 1).clamp(min=1)
    return ((own - 1).square() + negatives) / 2


def exchanged_masks(mask_embeddings: Tensor, frames: Tensor, mask_features: Tensor) -> Tensor:
    """Masks that the queries of one frame draw on another (QCEN): X = <e_s, F_t>, (P, h, w).

    Args:
        mask_embeddings: (P, C), of the frame the query comes from.
        frames: (P,) int64, the frame it is taken to.
        mask_features: (N, C, h, w).
    """
    # Embeddings are sorted into one table a frame: copying the features of a frame for each pair would take gigabytes.
    place = (frames[:, None] == frames).tril(-1).sum(1)
    longest = int(place.max()) + 1 if len(place) else 0
    table = mask_embeddings.new_zeros(len(mask_features), longest, mask_embeddings.shape[1])
    table = table.index_put((frames, place), mask_embeddings)
    return torch.einsum("nsc,nchw->nshw", table, mask_features)[frames, place]


def consistency_loss(exchanged_logits: Tensor, own_logits: Tensor, valid: Tensor) -> Tensor:
    """Inside a video an exchanged mask must equal the instance's own mask (QCEN): BCE + dice, own mask held fixed.

    Args:
        exchanged_logits: (P, h, w).
        own_logits: (P, h, w); no gradient flows into them.
        valid: (P, h, w) bool.

    Returns:
        (P,).
    """
    own = own_logits.detach().sigmoid()
    return mask_bce_loss(exchanged_logits, own, valid) + mask_dice_loss(exchanged_logits, own, valid)


def background_loss(exchanged_logits: Tensor, valid: Tensor) -> Tensor:
    """Across videos an exchanged mask must be all zero (QCEN): BCE to zero, mean over valid pixels.

    BCE and not dice: against an empty target BoxInst's dice is constant.

    Args:
        exchanged_logits: (P, h, w).
        valid: (P, h, w) bool.

    Returns:
        (P,).
    """
    return mask_bce_loss(exchanged_logits, torch.zeros_like(exchanged_logits), valid)
