import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qcen_core.inference.postprocess import (
    CONTAINED_SHARE,
    box_agreement,
    distinct,
    join,
    join_guests,
    score_queries,
    select_instances,
    take,
)
from qcen_core.structures import FramePrediction, Guests, LayerPrediction, SegmenterOutput


def output_of(class_logits, mask_logits, queries=None, contrast=None):
    count = len(class_logits)
    queries = torch.ones(count, 3) if queries is None else queries
    contrast = torch.ones(count, 5) if contrast is None else contrast
    wrong = LayerPrediction(torch.full_like(class_logits, 99)[None], torch.full_like(mask_logits, 99)[None])
    layer = LayerPrediction(class_logits[None], mask_logits[None])
    return SegmenterOutput(
        (wrong, layer), queries[None], torch.ones(1, count, 2), torch.ones(1, 2, 7, 11), contrast[None], queries[None]
    )


def prediction_of(masks, scores, classes=None, categories=3):
    masks = torch.as_tensor(masks)
    classes = torch.zeros(len(masks), dtype=torch.long) if classes is None else torch.as_tensor(classes)
    logits = torch.zeros(len(masks), categories + 1)
    logits[torch.arange(len(masks)), classes] = 4.0
    mask_logits = torch.where(masks, 3.0, -3.0)
    return FramePrediction(
        logits,
        torch.as_tensor(scores),
        mask_logits,
        torch.ones(len(masks), 2),
        torch.zeros(len(masks), 3),
        guests_of(range(len(masks))),
    )


def guests_of(names):
    """Guests that are told apart by their number."""
    numbers = torch.tensor(list(names), dtype=torch.float32)[None, :, None]
    return Guests(numbers.expand(1, -1, 5), 10 + numbers.expand(1, -1, 5), numbers.expand(1, -1, 4))


def test_score_by_hand():
    # Probabilities 0.6, 0.3 and "no object" 0.1; mask probabilities 0.9 and 0.7 inside, 0.2 outside, 1.0 in padding.
    class_logits = torch.tensor([[0.6, 0.3, 0.1], [0.1, 0.2, 0.7], [0.1, 0.2, 0.7]]).log()
    mask = torch.tensor([[0.9, 0.7, 0.999], [0.2, 0.2, 0.999], [0.999, 0.999, 0.999]]).logit()
    output = output_of(class_logits, torch.stack([mask, mask, torch.full((3, 3), -1.0)]))
    prediction = score_queries(output, mask_cells=(2, 2))
    assert prediction.scores.tolist() == pytest.approx([0.6 * 0.8, 0.2 * 0.8, 0.0])
    assert prediction.mask_logits.shape == (3, 2, 2)


def test_a_predicted_box_lowers_the_score_of_a_mask_that_runs_out_of_it():
    # Two cells of 4 x 4 pixels are drawn; the boxes hold both of them, one of them, and none.
    mask = torch.tensor([[9.0, 9.0, -9.0], [-9.0, -9.0, -9.0]])
    output = output_of(torch.tensor([[0.8, 0.2]]).log().expand(3, -1), mask.expand(3, -1, -1))
    boxes = torch.tensor([[[0.0, 0.0, 8.0, 4.0], [0.0, 0.0, 4.0, 4.0], [8.0, 4.0, 12.0, 8.0]]])
    output = output._replace(layers=(output.final._replace(boxes=boxes),))
    scores = score_queries(output, mask_cells=(2, 3)).scores / (0.8 * torch.tensor(9.0).sigmoid())
    assert scores.tolist() == pytest.approx([1.0, 0.5, 0.0])


@settings(max_examples=60)
@given(st.data())
def test_box_agreement_against_counted_cells(data):
    height, width = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 6))
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=height * width, max_size=height * width)))
    mask = mask.reshape(height, width)
    corners = [data.draw(st.tuples(st.integers(-3, length + 3), st.integers(0, 5))) for length in (width, height)]
    (left, across), (top, down) = corners
    box = np.zeros((height, width), dtype=bool)
    box[max(top, 0) : max(top + down, 0), max(left, 0) : max(left + across, 0)] = True
    rows, columns = np.nonzero(mask)
    tight = np.zeros_like(mask)
    if len(rows):
        tight[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = True
    expected = (tight & box).sum() / max(1, (tight | box).sum())
    found = box_agreement(
        torch.from_numpy(mask)[None], torch.tensor([[left, top, left + across, top + down]], dtype=torch.float32)
    )
    assert found.tolist() == pytest.approx([expected])


def test_embeddings_have_unit_length_and_are_the_chosen_ones():
    contrast, queries = torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, 0.0, -2.0]])
    output = output_of(torch.zeros(1, 4), torch.ones(1, 5, 7), queries, contrast)
    torch.testing.assert_close(score_queries(output, mask_cells=(5, 7)).embeddings, torch.tensor([[0.6, 0.8]]))
    chosen = score_queries(output, mask_cells=(5, 7), use_contrast=False)
    torch.testing.assert_close(chosen.embeddings, torch.tensor([[0.0, 0.0, -1.0]]))


def test_more_than_one_frame_is_refused():
    twice = LayerPrediction(torch.zeros(2, 3, 4), torch.zeros(2, 3, 5, 7))
    queries = torch.ones(2, 3, 4)
    output = SegmenterOutput((twice,), queries, torch.ones(2, 3, 2), torch.ones(2, 2, 5, 7), queries, queries)
    with pytest.raises(ValueError, match="frame by frame"):
        score_queries(output, mask_cells=(5, 7))


def test_selection_drops_the_weak_the_empty_and_the_many_and_sorts():
    masks = torch.zeros(5, 7, 11, dtype=torch.bool)
    for row in (0, 1, 3, 4):
        masks[row, row] = True
    prediction = prediction_of(masks, [0.3, 0.04, 0.9, 0.5, 0.7])
    chosen = select_instances(prediction, keep=0.05, nms_iou=0.5, max_instances=2)
    assert chosen.scores.tolist() == pytest.approx([0.7, 0.5])
    everything = select_instances(prediction, keep=0.05, nms_iou=0.5, max_instances=9)
    assert everything.scores.tolist() == pytest.approx([0.7, 0.5, 0.3])
    nothing = select_instances(prediction, keep=0.95, nms_iou=0.5, max_instances=9)
    assert nothing.mask_logits.shape == (0, 7, 11)


def test_scores_that_are_not_numbers_are_dropped():
    prediction = prediction_of(torch.ones(2, 5, 7, dtype=torch.bool), [math.nan, 0.5])
    assert select_instances(prediction, keep=0.0, nms_iou=1.0, max_instances=9).scores.tolist() == [0.5]


def test_duplicates_by_hand():
    whole = np.zeros((7, 11), dtype=bool)
    whole[1:6, 1:9] = True  # 40 pixels
    nearly, part, other = whole.copy(), np.zeros_like(whole), np.zeros_like(whole)
    nearly[1] = False  # 32 of the 40: IoU 0.8
    part[2:4, 2:5] = True  # inside
    other[6, :] = True
    masks, scores = np.stack([whole, nearly, part, part, other]), [0.9, 0.8, 0.7, 0.6, 0.5]
    # Query 2 is a part of its own class; query 3 the same place, but of another class.
    kept = distinct(prediction_of(masks, scores, [0, 1, 0, 1, 0]), 0.6)
    assert kept.tolist() == [0, 3, 4]
    kept = distinct(prediction_of(masks, scores, [0, 1, 0, 2, 0]), 0.85)
    assert kept.tolist() == [0, 1, 3, 4]


def slowly_distinct(masks, classes, threshold):
    kept = []
    for candidate in range(len(masks)):
        pixels = {tuple(p) for p in np.argwhere(masks[candidate])}
        duplicate = False
        for better in kept:
            others = {tuple(p) for p in np.argwhere(masks[better])}
            common = len(pixels & others)
            duplicate |= common / max(len(pixels | others), 1) > threshold
            duplicate |= classes[better] == classes[candidate] and common >= CONTAINED_SHARE * len(pixels)
        if not duplicate:
            kept.append(candidate)
    return kept


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(0, 13), st.sampled_from([0.3, 0.5, 0.6, 0.9]))
def test_duplicates_equal_a_slow_restatement(seed, count, threshold):
    rng = np.random.default_rng(seed)
    masks = np.zeros((count, 7, 11), dtype=bool)
    for mask in masks:
        y, x = rng.integers(0, 5), rng.integers(0, 8)
        mask[y : y + rng.integers(1, 7), x : x + rng.integers(1, 9)] = True
    classes = rng.integers(0, 2, count)
    ordered = prediction_of(masks, np.linspace(1, 0.1, count).astype(np.float32), classes)
    assert distinct(ordered, threshold).tolist() == slowly_distinct(masks, classes, threshold)


def test_guests_follow_their_instances():
    masks = torch.zeros(3, 7, 11, dtype=torch.bool)
    masks[0, 1:3, 1:3] = masks[1, 4:6, 1:3] = masks[2, 1:3, 6:8] = True
    chosen = select_instances(prediction_of(masks, [0.4, 0.01, 0.8]), keep=0.05, nms_iou=0.6, max_instances=9)
    both = join(chosen, take(prediction_of(masks, [0.4, 0.01, 0.8]), torch.tensor([1])))
    assert both.guests.queries[0, :, 0].tolist() == [2.0, 0.0, 1.0]
    assert both.guests.positions[0, :, 0].tolist() == [12.0, 10.0, 11.0]
    assert both.guests.boxes[0, :, 0].tolist() == [2.0, 0.0, 1.0]
    assert both.scores.tolist() == pytest.approx([0.8, 0.4, 0.01])
    assert torch.equal(both.mask_logits > 0, masks[[2, 0, 1]])
    without = [part._replace(boxes=None) for part in (chosen.guests, both.guests)]
    assert join_guests(without).boxes is None
    assert join_guests(without).queries.shape[1] == 5
