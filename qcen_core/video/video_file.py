"""A video file, decoded frame by frame with its own time stamps."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import av.container
import av.error
import av.stream
import av.video
import numpy as np
from numpy.typing import NDArray

from qcen_core.errors import InputError
from qcen_core.video.frames import FrameSource, SourceFrame

_UNSPECIFIED_COLORSPACE = 2
_HD_HEIGHT = 720
_RUNNING_CLOCK_FORMATS = frozenset({"mpeg", "mpegts"})
_TOLERATED_GAP = Fraction(1, 2)
_FALLBACK_RATE = Fraction(25)


def open_container(path: Path) -> av.container.InputContainer:
    """Open a media file for reading.

    Raises:
        InputError: the file is missing, or is not a media file that can be opened.
    """
    if not path.is_file():
        raise InputError("no such file", place=path)
    try:
        container = av.open(str(path))
    except av.error.FFmpegError as error:
        raise InputError(
            "not a video that can be read",
            place=path,
            hint="the file may be cut off or of another kind; see whether a player opens it, or copy it again",
        ) from error
    if container.format.name == "tty":  # any text file passes as an animation of characters
        container.close()
        raise InputError("a text file, not a video", place=path)
    return container


def clock_origin(container: av.container.InputContainer) -> Fraction:
    """Where the clock of a media file starts, in seconds.

    Broadcast formats stamp their packets with a clock that has been running for hours; all other formats count
    from zero, and a late first frame means just that.
    """
    if container.format.name not in _RUNNING_CLOCK_FORMATS:
        return Fraction(0)
    return Fraction(container.start_time or 0, 1_000_000)


class VideoFile(FrameSource):
    """A video file of any format that FFmpeg decodes.

    Frames are turned upright by the file's rotation mark and keep their own time stamps, so a variable frame rate
    stays as it is. A file that breaks off yields what could be decoded, and a line in `notes`.

    Raises:
        InputError: no such file, not a video, no video stream in it, or not one frame that can be decoded.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.stem
        self.notes = []
        self._container: av.container.InputContainer | None = None
        with open_container(path) as container:
            stream = _video_stream(container, path)
            first = next(self._decode(container, stream), None)
            if first is None:
                hint = "the file may be cut off; copy it again"
                raise InputError("not one frame of this video can be decoded", place=path, hint=hint)
            turned = first.rotation % 180 == 90
            self._stored_size = (first.height, first.width)
            self.height, self.width = (first.width, first.height) if turned else (first.height, first.width)
            self.frame_rate = Fraction(stream.average_rate or stream.guessed_rate or _FALLBACK_RATE)
            self.time_base = Fraction(stream.time_base or 1 / self.frame_rate)
            self.frame_count = _stated_frames(container, stream, self.frame_rate)
            self.audio_source = path if container.streams.audio else None

    def frames(self) -> Iterator[SourceFrame]:
        """Yield every frame that can be decoded."""
        self.close()
        self.notes.clear()
        container = self._container = open_container(self.path)
        with container:
            origin = round(clock_origin(container) / self.time_base)
            period = max(round(1 / self.frame_rate / self.time_base), 1)
            ticks: int | None = None
            stream = _video_stream(container, self.path)
            for index, frame in enumerate(self._decode(container, stream)):
                if frame.pts is None:
                    ticks = 0 if ticks is None else ticks + period
                else:
                    # A stamp that does not move on would stop any writer: the smallest possible step is taken.
                    ticks = frame.pts - origin if ticks is None else max(frame.pts - origin, ticks + 1)
                yield SourceFrame(self._upright(frame), index, ticks * self.time_base)
            end = ((ticks or 0) + origin + period) * self.time_base
            stated_end = _stated_end(container, stream)
            if stated_end is not None and stated_end - end > _TOLERATED_GAP:
                self._note(f"the video breaks off at {float(end):.1f} s; the file states {float(stated_end):.1f} s")

    def close(self) -> None:
        """Close the file; a `frames()` loop that is under way ends with an error."""
        if self._container is not None:
            self._container.close()
            self._container = None

    def _decode(
        self, container: av.container.InputContainer, stream: av.video.stream.VideoStream
    ) -> Iterator[av.VideoFrame]:
        """Decode packet by packet: one damaged packet costs its own frame, not the rest of the video."""
        damaged = 0
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets, None)
            except av.error.FFmpegError:
                self._note("the file is damaged; the video ends with the last frame that could be decoded")
                packet = None
            try:
                # Without a packet the decoder hands out the frames it still holds.
                yield from stream.decode(packet)
            except av.error.EOFError:
                pass  # the demuxer's last, empty packet has emptied the decoder already
            except av.error.FFmpegError:
                damaged += 1
            if packet is None:
                break
        if damaged:
            self._note(f"{damaged} damaged packet{'s' if damaged > 1 else ''} could not be decoded")

    def _upright(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB of a decoded frame, rotated as the file says."""
        height, width = self._stored_size
        if (frame.height, frame.width) != (height, width):
            self._note(f"frames change their size within the video; all are scaled to {width}x{height}")
        # By convention high-definition video without a colour mark is BT.709, not the decoder's BT.601.
        unmarked_hd = frame.colorspace == _UNSPECIFIED_COLORSPACE and frame.height >= _HD_HEIGHT
        image = frame.to_ndarray(
            format="rgb24", width=width, height=height, src_colorspace="ITU709" if unmarked_hd else None
        )
        turns = round(frame.rotation / 90) % 4
        return np.ascontiguousarray(np.rot90(image, turns), dtype=np.uint8)

    def _note(self, line: str) -> None:
        if line not in self.notes:
            self.notes.append(line)


def _video_stream(container: av.container.InputContainer, path: Path) -> av.video.stream.VideoStream:
    """The first stream of moving pictures; the cover picture of a sound file is none."""
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            stream.thread_type = "AUTO"
            return stream
    raise InputError("there is no video in this file", place=path, hint="it may hold sound only")


def _stated_frames(
    container: av.container.InputContainer, stream: av.video.stream.VideoStream, frame_rate: Fraction
) -> int | None:
    """The number of frames the file states, or what its duration suggests."""
    if stream.frames:
        return stream.frames
    if container.duration:
        return max(round(Fraction(container.duration, 1_000_000) * frame_rate), 1)
    return None


def _stated_end(container: av.container.InputContainer, stream: av.video.stream.VideoStream) -> Fraction | None:
    """Where the file says that its pictures end, in seconds on its own clock, or `None`."""
    if stream.duration is not None and stream.time_base is not None:
        return ((stream.start_time or 0) + stream.duration) * stream.time_base
    return None if container.duration is None else Fraction(container.duration, 1_000_000)
