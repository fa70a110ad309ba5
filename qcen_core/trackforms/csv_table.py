"""`tracks.csv`: one row for each instance of each frame, in time order, for spreadsheets and scripts.

Boxes are `x y w h` pixels of the frame, frames count from 0, `mask` holds COCO run lengths. A field is empty where
nothing is known.
"""

import csv
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from qcen_core.errors import InputError
from qcen_core.ops import rle
from qcen_core.records import Rle
from qcen_core.trackforms.checks import (
    add_sightings,
    check_size,
    finite_number,
    require_safe_name,
    require_sound,
    whole_number,
)
from qcen_core.trackforms.known_videos import KnownVideos, add_known_video
from qcen_core.trackforms.store import Sighting, StoredVideo, TrackStore
from qcen_core.trackforms.text_rows import require_columns, table_rows
from qcen_core.trackforms.wording import counted

CSV_COLUMNS = (
    "frame", "time_s", "track_id", "class", "score", "x", "y", "w", "h", "area", "video", "track_score", "height",
    "width", "mask",
)  # fmt: skip
_MICROSECOND = Fraction(1, 1_000_000)


def write_csv(store: TrackStore, path: Path, *, least_score: float | None = None) -> tuple[str, ...]:
    """Write a row for each sighting, videos one after the other.

    Args:
        store: the tracks.
        path: the file; it is written in place.
        least_score: of a sighting in its frame, for it to be written; all by default.

    Returns:
        What the form could not hold, one line each.
    """
    empty = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(CSV_COLUMNS)
        for video in store.videos():
            labels = store.labels(video, least_score)
            empty += not labels
            for frame in store.frames(video, least_score):
                known = frame.ticks is not None and video.time_base is not None
                time = f"{float((frame.ticks or 0) * (video.time_base or 0)):.6f}" if known else ""
                for seen in frame.sightings:
                    if seen.track_id in labels:
                        class_id, score = labels[seen.track_id]
                        name = store.categories[class_id].name
                        writer.writerow((frame.index, time, seen.track_id, name, *_cells(seen, score, video)))
    return (f"a table has no row for {counted(empty, 'video')} in which nothing is seen",) if empty else ()


def read_csv(store: TrackStore, path: Path, known: KnownVideos | None = None) -> tuple[str, ...]:
    """Read a table into an empty store. Videos are numbered from 1 in their order, unless they are known.

    Args:
        store: to fill.
        path: the file.
        known: the videos; by default a video ends with the last frame of which there is a row.

    Returns:
        What was left out, one line each: nothing.

    Raises:
        InputError: the file or a row in it cannot be used.
    """
    for category in known.categories if known else ():
        store.add_category(category)
    videos = _add_videos(store, path, known)
    labels: dict[tuple[int, int], tuple[int, float | None]] = {}
    for place, row in _rows(path):
        video = videos[row["video"]]
        seen = _sighting(row, place)
        require_sound([seen.mask] if seen.mask else [], video, [place] if seen.mask else [])
        score = _optional_number(row, "track_score", place)
        label = store.class_named(row["class"]), score
        if labels.setdefault((video.id, seen.track_id), label) != label:
            cause = f"track {seen.track_id} has another class or track_score before"
            raise InputError(cause, place=place, hint="give each object one class and one track_score")
        add_sightings(store, video, [seen], place)
    for (video_id, track), (class_id, score) in labels.items():
        store.add_track(video_id, track, class_id, score)
    return ()


def _cells(seen: Sighting, track_score: float | None, video: StoredVideo) -> tuple[object, ...]:
    x1, y1, x2, y2 = seen.box
    box = tuple(_figure(value) for value in (x1, y1, x2 - x1, y2 - y1))
    area = _figure((x2 - x1) * (y2 - y1)) if seen.mask is None else rle.area(seen.mask)
    score, whole = ("" if value is None else repr(value) for value in (seen.score, track_score))
    counts = "" if seen.mask is None else seen.mask["counts"]
    return (score, *box, area, video.name, whole, video.height, video.width, counts)


def _add_videos(store: TrackStore, path: Path, known: KnownVideos | None) -> dict[str, StoredVideo]:
    """The videos of a table by name, with their frames; the rows of a video and of a frame stand together."""
    videos: dict[str, StoredVideo] = {}
    for name, height, width, frames in _blocks(path):
        if name in videos:
            raise InputError(f"the rows of video {name} are in two places", place=path, hint="sort them by video")
        if known is not None:
            record = known.named(name, path)
            if frames and frames[-1][0] >= len(record.frame_files):
                cause = f"it speaks of frame {frames[-1][0]} of video {name}, which has {len(record.frame_files)}"
                raise InputError(cause, place=path, hint="frames count from 0")
            videos[name] = add_known_video(store, record)
            continue
        number = len(videos) + 1
        timed = any(ticks is not None for _, ticks in frames)
        video = StoredVideo(number, name, height, width, None, _MICROSECOND if timed else None)
        store.add_video(video)
        ticks_of = dict(frames)
        store.add_frames(number, ((frame, ticks_of.get(frame), None) for frame in range(frames[-1][0] + 1)))
        videos[name] = video
    return videos


def _blocks(path: Path) -> Iterator[tuple[str, int, int, list[tuple[int, int | None]]]]:
    """Name, height and width of each video, and its frames that have rows with their times in microseconds."""
    name, height, width = "", 0, 0
    frames: list[tuple[int, int | None]] = []
    for place, row in _rows(path):
        if row["video"] != name:
            if frames:
                yield name, height, width, frames
            name, frames = row["video"], []
            require_safe_name(name, place)
            height, width = (whole_number(row[key], key, place) for key in ("height", "width"))
            check_size(height, width, place)
        frame = whole_number(row["frame"], "frame", place)
        time = _optional_number(row, "time_s", place)
        if not frames or frames[-1][0] < frame:
            frames.append((frame, None if time is None else round(time / _MICROSECOND)))
        elif frames[-1][0] > frame:
            raise InputError(f"frame {frame} after frame {frames[-1][0]}", place=place, hint="sort the rows by frame")
    if frames:
        yield name, height, width, frames


def _rows(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    rows = table_rows(path)
    _, head = next(rows, ("", []))
    if tuple(head) != CSV_COLUMNS:
        missing = ", ".join(name for name in CSV_COLUMNS if name not in head)
        hint = f"its first line is {','.join(CSV_COLUMNS)}"
        raise InputError(
            f"not a table of tracks: without {missing}" if missing else "columns in another order",
            place=path,
            hint=hint,
        )
    for place, row in rows:
        require_columns(row, range(len(CSV_COLUMNS), len(CSV_COLUMNS) + 1), place, ",".join(CSV_COLUMNS))
        if not row[10] or not row[3]:
            raise InputError("a row without a video or a class", place=place, hint="name both")
        yield place, dict(zip(CSV_COLUMNS, row, strict=True))


def _sighting(row: dict[str, str], place: str) -> Sighting:
    x, y, width, height = (finite_number(row[key], key, place) for key in "xywh")
    if width <= 0 or height <= 0:
        raise InputError(f"a box of {width} x {height} pixels", place=place, hint="correct it, or remove the row")
    size = [whole_number(row[key], key, place) for key in ("height", "width")]
    mask = Rle(size=size, counts=row["mask"]) if row["mask"] else None
    frame, track = whole_number(row["frame"], "frame", place), whole_number(row["track_id"], "track_id", place)
    score = _optional_number(row, "score", place)
    return Sighting(track, frame, score, (x, y, x + width, y + height), mask)


def _optional_number(row: dict[str, str], key: str, place: str) -> float | None:
    return finite_number(row[key], key, place) if row[key] else None


def _figure(value: float) -> str:
    """A number without a needless `.0`."""
    return str(int(value)) if value == int(value) else repr(float(value))
