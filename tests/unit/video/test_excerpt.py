from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from synthetic_video import color_frame, make_video
from test_reader import RUNNING, UNEVEN, write_frames

from qcen_core.errors import InputError
from qcen_core.video.excerpt import Excerpt
from qcen_core.video.frames import FrameSource, PendingFrame
from qcen_core.video.reader import open_source


class ListedFrames(FrameSource):
    """Frames at given ticks, which remember what was asked of them."""

    def __init__(self, ticks: list[int], time_base: Fraction = Fraction(1, 1000)) -> None:
        self.name, self.height, self.width = "listed", 3, 5
        self.frame_count, self.frame_rate, self.time_base = len(ticks), Fraction(25), time_base
        self.start_time = ticks[0] * time_base
        self.audio_source = None
        self.notes = ["dusty"]
        self.ticks, self.passed, self.read = ticks, 0, []

    def pending_frames(self) -> Iterator[PendingFrame]:
        for index, tick in enumerate(self.ticks):
            self.passed = index + 1
            yield PendingFrame(index, tick * self.time_base, lambda index=index: self.picture(index))

    def picture(self, index: int) -> NDArray[np.uint8]:
        self.read.append(index)
        return np.full((3, 5, 3), index, np.uint8)


def sources(folder: Path):
    write_frames(folder / "pictures", count=9)
    yield folder / "pictures"
    yield make_video(folder / "uneven.mp4", stamps=UNEVEN)
    yield make_video(folder / "broadcast.ts", time_base=Fraction(1, 90000), stamps=RUNNING)
    yield make_video(folder / "turned.mp4", rotation=90)
    yield make_video(folder / "raw.h264", stamps=range(12), time_base=Fraction(1, 25))
    yield make_video(folder / "old.avi", stamps=range(12), time_base=Fraction(1, 25))


@pytest.mark.parametrize("skip", [1, 5, 8, 100])
def test_what_follows_skipped_frames_is_the_same_as_without(tmp_path, skip):
    for path in sources(tmp_path):
        with open_source(path) as source:
            expected = list(source.frames())[skip:]
            rest = list(source.frames(skip))
        assert [(frame.index, frame.time) for frame in rest] == [(frame.index, frame.time) for frame in expected]
        for frame, wanted in zip(rest, expected, strict=True):
            np.testing.assert_array_equal(frame.image, wanted.image)


def test_frames_know_their_pictures(tmp_path):
    write_frames(tmp_path / "clip", count=5)
    with Excerpt(open_source(tmp_path / "clip"), start=Fraction(1, 10), stride=2) as excerpt:
        assert [frame.file for frame in excerpt.frames()] == ["frame1.png", "frame3.png"]


def test_pictures_of_skipped_frames_are_not_read(tmp_path):
    paths = write_frames(tmp_path / "clip", count=5)
    source = open_source(tmp_path / "clip")
    paths[1].write_bytes(b"not a picture")
    assert [frame.index for frame in source.frames(2)] == [2, 3, 4]
    with pytest.raises(InputError, match="not a picture"):
        list(source.frames(1))


@given(
    st.lists(st.integers(1, 400), min_size=1, max_size=12),
    st.integers(0, 3000),
    st.integers(0, 3000),
    st.one_of(st.none(), st.integers(1, 3000)),
    st.integers(1, 5),
)
def test_an_excerpt_is_what_a_filter_of_the_list_gives(steps, first, start, length, stride):
    ticks = [first + sum(steps[:n]) for n in range(len(steps))]
    end = None if length is None else Fraction(start + length, 1000)
    kept = [
        (index, tick - first)
        for index, tick in enumerate(ticks)
        if tick - first >= start and (end is None or Fraction(tick - first, 1000) < end)
    ][::stride]
    source = ListedFrames(ticks)
    excerpt = Excerpt(source, start=Fraction(start, 1000), end=end, stride=stride)
    if not kept:
        with pytest.raises(InputError, match="s long"):
            list(excerpt.frames())
        return
    frames = list(excerpt.frames())
    assert [(f.index, f.time, f.image[0, 0, 0]) for f in frames] == [
        (number, Fraction(tick - start, 1000), index) for number, (index, tick) in enumerate(kept)
    ]
    assert source.read == [index for index, _ in kept]
    assert [f.index for f in excerpt.frames(2)] == list(range(len(kept)))[2:]


def test_nothing_is_decoded_behind_the_end():
    source = ListedFrames([40 * n for n in range(100)])
    assert len(list(Excerpt(source, end=Fraction(2, 5)).frames())) == 10
    assert source.passed == 11


def test_what_an_excerpt_says_of_itself(tmp_path):
    # 12 frames of 40 ms; the first one comes after 80 ms.
    path = make_video(tmp_path / "in.mkv", stamps=range(80, 560, 40), sound="aac")
    with Excerpt(open_source(path), start=Fraction(1, 10), end=Fraction(3, 10), stride=2) as excerpt:
        frames = list(excerpt.frames())
    # 120, 160, 200, 240 and 280 ms after the first one, every other one, counted from 100 ms.
    assert [frame.time for frame in frames] == [Fraction(20, 1000), Fraction(100, 1000), Fraction(180, 1000)]
    assert np.abs(frames[1].image[24:50, 9:80].astype(int) - color_frame(5)[24:50, 9:80]).max() <= 12
    assert (excerpt.name, excerpt.frame_rate, excerpt.time_base) == ("in", Fraction(25, 2), Fraction(1, 1000))
    assert excerpt.frame_count == 3
    assert (excerpt.audio_start, excerpt.audio_end) == (Fraction(180, 1000), Fraction(380, 1000))
    assert excerpt.audio_source == path


def test_a_start_between_two_ticks_is_rounded_up():
    excerpt = Excerpt(ListedFrames([0, 1, 2, 3], Fraction(1, 10)), start=Fraction(1, 7))
    assert [frame.time for frame in excerpt.frames()] == [0, Fraction(1, 10)]
    assert all(frame.time % excerpt.time_base == 0 for frame in excerpt.frames())


def test_an_excerpt_of_an_excerpt():
    outer = Excerpt(ListedFrames([500 + 100 * n for n in range(20)]), start=Fraction(3, 10), end=Fraction(3, 2))
    inner = Excerpt(outer, start=Fraction(2, 10), end=Fraction(9, 1))
    frames = list(inner.frames())
    assert [frame.image[0, 0, 0] for frame in frames] == [5, 6, 7, 8, 9, 10, 11, 12, 13, 14]
    assert (inner.audio_start, inner.audio_end) == (Fraction(1), Fraction(2))
    assert inner.notes == ["dusty"]


def test_an_excerpt_without_frames_tells_how_long_the_video_is(tmp_path):
    path = make_video(tmp_path / "in.mp4")
    with Excerpt(open_source(path), start=Fraction(7, 2)) as excerpt, pytest.raises(InputError) as caught:
        list(excerpt.frames())
    assert "no frame from 3.5 s on: the video is 0.48 s long" in str(caught.value)
    assert excerpt.frame_count == 0


@pytest.mark.parametrize(
    "part", [{"start": Fraction(-1)}, {"start": Fraction(2), "end": Fraction(2)}, {"stride": 0}, {"end": Fraction(0)}]
)
def test_wrong_parts_are_refused(part):
    with pytest.raises(InputError) as caught:
        Excerpt(ListedFrames([0]), **part)
    assert caught.value.hint
