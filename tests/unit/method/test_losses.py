"""Every loss against hand-computed values and plain loops; what all of them promise: gradients, empty input, size."""

import math

import pytest
import torch
from torch.autograd import gradcheck

from qcen_core.method import losses

LAYERS, MASKS, HEIGHT, WIDTH, QUERIES, CLASSES = 2, 3, 7, 11, 5, 2
DILATION = 2


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def coin(*shape, seed=1, share=0.5):
    return torch.rand(*shape, generator=generator(seed)) < share


def sigmoid(value):
    return 1 / (1 + math.exp(-value))


EDGES = tuple(
    coin(MASKS, HEIGHT - DILATION * down, WIDTH - DILATION * abs(right), seed=index)
    for index, (down, right) in enumerate(losses.HALF_NEIGHBOURHOOD)
)
BOXES = coin(MASKS, HEIGHT, WIDTH, seed=11)
COLUMNS = torch.rand(MASKS, WIDTH, generator=generator(14), dtype=torch.float64)
ROWS = torch.rand(MASKS, HEIGHT, generator=generator(15), dtype=torch.float64)
SOFT = torch.rand(MASKS, HEIGHT, WIDTH, generator=generator(12), dtype=torch.float64)
VALID = coin(MASKS, HEIGHT, WIDTH, seed=13, share=0.7)
POSITIVE = torch.tensor([4, 0, 2])
TARGETS = torch.tensor([[0, 2, 1, 2, 2], [2, 2, 0, 1, 1], [1, 1, 2, 2, 0]])

# Each loss as a function of its prediction alone: (function, shape of the prediction).
MASK_LOSSES = {
    "projection": lambda x: losses.projection_loss(x, COLUMNS.to(x.dtype), ROWS.to(x.dtype)),
    "pairwise": lambda x: losses.pairwise_loss(x, EDGES, BOXES, DILATION)[0],
    "mask_bce": lambda x: losses.mask_bce_loss(x, SOFT.to(x.dtype), VALID),
    "mask_dice": lambda x: losses.mask_dice_loss(x, SOFT.to(x.dtype), VALID),
    "consistency": lambda x: losses.consistency_loss(x, SOFT.to(x.dtype).logit(), VALID),
    "background": lambda x: losses.background_loss(x, VALID),
}
QUERY_LOSSES = {
    "class": (lambda x: losses.class_loss(x, TARGETS, 0.1)[0], (MASKS, QUERIES, CLASSES + 1)),
    "contrast": (lambda x: losses.query_contrast_loss(x, POSITIVE), (MASKS, QUERIES)),
    "contrast_auxiliary": (lambda x: losses.contrast_auxiliary_loss(x, POSITIVE), (MASKS, QUERIES)),
}
ALL = {name: (function, (MASKS, HEIGHT, WIDTH)) for name, function in MASK_LOSSES.items()} | QUERY_LOSSES


@pytest.mark.parametrize("name", ALL)
def test_gradients_are_those_of_finite_differences(name):
    function, shape = ALL[name]
    assert gradcheck(function, (normal(*shape, seed=3).requires_grad_(),))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("size", [1e4, -1e4])
def test_huge_logits_stay_finite(name, size):
    function, shape = ALL[name]
    signs = coin(*shape, seed=5).float() * 2 - 1
    for prediction in (torch.full(shape, size), size * signs):
        prediction.requires_grad_()
        value = function(prediction)
        value.sum().backward()
        assert torch.isfinite(value).all()
        assert torch.isfinite(prediction.grad).all()


@pytest.mark.parametrize(
    "function",
    [
        lambda x: losses.projection_loss(x, COLUMNS[:0], ROWS[:0]),
        lambda x: losses.pairwise_loss(x, tuple(edge[:0] for edge in EDGES), BOXES[:0], DILATION)[0],
        lambda x: losses.mask_bce_loss(x, SOFT[:0], VALID[:0]),
        lambda x: losses.mask_dice_loss(x, SOFT[:0], VALID[:0]),
        lambda x: losses.consistency_loss(x, SOFT[:0], VALID[:0]),
        lambda x: losses.background_loss(x, VALID[:0]),
        lambda x: losses.query_contrast_loss(x[..., 0], POSITIVE[:0]),
        lambda x: losses.contrast_auxiliary_loss(x[..., 0], POSITIVE[:0]),
    ],
)
def test_no_instances_give_a_gradient_of_zero(function):
    leaf = normal(MASKS, HEIGHT, WIDTH).requires_grad_()
    value = function(leaf[torch.zeros(0, dtype=torch.int64)])
    assert value.shape == (0,)
    value.sum().backward()
    assert leaf.grad is not None
    assert not leaf.grad.any()


@pytest.mark.parametrize("name", [name for name in MASK_LOSSES if name != "consistency"])  # that has one output only
def test_masks_of_several_decoder_outputs_are_independent(name):
    logits = normal(LAYERS, MASKS, HEIGHT, WIDTH)
    together = MASK_LOSSES[name](logits)
    assert together.shape == (LAYERS, MASKS)
    torch.testing.assert_close(together, torch.stack([MASK_LOSSES[name](layer) for layer in logits]))


# The set losses


def test_class_loss_by_hand():
    # One query of class 0 and two of no object (weight 0.1), all logits equal: ln 3 each.
    total, weight = losses.class_loss(torch.zeros(1, 3, 3), torch.tensor([[0, 2, 2]]), 0.1)
    assert (total.item(), weight.item()) == pytest.approx((1.2 * math.log(3), 1.2))


def test_class_loss_is_the_weighted_sum_of_a_loop():
    logits = normal(MASKS, QUERIES, CLASSES + 1)
    total = weight_sum = 0.0
    for frame, row in zip(logits.tolist(), TARGETS.tolist(), strict=True):
        for values, target in zip(frame, row, strict=True):
            weight = 0.1 if target == CLASSES else 1.0
            total += weight * (math.log(sum(math.exp(v) for v in values)) - values[target])
            weight_sum += weight
    found, weights = losses.class_loss(logits, TARGETS, 0.1)
    assert (found.item(), weights.item()) == pytest.approx((total, weight_sum))


def test_squared_dice_by_hand():
    # x.t = 0.5, x.x = 0.5, t.t = 2: 1 - 1 / 2.5
    value = losses.squared_dice(torch.tensor([0.5, 0.5, 0.0]), torch.tensor([1.0, 0.0, 1.0]))
    assert value.item() == pytest.approx(0.6, abs=1e-5)


def test_projections_are_the_largest_probabilities_of_columns_and_rows():
    logits = normal(HEIGHT, WIDTH)
    x, y = losses.projections(logits)
    table = logits.tolist()
    assert x.tolist() == pytest.approx([max(sigmoid(table[r][c]) for r in range(HEIGHT)) for c in range(WIDTH)])
    assert y.tolist() == pytest.approx([max(sigmoid(v) for v in row) for row in table])


def test_projection_loss_is_dice_of_rows_plus_dice_of_columns():
    logits = normal(MASKS, HEIGHT, WIDTH)
    found = losses.projection_loss(logits, COLUMNS, ROWS)
    for value, table, columns, rows in zip(found, logits.tolist(), COLUMNS.tolist(), ROWS.tolist(), strict=True):
        expected = 0.0
        for lines, t in ((table, rows), (list(zip(*table, strict=True)), columns)):
            p = [max(sigmoid(v) for v in line) for line in lines]
            overlap = sum(a * b for a, b in zip(p, t, strict=True))
            expected += 1 - 2 * overlap / (sum(a * a for a in p) + sum(b * b for b in t) + 1e-5)
        assert value.item() == pytest.approx(expected)


def test_projection_loss_is_zero_for_a_mask_that_touches_all_sides_of_its_box():
    box = torch.zeros(1, HEIGHT, WIDTH, dtype=torch.bool)
    box[:, 1:6, 2:7] = True
    diagonal = torch.full((1, HEIGHT, WIDTH), -50.0)
    diagonal[0, range(1, 6), range(2, 7)] = 50.0
    columns, rows = box.any(1).float(), box.any(2).float()
    assert losses.projection_loss(diagonal, columns, rows).item() == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_projection_loss_is_smallest_where_a_border_cell_is_as_likely_as_the_box_covers_it(share):
    columns, rows = torch.tensor([[0.0, share, 1.0, 1.0]]), torch.ones(1, 1)
    tried = torch.linspace(0.05, 0.95, 19)
    probabilities = torch.tensor([1e-6, 0, 1 - 1e-6, 1 - 1e-6]).repeat(len(tried), 1, 1)
    probabilities[:, 0, 1] = tried
    values = losses.projection_loss(probabilities.logit(), columns, rows)
    assert tried[values.argmin()].item() == pytest.approx(share, abs=0.01)


def test_mask_bce_by_hand_counts_valid_pixels_only():
    logits = torch.tensor([[[0.0, math.log(3), 99.0]]])  # probabilities 1/2 and 3/4; the third pixel is padding
    value = losses.mask_bce_loss(logits, torch.tensor([[[1.0, 0.0, 0.0]]]), torch.tensor([[[True, True, False]]]))
    assert value.item() == pytest.approx((math.log(2) + math.log(4)) / 2)


def test_mask_dice_by_hand_counts_valid_pixels_only():
    logits = torch.tensor([[[0.0, math.log(3), 99.0]]])
    value = losses.mask_dice_loss(logits, torch.tensor([[[1.0, 0.0, 1.0]]]), torch.tensor([[[True, True, False]]]))
    assert value.item() == pytest.approx(1 - (2 * 0.5 + 1) / (1.25 + 1 + 1))


def test_mask_losses_are_those_of_a_loop():
    logits = normal(MASKS, HEIGHT, WIDTH)
    bce, dice = losses.mask_bce_loss(logits, SOFT, VALID), losses.mask_dice_loss(logits, SOFT, VALID)
    for index in range(MASKS):
        cells = [(r, c) for r in range(HEIGHT) for c in range(WIDTH) if VALID[index, r, c]]
        p = [sigmoid(logits[index, r, c].item()) for r, c in cells]
        t = [SOFT[index, r, c].item() for r, c in cells]
        couples = list(zip(p, t, strict=True))
        entropy = [-b * math.log(a) - (1 - b) * math.log(1 - a) for a, b in couples]
        assert bce[index].item() == pytest.approx(sum(entropy) / len(cells))
        overlap = sum(a * b for a, b in couples)
        assert dice[index].item() == pytest.approx(1 - (2 * overlap + 1) / (sum(p) + sum(t) + 1))


# Contrast and exchange


def test_query_contrast_is_its_definition():
    similarity = normal(MASKS, QUERIES, seed=4)
    for value, row, own in zip(
        losses.query_contrast_loss(similarity, POSITIVE), similarity.tolist(), POSITIVE.tolist(), strict=True
    ):
        negatives = [s for query, s in enumerate(row) if query != own]
        assert value.item() == pytest.approx(math.log(1 + sum(math.exp(s - row[own]) for s in negatives)))


def test_contrast_auxiliary_is_its_definition():
    cosine = normal(MASKS, QUERIES, seed=4).tanh()
    for value, row, own in zip(
        losses.contrast_auxiliary_loss(cosine, POSITIVE), cosine.tolist(), POSITIVE.tolist(), strict=True
    ):
        negatives = [c * c for query, c in enumerate(row) if query != own]
        assert value.item() == pytest.approx(((row[own] - 1) ** 2 + sum(negatives) / len(negatives)) / 2)


def test_contrast_auxiliary_with_a_single_query_has_no_negatives():
    assert losses.contrast_auxiliary_loss(torch.tensor([[0.5]]), torch.tensor([0])).item() == pytest.approx(0.125)


def test_exchanged_masks_are_products_of_the_query_with_the_other_frame():
    embeddings, features = normal(5, 2, seed=1), normal(3, 2, 7, 11, seed=2)
    frames = [2, 0, 2, 2, 0]
    masks = losses.exchanged_masks(embeddings, torch.tensor(frames), features)
    assert masks.shape == (5, 7, 11)
    for mask, embedding, frame in zip(masks, embeddings, frames, strict=True):
        torch.testing.assert_close(mask, embedding[0] * features[frame, 0] + embedding[1] * features[frame, 1])


def test_exchanged_masks_pass_gradients_to_queries_and_features():
    embeddings, features = normal(4, 2).requires_grad_(), normal(3, 2, 2, 3).requires_grad_()
    frames = torch.tensor([1, 1, 0, 1])
    assert gradcheck(lambda e, f: losses.exchanged_masks(e, frames, f), (embeddings, features))
    embeddings.grad = features.grad = None
    losses.exchanged_masks(embeddings[:0], frames[:0], features).sum().backward()
    assert not embeddings.grad.any()
    assert not features.grad.any()


def test_consistency_holds_the_own_mask_fixed():
    exchanged, own = normal(MASKS, HEIGHT, WIDTH).requires_grad_(), normal(MASKS, HEIGHT, WIDTH, seed=2)
    own.requires_grad_()
    value = losses.consistency_loss(exchanged, own, VALID)
    target = own.detach().sigmoid()
    expected = losses.mask_bce_loss(exchanged, target, VALID) + losses.mask_dice_loss(exchanged, target, VALID)
    torch.testing.assert_close(value, expected)
    value.sum().backward()
    assert own.grad is None
    assert exchanged.grad.any()


def test_background_loss_is_the_mean_of_softplus_and_has_a_gradient_everywhere():
    logits = normal(MASKS, HEIGHT, WIDTH).requires_grad_()
    value = losses.background_loss(logits, VALID)
    for index in range(MASKS):
        kept = logits[index][VALID[index]].tolist()
        assert value[index].item() == pytest.approx(sum(math.log(1 + math.exp(v)) for v in kept) / len(kept))
    value.sum().backward()
    assert (logits.grad[VALID] > 0).all()
    assert not logits.grad[~VALID].any()
