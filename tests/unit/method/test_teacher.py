"""Teacher masks: which are trusted, by hand, and what they teach."""

import math

import pytest
import torch

from qcen_core.method.matching import PaddedLabels
from qcen_core.method.teacher import projection_agreement, teacher_loss, teacher_masks
from qcen_core.structures import LayerPrediction, Match

HEIGHT, WIDTH = 7, 11


def area(top, left, bottom, right):
    mask = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    mask[top:bottom, left:right] = True
    return mask


BOX = area(1, 2, 5, 8)  # 4 rows, 6 columns


def test_agreement_by_hand():
    cross = area(1, 4, 5, 6) | area(2, 2, 4, 8)
    cases = {
        "the box itself": (BOX, 1.0),
        "a shape that touches all sides": (cross, 1.0),
        "nothing": (area(0, 0, 0, 0), 0.0),
        "a smaller box": (area(1, 2, 3, 5), 2 / 4 * 3 / 6),
        "a larger box": (area(0, 0, 6, 9), 4 / 6 * 6 / 9),
        "a shifted box": (area(3, 4, 7, 10), 2 / 6 * 4 / 8),
        "a stray cell": (BOX | area(6, 10, 7, 11), 4 / 5 * 6 / 7),
        "elsewhere": (area(6, 9, 7, 11), 0.0),
    }
    masks = torch.stack([mask for mask, _ in cases.values()])
    found = projection_agreement(masks, BOX.expand_as(masks))
    for name, value, (_, expected) in zip(cases, found.tolist(), cases.values(), strict=True):
        assert value == pytest.approx(expected), name


def logits_of(mask):
    return mask.float() * 6 - 3


def taught(masks, probabilities, *, valid=None, agreement=0.8, confidence=0.5):
    """One frame, label 0 of class 1, drawn by query 2; a second frame has two labels, of which one is unmatched."""
    other = area(2, 3, 6, 9)
    labels = PaddedLabels(
        labels=torch.tensor([[1, 0], [0, 1]]),
        boxes=torch.zeros(2, 2, 4),
        box_masks=torch.stack((torch.stack((BOX, area(0, 0, 0, 0))), torch.stack((other, other)))),
        columns=torch.zeros(2, 2, WIDTH),
        rows=torch.zeros(2, 2, HEIGHT),
        masks=None,
        counts=(1, 2),
    )
    drawn = torch.full((2, 3, HEIGHT, WIDTH), -5.0)
    drawn[0, 2], drawn[1, 0] = (logits_of(mask) for mask in masks)
    likely = torch.full((2, 3, 3), 1e-6)
    likely[0, 2, 1], likely[1, 0, 1] = probabilities
    likely[..., 2] = 1 - likely[..., :2].sum(-1)
    layer = LayerPrediction(likely.log(), drawn)
    match = Match(torch.tensor([0, 1]), torch.tensor([2, 0]), torch.tensor([0, 1]))
    valid = torch.ones(2, HEIGHT, WIDTH, dtype=torch.bool) if valid is None else valid
    return teacher_masks(layer, match, labels, valid, agreement=agreement, confidence=confidence)


def test_a_mask_that_fills_its_box_and_a_likely_class_are_trusted():
    cross = area(1, 4, 5, 6) | area(2, 2, 4, 8)
    found = taught((cross, area(2, 3, 6, 9)), (0.9, 0.6))
    assert found.trusted.tolist() == [[True, False], [False, True]]
    likely, unlikely = 1 / (1 + math.exp(-3)), 1 / (1 + math.exp(3))
    expected = torch.where(cross, likely, unlikely) * BOX  # soft in the box, nothing beyond
    torch.testing.assert_close(found.masks[0, 0], expected)
    assert not found.masks[0, 1].any()
    assert not found.masks[1, 0].any()


def test_small_masks_and_unlikely_classes_are_not_trusted():
    assert taught((area(1, 2, 3, 5), area(2, 3, 6, 9)), (0.9, 0.4)).trusted.sum() == 0


def test_what_is_drawn_outside_the_box_lowers_trust_and_is_never_a_target():
    found = taught((BOX | area(5, 2, 6, 8), BOX), (0.9, 0.9), agreement=0.8)
    assert found.trusted[0, 0]  # 4 / 5 of the rows
    assert torch.equal(found.masks[0, 0] > 0, BOX)
    assert not taught((BOX | area(5, 2, 6, 8), BOX), (0.9, 0.9), agreement=0.81).trusted[0, 0]


def test_padding_is_not_drawn_on():
    valid = torch.ones(2, HEIGHT, WIDTH, dtype=torch.bool)
    valid[0, 5:] = False
    found = taught((BOX | area(5, 2, 7, 8), BOX), (0.9, 0.9), valid=valid, agreement=1.0)
    assert found.trusted[0, 0]


def test_loss_by_hand_and_nothing_from_masks_that_are_not_trusted():
    logits = torch.stack((logits_of(BOX), logits_of(BOX), logits_of(~BOX))).requires_grad_()
    valid = torch.ones(3, HEIGHT, WIDTH, dtype=torch.bool)
    loss = teacher_loss(logits, BOX.float().expand(3, -1, -1), torch.tensor([True, False, True]), valid)
    p, box, rest = 1 / (1 + math.exp(-3)), 24, HEIGHT * WIDTH - 24
    mass = box * p + rest * (1 - p)
    assert loss[0].item() == pytest.approx(-math.log(p) + 1 - (2 * box * p + 1) / (mass + box + 1), rel=1e-4)
    assert loss[1].item() == 0
    assert loss[2] > 3
    loss.sum().backward()
    assert torch.isfinite(logits.grad).all()
    assert not logits.grad[1].any()
    assert (logits.grad[2][BOX] < 0).all()
