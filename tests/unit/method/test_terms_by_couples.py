"""Mask terms against loops over the couples of a query and a label."""

import pytest
import torch
from synthetic_batches import (
    COUNTS,
    HEIGHT,
    LOSS,
    MATCHING,
    STRIDE,
    WIDTH,
    make_batch,
    make_output,
    only,
    terms_of,
)

from qcen_core.method import losses
from qcen_core.method.matching import match_layers
from qcen_core.method.scene import build_scene
from qcen_core.ops.boxes import box_coverage, filled_boxes
from qcen_core.ops.color import rgb_to_lab
from qcen_core.ops.ranks import Ranks

SIZE = (HEIGHT, WIDTH)


def valid_cells(batch):
    cells = [inside.unfold(0, STRIDE, STRIDE).unfold(1, STRIDE, STRIDE) for inside in batch.frame_valid()]
    return torch.stack([cell.all(-1).all(-1) for cell in cells])


def coupled(output, batch):
    """(layer, frame, query, label, logits) of every couple: matched as the criterion matches."""
    scene = build_scene(batch, SIZE, LOSS, Ranks())
    for index, layer in enumerate(output.layers):
        [match] = match_layers((layer,), scene.labels, scene.valid, scene.extent, MATCHING)
        for n, q, g in zip(match.frames.tolist(), match.queries.tolist(), match.labels.tolist(), strict=True):
            yield index, n, g, layer.mask_logits[n, q].detach()


def test_box_terms_are_those_of_a_loop_over_couples():
    output, batch = make_output(located=True), make_batch()
    valid = valid_cells(batch)
    colours = rgb_to_lab(
        batch.frames().float().view(len(valid), 3, SIZE[0], STRIDE, SIZE[1], STRIDE).mean((3, 5)) / 255
    )
    affinities = losses.color_affinity(colours, LOSS.pairwise_dilation)
    projection = filled = 0.0
    sums, edge_counts = [0.0] * len(output.layers), [0.0] * len(output.layers)
    for index, n, g, logits in coupled(output, batch):
        box = batch.targets[n].boxes[g : g + 1]
        p = torch.where(valid[n], logits.sigmoid(), 0.0)
        (columns,), (rows,) = box_coverage(box, SIZE, STRIDE)
        for x, t in ((p.amax(0), columns), (p.amax(1), rows)):
            projection += 1 - 2 * (x @ t).item() / (x @ x + t @ t + 1e-5).item()
        inside = filled_boxes(box, SIZE, STRIDE)[0] & valid[n]
        filled += losses.mask_bce_loss(logits, inside.float(), valid[n]).item()
        filled += losses.mask_dice_loss(logits, inside.float(), valid[n]).item()
        edges = []
        for offset, affinity in zip(losses.HALF_NEIGHBOURHOOD, affinities, strict=True):
            ends = losses.shifted(valid[n], tuple(LOSS.pairwise_dilation * step for step in offset))
            edges.append((affinity[n] >= LOSS.pairwise_threshold) & ends[0] & ends[1])
        total, count = losses.pairwise_loss(logits, tuple(edges), inside, LOSS.pairwise_dilation)
        sums[index] += total.item()
        edge_counts[index] += count.item()
    terms = terms_of(output, batch, only("projection", "filled_box", "pairwise"))
    assert terms["projection"].item() == pytest.approx(projection / sum(COUNTS), rel=1e-4)
    assert terms["filled_box"].item() == pytest.approx(filled / sum(COUNTS), rel=1e-4)
    pairwise = sum(total / count for total, count in zip(sums, edge_counts, strict=True))
    assert terms["pairwise"].item() == pytest.approx(pairwise, rel=1e-4)


def test_mask_terms_are_those_of_a_loop_over_couples():
    output, batch = make_output(), make_batch(strong="mask")
    valid = valid_cells(batch)
    bce = dice = 0.0
    for _, n, g, logits in coupled(output, batch):
        mask = batch.strong.masks[n][g].float().view(HEIGHT, STRIDE, WIDTH, STRIDE).mean((1, 3))
        bce += losses.mask_bce_loss(logits, mask, valid[n]).item()
        dice += losses.mask_dice_loss(logits, mask, valid[n]).item()
    terms = terms_of(output, batch, only("mask_bce", "mask_dice"))
    assert terms["mask_bce"].item() == pytest.approx(bce / sum(COUNTS), rel=1e-4)
    assert terms["mask_dice"].item() == pytest.approx(dice / sum(COUNTS), rel=1e-4)
