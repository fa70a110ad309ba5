"""Tracks of any number of videos on disk, read frame by frame or track by track in constant memory.

Results are found frame by frame and wanted track by track; the turn is left to SQLite. A store holds masks as run
lengths and never reads more than one frame or one track at a time.
"""

import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Self

from qcen_core.errors import QcenError
from qcen_core.ops import rle
from qcen_core.records import Box, Category, Rle, VideoRecord

_TABLES = """
CREATE TABLE videos (video INTEGER PRIMARY KEY, name TEXT, height INTEGER, width INTEGER, rate TEXT, base TEXT);
CREATE TABLE frames (video INTEGER, frame INTEGER, ticks INTEGER, file TEXT, PRIMARY KEY (video, frame)) WITHOUT ROWID;
CREATE TABLE tracks (video INTEGER, track INTEGER, class INTEGER, score REAL, PRIMARY KEY (video, track)) WITHOUT ROWID;
CREATE TABLE sightings (
    video INTEGER, track INTEGER, frame INTEGER, score REAL, x1 REAL, y1 REAL, x2 REAL, y2 REAL, counts TEXT,
    PRIMARY KEY (video, track, frame)
) WITHOUT ROWID;
"""
_BY_FRAME = "CREATE INDEX IF NOT EXISTS by_frame ON sightings (video, frame, track)"
_CACHE_KIB = 8192

_Row = tuple[int, int, float | None, float | None, float | None, float | None, float | None, str | None]


@dataclass(frozen=True, slots=True)
class StoredVideo:
    """What is known of a video itself.

    Attributes:
        id: unique in its store.
        name: usable as a file name, unique in its store.
        height: frame height in pixels.
        width: frame width in pixels.
        frame_rate: frames a second, on average; `None` where nobody said.
        time_base: seconds; a frame's time is `ticks * time_base`; `None` where nobody said.
    """

    id: int
    name: str
    height: int
    width: int
    frame_rate: Fraction | None = None
    time_base: Fraction | None = None


@dataclass(frozen=True, slots=True)
class Sighting:
    """A track in one frame.

    Attributes:
        track_id: unique in its video.
        frame: from 0.
        score: of this frame, `None` where nobody said.
        box: `x1 y1 x2 y2` pixels; of a mask the tight one unless something else was stated.
        mask: `None` where only the box is known.
    """

    track_id: int
    frame: int
    score: float | None
    box: Box
    mask: Rle | None


@dataclass(frozen=True, slots=True)
class StoredFrame:
    """One frame and what is seen in it, by track id.

    Attributes:
        index: from 0.
        ticks: its time in units of the video's time base; `None` where nobody said.
        file: its picture, `None` where there is none.
        sightings: the tracks that are visible.
    """

    index: int
    ticks: int | None
    file: str | None
    sightings: tuple[Sighting, ...]


@dataclass(frozen=True, slots=True)
class StoredTrack:
    """One track and where it is seen, by frame.

    Attributes:
        id: unique in its video.
        class_id: index into the store's categories.
        score: of the whole track, `None` where nobody said.
        sightings: at least one.
    """

    id: int
    class_id: int
    score: float | None
    sightings: tuple[Sighting, ...]


@dataclass(frozen=True, slots=True)
class Tally:
    """How much a store holds.

    Attributes:
        videos: all.
        timed: frames whose time is known.
        tracks: those with a sighting.
        scored_tracks: those of them that have a score.
        sightings: all that reach the score asked for.
        masks: sightings with a mask.
        scored: sightings with a score.
    """

    videos: int
    timed: int
    tracks: int
    scored_tracks: int
    sightings: int
    masks: int
    scored: int


class TrackStore:
    """Tracks of a set of videos; a context manager, gone from the disk when it is closed.

    Args:
        categories: the classes.
        folder: where the store's file is to be; by default the system's place for temporary files.
    """

    def __init__(self, categories: Sequence[Category], folder: Path | None = None) -> None:
        self.categories = tuple(categories)
        self._folder = tempfile.TemporaryDirectory(prefix=".tracks-", dir=folder)
        self._base = sqlite3.connect(str(Path(self._folder.name) / "tracks.sqlite"), isolation_level=None)
        self._base.executescript(
            f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -{_CACHE_KIB};"
            "PRAGMA temp_store = FILE;" + _TABLES + "BEGIN;"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove the store. Closing twice is allowed."""
        self._base.close()
        self._folder.cleanup()

    def add_category(self, category: Category) -> int:
        """Take in one more class; returns its index."""
        self.categories = (*self.categories, category)
        return len(self.categories) - 1

    def class_named(self, name: str) -> int:
        """Index of the class of that name; where there is none it is made, with the next free id."""
        for index, category in enumerate(self.categories):
            if category.name == name:
                return index
        return self.add_category(Category(1 + max((c.source_id for c in self.categories), default=0), name))

    def _insert(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        with self._full_disk_told():
            self._base.executemany(statement, rows)

    @contextmanager
    def _full_disk_told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            hint = "make room there; while tracks are written they need the space of their masks once more"
            raise QcenError(f"cannot be written: {error}", place=self._folder.name, hint=hint) from error

    def add_video(self, video: StoredVideo) -> None:
        """Take in a video; its id must be new."""
        rate, base = (None if value is None else str(value) for value in (video.frame_rate, video.time_base))
        row = (video.id, video.name, video.height, video.width, rate, base)
        self._insert("INSERT INTO videos VALUES (?, ?, ?, ?, ?, ?)", [row])

    def add_frames(self, video_id: int, frames: Iterable[tuple[int, int | None, str | None]]) -> None:
        """Take in frames of a video as (index from 0, ticks, file); each index once, without gaps in the end."""
        rows = ((video_id, *frame) for frame in frames)
        self._insert("INSERT INTO frames VALUES (?, ?, ?, ?)", rows)

    def add_track(self, video_id: int, track_id: int, class_id: int, score: float | None) -> None:
        """State class and score of a track; said again, it replaces what was said before."""
        self._insert("INSERT OR REPLACE INTO tracks VALUES (?, ?, ?, ?)", [(video_id, track_id, class_id, score)])

    def add_sightings(self, video_id: int, sightings: Iterable[Sighting]) -> None:
        """Take in sightings of a video in any order; a track is seen once in a frame.

        Raises:
            ValueError: a track is seen twice in a frame.
        """
        rows = (
            (video_id, s.track_id, s.frame, s.score, *s.box, None if s.mask is None else s.mask["counts"])
            for s in sightings
        )
        try:
            self._insert("INSERT INTO sightings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        except sqlite3.IntegrityError:
            raise ValueError("a track is listed twice in one frame") from None

    def remove_track(self, video_id: int, track_id: int) -> None:
        """Forget a track and all that was seen of it."""
        self._base.execute("DELETE FROM sightings WHERE video = ? AND track = ?", (video_id, track_id))
        self._base.execute("DELETE FROM tracks WHERE video = ? AND track = ?", (video_id, track_id))

    def renumber_tracks(self, video_id: int, numbers: Mapping[int, int]) -> None:
        """Give tracks of a video new ids, old -> new; the new ones must be distinct and none of them taken."""
        for table in ("sightings", "tracks"):
            rows = [(new, video_id, old) for old, new in numbers.items()]
            self._base.executemany(f"UPDATE {table} SET track = ? WHERE video = ? AND track = ?", rows)  # noqa: S608

    def videos(self) -> tuple[StoredVideo, ...]:
        """All videos, by their ids."""
        rows = self._base.execute("SELECT video, name, height, width, rate, base FROM videos ORDER BY video")
        return tuple(
            StoredVideo(*row[:4], *(None if text is None else Fraction(text) for text in row[4:])) for row in rows
        )

    def record(self, video: StoredVideo) -> VideoRecord:
        """A video as annotation files list it; frames without a picture get names in the order of time."""
        rows = self._base.execute("SELECT frame, file FROM frames WHERE video = ? ORDER BY frame", (video.id,))
        files = tuple(file or f"{video.name}/{frame:05d}.jpg" for frame, file in rows)
        return VideoRecord(video.id, video.name, video.height, video.width, files)

    def frame_count(self, video: StoredVideo) -> int:
        """Number of frames of a video."""
        return int(self._base.execute("SELECT COUNT(*) FROM frames WHERE video = ?", (video.id,)).fetchone()[0])

    def listed_frames(self, video: StoredVideo) -> Iterator[tuple[int, int | None, str | None]]:
        """The frames of a video in order as (index, ticks, file), without what is seen in them."""
        return self._base.execute("SELECT frame, ticks, file FROM frames WHERE video = ? ORDER BY frame", (video.id,))

    def tally(self, least_score: float | None = None) -> Tally:
        """What the store holds, counting sightings of at least that score (all by default)."""
        seen = (
            "FROM sightings AS s JOIN tracks AS t ON t.video = s.video AND t.track = s.track "
            "WHERE ?1 IS NULL OR s.score IS NULL OR s.score >= ?1"
        )
        counts: list[int] = []
        for query, values in (
            ("SELECT COUNT(*) FROM videos", ()),
            ("SELECT COUNT(ticks) FROM frames", ()),
            (
                f"SELECT COUNT(*), COUNT(score) FROM (SELECT t.score AS score {seen} GROUP BY t.video, t.track)",  # noqa: S608
                (least_score,),
            ),
            (f"SELECT COUNT(*), COUNT(s.counts), COUNT(s.score) {seen}", (least_score,)),
        ):
            counts += self._base.execute(query, values).fetchone()
        return Tally(*counts)

    def labels(self, video: StoredVideo, least_score: float | None = None) -> dict[int, tuple[int, float | None]]:
        """Track id -> (class index, score of the track) of the tracks that have a sighting of that score, by id."""
        rows = self._base.execute(
            "SELECT track, class, score FROM tracks AS t WHERE video = ?1 AND EXISTS (SELECT 1 FROM sightings AS s "
            "WHERE s.video = ?1 AND s.track = t.track AND (?2 IS NULL OR s.score IS NULL OR s.score >= ?2)) "
            "ORDER BY track",
            (video.id, least_score),
        )
        return {track: (class_id, score) for track, class_id, score in rows}

    def frames(self, video: StoredVideo, least_score: float | None = None) -> Iterator[StoredFrame]:
        """Every frame of a video in order, with its sightings of at least that score (all by default)."""
        with self._full_disk_told():
            self._base.execute(_BY_FRAME)
        frames = self._base.execute("SELECT frame, ticks, file FROM frames WHERE video = ? ORDER BY frame", (video.id,))
        rows = self._base.execute(
            "SELECT frame, track, score, x1, y1, x2, y2, counts FROM sightings "
            "WHERE video = ?1 AND (?2 IS NULL OR score IS NULL OR score >= ?2) ORDER BY frame, track",
            (video.id, least_score),
        )
        groups = groupby(rows, key=lambda row: row[0])
        frame, group = next(groups, (None, iter(())))
        for index, ticks, file in frames:
            sightings: tuple[Sighting, ...] = ()
            if frame == index:
                sightings = tuple(_sighting(video, (row[1], row[0], *row[2:])) for row in group)
                frame, group = next(groups, (None, iter(())))
            yield StoredFrame(index, ticks, file, sightings)

    def tracks(self, video: StoredVideo, least_score: float | None = None) -> Iterator[StoredTrack]:
        """Every track of a video by id, with its sightings of at least that score; one without any is left out."""
        labels = self.labels(video, least_score)
        rows = self._base.execute(
            "SELECT track, frame, score, x1, y1, x2, y2, counts FROM sightings "
            "WHERE video = ?1 AND (?2 IS NULL OR score IS NULL OR score >= ?2) ORDER BY track, frame",
            (video.id, least_score),
        )
        for track, group in groupby(rows, key=lambda row: row[0]):
            if track in labels:
                yield StoredTrack(track, *labels[track], tuple(_sighting(video, row) for row in group))


def _sighting(video: StoredVideo, row: _Row) -> Sighting:
    track, frame, score, x1, y1, x2, y2, counts = row
    mask = None if counts is None else Rle(size=[video.height, video.width], counts=counts)
    return Sighting(track, frame, score, (x1 or 0.0, y1 or 0.0, x2 or 0.0, y2 or 0.0), mask)


def seen_by_mask(track_id: int, frame: int, score: float | None, mask: Rle) -> Sighting | None:
    """A sighting whose box is that of its mask; `None` for a mask without a pixel."""
    box = rle.bounding_box(mask)
    return None if box is None else Sighting(track_id, frame, score, box, mask)
