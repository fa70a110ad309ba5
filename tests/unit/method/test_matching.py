"""The batched assignment against single frames, one cost at a time, solved by scipy."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from synthetic_batches import CLASSES, HEIGHT, LAYERS, QUERIES, STRIDE, WIDTH, make_output, make_targets

from qcen_core.config import MatchingConfig
from qcen_core.method.matching import match_layers, pad_labels
from qcen_core.ops.boxes import filled_boxes

CONFIG = MatchingConfig(class_cost=2, projection_cost=5, mask_bce_cost=3, mask_dice_cost=7)
COUNTS = (2, 0, 4, 1, 3)


def valid_cells(frames):
    valid = torch.ones(frames, HEIGHT, WIDTH, dtype=torch.bool)
    valid[0, 5:] = False
    valid[2:3, :, 8:] = False
    return valid


def padded(targets, valid, masks=None):
    fills = [
        filled_boxes(target.boxes, (HEIGHT, WIDTH), STRIDE) & inside
        for target, inside in zip(targets, valid, strict=True)
    ]
    return pad_labels(targets, tuple(fills), masks)


def soft_masks(targets, seed=5):
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.rand(len(target.labels), HEIGHT, WIDTH, generator=generator) for target in targets)


def plain_dice(p, t):
    return 1 - 2 * (p * t).sum() / ((p * p).sum() + (t * t).sum() + 1e-5)


def plain_box_cost(logits, box, valid):
    p = np.where(valid, 1 / (1 + np.exp(-logits)), 0)
    return 5 * (plain_dice(p.max(0), box.any(0)) + plain_dice(p.max(1), box.any(1)))


def plain_mask_cost(logits, mask, valid):
    p, t = 1 / (1 + np.exp(-logits[valid])), mask[valid]
    bce = -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean()
    return 3 * bce + 7 * (1 - (2 * (p * t).sum() + 1) / (p.sum() + t.sum() + 1))


def plain_match(layer, targets, valid, masks=None):
    """(frame, query, label) of every couple, frames one after the other."""
    couples = []
    for frame, target in enumerate(targets):
        inside = valid[frame].numpy()
        boxes = filled_boxes(target.boxes, (HEIGHT, WIDTH), STRIDE).numpy() & inside
        cost = np.zeros((layer.class_logits.shape[1], len(target.labels)))
        for query, label in np.ndindex(cost.shape):
            scores = np.exp(layer.class_logits[frame, query].detach().double().numpy())
            cost[query, label] = -2 * scores[target.labels[label]] / scores.sum()
            logits = layer.mask_logits[frame, query].detach().double().numpy()
            if masks is None:
                cost[query, label] += plain_box_cost(logits, boxes[label], inside)
            else:
                cost[query, label] += plain_mask_cost(logits, masks[frame][label].double().numpy(), inside)
        rows, columns = linear_sum_assignment(cost)
        couples += sorted((frame, int(q), int(g)) for q, g in zip(rows, columns, strict=True))
    return couples


def couples_of(match):
    return sorted(zip(match.frames.tolist(), match.queries.tolist(), match.labels.tolist(), strict=True))


@pytest.mark.parametrize("with_masks", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_every_output_is_matched_as_frames_one_by_one(seed, with_masks):
    output, targets, valid = make_output(len(COUNTS), seed=seed), make_targets(COUNTS, seed=seed), valid_cells(5)
    masks = soft_masks(targets) if with_masks else None
    matches = match_layers(output.layers, padded(targets, valid, masks), valid, CONFIG)
    assert len(matches) == LAYERS
    for match, layer in zip(matches, output.layers, strict=True):
        assert couples_of(match) == plain_match(layer, targets, valid, masks)


def test_outputs_share_their_couples_of_frame_and_label_in_order():
    output, targets, valid = make_output(len(COUNTS)), make_targets(COUNTS), valid_cells(5)
    for match in match_layers(output.layers, padded(targets, valid), valid, CONFIG):
        labelled = list(zip(match.frames.tolist(), match.labels.tolist(), strict=True))
        assert labelled == [(frame, label) for frame, count in enumerate(COUNTS) for label in range(count)]
        assert not match.queries.requires_grad


def test_more_labels_than_queries_use_every_query_once():
    counts = (7, 2)
    output, targets, valid = make_output(2), make_targets(counts), valid_cells(2)
    for match, layer in zip(
        match_layers(output.layers, padded(targets, valid), valid, CONFIG), output.layers, strict=True
    ):
        assert match.frames.tolist() == [0] * QUERIES + [1] * 2
        assert sorted(match.queries[:QUERIES].tolist()) == list(range(QUERIES))
        assert len(set(match.labels[:QUERIES].tolist())) == QUERIES
        assert couples_of(match) == sorted(plain_match(layer, targets, valid))


@pytest.mark.parametrize("counts", [(0, 0, 0), (0, 2, 0)])
def test_frames_without_labels(counts):
    output, targets, valid = make_output(3), make_targets(counts), valid_cells(3)
    for match in match_layers(output.layers, padded(targets, valid), valid, CONFIG):
        assert match.frames.tolist() == [1] * counts[1]
        assert match.frames.dtype == match.queries.dtype == match.labels.dtype == torch.int64


def test_padded_labels_are_never_matched_even_if_they_are_cheap():
    counts = (1, 4)
    output, targets, valid = make_output(2), make_targets(counts), valid_cells(2)
    # Padding has class 0 and an empty box: make that the favourite of every query.
    for layer in output.layers:
        layer.class_logits.data[:] = torch.tensor([50.0] + [0.0] * CLASSES)
        layer.mask_logits.data[:] = -50.0
    for match in match_layers(output.layers, padded(targets, valid), valid, CONFIG):
        assert match.frames.tolist() == [0, 1, 1, 1, 1]
        assert match.labels.tolist() == [0, 0, 1, 2, 3]


@pytest.mark.parametrize("with_masks", [False, True])
def test_padded_pixels_do_not_matter(with_masks):
    output, targets, valid = make_output(len(COUNTS)), make_targets(COUNTS), valid_cells(5)
    masks = soft_masks(targets) if with_masks else None
    before = match_layers(output.layers, padded(targets, valid, masks), valid, CONFIG)
    garbage = 50 * torch.randn(len(COUNTS), QUERIES, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(8))
    for layer in output.layers:
        layer.mask_logits.data = torch.where(valid[:, None], layer.mask_logits.data, garbage)
    if masks is not None:
        masks = tuple(torch.where(inside, mask, 1.0) for mask, inside in zip(masks, valid, strict=True))
    after = match_layers(output.layers, padded(targets, valid, masks), valid, CONFIG)
    assert [couples_of(match) for match in before] == [couples_of(match) for match in after]


def test_the_order_of_labels_permutes_the_match():
    targets, valid = make_targets((4,)), valid_cells(1)
    output = make_output(1)
    order = torch.tensor([2, 0, 3, 1])
    shuffled = (type(targets[0])(targets[0].boxes[order], targets[0].labels[order]),)
    match = match_layers(output.layers, padded(targets, valid), valid, CONFIG)[-1]
    other = match_layers(output.layers, padded(shuffled, valid), valid, CONFIG)[-1]
    renamed = {(query, int(order[label])) for _, query, label in couples_of(other)}
    assert renamed == {(query, label) for _, query, label in couples_of(match)}


def test_predictions_that_are_not_numbers_do_not_stop_the_matching():
    output, targets, valid = make_output(2), make_targets((2, 3)), valid_cells(2)
    output.layers[0].class_logits.data.fill_(math.nan)
    assert len(match_layers(output.layers, padded(targets, valid), valid, CONFIG)[0].queries) == 5
