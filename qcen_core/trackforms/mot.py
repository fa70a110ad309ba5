"""MOTChallenge text: a folder a video, a line `frame,id,x,y,w,h,conf,class,visibility` for each box of each frame.

Frames count from 1, as the form has it. `x y` are continuous pixels from 0, as `qcen prepare` and most tools read them
where `labels.txt` names the classes. A `conf` of 0 says that a line does not count; so a score of 0 becomes the least
one above it. A visibility is not known and stands as 1.
"""

from collections.abc import Iterator
from pathlib import Path

from qcen_core.errors import InputError
from qcen_core.trackforms.checks import add_sightings, finite_number, whole_number
from qcen_core.trackforms.known_videos import KnownVideos
from qcen_core.trackforms.sequence_folder import (
    IGNORED,
    LABELS,
    SequenceFile,
    add_sequence_video,
    class_numbers,
    find_sequences,
    write_info,
    write_labels,
)
from qcen_core.trackforms.store import Sighting, TrackStore
from qcen_core.trackforms.text_rows import require_columns, table_rows
from qcen_core.trackforms.track_numbers import fitting_numbers, renumbering_note
from qcen_core.trackforms.wording import counted

FORM = "frame,id,x,y,width,height and up to four more numbers: conf, class, visibility"
_LEAST = 1e-6
_LARGEST = 2**31 - 1


def write_mot(store: TrackStore, path: Path, *, least_score: float | None = None) -> tuple[str, ...]:
    """Write `<video>/gt/gt.txt` with `labels.txt` beside it and `seqinfo.ini` above, as `qcen prepare` reads them.

    Args:
        store: the tracks; of masks the boxes are written.
        path: folder to fill; it is made.
        least_score: of a sighting in its frame, for it to be written; all by default.

    Returns:
        What the form could not hold beyond masks, one line each.

    Raises:
        InputError: a class has a name that is no line.
    """
    kinds = class_numbers(store.categories)
    notes: list[str] = []
    unscored = zeros = 0
    for video in store.videos():
        folder = path / video.name / "gt"
        folder.mkdir(parents=True)
        write_info(video, store.frame_count(video), folder.parent)
        write_labels(store.categories, folder / LABELS)
        labels = store.labels(video, least_score)
        numbers = fitting_numbers(labels, _LARGEST, video, "MOT")
        notes += renumbering_note(numbers, video)
        with (folder / "gt.txt").open("w", encoding="utf-8") as file:
            for frame in store.frames(video, least_score):
                for seen in frame.sightings:
                    if seen.track_id not in labels:
                        continue
                    unscored += seen.score is None
                    zeros += seen.score is not None and seen.score <= 0
                    score = 1.0 if seen.score is None else max(seen.score, _LEAST)
                    x1, y1, x2, y2 = seen.box
                    box = ",".join(_figure(value) for value in (x1, y1, x2 - x1, y2 - y1))
                    kind = kinds[labels[seen.track_id][0]]
                    file.write(f"{frame.index + 1},{numbers[seen.track_id]},{box},{_figure(score)},{kind},1\n")
    if unscored:
        notes.append(f"MOT needs scores: {counted(unscored, 'box', 'boxes')} without one got 1")
    if zeros:
        notes.append(f"a score of 0 does not count in MOT: {counted(zeros, 'box', 'boxes')} got {_LEAST}")
    return tuple(notes)


def read_mot(store: TrackStore, path: Path, known: KnownVideos | None = None) -> tuple[str, ...]:
    """Read MOT text into an empty store; classes without a name are called `class 3`, without a class `object`.

    Args:
        store: to fill.
        path: a `gt.txt`, a sequence's folder, or a folder of sequences.
        known: the videos that the sequences are called after; by default size and length are those of `seqinfo.ini`.

    Returns:
        What was left out, one line each.

    Raises:
        InputError: a file or a line in it cannot be used.
    """
    for category in known.categories if known else ():
        store.add_category(category)
    apart = unnamed = 0
    for sequence in find_sequences(path):
        first, last = _frame_range(sequence)
        video = add_sequence_video(store, sequence, known, None, last - first + 1)
        for name in sequence.labels.values():
            if name != IGNORED:
                store.class_named(name)
        kinds: dict[int, int] = {}
        for place, row in table_rows(sequence.file):
            seen = _box(row, place, first)
            if seen.score == 0:
                apart += 1
            elif seen.track_id < 0:
                unnamed += 1
            else:
                kind = whole_number(row[7], "class", place, least=-1) if len(row) > 7 else -1
                if kinds.setdefault(seen.track_id, kind) != kind:
                    cause = f"track {seen.track_id} is of another class before"
                    raise InputError(cause, place=place, hint="give each object one class")
                add_sightings(store, video, [seen], place)
        for track, kind in kinds.items():
            name = "object" if kind == -1 else sequence.labels.get(kind, f"class {kind}")
            store.add_track(video.id, track, store.class_named(name), None)
    notes = []
    if apart:
        notes.append(f"left out as not counting: {counted(apart, 'box', 'boxes')}")
    if unnamed:
        notes.append(f"left out: {counted(unnamed, 'box', 'boxes')} without an id")
    return tuple(notes)


def _frame_range(sequence: SequenceFile) -> tuple[int, int]:
    """The number of the first frame, 1 unless a line speaks of a frame 0, and the last one that a line speaks of."""
    first, last = 1, 0
    for frame in _frames(sequence):
        first, last = min(first, frame), max(last, frame)
    return first, last


def _frames(sequence: SequenceFile) -> Iterator[int]:
    for place, row in table_rows(sequence.file):
        require_columns(row, range(6, 11), place, FORM)
        yield whole_number(row[0], "frame", place)


def _box(row: list[str], place: str, first: int) -> Sighting:
    frame = whole_number(row[0], "frame", place)
    track = whole_number(row[1], "id", place, least=-1)
    x, y, width, height = (finite_number(text, "box", place) for text in row[2:6])
    if width <= 0 or height <= 0:
        raise InputError(f"a box of {width} x {height} pixels", place=place, hint="correct it, or remove the line")
    score = finite_number(row[6], "conf", place) if len(row) > 6 else None
    return Sighting(track, frame - first, score, (x, y, x + width, y + height), None)


def _figure(value: float) -> str:
    """A number without a needless `.0`."""
    return str(int(value)) if value == int(value) else repr(value)
