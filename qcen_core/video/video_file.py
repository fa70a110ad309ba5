"""A video file, decoded frame by frame with its own time stamps."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import av
import av.container

from qcen_core.errors import InputError
from qcen_core.video.decoding import UprightPictures, decoded_frames
from qcen_core.video.frames import FrameSource, PendingFrame
from qcen_core.video.media_file import (
    PATIENCE,
    clock_origin,
    open_container,
    shown_address,
    stated_end,
    stated_frames,
    video_stream,
)

_TOLERATED_GAP = Fraction(1, 2)
_FALLBACK_RATE = Fraction(25)
# Packets come at a constant rate and in the order of decoding; stamps of presentation are a guess, and a wrong one
# where frames are coded out of order.
_UNSTAMPED_FORMATS = frozenset({"avi"})


class VideoFile(FrameSource):
    """A video file of any format that FFmpeg decodes.

    Frames are turned upright by the file's rotation mark and keep their own time stamps, so a variable frame rate
    stays as it is. HDR is tone-mapped. A file that breaks off yields what could be decoded, and a line in `notes`.

    Args:
        source: the file; a text is the address of one on a network, whose sound is not carried over.
        timeout: seconds that an address may take to open, and each read from it.

    Raises:
        InputError: no such file, not a video, no video stream in it, or not one frame that can be decoded.
    """

    def __init__(self, source: Path | str, *, timeout: float = PATIENCE) -> None:
        self.source = source
        self.notes = []
        self._timeout = timeout
        self._place = source if isinstance(source, Path) else shown_address(source)
        self.name = source.stem if isinstance(source, Path) else _address_name(source)
        self._container: av.container.InputContainer | None = None
        with open_container(source, timeout) as container:
            stream = video_stream(container, self._place)
            first = next(decoded_frames(container, stream, self._note), None)
            if first is None:
                hint = "the file may be cut off; copy it again"
                raise InputError("not one frame of this video can be decoded", place=self._place, hint=hint)
            pictures = UprightPictures(first, stream.codec_context, self._note)
            self.height, self.width = pictures.height, pictures.width
            self.frame_rate = Fraction(stream.average_rate or stream.guessed_rate or _FALLBACK_RATE)
            self.time_base = Fraction(stream.time_base or 1 / self.frame_rate)
            self.frame_count = stated_frames(container, stream, self.frame_rate)
            self.start_time = ((_stamp(container, first) or 0) - self._origin(container, first)) * self.time_base
            self._has_sound = bool(container.streams.audio)
            self.audio_source = source if isinstance(source, Path) and self._has_sound else None

    def pending_frames(self) -> Iterator[PendingFrame]:
        """Yield every frame that can be decoded."""
        self.close()
        self.notes.clear()
        if self._has_sound and self.audio_source is None:
            self._note("the sound of an address is not carried over")
        container = self._container = open_container(self.source, self._timeout)
        with container:
            period = max(round(1 / self.frame_rate / self.time_base), 1)
            origin = 0
            ticks: int | None = None
            stream = video_stream(container, self._place)
            pictures: UprightPictures | None = None
            for index, frame in enumerate(decoded_frames(container, stream, self._note)):
                if pictures is None:
                    pictures = UprightPictures(frame, stream.codec_context, self._note)
                    origin = self._origin(container, frame)
                picture = pictures.pending(frame)
                stamp = _stamp(container, frame)
                if stamp is None:
                    ticks = 0 if ticks is None else ticks + period
                else:
                    # A stamp that does not move on would stop any writer: the smallest possible step is taken.
                    ticks = stamp - origin if ticks is None else max(stamp - origin, ticks + 1)
                yield PendingFrame(index, ticks * self.time_base, picture)
            end = ((ticks or 0) + origin + period) * self.time_base
            stated = stated_end(container, stream)
            if stated is not None and stated - end > _TOLERATED_GAP:
                self._note(f"the video breaks off at {float(end):.1f} s; the file states {float(stated):.1f} s")

    def close(self) -> None:
        """Close the file; a `frames()` loop that is under way ends with an error."""
        if self._container is not None:
            self._container.close()
            self._container = None

    def _origin(self, container: av.container.InputContainer, first: av.VideoFrame) -> int:
        """The stamp at time 0, in ticks."""
        if container.format.name in _UNSTAMPED_FORMATS:
            return _stamp(container, first) or 0
        return round(clock_origin(container) / self.time_base)

    def _note(self, line: str) -> None:
        if line not in self.notes:
            self.notes.append(line)


def _stamp(container: av.container.InputContainer, frame: av.VideoFrame) -> int | None:
    """The time stamp of a frame in ticks, or `None` where there is none."""
    return frame.dts if container.format.name in _UNSTAMPED_FORMATS else frame.pts


def _address_name(address: str) -> str:
    """The file's name in an address, or else the machine's."""
    parts = urlsplit(address)
    return PurePosixPath(parts.path).stem or parts.hostname or "video"
