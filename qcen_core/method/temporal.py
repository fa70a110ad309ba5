"""Temporal patch loss (MaskFreeVIS, TK-loss): patches that look alike in two frames must have alike labels.

Here a pair is not a tube of one query but two queries held to be one instance by cross-frame matching.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from qcen_core.method.scene import Scene, Terms
from qcen_core.ops.color import rgb_to_lab
from qcen_core.structures import FramePairs, Match, SegmenterOutput

# Distances computed at once: bounds the memory at full-size frames, where each pair has 100 times as many cells.
DISTANCES_AT_ONCE = 1 << 23
# Colours where there is no image: so far from all others, and from each other, that no patch with them finds a match.
OUTSIDE_SOURCE, OUTSIDE_TARGET = -1e4, 1e4
# Squared LAB distance per squared cell of way: where colours are flat the nearest of equal patches are taken.
WAY_COST = 1e-4


@dataclass(frozen=True, slots=True)
class PatchMatches:
    """For P pairs the cells of a window around the anchor's box, and cells of the other frame that look like them.

    Cells are flat indices into a map (h, w). A window holds R cells, the same number for all pairs; those outside the
    box are there for the shape only and have no match.

    Attributes:
        cells: (P, R) int64.
        matched: (P, K, R) int64, the K most alike cells of the other frame.
        alike: (P, K, R) bool, False where a match is no match: outside the box, in padding, or not alike enough.
    """

    cells: Tensor
    matched: Tensor
    alike: Tensor


def centre_motion(source_boxes: Tensor, target_boxes: Tensor, stride: int) -> Tensor:
    """How far box centres move, in whole cells: (P, 2) int64, rows and columns, for boxes (P, 4) in pixels."""
    motion = (target_boxes[:, :2] + target_boxes[:, 2:] - source_boxes[:, :2] - source_boxes[:, 2:]) / 2
    return (motion / stride).round().long().flip(1)


@torch.no_grad()
def match_patches(
    lab: Tensor,
    valid: Tensor,
    frames: tuple[Tensor, Tensor],
    box_masks: Tensor,
    motion: Tensor,
    *,
    radius: int,
    best: int,
    most: float,
) -> PatchMatches:
    """Find for each 3 x 3 patch in a box its most alike patches in another frame (MaskFreeVIS).

    Unlikeness is the Euclidean distance of the 27 LAB values. MaskFreeVIS asks for exp(-0.5 distance) >= 0.05, which
    is a distance of 6; noise and motion by parts of a cell leave hardly a match then. Candidates are all patches of the
    window of side 2 `radius` + 1 around the place that the patch has if it moves as the centre of its box does.

    Args:
        lab: (N, 3, h, w) colours.
        valid: (N, h, w) bool, False on padding.
        frames: source and target frame of each pair, both (P,) int64.
        box_masks: (P, h, w) bool, the instance's filled box in the source frame.
        motion: (P, 2) int64, rows and columns the instance moves from source to target.
        radius: reach of the search, in cells.
        best: K.
        most: largest distance of a match.
    """
    width = lab.shape[-1]
    source, target = frames
    top, rows = _extent(box_masks.any(dim=2))
    left, columns = _extent(box_masks.any(dim=1))
    size = (rows, columns)
    reach = range(-radius, radius + 1)
    offsets = [(down, right) for down in reach for right in reach]
    corner = torch.stack((top, left), dim=1)
    chunk = max(1, DISTANCES_AT_ONCE // max(1, len(offsets) * rows * columns))
    nearest = [
        _nearest(
            _window(lab, valid, source[part], corner[part] - 1, (rows + 2, columns + 2), OUTSIDE_SOURCE),
            _window(
                lab,
                valid,
                target[part],
                (corner + motion)[part] - 1 - radius,
                (rows + 2 + 2 * radius, columns + 2 + 2 * radius),
                OUTSIDE_TARGET,
            ),
            offsets,
            radius,
            min(best, len(offsets)),
        )
        for part in torch.arange(len(source), device=lab.device).split(chunk)
    ]
    distance, chosen = (torch.cat(parts) for parts in zip(*nearest, strict=True))
    row, column = _cells(corner, size)  # P, R each
    in_map = (row < lab.shape[-2]) & (column < width)
    cells = torch.where(in_map, row * width + column, 0)
    in_box = in_map & box_masks.flatten(1).gather(1, cells)
    way = torch.tensor(offsets, device=lab.device)[chosen]  # P, K, R, 2
    matched = (row[:, None] + motion[:, :1, None] + way[..., 0]) * width
    matched = matched + column[:, None] + motion[:, 1:, None] + way[..., 1]
    alike = (distance <= most**2) & in_box[:, None]
    return PatchMatches(cells, torch.where(alike, matched, 0), alike)


def temporal_patch_loss(
    mask_logits: Tensor, pairs: tuple[Tensor, Tensor], matches: PatchMatches
) -> tuple[Tensor, Tensor]:
    """-log P_same of each cell of the anchor's mask and its matches in the partner's (MaskFreeVIS), summed.

    P_same = p q + (1 - p)(1 - q), so that with logits a, b the loss is softplus(a) + softplus(b) - softplus(a + b).

    Args:
        mask_logits: (..., M, h, w) own masks of all matched queries.
        pairs: anchor and positive, both (P,) int64 in 0..M-1.
        matches: of these pairs.

    Returns:
        Sums (..., P), and the numbers of matches they are sums of (P,).
    """
    leading, count = mask_logits.shape[:-3], len(pairs[0])
    flat = mask_logits.flatten(-2)
    softplus = F.softplus(flat)

    def at(values: Tensor, rows: Tensor, cells: Tensor) -> Tensor:
        index = cells.flatten(1).expand(*leading, count, -1)
        return values[..., rows, :].gather(-1, index).reshape(*leading, *cells.shape)

    anchor, positive = pairs
    a = at(flat, anchor, matches.cells)[..., None, :]
    b = at(flat, positive, matches.matched)
    both = at(softplus, anchor, matches.cells)[..., None, :] + at(softplus, positive, matches.matched)
    loss = (both - F.softplus(a + b)).masked_fill(~matches.alike, 0.0)
    return loss.sum((-2, -1)), matches.alike.sum((-2, -1))


def temporal_terms(
    output: SegmenterOutput, matches: tuple[Match, ...], pairs: FramePairs, images: Tensor, scene: Scene
) -> Terms:
    """The term `temporal`: mean over the patch matches of all pairs, summed over the decoder outputs.

    True masks make it superfluous: there is no term where the batch has them.

    Args:
        output: predictions of the batch's N frames.
        matches: one for each of the L decoder outputs; they list the same labels in the same order.
        pairs: into the matches.
        images: (N, 3, H, W) uint8, RGB.
        scene: the batch.
    """
    if scene.labels.masks is not None:
        return {}
    stride = images.shape[-2] // scene.valid.shape[-2]
    lab = rgb_to_lab(F.avg_pool2d(images.float() / 255, stride))
    frames, columns = matches[-1].frames, matches[-1].labels
    boxes = scene.labels.boxes[frames, columns]
    found = match_patches(
        lab,
        scene.valid,
        (frames[pairs.anchor], frames[pairs.positive]),
        scene.labels.box_masks[frames, columns][pairs.anchor],
        centre_motion(boxes[pairs.anchor], boxes[pairs.positive], stride),
        radius=scene.config.temporal_radius,
        best=scene.config.temporal_best,
        most=scene.config.temporal_distance,
    )
    own = [layer.mask_logits[m.frames, m.queries] for layer, m in zip(output.layers, matches, strict=True)]
    total, count = temporal_patch_loss(torch.stack(own), (pairs.anchor, pairs.positive), found)
    return {"temporal": total.sum() / scene.mean_count(count.sum())}


def _extent(inside: Tensor) -> tuple[Tensor, int]:
    """First cell of each interval (P,), and the length of the longest, at least 1, for (P, n) bool."""
    longest = int(inside.sum(1).max()) if len(inside) else 0
    return inside.int().argmax(dim=1), max(1, longest)


def _cells(corner: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Row and column of each cell of windows of one size: (P, R) each, not confined to the map."""
    row = corner[:, :1] + torch.arange(size[0], device=corner.device)
    column = corner[:, 1:] + torch.arange(size[1], device=corner.device)
    shape = (len(corner), *size)
    return row[:, :, None].expand(shape).flatten(1), column[:, None, :].expand(shape).flatten(1)


def _window(
    lab: Tensor, valid: Tensor, frames: Tensor, corner: Tensor, size: tuple[int, int], outside: float
) -> Tensor:
    """Colours (P, 3, *size) of windows that may reach beyond the map; `outside` where there is no image."""
    height, width = lab.shape[-2:]
    row, column = _cells(corner, size)
    in_map = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    row, column = row.clamp(0, height - 1), column.clamp(0, width - 1)
    inside = in_map & valid[frames[:, None], row, column]
    colors = lab[frames[:, None], :, row, column].masked_fill(~inside[..., None], outside)  # P, R, 3
    return colors.transpose(1, 2).reshape(len(frames), 3, *size)


def _nearest(
    source: Tensor, target: Tensor, offsets: list[tuple[int, int]], radius: int, best: int
) -> tuple[Tensor, Tensor]:
    """Squared distance and number of the `best` nearest offsets of each patch: (P, best, R) each.

    The distance of two patches is the sum over 3 x 3 cells of the distances of their cells.
    """
    rows, columns = source.shape[-2:]
    distances = []
    for down, right in offsets:
        shifted = target[..., radius + down : radius + down + rows, radius + right : radius + right + columns]
        cell = (source - shifted).square().sum(1, keepdim=True)
        distances.append(9 * F.avg_pool2d(cell, 3, stride=1) + WAY_COST * (down * down + right * right))
    return torch.cat(distances, dim=1).flatten(2).topk(best, dim=1, largest=False)
