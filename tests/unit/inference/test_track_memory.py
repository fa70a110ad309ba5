"""The memory of the trackers as tensors: against lists of tracks, over long videos, and saved and restored."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save
from slow_tracker import SlowMemoryTracker, SlowMinvisTracker

from qcen_core.config import TrackerConfig
from qcen_core.inference.guest_tracker import GuestTracker
from qcen_core.inference.tracker import MemoryTracker, MinvisTracker, build_tracker
from qcen_core.ops.mask_overlap import packed
from qcen_core.structures import FramePrediction, Guests

HEIGHT, WIDTH, EMBEDDED, CLASSES, DRAWING, QUERY = 11, 29, 5, 3, 7, 13
SIGHTS = ("embeddings", "class_logits", "masks", "mask_embeddings", "queries", "positions", "boxes")
NUMBERS = ("ids", "frames", "missed", "carried")


def config(**changes) -> TrackerConfig:
    return TrackerConfig(**({"max_age": 2, "max_instances": 6, "overlap_weight": 0.5, "new_track": 0.7} | changes))


class Video:
    """Up to eight objects that move, seen with noise, most of them in each frame, with what is none among them."""

    def __init__(self, seed, objects=8):
        self.rng = np.random.default_rng(seed)
        self.looks = self.rng.normal(size=(objects, EMBEDDED))
        self.columns = self.rng.integers(0, WIDTH - 5, objects)
        self.present = self.rng.random(objects) < 0.5

    def frame(self) -> FramePrediction:
        rng = self.rng
        self.present ^= rng.random(len(self.present)) < 0.15
        self.columns = np.clip(self.columns + rng.integers(-2, 3, len(self.columns)), 0, WIDTH - 5)
        seen = rng.permutation(np.flatnonzero(self.present))
        looks = np.concatenate((self.looks[seen], rng.normal(size=(rng.integers(0, 3), EMBEDDED))))
        count = len(looks)
        masks = rng.normal(-1, 0.7, (count, HEIGHT, WIDTH))
        for mask, column in zip(masks, [*self.columns[seen], 7, 11], strict=False):
            mask[2:8, column : column + 5] += 2.5
        logits, drawing = rng.normal(size=(count, CLASSES + 1)), rng.normal(size=(count, DRAWING))
        queries = rng.normal(size=(1, count, QUERY))

        def tensor(values):
            return torch.from_numpy(np.asarray(values, dtype=np.float32))

        looks = F.normalize(tensor(looks + rng.normal(0, 0.3, looks.shape)), dim=1)
        guests = Guests(tensor(queries), tensor(-queries), tensor(queries[..., :4]))
        return FramePrediction(tensor(logits), tensor(rng.random(count)), tensor(masks), looks, tensor(drawing), guests)


def stacked(tracks, name, *shape):
    rows = [torch.as_tensor(getattr(track, name)) for track in tracks]
    return torch.stack(rows) if rows else torch.zeros(0, *shape)


def close(found, expected):
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)


def check_frame(tracks, expected, frame):
    """What a tracker says of a frame against the tracks of the list."""
    assert tracks.ids.tolist() == [0 if track is None else track.id for track in expected]
    assert len(tracks.class_logits) == len(tracks.mask_embeddings) == len(expected)
    for row, track in enumerate(expected):
        close(tracks.class_logits[row], frame.class_logits[row] if track is None else track.class_logits)
        close(tracks.mask_embeddings[row], frame.mask_embeddings[row] if track is None else track.mask_embedding)


@settings(max_examples=60)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 0.5, 2.0]),
    st.sampled_from([1, 6, 99]),
    st.sampled_from([MemoryTracker, GuestTracker]),
)
def test_tensors_say_the_same_as_a_list_of_tracks(seed, overlap_weight, max_instances, kind):
    limits = config(overlap_weight=overlap_weight, max_instances=max_instances)
    tracker, slow, video = kind(limits), SlowMemoryTracker(limits), Video(seed)
    for _ in range(17):
        frame = video.frame()
        expected = slow.step(frame)
        check_frame(tracker.step(frame), expected, frame)
        state = tracker.state()
        assert int(state["born"]) == slow.born
        assert tracker.remembered == len(slow.tracks)
        for name in ("id", "frames", "missed"):
            assert state["ids" if name == "id" else name].tolist() == [getattr(track, name) for track in slow.tracks]
        assert state["carried"].tolist() == [0] * len(slow.tracks)
        close(state["embeddings"], stacked(slow.tracks, "embedding", EMBEDDED))
        close(state["class_logits"], stacked(slow.tracks, "class_logits", CLASSES + 1))
        close(state["mask_embeddings"], stacked(slow.tracks, "mask_embedding", DRAWING))
        if overlap_weight or kind is GuestTracker:
            assert torch.equal(state["masks"], packed(stacked(slow.tracks, "mask", HEIGHT, WIDTH)))
        if isinstance(tracker, GuestTracker) and slow.tracks:
            guests, queries = tracker.guests(), stacked(slow.tracks, "query")
            assert torch.equal(guests.queries, queries[None])
            assert torch.equal(guests.positions, -queries[None])
            assert torch.equal(guests.boxes, queries[None, :, :4])


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_minvis_says_the_same_as_a_list_of_tracks(seed):
    tracker, slow, video = MinvisTracker(), SlowMinvisTracker(), Video(seed)
    for _ in range(17):
        frame = video.frame()
        expected = slow.step(frame)
        check_frame(tracker.step(frame), expected, frame)
        state = tracker.state()
        assert int(state["born"]) == slow.born
        assert state["frames"].tolist() == [track.frames for track in slow.tracks]
        assert torch.equal(state["embeddings"], frame.embeddings)


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(0, 9), st.sampled_from(["memory", "minvis"]), st.booleans())
def test_a_restored_tracker_goes_on_as_if_nothing_had_happened(seed, saved_after, kind, crowded):
    limits = config(kind=kind, max_instances=2 if crowded else 99)
    first, going_on, video = build_tracker(limits), None, Video(seed)
    for number in range(13):
        if number == saved_after:
            going_on = build_tracker(limits)
            going_on.restore(load(save(first.state())))
        frame = video.frame()
        tracks, state = first.step(frame), first.state()
        if going_on is not None:
            same, its_state = going_on.step(frame), going_on.state()
            for name in ("ids", "class_logits", "mask_embeddings"):
                assert torch.equal(getattr(tracks, name), getattr(same, name))
            assert state.keys() == its_state.keys()
            assert all(torch.equal(state[name], its_state[name]) for name in state)


def test_a_state_stays_as_it_was_taken():
    for kind in ("memory", "minvis"):
        tracker, video = build_tracker(config(kind=kind)), Video(5)
        for _ in range(5):
            tracker.step(video.frame())
        state = tracker.state()
        copies = {name: tensor.clone() for name, tensor in state.items()}
        going_on = build_tracker(config(kind=kind))
        going_on.restore(state)
        for _ in range(5):
            tracker.step(video.frame())
            going_on.step(video.frame())
        assert all(torch.equal(state[name], copies[name]) for name in copies)


def test_nothing_to_remember_is_a_state_as_well():
    for kind in ("memory", "minvis"):
        tracker, video = build_tracker(config(kind=kind)), Video(11)
        assert {name: int(tensor) for name, tensor in tracker.state().items()} == {"born": 0}
        going_on = build_tracker(config(kind=kind))
        going_on.restore(load(save(tracker.state())))
        frame = video.frame()
        assert torch.equal(tracker.step(frame).ids, going_on.step(frame).ids)


@pytest.mark.parametrize("kind", ["memory", "minvis"])
def test_the_state_of_another_tracker_is_refused(kind):
    other = build_tracker(config(kind="minvis" if kind == "memory" else "memory"))
    other.step(Video(3).frame())
    for state in (other.state(), {}, {"born": torch.tensor(3), "ids": torch.tensor([2])}):
        with pytest.raises(ValueError, match="state"):
            build_tracker(config(kind=kind)).restore(state)


@pytest.mark.slow
def test_memory_does_not_grow_over_ten_thousand_frames():
    limits = config(max_age=5, max_instances=6)
    tracker, prepared = GuestTracker(limits), [Video(seed, 11).frame() for seed in range(200)]
    rng = np.random.default_rng(2)
    most = 0
    for _ in range(10_000):
        tracker.step(prepared[rng.integers(len(prepared))])
        most = max(most, tracker.remembered)
    state = tracker.state()
    assert int(state.pop("born")) > 1000
    assert most == limits.max_instances
    assert set(state) == {*NUMBERS, *SIGHTS}
    for name, tensor in state.items():
        assert len(tensor) == tracker.remembered
        assert tensor.untyped_storage().nbytes() == tensor.nbytes, name


@pytest.mark.parametrize("kind", ["memory", "minvis"])
def test_tracks_do_not_hold_the_frames_they_came_from(kind):
    tracker, video = build_tracker(config(kind=kind, new_track=0.0)), Video(2)
    video.present[:] = True
    for _ in range(2):
        frame = video.frame()
        names = ("embeddings", "class_logits", "mask_logits", "mask_embeddings")
        parts = {name: torch.cat((getattr(frame, name),) * 3) for name in names}
        copies = {name: whole.clone() for name, whole in parts.items()}
        tracker.step(replace(frame, **{name: whole[: len(frame.scores)] for name, whole in parts.items()}))
        assert all(torch.equal(parts[name], copies[name]) for name in names)
        for name, tensor in tracker.state().items():
            assert tensor.untyped_storage().nbytes() == tensor.nbytes, name
