"""Cameras and streams: the newest picture counts, and nobody waits for a slow model."""

import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

from qcen_core.errors import InputError
from qcen_core.video.frames import FrameSource, PendingFrame
from qcen_core.video.live_feeds import CameraFeed, LiveFeed, LivePicture, StreamFeed
from qcen_core.video.media_file import PATIENCE, open_container
from qcen_core.video.video_file import VideoFile

_CLOSING_WAIT = 1.0  # seconds
_SMALL_STEP_BACK = 1  # seconds; stamps that go back further come from a clock that was set anew


def open_camera(index: int, *, timeout: float = PATIENCE) -> FrameSource:
    """Open a camera of this machine.

    Args:
        index: its number, from 0.
        timeout: seconds to wait for a picture before the camera counts as stopped.

    Raises:
        InputError: it cannot be opened, or gives no picture.
    """
    return LiveSource(CameraFeed(index), timeout=timeout)


def open_address(address: str, *, timeout: float = PATIENCE) -> FrameSource:
    """Open a stream, or a video file on a web server: that has an end, so each of its frames is read.

    Args:
        address: of the kinds in `media_file.SCHEMES`.
        timeout: seconds that opening and each read may take.

    Raises:
        InputError: no answer, or nothing with pictures in it.
    """
    container = open_container(address, timeout)
    if urlsplit(address).scheme.lower() in {"http", "https"} and container.duration:
        container.close()
        return VideoFile(address, timeout=timeout)
    try:
        feed = StreamFeed(container, address)
    except BaseException:
        container.close()
        raise
    return LiveSource(feed, timeout=timeout)  # from here on the container is closed by the thread that reads it


class LiveSource(FrameSource):
    """Pictures as they come in, read all the time by a thread of its own.

    Whoever asks gets the newest picture; older ones that nobody took are dropped and counted in `notes`, so memory
    stays constant and the delay small. Times are those of the stamps, or those of arrival where there are none. They
    begin at 0 and always move on. A second `frames()` cannot start over: it goes on with what comes then.

    Args:
        feed: where the pictures come from; closed with the source.
        timeout: seconds to wait for a picture before the feed counts as stopped.

    Raises:
        InputError: no picture comes at all.
    """

    def __init__(self, feed: LiveFeed, *, timeout: float = PATIENCE) -> None:
        self._feed = feed
        self._timeout = timeout
        self._reader = _Reader(feed)
        self._reader.start()
        try:
            self.height, self.width = self._first_size()
        except BaseException:
            self.close()
            raise
        self.name = feed.name
        self.frame_count = None
        self.frame_rate = feed.frame_rate
        self.time_base = feed.time_base
        self.is_live = True
        self.audio_source = None
        self.notes = []

    def _first_size(self) -> tuple[int, ...]:
        first = self._reader.newest(self._timeout)
        if first is None:
            hint = "see whether another program gets pictures from it"
            raise InputError(f"no picture came within {self._timeout:g} s", place=self._feed.place, hint=hint)
        return first.read().shape[:2]

    def pending_frames(self) -> Iterator[PendingFrame]:
        """Yield the newest frame each time, until no more come."""
        self.notes.clear()
        dropped_before = self._reader.dropped
        first: int | None = None
        last = 0
        index = 0
        stopped = False
        try:
            while (taken := self._reader.take(self._timeout)) is not None:
                picture, ticks = taken
                first = ticks if first is None else first
                last = ticks - first
                yield PendingFrame(index, last * self.time_base, picture.read)
                index += 1
            stopped = True
        finally:
            self.notes += self._feed.notes
            if dropped := self._reader.dropped - dropped_before:
                self.notes.append(f"{dropped} frames were dropped: the model is slower than the {self._feed.kind}")
            if stopped:
                self.notes.append(f"the {self._feed.kind} stopped after {float(last * self.time_base):.1f} s")

    def close(self) -> None:
        """End the thread and release the device or connection; if it hangs, that happens behind our back."""
        self._reader.stop()
        self._reader.join(_CLOSING_WAIT)


class _Reader(threading.Thread):
    """Reads a feed to its end and keeps the newest picture.

    Attributes:
        dropped: pictures that came after the first one was asked for and that nobody took.
    """

    def __init__(self, feed: LiveFeed) -> None:
        super().__init__(name="live pictures", daemon=True)
        self.dropped = 0
        self._feed = feed
        self._changed = threading.Condition()
        self._newest: tuple[LivePicture, int] | None = None
        self._ended = False
        self._stopping = False

    def run(self) -> None:
        clock = _LiveClock(self._feed)
        try:
            for picture in self._feed.pictures():
                with self._changed:
                    if self._stopping:
                        return
                    self.dropped += self._newest is not None
                    self._newest = picture, clock.ticks(picture.stamp)
                    self._changed.notify_all()
        finally:
            # Only here: closing what another thread reads from would crash.
            self._feed.close()
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def newest(self, timeout: float) -> LivePicture | None:
        """Wait for a picture and leave it there; `None` if none comes."""
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None or self._ended, timeout)
            return None if self._newest is None else self._newest[0]

    def take(self, timeout: float) -> tuple[LivePicture, int] | None:
        """Wait for a picture that was not taken yet, with its time in ticks; `None` if none comes."""
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None or self._ended, timeout)
            taken, self._newest = self._newest, None
            return taken

    def stop(self) -> None:
        """Have the thread end with the next picture."""
        with self._changed:
            self._stopping = True


class _LiveClock:
    """Times in ticks that always move on, from stamps or, where there are none, from arrival."""

    def __init__(self, feed: LiveFeed) -> None:
        self._time_base = feed.time_base
        self._period = max(round(1 / feed.frame_rate / feed.time_base), 1)
        self._tolerance = round(_SMALL_STEP_BACK / feed.time_base)
        self._shift = 0
        self._last: int | None = None

    def ticks(self, stamp: int | None) -> int:
        """The time of the next picture."""
        now = round(time.monotonic() / self._time_base) if stamp is None else stamp
        if self._last is not None and now + self._shift < self._last - self._tolerance:
            self._shift = self._last + self._period - now
        self._last = now + self._shift if self._last is None else max(now + self._shift, self._last + 1)
        return self._last
