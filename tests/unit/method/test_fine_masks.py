"""Masks compared with their labels on a finer grid: the terms against loops over couples, and the enlargement."""

import math

import pytest
import torch
import torch.nn.functional as F
from synthetic_batches import (
    COUNTS,
    HEIGHT,
    LOSS,
    MATCHING,
    STRIDE,
    WIDTH,
    leaves,
    make_batch,
    make_output,
    only,
    terms_of,
)

from qcen_core.config import LossConfig, load_config
from qcen_core.errors import InputError
from qcen_core.inference.preprocess import FrameGeometry, to_frame_masks
from qcen_core.method import losses
from qcen_core.method.matching import match_layers
from qcen_core.method.scene import build_scene
from qcen_core.method.set_terms import enlarged
from qcen_core.ops.boxes import box_coverage, filled_boxes
from qcen_core.ops.color import rgb_to_lab

SIZE = (HEIGHT, WIDTH)


def config_of(upsampling, **changes):
    return LOSS.model_copy(update={"mask_upsampling": upsampling} | changes)


def scene_of(batch, config):
    return build_scene(batch, SIZE, config, lambda value: value)


def plain_enlarged(table, factor):
    """Bilinear with half-pixel centres, one cell at a time; beyond the outermost centres the map goes on as it ends."""
    height, width = len(table), len(table[0])

    def weights(index, length):
        place = min(max((index + 0.5) / factor - 0.5, 0.0), length - 1.0)
        low = min(math.floor(place), length - 1)
        return low, min(low + 1, length - 1), place - low

    rows = []
    for y in range(height * factor):
        top, bottom, down = weights(y, height)
        row = []
        for x in range(width * factor):
            left, right, over = weights(x, width)
            upper = (1 - over) * table[top][left] + over * table[top][right]
            lower = (1 - over) * table[bottom][left] + over * table[bottom][right]
            row.append((1 - down) * upper + down * lower)
        rows.append(row)
    return torch.tensor(rows)


@pytest.mark.parametrize("factor", [2, 4])
def test_enlarged_is_bilinear_with_half_pixel_centres(factor):
    logits = torch.randn(2, 3, *SIZE, generator=torch.Generator().manual_seed(1))
    size = (HEIGHT * factor, WIDTH * factor)
    larger = enlarged(logits, size)
    assert larger.shape == (2, 3, *size)
    torch.testing.assert_close(larger, F.interpolate(logits, size=size, mode="bilinear", align_corners=False))
    torch.testing.assert_close(larger[1, 2], plain_enlarged(logits[1, 2].tolist(), factor), rtol=1e-4, atol=1e-5)


def test_enlarged_masks_are_those_of_inference():
    logits = torch.randn(5, *SIZE, generator=torch.Generator().manual_seed(2))
    pixels = (HEIGHT * STRIDE, WIDTH * STRIDE)
    masks = to_frame_masks(logits, FrameGeometry(pixels, pixels, pixels))
    assert torch.equal(enlarged(logits, pixels) > 0, torch.from_numpy(masks))


def test_nothing_is_enlarged_to_its_own_size():
    logits = torch.randn(3, *SIZE)
    assert enlarged(logits, SIZE) is logits


@pytest.mark.parametrize("shape", [(0,), (2, 0)])
def test_no_masks_are_enlarged_to_none_and_keep_the_graph(shape):
    leaf = torch.randn(2, 3, *SIZE, requires_grad=True)
    none = leaf[0, :0] if shape == (0,) else leaf[:, :0]
    larger = enlarged(none, (14, 22))
    assert larger.shape == (*shape, 14, 22)
    larger.sum().backward()
    assert leaf.grad is not None
    assert not leaf.grad.any()


@pytest.mark.parametrize("strong", ["", "mask"])
def test_without_upsampling_both_grids_are_one(strong):
    scene = scene_of(make_batch(strong=strong), config_of(1))
    assert scene.fine_labels is scene.labels
    assert torch.equal(scene.fine_valid, scene.valid)
    assert LossConfig().mask_upsampling == 1


def fine_valid_of(batch, stride):
    cells = [inside.unfold(0, stride, stride).unfold(1, stride, stride) for inside in batch.frame_valid()]
    return torch.stack([cell.all(-1).all(-1) for cell in cells])


def coupled(output, batch):
    """(layer, frame, query, label, logits) of every couple: matched at the size of the logits."""
    scene = scene_of(batch, config_of(1))
    for index, layer in enumerate(output.layers):
        [match] = match_layers((layer,), scene.labels, scene.valid, scene.extent, MATCHING)
        for n, q, g in zip(match.frames.tolist(), match.queries.tolist(), match.labels.tolist(), strict=True):
            yield index, n, g, layer.mask_logits[n, q].detach()


def larger_logits(logits, factor):
    return plain_enlarged(logits.tolist(), factor)


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_box_terms_are_those_of_the_finer_grid(factor):
    output, batch, stride = make_output(located=True), make_batch(), STRIDE // factor
    size = (HEIGHT * factor, WIDTH * factor)
    valid = fine_valid_of(batch, stride)
    colours = rgb_to_lab(
        batch.frames().float().view(len(valid), 3, size[0], stride, size[1], stride).mean((3, 5)) / 255
    )
    affinities = losses.color_affinity(colours, LOSS.pairwise_dilation)
    projection = filled = 0.0
    sums, edge_counts = [0.0] * len(output.layers), [0.0] * len(output.layers)
    for index, n, g, logits in coupled(output, batch):
        fine, box = larger_logits(logits, factor), batch.targets[n].boxes[g : g + 1]
        p = torch.where(valid[n], fine.sigmoid(), 0.0)
        (columns,), (rows,) = box_coverage(box, size, stride)
        for x, t in ((p.amax(0), columns), (p.amax(1), rows)):
            projection += 1 - 2 * (x @ t).item() / (x @ x + t @ t + 1e-5).item()
        inside = filled_boxes(box, size, stride)[0] & valid[n]
        filled += losses.mask_bce_loss(fine, inside.float(), valid[n]).item()
        filled += losses.mask_dice_loss(fine, inside.float(), valid[n]).item()
        edges = []
        for offset, affinity in zip(losses.HALF_NEIGHBOURHOOD, affinities, strict=True):
            ends = losses.shifted(valid[n], tuple(LOSS.pairwise_dilation * step for step in offset))
            edges.append((affinity[n] >= LOSS.pairwise_threshold) & ends[0] & ends[1])
        total, count = losses.pairwise_loss(fine, tuple(edges), inside, LOSS.pairwise_dilation)
        sums[index] += total.item()
        edge_counts[index] += count.item()
    terms = terms_of(output, batch, only("projection", "filled_box", "pairwise"), loss=config_of(factor))
    assert terms["projection"].item() == pytest.approx(projection / sum(COUNTS), rel=1e-4)
    assert terms["filled_box"].item() == pytest.approx(filled / sum(COUNTS), rel=1e-4)
    pairwise = sum(total / count for total, count in zip(sums, edge_counts, strict=True))
    assert terms["pairwise"].item() == pytest.approx(pairwise, rel=1e-4)


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_mask_terms_are_those_of_the_finer_grid(factor):
    output, batch, stride = make_output(), make_batch(strong="mask"), STRIDE // factor
    valid = fine_valid_of(batch, stride)
    bce = dice = 0.0
    for _, n, g, logits in coupled(output, batch):
        mask = batch.strong.masks[n][g].float().view(HEIGHT * factor, stride, WIDTH * factor, stride).mean((1, 3))
        bce += losses.mask_bce_loss(larger_logits(logits, factor), mask, valid[n]).item()
        dice += losses.mask_dice_loss(larger_logits(logits, factor), mask, valid[n]).item()
    terms = terms_of(output, batch, only("mask_bce", "mask_dice"), loss=config_of(factor))
    assert terms["mask_bce"].item() == pytest.approx(bce / sum(COUNTS), rel=1e-4)
    assert terms["mask_dice"].item() == pytest.approx(dice / sum(COUNTS), rel=1e-4)


@pytest.mark.parametrize("factor", [1, 2])
def test_teacher_masks_are_soft_and_of_the_finer_grid(factor):
    """Every mask is trusted here; student and teacher are matched to the labels on their own."""
    student, teacher, batch, stride = make_output(), make_output(seed=5), make_batch(), STRIDE // factor
    valid = fine_valid_of(batch, stride)
    last = teacher._replace(layers=teacher.layers[-1:])
    targets = {}
    for _, n, g, logits in coupled(last, batch):
        inside = filled_boxes(batch.targets[n].boxes[g : g + 1], valid.shape[1:], stride)[0] & valid[n]
        targets[n, g] = larger_logits(logits, factor).sigmoid() * inside
    expected = 0.0
    for _, n, g, logits in coupled(student, batch):
        fine = larger_logits(logits, factor)
        expected += losses.mask_bce_loss(fine, targets[n, g], valid[n]).item()
        expected += losses.mask_dice_loss(fine, targets[n, g], valid[n]).item()
    term = terms_of(student, batch, only("teacher"), loss=config_of(factor), teacher=teacher)["teacher"]
    assert term.item() == pytest.approx(expected / sum(COUNTS), rel=1e-4)


@pytest.mark.parametrize("name", ["intra_projection", "intra_pairwise", "teacher", "projection", "pairwise"])
def test_finer_terms_are_others_and_teach_finite_gradients(name):
    output, batch = make_output(located=True), make_batch()
    coarse, fine = (terms_of(output, batch, only(name), loss=config_of(factor))[name] for factor in (1, 2))
    assert fine.item() != pytest.approx(coarse.item(), rel=1e-3)
    fine.backward()
    taught = [leaf.grad for leaf in leaves(output).values() if leaf.grad is not None and leaf.grad.any()]
    assert taught
    assert all(torch.isfinite(gradient).all() for gradient in taught)


@pytest.mark.parametrize("wrong", [0, 3, 8])
def test_factors_that_do_not_divide_a_cell_into_pixels_are_refused(wrong):
    with pytest.raises(InputError, match=r"loss\.mask_upsampling"):
        load_config("r50", [f"loss.mask_upsampling={wrong}"])
