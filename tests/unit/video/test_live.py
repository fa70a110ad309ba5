import gc
import queue
import threading
import weakref
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_video import color_frame

from qcen_core.errors import InputError
from qcen_core.video.excerpt import Excerpt
from qcen_core.video.live import LiveSource, open_camera
from qcen_core.video.live_feeds import LivePicture

END = object()


class ToldFeed:
    """Pictures that come when the test says so."""

    kind, place, name = "camera", "camera 7", "camera7"
    frame_rate, time_base = Fraction(25), Fraction(1, 1000)

    def __init__(self) -> None:
        self.notes = ["a bit dark"]
        self.closed = False
        self._coming = queue.Queue()

    def tell(self, *stamps: object, values: range | None = None) -> None:
        """Let pictures come, and wait until all of them have been looked at."""
        for stamp, value in zip(stamps, values or range(len(stamps)), strict=True):
            self._coming.put(stamp if stamp is END else LivePicture(stamp, lambda value=value: picture_of(value)))
        self._coming.join()

    def pictures(self) -> Iterator[LivePicture]:
        while (picture := self._coming.get()) is not END:
            yield picture
            self._coming.task_done()
        self._coming.task_done()

    def close(self) -> None:
        self.closed = True


def picture_of(value: int) -> np.ndarray:
    return np.full((31, 47, 3), value, np.uint8)


def started(feed: ToldFeed, stamp: int | None = 5000, timeout: float = 20) -> LiveSource:
    """A source whose first picture has come."""
    threading.Thread(target=feed.tell, args=(stamp,)).start()
    return LiveSource(feed, timeout=timeout)


def threads_of_sources() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "live pictures"]


def test_the_newest_picture_comes_and_the_others_are_counted():
    feed = ToldFeed()
    with started(feed) as source:
        assert (source.height, source.width, source.frame_count, source.audio_source) == (31, 47, None, None)
        assert source.is_live
        frames = source.frames()
        first = next(frames)
        feed.tell(5040, 5080, 5120, values=range(1, 4))
        second = next(frames)
        feed.tell(5160, values=range(4, 5))
        third = next(frames)
        feed.tell(17300, END, values=range(5, 7))
        rest = list(frames)
    found = [(frame.index, frame.time, frame.image[0, 0, 0]) for frame in [first, second, third, *rest]]
    assert found == [(0, 0, 0), (1, Fraction(120, 1000), 3), (2, Fraction(160, 1000), 4), (3, Fraction(123, 10), 5)]
    assert source.notes == [
        "a bit dark",
        "2 frames were dropped: the model is slower than the camera",
        "the camera stopped after 12.3 s",
    ]
    assert feed.closed


def test_pictures_before_the_first_question_are_not_counted():
    feed = ToldFeed()
    with started(feed) as source:
        feed.tell(5040, 5080, values=range(1, 3))
        frames = source.frames()
        assert next(frames).image[0, 0, 0] == 2
        feed.tell(END)
        assert list(frames) == []
    assert source.notes == ["a bit dark", "the camera stopped after 0.0 s"]


def test_a_camera_that_hangs_counts_as_stopped():
    feed = ToldFeed()
    with started(feed, timeout=0.3) as source:
        assert [frame.time for frame in source.frames()] == [0]
        assert source.notes[-1] == "the camera stopped after 0.0 s"
        feed.tell(END)


def test_dropped_pictures_are_let_go():
    feed = ToldFeed()
    with started(feed) as source:
        images = [LivePicture(stamp, lambda: picture_of(1)) for stamp in (5040, 5080, 5120)]
        alive = []
        for picture in images:
            alive.append(weakref.ref(picture.read))
            feed._coming.put(picture)
        feed._coming.join()
        del images, picture
        gc.collect()
        assert [reference() is not None for reference in alive] == [False, False, True]
        feed.tell(END)
        assert source.frame_count is None


@given(st.lists(st.one_of(st.none(), st.integers(-(10**6), 10**6)), min_size=2, max_size=9))
def test_times_begin_at_zero_and_always_move_on(stamps):
    feed = ToldFeed()
    times = []
    with started(feed, stamps[0]) as source:
        frames = source.frames()
        times.append(next(frames).time)
        for stamp in stamps[1:]:
            feed.tell(stamp)
            times.append(next(frames).time)
        feed.tell(END)
    assert times[0] == 0
    assert all(before < after for before, after in pairwise(times))
    assert all(time % source.time_base == 0 for time in times)


def test_a_clock_that_is_set_anew_goes_on_where_it_was():
    feed = ToldFeed()
    with started(feed, 900_000) as source:
        frames = source.frames()
        times = [next(frames).time]
        for stamp in (900_040, 1000, 1050, 1049):
            feed.tell(stamp)
            times.append(next(frames).time)
        feed.tell(END)
    assert [time * 1000 for time in times] == [0, 40, 80, 130, 131]


def test_an_excerpt_of_a_camera_ends():
    feed = ToldFeed()
    with Excerpt(started(feed), end=Fraction(1, 10)) as source:
        assert source.is_live
        frames = source.frames()
        assert next(frames).time == 0
        feed.tell(5200)
        assert list(frames) == []
        feed.tell(END)


class FakeCapture:
    """What OpenCV gives for a camera."""

    def __init__(self, index: int) -> None:
        self.index, self.left, self.released = index, 5, False
        FakeCapture.last = self

    def isOpened(self) -> bool:  # noqa: N802
        return self.index == 3

    def get(self, what: int) -> float:
        return {cv2.CAP_PROP_FPS: 30.0}[what]

    def read(self) -> tuple[bool, np.ndarray | None]:
        self.left -= 1
        return (True, color_frame(2, 31, 47)[:, :, ::-1].copy()) if self.left >= 0 else (False, None)

    def release(self) -> None:
        self.released = True


def test_a_camera_of_this_machine(monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", FakeCapture)
    with open_camera(3) as source:
        frames = list(source.frames())
    assert 1 <= len(frames) <= 5
    np.testing.assert_array_equal(frames[0].image, color_frame(2, 31, 47))
    assert (source.name, source.frame_rate, frames[0].time) == ("camera3", 30, 0)
    assert source.notes[-1].startswith("the camera stopped after 0.")
    assert FakeCapture.last.released
    assert not threads_of_sources()


def test_a_camera_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", FakeCapture)
    with pytest.raises(InputError, match="camera 4: this camera cannot be opened") as caught:
        open_camera(4)
    assert "counted from 0" in caught.value.hint


def test_a_camera_without_a_picture_is_named(monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", FakeCapture)
    monkeypatch.setattr(FakeCapture, "read", lambda _: (False, None))
    with pytest.raises(InputError, match="no picture came"):
        open_camera(3)
    assert not threads_of_sources()


def test_a_real_missing_camera_prints_nothing(capfd):
    with pytest.raises(InputError, match="cannot be opened"):
        open_camera(977)
    assert capfd.readouterr() == ("", "")
