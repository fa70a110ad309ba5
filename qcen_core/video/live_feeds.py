"""Where live pictures come from: a camera, or a stream on a network."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Protocol
from urllib.parse import urlsplit

import av.container
import av.error
import av.video
import cv2
import numpy as np
from numpy.typing import NDArray

from qcen_core.errors import InputError
from qcen_core.video.decoding import UprightPictures
from qcen_core.video.media_file import shown_address, video_stream

_PLAUSIBLE_RATES = (1, 240)
_FALLBACK_RATE = Fraction(25)
_CAMERA_TICK = Fraction(1, 1000)


@dataclass(frozen=True, slots=True)
class LivePicture:
    """A picture that has just come in.

    Attributes:
        stamp: its time stamp in ticks of the feed's `time_base`, `None` where it carries none.
        read: makes the picture, (H, W, 3) uint8 RGB.
    """

    stamp: int | None
    read: Callable[[], NDArray[np.uint8]]


class LiveFeed(Protocol):
    """Pictures as they come in.

    Attributes:
        kind: what a person calls it in a sentence.
        place: what a person calls this one in an error.
        name: usable as a file name.
        frame_rate: frames a second, roughly.
        time_base: seconds.
        notes: one line each.
    """

    kind: str
    place: str
    name: str
    frame_rate: Fraction
    time_base: Fraction
    notes: list[str]

    def pictures(self) -> Iterator[LivePicture]:
        """Wait for pictures, until none comes any more."""

    def close(self) -> None:
        """Release the device or connection; only while nobody waits in `pictures`."""


class CameraFeed:
    """A camera of this machine, by its number. Its pictures carry no stamps.

    Raises:
        InputError: it cannot be opened.
    """

    kind = "camera"
    time_base = _CAMERA_TICK

    def __init__(self, index: int) -> None:
        self.place = f"camera {index}"
        self.name = f"camera{index}"
        self.notes: list[str] = []
        # OpenCV, because the builds of PyAV that pip installs cannot reach cameras (no video4linux2).
        self._capture = _opened_camera(index)
        if not self._capture.isOpened():
            hint = "is it connected, and not in use by another program? cameras are counted from 0"
            raise InputError("this camera cannot be opened", place=self.place, hint=hint)
        self.frame_rate = _plausible(Fraction(round(self._capture.get(cv2.CAP_PROP_FPS) * 1000), 1000))

    def pictures(self) -> Iterator[LivePicture]:
        """Wait for pictures, until the camera gives none any more."""
        while True:
            there, image = self._capture.read()
            if not there:
                return
            yield LivePicture(None, partial(_rgb, image))

    def close(self) -> None:
        """Release the camera."""
        self._capture.release()


class StreamFeed:
    """A stream on a network.

    Args:
        container: the open connection; closed with the feed.
        address: what was opened, for messages.

    Raises:
        InputError: there is no video in it.
    """

    kind = "stream"

    def __init__(self, container: av.container.InputContainer, address: str) -> None:
        self.place = shown_address(address)
        self.name = urlsplit(address).hostname or "stream"
        self.notes: list[str] = []
        self._container = container
        self._stream = video_stream(container, self.place)
        self.frame_rate = _plausible(Fraction(self._stream.average_rate or self._stream.guessed_rate or _FALLBACK_RATE))
        self.time_base = Fraction(self._stream.time_base or _CAMERA_TICK)

    def pictures(self) -> Iterator[LivePicture]:
        """Wait for pictures, until the stream ends, breaks off or stays away for too long."""
        packets = self._container.demux(self._stream)
        upright: UprightPictures | None = None
        # A connection that breaks, or the container's own time limit, ends the stream as well as its end does.
        with contextlib.suppress(av.error.FFmpegError):
            for packet in packets:
                for frame in self._decoded(packet):
                    upright = upright or UprightPictures(frame, self._stream.codec_context, self._note)
                    yield LivePicture(frame.pts, upright.pending(frame))

    def close(self) -> None:
        """Close the connection."""
        self._container.close()

    def _decoded(self, packet: "av.Packet[av.VideoStream]") -> list[av.VideoFrame]:
        """What comes out of a packet; nothing out of one that is damaged, or that needs what was sent before."""
        try:
            return self._stream.decode(packet)
        except av.error.FFmpegError:
            return []

    def _note(self, line: str) -> None:
        if line not in self.notes:
            self.notes.append(line)


def _opened_camera(index: int) -> cv2.VideoCapture:
    """Open a camera without OpenCV's own remarks on the terminal."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        return cv2.VideoCapture(index)
    finally:
        cv2.utils.logging.setLogLevel(level)


def _rgb(image: cv2.typing.MatLike) -> NDArray[np.uint8]:
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)


def _plausible(rate: Fraction) -> Fraction:
    """A frame rate as stated, unless it is none: some streams state the ticks of their clock."""
    low, high = _PLAUSIBLE_RATES
    return rate if low <= rate <= high else _FALLBACK_RATE
