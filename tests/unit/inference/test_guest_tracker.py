"""Tracks whose queries visit the next frame: small stories, and all of it against a slow restatement."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save
from slow_guests import Sight, SlowTracker

from qcen_core.config import TrackerConfig
from qcen_core.inference.guest_tracker import GuestTracker
from qcen_core.inference.tracker import MemoryTracker
from qcen_core.ops.mask_overlap import packed
from qcen_core.structures import FramePrediction, Guests

HEIGHT, WIDTH, CHANNELS, CLASSES = 7, 29, 3, 2
RED, GREEN, BLUE = np.eye(CHANNELS)


def config(**changes) -> TrackerConfig:
    return TrackerConfig(**({"new_track": 0.2, "match_threshold": 0.3, "exchange": 0.5} | changes))


def sight(embedding, column, score=0.9, *, width=5, name=0.0, logit=1.0, class_id=0):
    """An object of columns `column` and the next."""
    mask = np.full((HEIGHT, WIDTH), -1.0)
    mask[2:5, column : column + width] = logit
    return Sight(np.asarray(embedding, dtype=float), mask, score, 3.0 * np.eye(CLASSES + 1)[class_id], name)


def frame(sights) -> FramePrediction:
    """The sights as tensors; the name of each stands in its query, position and box."""

    def stacked(values, *shape):
        return torch.from_numpy(np.array(values, dtype=np.float32).reshape(len(sights), *shape))

    names = stacked([s.name for s in sights], 1)[None]
    return FramePrediction(
        class_logits=stacked([s.classes for s in sights], CLASSES + 1),
        scores=stacked([s.score for s in sights]),
        mask_logits=stacked([s.mask for s in sights], HEIGHT, WIDTH),
        embeddings=stacked([s.embedding for s in sights], CHANNELS),
        mask_embeddings=torch.zeros(len(sights), 2),
        guests=Guests(names.repeat(1, 1, CHANNELS), -names.repeat(1, 1, CHANNELS), names.repeat(1, 1, 4)),
    )


def step(tracker, sights, visits=None):
    """[(id, first column of the mask)] of what is shown in the next frame, in the order of the tracker."""
    if visits is None:
        shown, tracks = frame(sights), tracker.step(frame(sights))
    else:
        shown, tracks = tracker.step_with_guests(frame(sights), frame(visits))
    assert len(tracks.ids) == len(shown.scores) == len(shown.mask_logits) == shown.guests.queries.shape[1]
    assert len(tracks.class_logits) == len(tracks.mask_embeddings) == len(shown.scores)
    columns = [int((mask > 0).any(0).nonzero()[0]) for mask in shown.mask_logits]
    return [(track_id, column) for track_id, column in zip(tracks.ids.tolist(), columns, strict=True) if track_id]


HIDDEN = sight(RED, 0, score=0.1)  # what a guest says whose object it cannot find


def test_a_lost_object_is_carried_for_three_frames_and_then_dropped():
    tracker = GuestTracker(config(guest_frames=3, max_age=2))
    assert step(tracker, [sight(RED, 1)]) == [(1, 1)]
    for column in (2, 3, 4):
        assert step(tracker, [], [sight(BLUE, column)]) == [(1, column)]
    for _ in range(2):
        assert step(tracker, [], [sight(BLUE, 5)]) == []
        assert tracker.remembered == 1
    assert step(tracker, [], [sight(BLUE, 5)]) == []
    assert tracker.remembered == 0
    assert tracker.guests() is None


def test_an_object_found_again_may_be_carried_again():
    tracker = GuestTracker(config(guest_frames=1))
    step(tracker, [sight(RED, 1)])
    for _ in range(3):
        assert step(tracker, [], [sight(RED, 2)]) == [(1, 2)]
        assert step(tracker, [], [sight(RED, 2)]) == []
        assert step(tracker, [sight(RED, 2)], [sight(RED, 2)]) == [(1, 2)]


def test_no_guest_is_shown_where_none_may():
    tracker = GuestTracker(config(guest_frames=0))
    step(tracker, [sight(RED, 1)])
    assert step(tracker, [], [sight(RED, 2)]) == []


@pytest.mark.parametrize(("score", "expected"), [(0.49, []), (0.51, [(1, 2)])])
def test_only_a_sure_guest_is_shown(score, expected):
    tracker = GuestTracker(config())
    step(tracker, [sight(RED, 1)])
    assert step(tracker, [], [sight(RED, 2, score)]) == expected


def test_a_guest_that_draws_what_is_shown_is_no_second_object():
    tracker = GuestTracker(config(nms_iou=0.6))
    step(tracker, [sight(RED, 1), sight(GREEN, 12)])
    # GREEN's guest has moved over to RED: first on the whole of it, then on a part, then beside it.
    for width, expected in ((5, [(1, 1)]), (2, [(1, 1)])):
        assert step(tracker, [sight(RED, 1)], [sight(RED, 1), sight(GREEN, 1, width=width)]) == expected
    assert step(tracker, [sight(RED, 1)], [sight(RED, 1), sight(GREEN, 5)]) == [(1, 1), (2, 5)]


def test_of_two_guests_on_one_object_the_better_is_shown():
    tracker = GuestTracker(config())
    step(tracker, [sight(RED, 1), sight(GREEN, 12)])
    assert step(tracker, [], [sight(RED, 20, 0.8), sight(GREEN, 20, 0.9)]) == [(2, 20)]


def test_an_instance_that_shows_what_a_guest_shows_starts_no_track():
    tracker = GuestTracker(config(overlap_weight=0.0))
    step(tracker, [sight(RED, 1)])
    visits = [sight(RED, 3)]
    assert step(tracker, [sight(GREEN, 3), sight(GREEN, 14)], visits) == [(2, 14), (1, 3)]


def test_the_guest_tells_equal_twins_apart_that_jump():
    # Beside their last masks the twins would keep their order; the guests know that they changed places.
    tracker = GuestTracker(config(overlap_weight=0.5))
    assert step(tracker, [sight(RED, 1), sight(RED, 20)]) == [(1, 1), (2, 20)]
    twins = [sight(RED, 1), sight(RED, 20)]
    assert step(tracker, twins, [sight(RED, 20), sight(RED, 1)]) == [(2, 1), (1, 20)]
    # Guests that see nothing leave the last masks.
    assert step(tracker, twins, [HIDDEN, HIDDEN]) == [(2, 1), (1, 20)]


def test_masks_are_averaged_where_the_two_agree():
    tracker = GuestTracker(config(exchange=0.25))
    step(tracker, [sight(RED, 1)])
    # IoU 3 / 7 is too little, 4 / 6 is enough.
    shown, _ = tracker.step_with_guests(frame([sight(RED, 1)]), frame([sight(RED, 3, logit=9.0)]))
    torch.testing.assert_close(shown.mask_logits, frame([sight(RED, 1)]).mask_logits)
    shown, _ = tracker.step_with_guests(frame([sight(RED, 1)]), frame([sight(RED, 2, logit=9.0)]))
    own, guest = sight(RED, 1).mask, sight(RED, 2, logit=9.0).mask
    expected = [[0.75 * own[y, x] + 0.25 * guest[y, x] for x in range(WIDTH)] for y in range(HEIGHT)]
    torch.testing.assert_close(shown.mask_logits[0], torch.tensor(expected, dtype=torch.float32))


def test_the_query_of_the_last_sight_visits_next():
    tracker = GuestTracker(config())
    step(tracker, [sight(RED, 1, name=3.0), sight(GREEN, 12, name=5.0)])
    guests = tracker.guests()
    assert guests.queries[0, :, 0].tolist() == [3.0, 5.0]
    assert guests.positions[0, :, 0].tolist() == [-3.0, -5.0]
    assert guests.boxes[0, :, 0].tolist() == [3.0, 5.0]
    # RED is matched, GREEN is carried: the guest as it left the frame goes on. Then both are out of sight.
    step(tracker, [sight(RED, 1, name=7.0)], [sight(RED, 1, name=11.0), sight(GREEN, 13, name=13.0)])
    assert tracker.guests().queries[0, :, 0].tolist() == [7.0, 13.0]
    step(tracker, [], [HIDDEN, HIDDEN])
    assert tracker.guests().queries[0, :, 0].tolist() == [7.0, 13.0]


def test_guests_of_learned_queries_have_no_box():
    tracker = GuestTracker(config())
    seen = frame([sight(RED, 1, name=3.0), sight(GREEN, 12, name=5.0)])
    object.__setattr__(seen, "guests", seen.guests._replace(boxes=None))
    tracker.step(seen)
    assert tracker.guests().boxes is None
    assert tracker.guests().queries.shape == (1, 2, CHANNELS)


def test_what_only_a_guest_saw_counts_for_the_class():
    tracker = GuestTracker(config())
    step(tracker, [sight(RED, 1, class_id=0)])
    _, tracks = tracker.step_with_guests(frame([]), frame([sight(RED, 1, class_id=1)]))
    torch.testing.assert_close(tracks.class_logits, torch.tensor([[1.5, 1.5, 0.0]]))
    assert [int(tracker.state()[name]) for name in ("frames", "missed", "carried")] == [2, 0, 1]


def test_what_only_a_guest_saw_leaves_the_averages():
    tracker = GuestTracker(config())
    first, visit = (
        replace(frame([sight(color, 1)]), mask_embeddings=torch.tensor([drawing]))
        for color, drawing in ((RED, [3.0, 5.0]), (BLUE, [7.0, 11.0]))
    )
    tracker.step(first)
    _, tracks = tracker.step_with_guests(frame([]), visit)
    assert tracks.ids.tolist() == [1]
    for drawing in (tracks.mask_embeddings, tracker.state()["mask_embeddings"]):
        assert drawing.tolist() == [[3.0, 5.0]]
    assert tracker.state()["embeddings"].tolist() == [RED.tolist()]


def test_without_a_visit_it_is_the_memory_tracker():
    rng = np.random.default_rng(7)
    trackers = GuestTracker(config(max_age=2)), MemoryTracker(config(max_age=2))
    for _ in range(23):
        sights = [random_sight(rng) for _ in range(rng.integers(0, 4))]
        assert step(trackers[0], sights) == step(trackers[1], sights)


def random_sight(rng):
    embedding = np.eye(CHANNELS)[rng.integers(CHANNELS)] + rng.normal(0, 0.2, CHANNELS)
    mask = np.full((HEIGHT, WIDTH), -1.0)
    column, width = 7 * int(rng.integers(4)) + int(rng.integers(2)), int(rng.integers(2, 6))
    mask[1:5, column : column + width] = rng.uniform(0.1, 3)
    mask += rng.normal(0, 0.3, mask.shape)
    classes = rng.normal(size=CLASSES + 1)
    return Sight(embedding / np.linalg.norm(embedding), mask, float(rng.random()), classes, float(rng.integers(1000)))


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.5, 2.0]), st.sampled_from([0, 1, 3]))
def test_the_same_as_the_slow_restatement(seed, overlap_weight, guest_frames):
    rng = np.random.default_rng(seed)
    limits = config(overlap_weight=overlap_weight, guest_frames=guest_frames, max_age=2, max_instances=5)
    fast, slow = GuestTracker(limits), SlowTracker(limits)
    for _ in range(11):
        sights = [random_sight(rng) for _ in range(rng.integers(0, 4))]
        visits = [random_sight(rng) for _ in slow.tracks]
        expected = slow.step(sights, visits)
        if visits:
            shown, tracks = fast.step_with_guests(frame(sights), frame(visits))
        else:
            shown, tracks = frame(sights), fast.step(frame(sights))
        found = [track_id or None for track_id in tracks.ids.tolist()]
        assert found == [track_id for track_id, _, _ in expected]
        given_ids = [track_id for track_id in found if track_id is not None]
        assert len(set(given_ids)) == len(given_ids)
        assert all(track_id <= slow.born for track_id in given_ids)
        for place, (_, mask, score) in enumerate(expected):
            assert float(shown.scores[place]) == pytest.approx(score)
            np.testing.assert_allclose(shown.mask_logits[place].numpy(), mask, atol=1e-5)
        guests = fast.guests()
        assert (guests is None) == (not slow.tracks)
        if guests is not None:
            assert guests.queries[0, :, 0].tolist() == [track.sights[-1].name for track in slow.tracks]
        means = {track.id: np.mean([s.classes for s in track.sights], axis=0) for track in slow.tracks}
        for track_id, logits in zip(found, tracks.class_logits.numpy(), strict=True):
            if track_id in means:
                np.testing.assert_allclose(logits, means[track_id], atol=1e-5)
        state = fast.state()
        assert state["ids"].tolist() == [track.id for track in slow.tracks]
        assert state["missed"].tolist() == [track.missed for track in slow.tracks]
        assert state["carried"].tolist() == [track.carried for track in slow.tracks]
        assert state["frames"].tolist() == [len(track.sights) for track in slow.tracks]
        for embedding, track in zip(state["embeddings"].numpy(), slow.tracks, strict=True):
            np.testing.assert_allclose(embedding, track.embedding, atol=1e-5)
        assert state["masks"].shape == (len(slow.tracks), -(-HEIGHT * WIDTH // 64))
        last = np.array([track.sights[-1].mask for track in slow.tracks]).reshape(-1, HEIGHT, WIDTH)
        assert torch.equal(state["masks"], packed(torch.from_numpy(last)))


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(0, 7))
def test_a_restored_tracker_goes_on_as_if_nothing_had_happened(seed, saved_after):
    limits = config(guest_frames=2, max_age=2, max_instances=5)
    first, going_on = GuestTracker(limits), None
    rng = np.random.default_rng(seed)
    for number in range(11):
        if number == saved_after:
            going_on = GuestTracker(limits)
            going_on.restore(load(save(first.state())))
        sights = frame([random_sight(rng) for _ in range(rng.integers(0, 4))])
        visit = frame([random_sight(rng) for _ in range(first.remembered)]) if first.remembered else None
        results = []
        for tracker in (first, going_on):
            if tracker is not None:
                guests = tracker.guests()
                shown, tracks = (
                    (sights, tracker.step(sights)) if visit is None else tracker.step_with_guests(sights, visit)
                )
                results.append((*(guests or ()), shown.mask_logits, tracks.ids, tracks.class_logits))
                results[-1] += tuple(tracker.state().values())
        assert len(results[0]) == len(results[-1])
        assert all(torch.equal(one, other) for one, other in zip(results[0], results[-1], strict=True))


def test_guests_are_held_without_the_frames_they_came_from():
    tracker = GuestTracker(config())
    columns = range(1, 22, 5)
    step(tracker, [sight(RED, column, score=0.9 if column > 11 else 0.1) for column in columns])
    step(tracker, [sight(RED, 16)], [sight(RED, 16), sight(RED, 21)])
    for name, tensor in tracker.state().items():
        if name != "born":
            assert tensor.shape[0] == 2
            assert tensor.untyped_storage().nbytes() == tensor.nbytes, name
