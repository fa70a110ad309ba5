"""The store and the log of frames: what goes in comes out, by frame and by track."""

import json
import os
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qcen_core.errors import InputError, QcenError
from qcen_core.ops import rle
from qcen_core.records import Category
from qcen_core.trackforms.frame_log import (
    DOUBT_FRAMES,
    FrameLogWriter,
    LoggedFrame,
    LoggedInstance,
    LogHead,
    logged_frame_count,
    logged_frames,
    read_end,
    read_head,
    read_into,
)
from qcen_core.trackforms.store import Sighting, StoredVideo, TrackStore

HEIGHT, WIDTH = 13, 17
CATEGORIES = (Category(7, "cat"), Category(3, "dog"))
VIDEO = StoredVideo(5, "clip", HEIGHT, WIDTH, Fraction(30000, 1001), Fraction(1, 30000))
HEAD = LogHead(VIDEO, CATEGORIES, 0.3)


def mask(seed: int):
    pixels = np.random.default_rng(seed).random((HEIGHT, WIDTH)) > 0.6
    pixels[seed % HEIGHT, seed % WIDTH] = True
    return rle.encode(pixels)


@st.composite
def videos(draw):
    """Frames as lists of (track, class name, score)."""
    frames = draw(st.lists(st.sets(st.integers(1, 5), max_size=4), min_size=1, max_size=7))
    names = st.sampled_from(["cat", "dog", "cow"])
    score = st.integers(0, 100).map(lambda percent: percent / 100)
    return [[(track, draw(names), draw(score)) for track in sorted(frame)] for frame in frames]


def write(path, frames, head=HEAD, notes=("a note",)):
    with FrameLogWriter(path, head) as log:
        for index, seen in enumerate(frames):
            instances = tuple(
                LoggedInstance(track, name, score, mask(31 * index + track)) for track, name, score in seen
            )
            log.write(LoggedFrame(index, 1001 * index, f"{index}.jpg", instances))
        log.finish(len(frames), notes)


@settings(max_examples=40)
@given(videos(), st.sampled_from([None, 0.0, 0.3, 0.7]))
def test_a_log_read_into_a_store_is_what_a_plain_count_says(tmp_path_factory, frames, least):
    path = tmp_path_factory.mktemp("log") / "frames.jsonl"
    write(path, frames)
    sights = {}
    for index, seen in enumerate(frames):
        for track, name, score in seen:
            sights.setdefault(track, []).append((index, name, score))
    # The class of a track is the one that its last frame says; one that is no category is left out.
    tracks = {track: seen for track, seen in sights.items() if seen[-1][1] in ("cat", "dog")}
    with TrackStore(CATEGORIES) as store:
        assert read_into(store, path) == VIDEO
        found = {track.id: track for track in store.tracks(VIDEO, least)}
        shown = {
            track: [(index, score) for index, _, score in seen if least is None or score >= least]
            for track, seen in tracks.items()
        }
        assert set(found) == {track for track, seen in shown.items() if seen}
        for number, track in found.items():
            assert track.class_id == {"cat": 0, "dog": 1}[tracks[number][-1][1]]
            scores = [score for _, _, score in tracks[number]]
            assert track.score == pytest.approx(sum(scores) / (len(scores) + DOUBT_FRAMES))
            assert [(seen.frame, seen.score) for seen in track.sightings] == shown[number]
            for seen in track.sightings:
                assert seen.mask == mask(31 * seen.frame + number)
                assert seen.box == rle.bounding_box(seen.mask)
        by_frame = list(store.frames(VIDEO, least))
        assert [(frame.index, frame.ticks, frame.file) for frame in by_frame] == [
            (index, 1001 * index, f"{index}.jpg") for index in range(len(frames))
        ]
        flat = {(frame.index, seen.track_id) for frame in by_frame for seen in frame.sightings}
        assert flat == {(index, track) for track in found for index, _ in shown[track]}


def test_the_log_keeps_its_head_its_frames_and_its_end(tmp_path):
    path = tmp_path / "frames.jsonl"
    write(path, [[(1, "cat", 0.5)], [], [(2, "cow", 0.25)]])
    assert read_head(path) == HEAD
    assert read_end(path).notes == ("a note",)
    assert (read_end(path).frame_count, logged_frame_count(path)) == (3, 3)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines[1]["time_s"] == 0
    assert lines[2]["time_s"] == pytest.approx(1001 / 30000, abs=1e-6)
    (instance,) = lines[3]["instances"]
    assert (instance["track_id"], instance["class"], instance["score"]) == (2, "cow", 0.25)


def test_classes_that_are_not_wanted_are_in_the_log_alone(tmp_path):
    path = tmp_path / "frames.jsonl"
    write(path, [[(1, "cat", 0.5), (2, "dog", 0.5)]], LogHead(VIDEO, CATEGORIES, 0.3, ("dog",)))
    with TrackStore(CATEGORIES) as store:
        read_into(store, path)
        assert [track.id for track in store.tracks(VIDEO)] == [2]


@pytest.mark.parametrize("cut", [1, 20, 60])
def test_a_line_that_is_cut_off_is_passed_over_and_overwritten(tmp_path, cut):
    path, whole = tmp_path / "frames.jsonl", tmp_path / "whole.jsonl"
    frames = [[(1, "cat", 0.5)], [(1, "cat", 0.6)], [(1, "cat", 0.7)]]
    write(whole, frames)
    with FrameLogWriter(path, HEAD) as log:
        log.write(LoggedFrame(0, 0, "0.jpg", (LoggedInstance(1, "cat", 0.5, mask(1)),)))
        position = log.position
        log.write(LoggedFrame(1, 1001, "1.jpg", (LoggedInstance(1, "cat", 0.6, mask(32)),)))
    os.truncate(path, path.stat().st_size - cut)
    assert [frame.index for frame in logged_frames(path, HEAD)] == [0]
    assert read_end(path) is None
    with FrameLogWriter(path, HEAD, going_on_at=position) as log:
        for index in (1, 2):
            score = frames[index][0][2]
            instance = LoggedInstance(1, "cat", score, mask(31 * index + 1))
            log.write(LoggedFrame(index, 1001 * index, f"{index}.jpg", (instance,)))
        log.finish(3, ("a note",))
    assert path.read_bytes() == whole.read_bytes()


def test_what_is_no_log_is_named_with_its_line(tmp_path):
    path = tmp_path / "frames.jsonl"
    with pytest.raises(InputError, match="cannot be read"):
        read_head(path)
    path.write_text('{"a": 1}\n')
    with pytest.raises(InputError, match="line 1: not a log of frames"):
        read_head(path)
    write(path, [[], []])
    lines = path.read_text().splitlines(keepends=True)
    path.write_text(lines[0] + '{"frame": "x"}\n' + lines[2])
    with pytest.raises(InputError, match="line 2"):
        list(logged_frames(path, HEAD))
    path.write_text(lines[0].replace('"version":1', '"version":99'))
    with pytest.raises(InputError, match="99"):
        read_head(path)


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    with pytest.raises(QcenError, match="cannot be written"):
        FrameLogWriter(tmp_path / "none" / "frames.jsonl", HEAD)
    with FrameLogWriter(tmp_path / "frames.jsonl", HEAD) as log:
        log._file.close()
        log._file = open("/dev/full", "wb", buffering=0)  # noqa: SIM115, PTH123
        with pytest.raises(QcenError, match="No space left") as caught:
            log.write(LoggedFrame(0, 0, None, ()))
    assert "--resume" in caught.value.hint


def test_a_full_disk_is_told(tmp_path):
    with TrackStore(CATEGORIES, tmp_path) as store:
        store._base.execute("PRAGMA max_page_count = 16")
        store.add_video(VIDEO)
        sightings = (Sighting(1, frame, 0.5, (0, 0, WIDTH, HEIGHT), mask(frame)) for frame in range(3000))
        with pytest.raises(QcenError, match="full") as caught:
            store.add_sightings(VIDEO.id, sightings)
    assert "make room" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_track_is_seen_once_in_a_frame():
    with TrackStore(CATEGORIES) as store:
        store.add_video(VIDEO)
        twice = [Sighting(1, 4, 0.5, (0, 0, 1, 1), None)] * 2
        with pytest.raises(ValueError, match="twice"):
            store.add_sightings(VIDEO.id, twice)
