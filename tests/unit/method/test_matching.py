"""The batched assignment against single frames, one cost at a time, solved by scipy."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from synthetic_batches import CLASSES, HEIGHT, LAYERS, QUERIES, STRIDE, WIDTH, make_output, make_targets

from qcen_core.config import MatchingConfig
from qcen_core.method.matching import grid_labels, match_layers

CONFIG = MatchingConfig(
    class_cost=2, projection_cost=5, mask_bce_cost=3, mask_dice_cost=7, box_l1_cost=4, box_giou_cost=1.5
)
COUNTS = (2, 0, 4, 1, 3)


def valid_cells(frames):
    valid = torch.ones(frames, HEIGHT, WIDTH, dtype=torch.bool)
    valid[0, 5:] = False
    valid[2:3, :, 8:] = False
    return valid


def padded(targets, valid, masks=None):
    return grid_labels(targets, masks, valid, STRIDE)


def extent_of(valid):
    """Width and height of the frames, all of whose padding is whole cells."""
    sizes = [(inside.any(0).sum().item(), inside.any(1).sum().item()) for inside in valid]
    return STRIDE * torch.tensor(sizes, dtype=torch.float32)


def pixel_masks(targets, seed=5):
    generator = torch.Generator().manual_seed(seed)
    size = (HEIGHT * STRIDE, WIDTH * STRIDE)
    return tuple(torch.rand(len(target.labels), *size, generator=generator) < 0.4 for target in targets)


def plain_coverage(low, high, cells):
    """Share of each cell of one axis between two coordinates."""
    ends = [(max(low, cell * STRIDE), min(high, cell * STRIDE + STRIDE)) for cell in range(cells)]
    return np.array([max(0.0, end - start) / STRIDE for start, end in ends])


def plain_place_cost(box, label, extent):
    """4 x the distance of centres and sides + 1.5 x minus the generalised IoU."""
    l1 = 0.0
    for axis in range(2):
        (low, high), (label_low, label_high) = ((b[axis], b[axis + 2]) for b in (box, label))
        l1 += abs((low + high) / 2 - (label_low + label_high) / 2) / extent[axis]
        l1 += abs((high - low) - (label_high - label_low)) / extent[axis]
    return 4 * l1 - 1.5 * plain_giou(box, label)


def plain_giou(a, b):
    def area(x1, y1, x2, y2):
        return max(0, x2 - x1) * max(0, y2 - y1)

    common = area(max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3]))
    hull = area(min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3]))
    union = area(*a) + area(*b) - common
    return common / union - (hull - union) / hull


def plain_dice(p, t):
    return 1 - 2 * (p * t).sum() / ((p * p).sum() + (t * t).sum() + 1e-5)


def plain_box_cost(logits, box, valid):
    p = np.where(valid, 1 / (1 + np.exp(-logits)), 0)
    columns, rows = plain_coverage(box[0], box[2], WIDTH), plain_coverage(box[1], box[3], HEIGHT)
    return 5 * (plain_dice(p.max(0), columns) + plain_dice(p.max(1), rows))


def plain_mask_cost(logits, mask, valid):
    p, t = 1 / (1 + np.exp(-logits[valid])), mask[valid]
    bce = -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean()
    return 3 * bce + 7 * (1 - (2 * (p * t).sum() + 1) / (p.sum() + t.sum() + 1))


def plain_match(layer, targets, valid, masks=None):
    """(frame, query, label) of every couple, frames one after the other."""
    couples = []
    for frame, target in enumerate(targets):
        inside = valid[frame].numpy()
        boxes, extent = target.boxes.tolist(), extent_of(valid)[frame].tolist()
        cost = np.zeros((layer.class_logits.shape[1], len(target.labels)))
        for query, label in np.ndindex(cost.shape):
            scores = np.exp(layer.class_logits[frame, query].detach().double().numpy())
            cost[query, label] = -2 * scores[target.labels[label]] / scores.sum()
            if layer.boxes is not None:
                cost[query, label] += plain_place_cost(layer.boxes[frame, query].tolist(), boxes[label], extent)
            logits = layer.mask_logits[frame, query].detach().double().numpy()
            if masks is None:
                cost[query, label] += plain_box_cost(logits, boxes[label], inside)
            else:
                shares = masks[frame][label].double().view(HEIGHT, STRIDE, WIDTH, STRIDE).mean((1, 3)).numpy()
                cost[query, label] += plain_mask_cost(logits, shares, inside)
        rows, columns = linear_sum_assignment(cost)
        couples += sorted((frame, int(q), int(g)) for q, g in zip(rows, columns, strict=True))
    return couples


def couples_of(match):
    return sorted(zip(match.frames.tolist(), match.queries.tolist(), match.labels.tolist(), strict=True))


@pytest.mark.parametrize("with_masks", [False, True])
@pytest.mark.parametrize("located", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_every_output_is_matched_as_frames_one_by_one(seed, located, with_masks):
    output, targets = make_output(len(COUNTS), seed=seed, located=located), make_targets(COUNTS, seed=seed)
    valid = valid_cells(5)
    masks = pixel_masks(targets) if with_masks else None
    matches = match_layers(output.layers, padded(targets, valid, masks), valid, extent_of(valid), CONFIG)
    assert len(matches) == LAYERS
    for match, layer in zip(matches, output.layers, strict=True):
        assert couples_of(match) == plain_match(layer, targets, valid, masks)


def test_outputs_share_their_couples_of_frame_and_label_in_order():
    output, targets, valid = make_output(len(COUNTS)), make_targets(COUNTS), valid_cells(5)
    for match in match_layers(output.layers, padded(targets, valid), valid, extent_of(valid), CONFIG):
        labelled = list(zip(match.frames.tolist(), match.labels.tolist(), strict=True))
        assert labelled == [(frame, label) for frame, count in enumerate(COUNTS) for label in range(count)]
        assert not match.queries.requires_grad


def test_more_labels_than_queries_use_every_query_once():
    counts = (7, 2)
    output, targets, valid = make_output(2), make_targets(counts), valid_cells(2)
    for match, layer in zip(
        match_layers(output.layers, padded(targets, valid), valid, extent_of(valid), CONFIG), output.layers, strict=True
    ):
        assert match.frames.tolist() == [0] * QUERIES + [1] * 2
        assert sorted(match.queries[:QUERIES].tolist()) == list(range(QUERIES))
        assert len(set(match.labels[:QUERIES].tolist())) == QUERIES
        assert couples_of(match) == sorted(plain_match(layer, targets, valid))


@pytest.mark.parametrize("counts", [(0, 0, 0), (0, 2, 0)])
def test_frames_without_labels(counts):
    output, targets, valid = make_output(3), make_targets(counts), valid_cells(3)
    for match in match_layers(output.layers, padded(targets, valid), valid, extent_of(valid), CONFIG):
        assert match.frames.tolist() == [1] * counts[1]
        assert match.frames.dtype == match.queries.dtype == match.labels.dtype == torch.int64


def test_padded_labels_are_never_matched_even_if_they_are_cheap():
    counts = (1, 4)
    output, targets, valid = make_output(2), make_targets(counts), valid_cells(2)
    # Padding has class 0 and an empty box: make that the favourite of every query.
    for layer in output.layers:
        layer.class_logits.data[:] = torch.tensor([50.0] + [0.0] * CLASSES)
        layer.mask_logits.data[:] = -50.0
    for match in match_layers(output.layers, padded(targets, valid), valid, extent_of(valid), CONFIG):
        assert match.frames.tolist() == [0, 1, 1, 1, 1]
        assert match.labels.tolist() == [0, 0, 1, 2, 3]


@pytest.mark.parametrize("with_masks", [False, True])
def test_padded_pixels_do_not_matter(with_masks):
    output, targets, valid = make_output(len(COUNTS)), make_targets(COUNTS), valid_cells(5)
    masks = pixel_masks(targets) if with_masks else None
    before = match_layers(output.layers, padded(targets, valid, masks), valid, extent_of(valid), CONFIG)
    garbage = 50 * torch.randn(len(COUNTS), QUERIES, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(8))
    for layer in output.layers:
        layer.mask_logits.data = torch.where(valid[:, None], layer.mask_logits.data, garbage)
    if masks is not None:
        pixels = valid.repeat_interleave(STRIDE, 1).repeat_interleave(STRIDE, 2)
        masks = tuple(mask | ~inside for mask, inside in zip(masks, pixels, strict=True))
    after = match_layers(output.layers, padded(targets, valid, masks), valid, extent_of(valid), CONFIG)
    assert [couples_of(match) for match in before] == [couples_of(match) for match in after]


def test_the_order_of_labels_permutes_the_match():
    targets, valid = make_targets((4,)), valid_cells(1)
    output = make_output(1)
    order = torch.tensor([2, 0, 3, 1])
    shuffled = (type(targets[0])(targets[0].boxes[order], targets[0].labels[order]),)
    match = match_layers(output.layers, padded(targets, valid), valid, extent_of(valid), CONFIG)[-1]
    other = match_layers(output.layers, padded(shuffled, valid), valid, extent_of(valid), CONFIG)[-1]
    renamed = {(query, int(order[label])) for _, query, label in couples_of(other)}
    assert renamed == {(query, label) for _, query, label in couples_of(match)}


def test_predictions_that_are_not_numbers_do_not_stop_the_matching():
    output, targets, valid = make_output(2), make_targets((2, 3)), valid_cells(2)
    output.layers[0].class_logits.data.fill_(math.nan)
    assert len(match_layers(output.layers, padded(targets, valid), valid, extent_of(valid), CONFIG)[0].queries) == 5


def test_a_box_tells_queries_of_one_look_and_mask_apart():
    targets, valid = make_targets((2,)), valid_cells(1)
    output = make_output(1, located=True)
    apart = torch.full((1, QUERIES, 4), 1.0)
    apart[..., 2:] = 2.0
    apart[0, 3], apart[0, 1] = targets[0].boxes
    layers = tuple(
        type(layer)(torch.zeros_like(layer.class_logits), torch.zeros_like(layer.mask_logits), apart)
        for layer in output.layers
    )
    for match in match_layers(layers, padded(targets, valid), valid, extent_of(valid), CONFIG):
        assert couples_of(match) == [(0, 1, 1), (0, 3, 0)]


def test_labels_on_a_grid():
    targets, valid = make_targets((2, 0, 3)), valid_cells(3)
    masks = pixel_masks(targets)
    for stride in (2, 4):
        cells = valid.repeat_interleave(STRIDE // stride, 1).repeat_interleave(STRIDE // stride, 2)
        labels = grid_labels(targets, masks, cells, stride)
        size = cells.shape[-2:]
        assert labels.counts == (2, 0, 3)
        for frame, target in enumerate(targets):
            count = len(target.labels)
            assert not labels.columns[frame, count:].any()
            assert not labels.rows[frame, count:].any()
            assert not labels.masks[frame, count:].any()
            for index in range(count):
                shares = masks[frame][index].float().view(size[0], stride, size[1], stride).mean((1, 3))
                torch.testing.assert_close(labels.masks[frame, index], shares)
                assert not labels.box_masks[frame, index][~cells[frame]].any()
        assert grid_labels(targets, None, cells, stride).masks is None
