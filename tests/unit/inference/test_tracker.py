from itertools import permutations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from qcen_core.config import TrackerConfig
from qcen_core.inference.tracker import MemoryTracker, MinvisTracker, assign, build_tracker
from qcen_core.ops.mask_overlap import packed
from qcen_core.structures import FramePrediction, Guests

HEIGHT, WIDTH, CHANNELS = 11, 29, 5
EMPTY = FramePrediction(
    torch.zeros(0, 4),
    torch.zeros(0),
    torch.zeros(0, HEIGHT, WIDTH),
    torch.zeros(0, CHANNELS),
    torch.zeros(0, 3),
    Guests(torch.zeros(1, 0, CHANNELS), torch.zeros(1, 0, CHANNELS)),
)


def config(**changes) -> TrackerConfig:
    return TrackerConfig(**({"overlap_weight": 0.0, "new_track": 0.2, "match_threshold": 0.3} | changes))


def seen(*instances) -> FramePrediction:
    """A frame of (embedding, column of the mask, score, class)."""
    rows = [(*instance, *(0, 0.9, 0)[len(instance) - 1 :]) for instance in instances]
    masks = torch.full((len(rows), HEIGHT, WIDTH), -1.0)
    logits = torch.zeros(len(rows), 4)
    for row, (_, column, _, class_id) in enumerate(rows):
        masks[row, 2:7, column : column + 5] = 1.0
        logits[row, class_id] = 2.0
    embeddings = torch.tensor(np.array([row[0] for row in rows]), dtype=torch.float32)
    embeddings = F.pad(embeddings, (0, CHANNELS - embeddings.shape[1]))
    scores = torch.tensor([row[2] for row in rows])
    columns = torch.tensor([[float(row[1])] * 3 for row in rows]).reshape(-1, 3)
    guests = Guests(embeddings[None], 1 - embeddings[None])
    return FramePrediction(logits, scores, masks, F.normalize(embeddings, dim=-1), columns, guests)


def ids(tracks):
    return [track_id or None for track_id in tracks.ids.tolist()]


RED, GREEN, BLUE = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
TWIN_A, TWIN_B = (1.0, 0.2, 0.0), (1.0, -0.2, 0.0)


def test_identity_follows_the_embedding_and_not_the_order():
    tracker = MemoryTracker(config())
    assert ids(tracker.step(seen((RED,), (GREEN,), (BLUE,)))) == [1, 2, 3]
    assert ids(tracker.step(seen((BLUE,), (RED,), (GREEN,)))) == [3, 1, 2]


def test_the_mask_embedding_of_a_track_is_a_moving_average():
    tracker = MemoryTracker(config(exchange=0.75))
    assert tracker.step(seen((RED, 0))).mask_embeddings.tolist() == [[0.0, 0.0, 0.0]]
    assert tracker.step(seen((RED, 4))).mask_embeddings.tolist() == [[1.0, 1.0, 1.0]]
    assert tracker.step(seen((BLUE, 3, 0.1), (RED, 8))).mask_embeddings.tolist() == [[3.0] * 3, [2.75] * 3]


def test_crossing_twins_of_slightly_different_embedding_keep_their_ids():
    tracker = MemoryTracker(config())
    assert ids(tracker.step(seen((TWIN_A, 0), (TWIN_B, 20)))) == [1, 2]
    for step in range(1, 11):
        couple = [(TWIN_A, 2 * step), (TWIN_B, 20 - 2 * step)]
        if step % 2:
            assert ids(tracker.step(seen(*couple))) == [1, 2]
        else:
            assert ids(tracker.step(seen(*couple[::-1]))) == [2, 1]


def test_equal_twins_are_told_apart_by_overlap_alone():
    for weight, expected in ((0.0, None), (0.5, [2, 1])):
        tracker = MemoryTracker(config(overlap_weight=weight))
        assert ids(tracker.step(seen((RED, 1), (RED, 20)))) == [1, 2]
        found = ids(tracker.step(seen((RED, 19), (RED, 2))))
        assert expected is None or found == expected


def test_overlap_weight_is_weight_times_iou():
    # Columns 0-4 against 2-6: IoU 3 / 7. The cosine is 0, so the match needs weight x 3 / 7 >= 0.3.
    for weight, expected in ((0.69, [2]), (0.71, [1])):
        tracker = MemoryTracker(config(overlap_weight=weight))
        tracker.step(seen((RED, 0)))
        assert ids(tracker.step(seen((GREEN, 2)))) == expected


def test_occluded_object_keeps_its_id_up_to_the_age_limit():
    for gap, expected in ((3, 2), (4, 3)):
        tracker = MemoryTracker(config(max_age=3))
        tracker.step(seen((RED,), (GREEN,)))
        for _ in range(gap):
            assert ids(tracker.step(seen((RED,)))) == [1]
        assert ids(tracker.step(seen((GREEN,), (RED,)))) == [expected, 1]


def test_age_zero_remembers_the_previous_frame_only():
    tracker = MemoryTracker(config(max_age=0))
    assert ids(tracker.step(seen((RED,)))) == [1]
    assert ids(tracker.step(seen((RED,)))) == [1]
    tracker.step(EMPTY)
    assert ids(tracker.step(seen((RED,)))) == [2]


def test_weak_instances_go_on_with_a_track_but_start_none():
    tracker = MemoryTracker(config(new_track=0.5))
    assert ids(tracker.step(seen((RED, 0, 0.4), (GREEN, 9, 0.5)))) == [None, 1]
    assert ids(tracker.step(seen((GREEN, 9, 0.1)))) == [1]


def test_unlike_instance_starts_a_track_although_one_is_free():
    tracker = MemoryTracker(config(match_threshold=0.3))
    tracker.step(seen((RED,)))
    assert ids(tracker.step(seen(((0.29, 0.957),)))) == [2]
    assert ids(tracker.step(seen(((0.31, 0.0, 0.951),)))) == [1]


def test_empty_frames_from_the_start_and_in_between():
    tracker = MemoryTracker(config())
    assert ids(tracker.step(EMPTY)) == []
    assert ids(tracker.step(seen((RED,)))) == [1]
    assert ids(tracker.step(EMPTY)) == []
    assert ids(tracker.step(seen((RED,)))) == [1]


def test_memory_mean_and_momentum_by_hand():
    tracker = MemoryTracker(config(momentum=0.8, overlap_weight=0.1))
    tracker.step(seen((RED, 0, 0.9, 0)))
    tracker.step(seen(((0.6, 0.8), 0, 0.9, 1)))
    last = seen(((0.6, 0.8), 3, 0.9, 1))
    tracks, state = tracker.step(last), tracker.state()
    memory = F.normalize(0.8 * torch.tensor([1.0, 0.0]) + 0.2 * torch.tensor([0.6, 0.8]), dim=0)
    memory = F.normalize(0.8 * memory + 0.2 * torch.tensor([0.6, 0.8]), dim=0)
    torch.testing.assert_close(state["embeddings"][0, :2], memory)
    torch.testing.assert_close(state["class_logits"], torch.tensor([[2 / 3, 4 / 3, 0, 0]]))
    torch.testing.assert_close(tracks.class_logits, state["class_logits"])
    assert torch.equal(state["masks"], packed(last.mask_logits))
    assert (state["frames"].tolist(), state["missed"].tolist()) == ([3], [0])


def test_memory_is_bounded_and_the_longest_missing_end_first():
    tracker = MemoryTracker(config(max_instances=2, max_age=99))
    assert ids(tracker.step(seen((RED,), (GREEN,)))) == [1, 2]
    assert ids(tracker.step(seen((GREEN,)))) == [2]
    assert ids(tracker.step(seen((BLUE,)))) == [3]  # RED, missing for two frames, is forgotten
    assert tracker.remembered == 2
    assert ids(tracker.step(seen((GREEN,), (BLUE,)))) == [2, 3]
    assert ids(tracker.step(seen((RED,)))) == [4]


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["memory", "minvis"]))
def test_ids_count_up_and_never_come_twice(seed, kind):
    rng = np.random.default_rng(seed)
    limits = config(kind=kind, max_age=2, max_instances=7, overlap_weight=0.3)
    tracker = build_tracker(limits)
    born, last_seen = 0, {}
    for frame in range(23):
        count = rng.integers(0, 8)
        rows = [(rng.normal(size=CHANNELS), int(rng.integers(24)), float(rng.random())) for _ in range(count)]
        found = ids(tracker.step(seen(*rows) if rows else EMPTY))
        given_ids = [track_id for track_id in found if track_id is not None]
        assert len(found) == count
        assert len(set(given_ids)) == len(given_ids)
        for track_id in given_ids:
            if track_id > born:
                assert track_id == born + 1
                born = track_id
            else:
                assert frame - last_seen[track_id] <= (limits.max_age + 1 if kind == "memory" else 1)
            last_seen[track_id] = frame
        if isinstance(tracker, MemoryTracker):
            assert tracker.remembered <= limits.max_instances


def test_no_gradient_is_kept():
    frame = seen((RED,))
    frame.embeddings.requires_grad_()
    frame.mask_logits.requires_grad_()
    tracker = MemoryTracker(config(overlap_weight=0.5))
    tracker.step(frame)
    tracker.step(frame)
    assert not any(tensor.requires_grad for tensor in tracker.state().values())


def test_minvis_aligns_all_queries_with_the_previous_frame():
    def at(degrees, score):
        return ((np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))), 0, score)

    tracker = MinvisTracker()
    assert ids(tracker.step(seen(at(0, 0.9), at(180, 0.0)))) == [1, 2]
    assert ids(tracker.step(seen(at(240, 0.0), at(60, 0.9)))) == [2, 1]
    # Against the first frame, or a mean of both, this would be the other way round.
    assert ids(tracker.step(seen(at(120, 0.0), at(300, 0.9)))) == [1, 2]


def test_minvis_without_a_partner_ends_or_starts():
    tracker = MinvisTracker()
    assert ids(tracker.step(seen((RED,), (GREEN,)))) == [1, 2]
    assert ids(tracker.step(seen((GREEN,)))) == [2]
    assert ids(tracker.step(seen((RED,), (GREEN,)))) == [3, 2]


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 4), st.sampled_from([-np.inf, 0.0, 0.3, 0.7]))
def test_assignment_equals_trying_all(seed, rows, columns, threshold):
    similarity = np.random.default_rng(seed).uniform(-1, 1, (rows, columns))
    floor = -2.0 if threshold == -np.inf else threshold

    def gain(couples):
        return sum(max(similarity[r, c] - floor, 0.0) for r, c in couples)

    if rows <= columns:
        best = max(gain(enumerate(choice)) for choice in permutations(range(columns), rows))
    else:
        best = max(gain((r, c) for c, r in enumerate(choice)) for choice in permutations(range(rows), columns))
    found = couples(similarity, threshold)
    assert gain(found) == pytest.approx(best)
    assert all(similarity[couple] >= threshold for couple in found)
    if threshold == -np.inf:
        assert len(found) == min(rows, columns)


def couples(similarity, threshold):
    rows, columns = assign(torch.as_tensor(similarity), threshold)
    return list(zip(rows.tolist(), columns.tolist(), strict=True))


def test_hopeless_couple_never_costs_a_good_one_its_partner():
    # The largest plain sum would take (0, 1) and (1, 0); of those, (1, 0) is below the threshold.
    assert couples([[0.8, 0.75], [0.2, -0.9]], 0.3) == [(0, 0)]


def test_similarities_that_are_not_numbers_match_nothing():
    assert couples([[torch.nan, torch.nan], [0.2, 0.9]], 0.3) == [(1, 1)]
