"""The losses of located queries against loops, other packages and cases by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck
from torchvision.ops import generalized_box_iou

from qcen_core.method import losses

CLASSES, SIZE, STRIDE = 3, (5, 7), 8  # pixels: 40 x 56


def plain_targets(boxes, labels):
    """Cell by cell: the highest bump of its class."""
    heat = [[[0.0] * SIZE[1] for _ in range(SIZE[0])] for _ in range(CLASSES)]
    for (x1, y1, x2, y2), label in zip(boxes, labels, strict=True):
        column, row = math.floor((x1 + x2) / 2 / STRIDE), math.floor((y1 + y2) / 2 / STRIDE)
        deviation_x, deviation_y = (max(side / STRIDE / 6, 1 / 3) for side in (x2 - x1, y2 - y1))
        for y in range(SIZE[0]):
            for x in range(SIZE[1]):
                exponent = ((x - column) / deviation_x) ** 2 + ((y - row) / deviation_y) ** 2
                heat[label][y][x] = max(heat[label][y][x], math.exp(-exponent / 2))
    return torch.tensor(heat)


def targets(boxes, labels):
    table = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    return losses.center_targets(table, torch.tensor(labels, dtype=torch.int64), CLASSES, SIZE, STRIDE)


@pytest.mark.parametrize(
    ("boxes", "labels"),
    [
        ([(9.0, 3.0, 36.0, 22.0)], [1]),
        ([(0.0, 0.0, 40.0, 30.0), (10.0, 5.0, 54.0, 39.0)], [2, 2]),  # bumps meet
        ([(0.0, 0.0, 40.0, 30.0), (10.0, 5.0, 54.0, 39.0)], [2, 0]),
        ([(17.0, 9.0, 18.0, 10.0)], [0]),  # smaller than a cell
        ([(8.0, 8.0, 24.0, 24.0)], [0]),  # the centre on a border of cells
        ([(50.0, 30.0, 70.0, 56.0)], [1]),  # the centre outside
        ([(-30.0, -10.0, 10.0, 6.0)], [1]),
        ([], []),
    ],
)
def test_center_targets_are_those_of_the_loop(boxes, labels):
    torch.testing.assert_close(targets(boxes, labels), plain_targets(boxes, labels))


@given(st.lists(st.tuples(*[st.integers(0, 56)] * 4, st.integers(0, CLASSES - 1)), max_size=4))
def test_center_targets_of_any_boxes(drawn):
    boxes = [(min(a, c), min(b, d), max(a, c) + 1.0, max(b, d) + 1.0) for a, b, c, d, _ in drawn]
    labels = [label for *_, label in drawn]
    torch.testing.assert_close(targets(boxes, labels), plain_targets(boxes, labels))


def test_center_targets_by_hand():
    assert not targets([], []).any()
    heat = targets([(8.0, 8.0, 56.0, 32.0)], [1])  # 6 x 3 cells around column 4, row 2: deviations 1 and 1/2
    assert heat.shape == (CLASSES, *SIZE)
    assert (heat == 1).nonzero().tolist() == [[1, 2, 4]]  # exactly 1: there the loss asks for a centre
    assert heat[1, 2, 5].item() == pytest.approx(math.exp(-1 / 2))
    assert heat[1, 3, 4].item() == pytest.approx(math.exp(-2))
    assert not heat[0].any()
    assert not (targets([(50.0, 30.0, 70.0, 56.0)], [1]) == 1).any()  # no cell is asked for a centre outside


def test_center_loss_is_that_of_the_loop():
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(2, CLASSES, *SIZE, generator=generator, dtype=torch.float64)
    first = targets([(9.0, 3.0, 36.0, 22.0), (40.0, 20.0, 56.0, 36.0)], [1, 1])
    target = torch.stack((first, targets([], []))).double()
    valid = torch.rand(2, *SIZE, generator=generator) < 0.7
    found = losses.center_loss(logits, target, valid)
    for frame in range(2):
        total = 0.0
        for k, y, x in torch.ones(CLASSES, *SIZE).nonzero().tolist():
            p, t = 1 / (1 + math.exp(-logits[frame, k, y, x])), target[frame, k, y, x].item()
            if valid[frame, y, x]:
                positive = -((1 - p) ** 2) * math.log(p)
                total += positive if t == 1 else -((1 - t) ** 4) * p**2 * math.log(1 - p)
        assert found[frame].item() == pytest.approx(total)


def test_center_loss_has_right_gradients_and_stays_finite():
    target = targets([(9.0, 3.0, 36.0, 22.0)], [1])[None].double()
    valid = torch.ones(1, *SIZE, dtype=torch.bool)
    logits = torch.randn(1, CLASSES, *SIZE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert gradcheck(lambda x: losses.center_loss(x, target, valid), (logits.requires_grad_(),))
    for size in (1e4, -1e4):
        huge = torch.full((1, CLASSES, *SIZE), size, requires_grad=True)
        loss = losses.center_loss(huge, target.float(), valid)
        loss.sum().backward()
        assert torch.isfinite(loss).all()
        assert torch.isfinite(huge.grad).all()


def random_boxes(count, seed):
    generator = torch.Generator().manual_seed(seed)
    low = 30 * torch.rand(count, 2, generator=generator, dtype=torch.float64)
    return torch.cat((low, low + 1 + 30 * torch.rand(count, 2, generator=generator, dtype=torch.float64)), dim=1)


def test_box_l1_is_the_distance_of_centres_and_sides():
    boxes, labels = random_boxes(13, 1), random_boxes(13, 2)
    extent = torch.tensor([[59.0, 31.0]]).double().repeat(13, 1)
    for value, a, b in zip(losses.box_l1_loss(boxes, labels, extent), boxes.tolist(), labels.tolist(), strict=True):
        expected = 0.0
        for axis, length in enumerate((59, 31)):
            expected += abs((a[axis] + a[axis + 2]) / 2 - (b[axis] + b[axis + 2]) / 2) / length
            expected += abs((a[axis + 2] - a[axis]) - (b[axis + 2] - b[axis])) / length
        assert value.item() == pytest.approx(expected)


def test_box_l1_by_hand():
    # The centre is 5 to the right and 10 lower, the box 10 wider: 5/100 + 10/50 + 10/100.
    value = losses.box_l1_loss(
        torch.tensor([10.0, 20, 40, 30]), torch.tensor([10.0, 10, 30, 20]), torch.tensor([100.0, 50.0])
    )
    assert value.item() == pytest.approx(0.35)


def test_box_giou_is_plain_and_that_of_the_matrix_of_torchvision():
    boxes, labels = random_boxes(13, 3), random_boxes(13, 4)
    labels[0] = boxes[0]
    found = losses.box_giou_loss(boxes, labels)
    torch.testing.assert_close(found, 1 - generalized_box_iou(boxes, labels).diagonal(), rtol=1e-6, atol=1e-6)
    for value, a, b in zip(found, boxes.tolist(), labels.tolist(), strict=True):
        sides = [min(a[i + 2], b[i + 2]) - max(a[i], b[i]) for i in range(2)]
        hull = math.prod(max(a[i + 2], b[i + 2]) - min(a[i], b[i]) for i in range(2))
        common = math.prod(max(0.0, side) for side in sides)
        union = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)) - common
        assert value.item() == pytest.approx(1 - common / union + (hull - union) / hull, abs=1e-6)


def test_box_losses_have_right_gradients():
    boxes, labels = random_boxes(5, 5).requires_grad_(), random_boxes(5, 6)
    extent = torch.tensor([59.0, 31.0]).double()
    assert gradcheck(lambda b: losses.box_l1_loss(b, labels, extent.expand(5, -1)), (boxes,))
    assert gradcheck(lambda b: losses.box_giou_loss(b, labels), (boxes,))


def test_no_boxes_give_a_gradient_of_zero():
    boxes = random_boxes(3, 1).requires_grad_()
    none = torch.zeros(0, dtype=torch.int64)
    extent = torch.ones(0, 2).double()
    loss = losses.box_l1_loss(boxes[none], boxes[none].detach(), extent).sum()
    (loss + losses.box_giou_loss(boxes[none], boxes[none].detach()).sum()).backward()
    assert boxes.grad is not None
    assert not boxes.grad.any()
