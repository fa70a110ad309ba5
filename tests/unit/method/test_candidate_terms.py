"""The terms `temporal` and `teacher` as the criterion computes them, and what they never read."""

import dataclasses

import pytest
import torch
from synthetic_batches import LOSS, MATCHING, PAIRS, leaves, make_batch, make_output, only, terms_of

from qcen_core.method import losses
from qcen_core.method.criterion import SetCriterion
from qcen_core.structures import BoxTarget, ClipBatch

SIDE = 64  # pixels, 16 cells


def still_batch(shift=0):
    """One clip of a textured square that moves `shift` cells to the right, and its true masks in cells."""
    generator = torch.Generator().manual_seed(3)
    cells = torch.rand(16, 16, 3, generator=generator)
    images, targets, masks = [], [], torch.zeros(2, 16, 16, dtype=torch.bool)
    texture = torch.rand(6, 6, 3, generator=generator)
    for frame in range(2):
        left = 3 + shift * frame
        picture = cells.clone()
        picture[4:10, left : left + 6] = texture
        masks[frame, 4:10, left : left + 6] = True
        images.append((255 * picture).to(torch.uint8).permute(2, 0, 1).repeat_interleave(4, 1).repeat_interleave(4, 2))
        box = torch.tensor([[4.0 * left, 16, 4.0 * left + 24, 40]])
        targets.append(BoxTarget(box, torch.tensor([1])))
    batch = ClipBatch(
        images=torch.stack(images)[None],
        valid=torch.ones(1, SIDE, SIDE, dtype=torch.bool),
        frame_times=torch.tensor([[0, 2]]),
        targets=tuple(targets),
        strong=None,
        sources=("pond",),
    )
    return batch, masks


def drawing(masks):
    """Predictions of 2 frames: query 1 draws `masks` and is sure of class 1, at every layer."""
    output = make_output(2, queries=2)
    logits = torch.full((2, 2, *masks.shape[1:]), -15.0)
    logits[:, 1] = 30 * masks.float() - 15
    classes = torch.tensor([[0.0, 0, 0, 9], [0, 9, 0, 0]]).expand(2, 2, 4)
    layers = tuple(
        layer._replace(class_logits=classes, mask_logits=logits.clone().requires_grad_()) for layer in output.layers
    )
    return output._replace(layers=layers, mask_features=torch.zeros(2, 13, *masks.shape[1:]))


@pytest.mark.parametrize("shift", [0, 5])
def test_temporal_term_follows_the_object(shift):
    batch, masks = still_batch(shift)
    loss = LOSS.model_copy(update={"temporal_distance": 6.0})
    right = terms_of(drawing(masks), batch, only("temporal"), loss=loss)["temporal"].item()
    assert right < 0.05 * 2  # two layers; patches that show the square and the scene may be matched wrong
    half = masks.clone()
    half[1, :7] = False
    assert terms_of(drawing(half), batch, only("temporal"), loss=loss)["temporal"].item() > 20 * right + 1


def test_temporal_term_is_the_mean_over_matches_summed_over_layers():
    batch, masks = still_batch()
    half = masks.clone()
    half[1, :7] = False
    both = drawing(half)
    single = [
        terms_of(both._replace(layers=(layer,)), batch, only("temporal"))["temporal"].item() for layer in both.layers
    ]
    assert terms_of(both, batch, only("temporal"))["temporal"].item() == pytest.approx(sum(single))
    assert single[0] < 2 * 15 * 2  # a mean and not a sum: no cell costs more than its two logits


def test_temporal_term_teaches_masks_only():
    output = make_output()
    terms_of(output, make_batch(), only("temporal"))["temporal"].backward()
    for name, leaf in leaves(output).items():
        assert (leaf.grad is not None) == (name in {"mask 0", "mask 1"}), name
        assert leaf.grad is None or (leaf.grad.any() and torch.isfinite(leaf.grad).all())


def test_teacher_term_is_the_sum_over_trusted_labels_and_layers_divided_by_labels():
    batch, masks = still_batch()
    odd = masks.clone()
    odd[0, 4:6, 3:5] = False  # the teacher's mask of frame 0 still touches all sides
    odd[1, :9] = False  # that of frame 1 does not
    student = drawing(masks)
    loss = LOSS.model_copy(update={"teacher_agreement": 0.8, "teacher_confidence": 0.5})
    term = terms_of(student, batch, only("teacher"), loss=loss, teacher=drawing(odd))["teacher"]
    valid = torch.ones(1, 16, 16, dtype=torch.bool)
    target = (30 * odd[:1].float() - 15).sigmoid()
    target[:, :4] = target[:, 10:] = target[..., :3] = target[..., 9:] = 0  # beyond the box
    expected = sum(
        losses.mask_bce_loss(layer.mask_logits[:1, 1], target, valid)
        + losses.mask_dice_loss(layer.mask_logits[:1, 1], target, valid)
        for layer in student.layers
    )
    assert term.item() == pytest.approx(expected.item() / 2)  # two labels
    term.backward()
    for layer in student.layers:
        gradient = layer.mask_logits.grad
        assert gradient[0, 1, 4:6, 3:5].min() > 0
        assert not gradient[1].any()


def test_the_teacher_is_matched_to_the_labels_on_its_own():
    batch, masks = still_batch()
    teacher = drawing(masks)
    layers = tuple(type(layer)(layer.class_logits.flip(1), layer.mask_logits.flip(1)) for layer in teacher.layers)
    same = terms_of(drawing(masks), batch, only("teacher"), teacher=teacher)["teacher"]
    assert same < 1e-3
    assert terms_of(drawing(masks), batch, only("teacher"), teacher=teacher._replace(layers=layers))["teacher"] == same


def test_no_gradient_reaches_the_teacher():
    student, teacher = make_output(), make_output(seed=5)
    terms_of(student, make_batch(), only("teacher"), teacher=teacher)["teacher"].backward()
    assert all(leaf.grad is None for leaf in leaves(teacher).values())
    assert all(layer.mask_logits.grad.any() for layer in student.layers)


def test_without_a_teacher_there_is_no_term():
    assert SetCriterion(LOSS, MATCHING, PAIRS)(make_output(), make_batch(), only("teacher")).terms == {}


@pytest.mark.parametrize("name", ["temporal", "teacher"])
@pytest.mark.parametrize("strong", ["mask", "mask+id"])
def test_true_masks_switch_the_terms_off(name, strong):
    assert terms_of(make_output(), make_batch(strong=strong), only(name)) == {}


def test_targets_of_the_teacher_do_not_depend_on_identities():
    output, teacher = make_output(), make_output(seed=5)
    boxes, known = (
        terms_of(output, make_batch(strong=strong), only("teacher"), teacher=teacher)["teacher"]
        for strong in ("", "id")
    )
    assert torch.equal(boxes, known)


@pytest.mark.parametrize("name", ["temporal", "teacher"])
def test_labels_that_lie_in_padding_teach_nothing(name):
    batch = make_batch((1, 1), sources=("a",))
    hidden = BoxTarget(torch.tensor([[38.0, 23, 43, 27]]), torch.tensor([0]))
    batch = dataclasses.replace(batch, targets=(hidden, hidden))
    output = make_output(2)
    term = terms_of(output, batch, only(name), loss=LOSS.model_copy(update={"teacher_agreement": 0.5}))[name]
    assert term.item() == 0
    term.backward()
    assert all(leaf.grad is None or torch.isfinite(leaf.grad).all() for leaf in leaves(output).values())
