"""Regions to ignore are kept out of the loss: nobody says whether what a query sees there is an object."""

from dataclasses import replace

import pytest
import torch

from qcen_core.method import losses
from qcen_core.structures import BoxTarget
from tests.unit.method.synthetic_batches import (
    CLASSES,
    HEIGHT,
    QUERIES,
    WIDTH,
    leaves,
    make_batch,
    make_output,
    only,
    terms_of,
)

REGION = torch.tensor([[24.0, 0.0, 44.0, 28.0]])  # the right five of eleven columns of cells


def one_frame(ignored=REGION, *, labels=1):
    """A clip of one frame with a label at the left."""
    batch = make_batch((labels,), clip_frames=1)
    boxes = torch.tensor([[0.0, 0.0, 20.0, 28.0]])[:labels]
    target = BoxTarget(boxes, torch.zeros(labels, dtype=torch.int64), ignored)
    return replace(batch, targets=(target,), valid=torch.ones_like(batch.valid))


def looking(*columns, seed=0):
    """Predictions whose query q draws exactly the columns of cells from `columns[q][0]` to `columns[q][1]`."""
    output = make_output(1, queries=len(columns), seed=seed)
    masks = torch.full((1, len(columns), HEIGHT, WIDTH), -6.0)
    for query, (first, last) in enumerate(columns):
        masks[:, query, :, first:last] = 6.0
    layers = tuple(layer._replace(mask_logits=masks.clone().requires_grad_()) for layer in output.layers)
    return output._replace(layers=layers)


def class_gradients(output, batch):
    """(L, Q) whether each query's classes are taught."""
    terms_of(output, batch, only("class"))["class"].backward()
    return torch.stack([layer.class_logits.grad[0].abs().sum(-1) > 0 for layer in output.layers]).tolist()


def test_a_query_that_looks_into_the_region_owes_nothing():
    # The query of the label; in the region; half in it; mostly in it; outside; and one that sees nothing.
    columns = ((0, 5), (7, 10), (5, 7), (4, 11), (2, 6), (0, 0))
    taught = [True, False, True, False, True, True]
    assert class_gradients(looking(*columns), one_frame()) == [taught] * 2
    assert class_gradients(looking(*columns), one_frame(REGION[:0])) == [[True] * 6] * 2


def test_a_matched_query_owes_its_class_wherever_it_looks():
    batch = one_frame(torch.tensor([[0.0, 0.0, 44.0, 28.0]]))
    assert class_gradients(looking((0, 5), (6, 9)), batch) == [[True, False]] * 2


def test_the_loss_is_the_mean_over_those_that_owe():
    output = looking((0, 5), (7, 10), (2, 6))
    expected = 0.0
    for layer in output.layers:
        logits = layer.class_logits[0].detach()
        weights, total = [], []
        for query, target in ((0, 0), (2, CLASSES)):
            weights.append(0.1 if target == CLASSES else 1.0)
            total.append(-weights[-1] * logits[query].log_softmax(0)[target])
        expected += sum(total) / sum(weights)
    assert terms_of(output, one_frame(), only("class"))["class"].item() == pytest.approx(expected.item(), rel=1e-5)


def test_where_nobody_owes_anything_the_loss_is_zero_and_finite():
    output = looking((7, 10), (8, 11))
    loss = terms_of(output, one_frame(labels=0), only("class"))["class"]
    loss.backward()
    assert loss.item() == 0
    assert all(torch.isfinite(layer.class_logits.grad).all() for layer in output.layers)


def test_the_map_of_centres_owes_nothing_in_the_region():
    output = make_output(1, queries=QUERIES, located=True)
    terms_of(output, one_frame(), only("center"))["center"].backward()
    taught = output.center_logits.grad[0].abs().sum(0) > 0
    assert taught[:, :6].all()
    assert not taught[:, 6:].any()


def test_no_region_changes_nothing():
    batch = make_batch()
    bare = replace(batch, targets=tuple(BoxTarget(t.boxes, t.labels, torch.zeros(0, 4)) for t in batch.targets))
    ours, theirs = make_output(located=True), make_output(located=True)
    for output, of in ((ours, batch), (theirs, bare)):
        sum(terms_of(output, of).values()).backward()
    for (name, one), two in zip(leaves(ours).items(), leaves(theirs).values(), strict=True):
        assert (one.grad is None) == (two.grad is None), name
        assert one.grad is None or torch.equal(one.grad, two.grad), name


def test_class_loss_passes_over_what_is_ignored():
    generator = torch.Generator().manual_seed(2)
    logits = torch.randn(2, 3, CLASSES + 1, generator=generator)
    targets = torch.tensor([[0, losses.IGNORED, CLASSES], [losses.IGNORED, 2, 1]])
    kept = torch.stack([logits[0, 0], logits[0, 2], logits[1, 1], logits[1, 2]])[None]
    expected = losses.class_loss(kept, torch.tensor([[0, CLASSES, 2, 1]]), 0.3)
    torch.testing.assert_close(losses.class_loss(logits, targets, 0.3), expected)


def test_a_label_is_owed_its_centre_even_in_a_region():
    batch = one_frame(torch.tensor([[0.0, 0.0, 44.0, 28.0]]))
    output = make_output(1, queries=QUERIES, located=True)
    terms_of(output, batch, only("center"))["center"].backward()
    taught = output.center_logits.grad[0].abs().sum(0) > 0
    assert taught[:, :5].all()  # the label covers the five columns of cells at the left
    assert not taught[:, 5:].any()
