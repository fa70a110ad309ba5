"""Opening media files and network addresses, and what they state about themselves."""

import time
from fractions import Fraction
from pathlib import Path
from urllib.parse import urlsplit

import av
import av.container
import av.error
import av.stream
import av.video

from qcen_core.errors import InputError

SCHEMES = ("http", "https", "rtmp", "rtmps", "rtp", "rtsp", "rtsps", "srt", "tcp", "udp")
PATIENCE = 10.0  # seconds
_RUNNING_CLOCK_FORMATS = frozenset({"mpeg", "mpegts"})
# A camera's pictures over UDP lose packets, which smears them.
_OPTIONS = {"rtsp": {"rtsp_flags": "prefer_tcp"}, "rtsps": {"rtsp_flags": "prefer_tcp"}}


def is_address(text: str) -> bool:
    """Whether a source's name is the address of something on a network."""
    return "://" in text


def shown_address(address: str) -> str:
    """An address for messages and outputs: without the password that cameras are often given in it."""
    parts = urlsplit(address)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()


def open_container(source: Path | str, timeout: float = PATIENCE) -> av.container.InputContainer:
    """Open a media file, or a text as the address of one, for reading.

    Args:
        source: a file, or an address with one of `SCHEMES`.
        timeout: seconds that an address may take to open, and each read from it.

    Raises:
        InputError: nothing there, or nothing that can be opened as media.
    """
    return _open_address(source, timeout) if isinstance(source, str) else _open_file(source)


def _open_file(path: Path) -> av.container.InputContainer:
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


def _open_address(address: str, timeout: float) -> av.container.InputContainer:
    scheme = urlsplit(address).scheme.lower()
    if scheme not in SCHEMES:
        hint = "known: " + ", ".join(SCHEMES) + "; name a file by its path alone"
        raise InputError(f"unknown kind of address '{scheme}'", place=shown_address(address), hint=hint)
    started = time.monotonic()
    try:
        return av.open(address, options=_OPTIONS.get(scheme, {}), timeout=timeout)
    except av.error.FFmpegError as error:
        # Not every protocol says that it was the time limit that ended it.
        late = isinstance(error, av.error.ExitError) or time.monotonic() - started >= timeout
        cause = f"no answer within {timeout:g} s" if late else f"cannot be opened: {error.strerror}"
        hint = "see whether the address is right, and whether a player opens it"
        raise InputError(cause, place=shown_address(address), hint=hint) from error


def clock_origin(container: av.container.InputContainer) -> Fraction:
    """Where the clock of a media file starts, in seconds.

    Broadcast formats stamp their packets with a clock that has been running for hours; all other formats count
    from zero, and a late first frame means just that.
    """
    if container.format.name not in _RUNNING_CLOCK_FORMATS:
        return Fraction(0)
    return Fraction(container.start_time or 0, 1_000_000)


def video_stream(container: av.container.InputContainer, place: Path | str) -> av.video.stream.VideoStream:
    """The first stream of moving pictures; the cover picture of a sound file is none.

    Raises:
        InputError: there is none; `place` is named in the message.
    """
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            stream.thread_type = "AUTO"
            return stream
    raise InputError("there is no video in this file", place=place, hint="it may hold sound only")


def stated_frames(
    container: av.container.InputContainer, stream: av.video.stream.VideoStream, frame_rate: Fraction
) -> int | None:
    """The number of frames the file states, or what its duration suggests."""
    if stream.frames:
        return stream.frames
    if container.duration:
        return max(round(Fraction(container.duration, 1_000_000) * frame_rate), 1)
    return None


def stated_end(container: av.container.InputContainer, stream: av.video.stream.VideoStream) -> Fraction | None:
    """Where the file says that its pictures end, in seconds on its own clock, or `None`."""
    if stream.duration is not None and stream.time_base is not None:
        return ((stream.start_time or 0) + stream.duration) * stream.time_base
    return None if container.duration is None else Fraction(container.duration, 1_000_000)
