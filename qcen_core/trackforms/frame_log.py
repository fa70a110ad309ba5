"""`frames.jsonl`: what was found, one line a frame, written as it comes; whatever else a run writes follows from it.

The first line states the video and the categories, the last one that all is done. A run that was killed leaves the
frames before, and perhaps a line that is cut off.
"""

import errno
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, TypeVar

import msgspec

from qcen_core.errors import InputError, QcenError
from qcen_core.ops import rle
from qcen_core.records import Category, Rle
from qcen_core.trackforms.store import StoredVideo, TrackStore, seen_by_mask

FORMAT = "qcen-frames"
VERSION = 1
# Every track is scored as if it had been seen in so many more frames with score 0: what is seen once is doubtful.
DOUBT_FRAMES = 4.0
SCORE_DIGITS = 6


@dataclass(frozen=True, slots=True)
class LogHead:
    """What the first line states.

    Attributes:
        video: the video.
        categories: of the outputs.
        confidence: least score in a frame of an instance that is shown.
        classes: names of the categories whose tracks stand in the outputs, `None` for all; what is of another class is
            in the log alone.
    """

    video: StoredVideo
    categories: tuple[Category, ...]
    confidence: float
    classes: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class LoggedInstance:
    """An object in one frame.

    Attributes:
        track_id: from 1.
        name: of its class by all frames so far; that of the last frame is the track's.
        score: of this frame.
        mask: its pixels, at least one.
    """

    track_id: int
    name: str
    score: float
    mask: Rle


@dataclass(frozen=True, slots=True)
class LoggedFrame:
    """One line.

    Attributes:
        index: from 0.
        ticks: its time in units of the video's time base.
        file: its picture in its folder or data set, `None` in a video file.
        instances: best first.
    """

    index: int
    ticks: int
    file: str | None
    instances: tuple[LoggedInstance, ...]


@dataclass(frozen=True, slots=True)
class LogEnd:
    """What the last line states.

    Attributes:
        frame_count: number of frames.
        notes: what a person should know of the video, one line each.
    """

    frame_count: int
    notes: tuple[str, ...]


class _Video(msgspec.Struct):
    id: int
    name: str
    height: int
    width: int
    frame_rate: str
    time_base: str


class _Category(msgspec.Struct):
    id: int
    name: str


class _Head(msgspec.Struct):
    format: str
    version: int
    video: _Video
    categories: list[_Category]
    confidence: float
    classes: tuple[str, ...] | None = None


class _Instance(msgspec.Struct):
    track_id: int
    name: str = msgspec.field(name="class")
    score: float
    bbox: tuple[int, int, int, int]
    mask: str


class _Frame(msgspec.Struct):
    frame: int
    time_s: float
    ticks: int
    file: str | None
    instances: list[_Instance]


class _End(msgspec.Struct):
    end: int
    notes: list[str]


_Line = TypeVar("_Line", _Head, _Frame, _End)
_FRAME_MARK, _END_MARK = b'{"frame":', b'{"end":'


class FrameLogWriter:
    """Writes a log line by line; every line is with the system before the next frame is asked for.

    Args:
        path: the file.
        head: what the first line states.
        going_on_at: bytes of an earlier log to keep, a position that `position` gave; a new log by default.
    """

    def __init__(self, path: Path, head: LogHead, *, going_on_at: int | None = None) -> None:
        self._path = path
        self._base = head.video.time_base or Fraction(1)
        try:
            if going_on_at is None:
                self._file = path.open("wb", buffering=0)
            else:
                self._file = path.open("r+b", buffering=0)
                self._file.truncate(going_on_at)
                self._file.seek(going_on_at)
        except OSError as error:
            raise _cannot_write(path, error) from error
        if going_on_at is None:
            self._put(_head_line(head))

    @property
    def position(self) -> int:
        """Bytes written so far, the whole of every line."""
        return self._file.tell()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, frame: LoggedFrame) -> None:
        """Append a frame.

        Raises:
            QcenError: the disk takes no more.
        """
        instances = [
            _Instance(i.track_id, i.name, round(i.score, SCORE_DIGITS), _corner_and_size(i.mask), i.mask["counts"])
            for i in frame.instances
        ]
        self._put(_Frame(frame.index, round(float(frame.ticks * self._base), 6), frame.ticks, frame.file, instances))

    def finish(self, frame_count: int, notes: Sequence[str]) -> None:
        """State that all is done, and what a person should know."""
        self._put(_End(frame_count, list(notes)))

    def _put(self, line: _Head | _Frame | _End) -> None:
        text = msgspec.json.encode(line) + b"\n"
        try:
            if self._file.write(text) < len(text):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise _cannot_write(self._path, error) from error


def has_head(path: Path) -> bool:
    """Whether there is a log with a whole first line; one that was killed at once has none."""
    return path.is_file() and next(_whole_lines(path), None) is not None


def read_head(path: Path) -> LogHead:
    """The first line of a log.

    Raises:
        InputError: there is no such file, or it is no log of frames.
    """
    with _opened(path) as file:
        head = _decoded(file.readline(), _Head, f"{path}: line 1")
    if head.format != FORMAT or head.version != VERSION:
        raise InputError(
            f"format {head.format} {head.version}, not {FORMAT} {VERSION}",
            place=path,
            hint="update qcen, or infer anew",
        )
    video = head.video
    stored = StoredVideo(
        video.id, video.name, video.height, video.width, Fraction(video.frame_rate), Fraction(video.time_base)
    )
    return LogHead(stored, tuple(Category(c.id, c.name) for c in head.categories), head.confidence, head.classes)


def logged_frames(path: Path, head: LogHead) -> Iterator[LoggedFrame]:
    """The frames of a log in order, one at a time; a last line that is cut off is passed over.

    Raises:
        InputError: a line before the last one cannot be read.
    """
    size = [head.video.height, head.video.width]
    for number, line in enumerate(_whole_lines(path), start=1):
        if number == 1 or line.startswith(_END_MARK):
            continue
        frame = _decoded(line, _Frame, f"{path}: line {number}")
        instances = tuple(
            LoggedInstance(i.track_id, i.name, i.score, Rle(size=size, counts=i.mask)) for i in frame.instances
        )
        yield LoggedFrame(frame.frame, frame.ticks, frame.file, instances)


def read_end(path: Path) -> LogEnd | None:
    """The last line of a log whose run came to its end; `None` if it did not."""
    last = b""
    for line in _whole_lines(path):
        last = line
    if not last.startswith(_END_MARK):
        return None
    end = _decoded(last, _End, str(path))
    return LogEnd(end.end, tuple(end.notes))


def logged_frame_count(path: Path) -> int:
    """Number of frames in a log, 0 where there is none."""
    return sum(line.startswith(_FRAME_MARK) for line in _whole_lines(path)) if path.is_file() else 0


def read_into(store: TrackStore, path: Path) -> StoredVideo:
    """Take a log into a store whose categories are those of the log; what is of another class stays out.

    The score of a track is the sum of the scores of its frames over their number plus `DOUBT_FRAMES`: for long tracks
    the mean over the frames in which the object is visible, so that leaving the picture costs nothing; a track of a
    few frames, more often a mistake, ranks lower.

    Raises:
        InputError: the log or a line in it cannot be read.
    """
    head = read_head(path)
    class_of = {
        category.name: index
        for index, category in enumerate(store.categories)
        if head.classes is None or category.name in head.classes
    }
    store.add_video(head.video)
    latest: dict[int, str] = {}
    totals: dict[int, tuple[float, int]] = {}
    for frame in logged_frames(path, head):
        store.add_frames(head.video.id, [(frame.index, frame.ticks, frame.file)])
        seen = [seen_by_mask(i.track_id, frame.index, i.score, i.mask) for i in frame.instances]
        store.add_sightings(head.video.id, [sighting for sighting in seen if sighting is not None])
        for instance in frame.instances:
            total, count = totals.get(instance.track_id, (0.0, 0))
            totals[instance.track_id] = total + instance.score, count + 1
            latest[instance.track_id] = instance.name
    for track_id, name in latest.items():
        if name in class_of:
            total, count = totals[track_id]
            store.add_track(head.video.id, track_id, class_of[name], total / (count + DOUBT_FRAMES))
        else:
            store.remove_track(head.video.id, track_id)
    return head.video


def _head_line(head: LogHead) -> _Head:
    video = head.video
    stated = _Video(
        video.id, video.name, video.height, video.width, str(video.frame_rate or 1), str(video.time_base or 1)
    )
    categories = [_Category(category.source_id, category.name) for category in head.categories]
    return _Head(FORMAT, VERSION, stated, categories, head.confidence, head.classes)


def _corner_and_size(mask: Rle) -> tuple[int, int, int, int]:
    x1, y1, x2, y2 = (round(value) for value in rle.bounding_box(mask) or (0, 0, 0, 0))
    return x1, y1, x2 - x1, y2 - y1


def _whole_lines(path: Path) -> Iterator[bytes]:
    with _opened(path) as file:
        for line in file:
            if line.endswith(b"\n"):
                yield line


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", place=path, hint="check the path") from None


def _decoded(line: bytes, kind: type[_Line], place: str) -> _Line:
    try:
        return msgspec.json.decode(line, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(
            f"not a log of frames: {error}", place=place, hint="pass the frames.jsonl of `qcen infer`"
        ) from None


def _cannot_write(path: Path, error: OSError) -> QcenError:
    return QcenError(
        f"cannot be written: {error.strerror}", place=path, hint="make room or choose another --run, then add --resume"
    )
