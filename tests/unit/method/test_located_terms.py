"""The terms of located queries as the criterion computes them, against loops."""

import pytest
import torch
from synthetic_batches import (
    CLASSES,
    COUNTS,
    HEIGHT,
    LOSS,
    MATCHING,
    PAIRS,
    STRIDE,
    WIDTH,
    cell_valid,
    leaves,
    make_batch,
    make_output,
    only,
    terms_of,
)

from qcen_core.method import losses
from qcen_core.method.criterion import SetCriterion
from qcen_core.method.exchange_terms import masks_inside_video, strangers_from_other_videos
from qcen_core.method.scene import build_scene
from qcen_core.method.set_terms import located_terms
from qcen_core.ops.place import PLACE_CHANNELS
from qcen_core.ops.ranks import Ranks
from qcen_core.structures import BoxTarget, ClipBatch, FramePairs, Match


def matches_of(output, batch):
    """The match of each output alone, by the function tested on its own."""
    criterion = SetCriterion(LOSS, MATCHING, PAIRS)
    return [criterion(output._replace(layers=(layer,)), batch, only("class")).match for layer in output.layers]


def test_box_terms_are_sums_over_couples_and_outputs():
    output, batch = make_output(located=True), make_batch()
    extent = torch.tensor([[37.0, 22.0], [44.0, 28.0], [44.0, 28.0]]).repeat_interleave(2, 0)  # clip 0 is padded
    l1 = giou = 0.0
    for layer, match in zip(output.layers, matches_of(output, batch), strict=True):
        for n, q, g in zip(match.frames.tolist(), match.queries.tolist(), match.labels.tolist(), strict=True):
            own, label = layer.boxes[n, q], batch.targets[n].boxes[g]
            l1 += losses.box_l1_loss(own, label, extent[n]).item()
            giou += losses.box_giou_loss(own, label).item()
    terms = terms_of(output, batch)
    assert terms["box_l1"].item() == pytest.approx(l1 / sum(COUNTS), rel=1e-5)
    assert terms["box_giou"].item() == pytest.approx(giou / sum(COUNTS), rel=1e-5)


def test_center_term_is_the_sum_over_valid_cells_divided_by_labels():
    output, batch = make_output(located=True), make_batch()
    valid = cell_valid(batch)
    expected = 0.0
    for n, target in enumerate(batch.targets):
        heat = losses.center_targets(target.boxes, target.labels, CLASSES, (HEIGHT, WIDTH), STRIDE)
        expected += losses.center_loss(output.center_logits[n : n + 1], heat[None], valid[n : n + 1]).item()
    assert terms_of(output, batch)["center"].item() == pytest.approx(expected / sum(COUNTS), rel=1e-5)


def test_the_map_of_centres_may_be_coarser_than_masks():
    """As in the model: masks at stride 4, centres at stride 8."""
    valid = torch.ones(1, 32, 48, dtype=torch.bool)
    valid[:, 22:], valid[..., 41:] = False, False
    target = BoxTarget(torch.tensor([[9.0, 5.0, 26.0, 20.0]]), torch.tensor([2]))
    images = torch.zeros(1, 1, 3, 32, 48, dtype=torch.uint8)
    batch = ClipBatch(images, valid, torch.zeros(1, 1, dtype=torch.int64), (target,), None, ("pond",))
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(1, CLASSES, 4, 6, generator=generator)
    output = make_output(1)._replace(center_logits=logits)
    scene = build_scene(batch, (8, 12), LOSS, Ranks())
    none = Match(*[torch.zeros(0, dtype=torch.int64)] * 3)
    term = located_terms(output, (none, none), scene, only("center"))["center"].total
    whole = torch.zeros(1, 4, 6, dtype=torch.bool)
    whole[:, :2, :5] = True  # 16 of 22 rows and 40 of 41 columns are whole cells of 8 pixels
    heat = losses.center_targets(target.boxes, target.labels, CLASSES, (4, 6), 8)
    assert (heat == 1).nonzero().tolist() == [[2, 1, 2]]
    torch.testing.assert_close(term, losses.center_loss(logits, heat[None], whole)[0])


def test_the_map_learns_from_boxes_and_boxes_from_boxes():
    for name, taught in (
        ("center", ["center_logits"]),
        ("box_l1", ["box 0", "box 1"]),
        ("box_giou", ["box 0", "box 1"]),
    ):
        output = make_output(located=True)
        terms_of(output, make_batch(), only(name))[name].backward()
        assert [leaf for leaf, tensor in leaves(output).items() if tensor.grad is not None] == taught
        assert all(tensor.grad is None or tensor.grad.any() for tensor in leaves(output).values())


@pytest.mark.parametrize("located", [False, True])
def test_an_exchanged_query_takes_the_place_of_its_partner(located):
    output = make_output(located=located)
    frames, queries = torch.tensor([0, 0, 1, 3]), torch.tensor([4, 1, 2, 0])
    match = Match(frames, queries, torch.zeros(4, dtype=torch.int64))
    pairs = FramePairs(torch.tensor([0, 2, 1]), torch.tensor([2, 0, 2]))
    found = masks_inside_video(output, match, pairs)
    for mask, anchor, positive in zip(found, pairs.anchor.tolist(), pairs.positive.tolist(), strict=True):
        s, i, t, j = frames[anchor], queries[anchor], frames[positive], queries[positive]
        embedding = output.mask_embeddings[s, i].clone()
        if located:
            embedding[-PLACE_CHANNELS:] = output.mask_embeddings[t, j, -PLACE_CHANNELS:]
        torch.testing.assert_close(mask, torch.einsum("c,chw->hw", embedding, output.mask_features[t]))


@pytest.mark.parametrize("located", [False, True])
def test_across_videos_a_query_keeps_its_own_place(located):
    output = make_output(located=located)
    frames, queries = torch.tensor([0, 1, 3]), torch.tensor([4, 2, 0])
    match = Match(frames, queries, frames)
    found = strangers_from_other_videos(output, match, ("a", "b", "c"), 2, Ranks())
    assert found.frames.tolist() == [2, 3, 5]  # each clip goes to the next one
    assert torch.equal(found.embeddings, output.mask_embeddings[frames, queries])
