"""The mask losses at points against those of transformers' Mask2Former, on the points that it drew."""

import pytest
import torch
from transformers import Mask2FormerConfig
from transformers.models.mask2former.modeling_mask2former import Mask2FormerLoss

from qcen_core.method import losses
from qcen_core.method.mask_points import pixels_at, uncertain_points, values_at

FRAMES, QUERIES, SIZE, STRIDE, POINTS = 2, 5, (16, 24), 4, 112
MATCHED = ((torch.tensor([0, 3]), torch.tensor([1, 0])), (torch.tensor([4]), torch.tensor([0])))


@pytest.fixture
def theirs():
    return Mask2FormerLoss(Mask2FormerConfig(num_labels=3, train_num_points=POINTS), {})


@pytest.fixture
def case():
    generator = torch.Generator().manual_seed(6)
    logits = 3 * torch.randn(FRAMES, QUERIES, *SIZE, generator=generator)
    pixels = [torch.rand(count, *(STRIDE * side for side in SIZE), generator=generator) < 0.5 for count in (2, 1)]
    return logits, pixels


def test_losses_at_the_same_points_are_the_same(theirs, case, monkeypatch):
    logits, pixels = case
    drawn = []
    draw = theirs.sample_points_using_uncertainty
    monkeypatch.setattr(theirs, "sample_points_using_uncertainty", lambda *a: drawn.append(draw(*a)) or drawn[-1])
    expected = theirs.loss_masks(logits, [mask.float() for mask in pixels], MATCHED, num_masks=3)
    frames, columns = torch.tensor([0, 0, 1]), torch.tensor([1, 0, 0])
    found = values_at(logits[frames, torch.tensor([0, 3, 4])][:, None], drawn[0])
    padded = torch.nn.utils.rnn.pad_sequence(pixels, batch_first=True)
    targets = pixels_at(padded, frames, columns, drawn[0])[:, None]
    everywhere = torch.ones_like(targets, dtype=torch.bool)
    torch.testing.assert_close(losses.mask_bce_loss(found, targets, everywhere).sum() / 3, expected["loss_mask"])
    torch.testing.assert_close(losses.mask_dice_loss(found, targets, everywhere).sum() / 3, expected["loss_dice"])


def test_points_are_drawn_alike(theirs, case):
    """The same random numbers, asked for in the same order, give the same points."""
    logits = case[0].flatten(0, 1)
    torch.manual_seed(8)
    expected = theirs.sample_points_using_uncertainty(
        logits[:, None], theirs.calculate_uncertainty, POINTS, theirs.oversample_ratio, theirs.importance_sample_ratio
    )
    torch.manual_seed(8)
    found = uncertain_points(logits[:, None], torch.ones(len(logits), 2), POINTS)[:, 0]
    assert torch.equal(found.sort(dim=1).values, expected.sort(dim=1).values)
