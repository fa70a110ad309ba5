"""Writing a video that plays everywhere: H.264 in MP4, with the time stamps and the sound of its source."""

import contextlib
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self, cast

import av
import av.container
import av.error
import av.video
import cv2
import numpy as np
from numpy.typing import NDArray

from qcen_core.errors import InputError, QcenError
from qcen_core.video.sound import SoundTrack
from qcen_core.video.write_errors import write_errors_named

SUFFIXES = (".mp4", ".m4v", ".mov")
ENCODERS = ("libx264", "libopenh264", "h264_videotoolbox", "h264_mf", "h264_nvenc")
_LAST_RESORT = "mpeg4"
_MPEG4_LARGEST_BASE = 65535  # a limit of the MPEG-4 part 2 standard
_BT709, _LIMITED_RANGE = 1, 1
# Drawn outlines and letters are costly to encode: the next slower preset takes a third more time for half the size.
_QUALITY = {"libx264": {"crf": "20", "preset": "superfast"}}


def choose_encoder(width: int, height: int, candidates: Sequence[str] = ENCODERS) -> str:
    """The first H.264 encoder that this machine really opens at this size, else MPEG-4.

    Args:
        width: pixels, even.
        height: pixels, even.
        candidates: names of encoders, best first.
    """
    for name in candidates:
        try:
            encoder = cast("av.VideoCodecContext", av.VideoCodecContext.create(name, "w"))
            encoder.width, encoder.height = width, height
            encoder.pix_fmt, encoder.time_base = "yuv420p", Fraction(1, 25)
            encoder.open()
        except (av.error.FFmpegError, av.codec.codec.UnknownCodecError, ValueError):
            continue
        return name
    return _LAST_RESORT


def check_video_name(path: Path) -> None:
    """Raises `InputError` for a file name that is not one of an MP4 video."""
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"cannot write a {path.suffix or 'nameless'} video", place=path, hint="use a name in .mp4")


class VideoWriter:
    """Writes frames one at a time; the file appears under its name when it is complete, or not at all.

    Args:
        path: the file to write, `.mp4`; its folder is made if missing.
        height: frame height in pixels; an odd one is padded by a copy of the last row.
        width: frame width in pixels; an odd one is padded by a copy of the last column.
        frame_rate: frames a second, on average.
        time_base: seconds; frame times are stored as multiples of it, so give the source's own to keep its stamps
            exactly. Defaults to one frame.
        audio_source: a file whose first sound stream is carried over.
        audio_start: where the sound begins, in seconds on the clock of that file's picture; it goes with time 0 here.
        audio_end: where it ends on the same clock; by default it is carried over to its end, however long.
        encoders: encoders to try, best first.

    Raises:
        InputError: a file name that is not one of an MP4 video.
        QcenError: while writing, if the folder cannot be written to or the disk is full.

    Attributes:
        notes: what had to be done otherwise than asked, one line each.
        frame_count: frames written so far.
    """

    def __init__(
        self,
        path: Path,
        *,
        height: int,
        width: int,
        frame_rate: Fraction,
        time_base: Fraction | None = None,
        audio_source: Path | None = None,
        audio_start: Fraction = Fraction(0),
        audio_end: Fraction | None = None,
        encoders: Sequence[str] = ENCODERS,
    ) -> None:
        check_video_name(path)
        self.path = path
        self.height = height
        self.width = width
        self.frame_rate = Fraction(frame_rate)
        self.time_base = Fraction(time_base) if time_base is not None else 1 / self.frame_rate
        self.notes: list[str] = []
        self.frame_count = 0
        self._audio_source = audio_source
        self._audio_part = audio_start, audio_end
        self._encoders = tuple(encoders)
        self._partial = path.with_name(f".{path.stem}.partial{path.suffix}")
        self._container: av.container.OutputContainer | None = None
        self._sound: SoundTrack | None = None
        self._last_ticks: int | None = None

    def __enter__(self) -> Self:
        try:
            with write_errors_named(self.path):
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._start()
        except BaseException:
            self._discard()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._discard()
            return
        try:
            with write_errors_named(self.path):
                self._finish()
                self._partial.replace(self.path)
        except BaseException:
            self._discard()
            raise

    def write(self, image: NDArray[np.uint8], time: Fraction | None = None) -> None:
        """Append one frame.

        Args:
            image: (height, width, 3) uint8, RGB.
            time: seconds, later than the frame before, rounded to `time_base`. Defaults to a constant frame rate.

        Raises:
            ValueError: an image of another size or type, or a time that does not move on.
        """
        if self._container is None:
            raise ValueError("the writer is not open; use it in a `with` statement")
        if image.shape != (self.height, self.width, 3) or image.dtype != np.uint8:
            raise ValueError(f"image {image.shape} {image.dtype} must be ({self.height}, {self.width}, 3) uint8")
        time = self.frame_count / self.frame_rate if time is None else time
        ticks = round(time / self.time_base)
        if self._last_ticks is not None and ticks <= self._last_ticks:
            raise ValueError(f"frame {self.frame_count} at {float(time):.6f} s is not later than the one before")
        frame = av.VideoFrame.from_numpy_buffer(_padded_to_even(image), format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709")
        frame.pts, frame.time_base = ticks, self.time_base
        try:
            with write_errors_named(self.path):
                self._mux(frame)
                if self._sound is not None:
                    self._sound.advance(time)
        except QcenError:
            self._discard()  # at once: FFmpeg crashes where it is given more after a failure
            raise
        self._last_ticks = ticks
        self.frame_count += 1

    def _start(self) -> None:
        width, height = self.width + self.width % 2, self.height + self.height % 2
        encoder = choose_encoder(width, height, self._encoders)
        if encoder == _LAST_RESORT:
            self.notes.append("no H.264 encoder on this machine: the video is MPEG-4, which browsers may not play")
            if self.time_base.denominator > _MPEG4_LARGEST_BASE:
                self.time_base = Fraction(1, 60000)
        # The movie's own time scale counts too: in it the container states how late the first frame comes.
        ticks = str(self.time_base.denominator)
        options = {"movflags": "+faststart", "video_track_timescale": ticks, "movie_timescale": ticks}
        container = av.open(str(self._partial), "w", format="mp4", options=options)
        self._container = container
        stream = container.add_stream(encoder, rate=self.frame_rate, options=_QUALITY.get(encoder, {}))
        if not isinstance(stream, av.VideoStream):
            raise QcenError(f"the encoder {encoder} does not write video")
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        context = stream.codec_context
        context.time_base = self.time_base
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = _LIMITED_RANGE
        self._stream = stream
        if self._audio_source is not None:
            self._sound = SoundTrack(self._audio_source, container, *self._audio_part)

    def _mux(self, frame: av.VideoFrame | None) -> None:
        if self._container is None:
            return
        for packet in self._stream.encode(frame):
            # MP4 takes the length of the last frame from its packet; the others follow from the next stamp.
            packet.duration = max(round(1 / self.frame_rate / self.time_base), 1)
            self._container.mux(packet)

    def _finish(self) -> None:
        if self._container is None or self.frame_count == 0:
            raise ValueError(f"{self.path}: not one frame was written")
        self._mux(None)
        if self._sound is not None:
            self._sound.advance(None)
            self._sound.close()
            self.notes += self._sound.notes
        self._container.close()
        self._container = None

    def _discard(self) -> None:
        if self._sound is not None:
            self._sound.close()
        if self._container is not None:
            # Closing completes the file, which may fail for the very reason that brought us here.
            with contextlib.suppress(av.error.FFmpegError, OSError, ValueError):
                self._container.close()
            self._container = None
        with contextlib.suppress(OSError):  # below a path that is no folder there is nothing to remove
            self._partial.unlink()


def _padded_to_even(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Both sides made even, as the 4:2:0 pixel format wants them, by repeating the border."""
    height, width = image.shape[:2]
    if height % 2 == 0 and width % 2 == 0:
        return np.ascontiguousarray(image)
    padded = cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    return padded.astype(np.uint8, copy=False)
