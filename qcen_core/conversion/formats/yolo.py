"""YOLO labels: a text file a frame, a line an object, in parts of the frame's width and height.

Facts about the format, from the documentation of Ultralytics and CVAT:

- A box is `class x y width height`, `x y` being its middle. An outline is `class x1 y1 x2 y2 ...`, and so are the four
  corners of a turned box. A pose is a box with key points after it; `kpt_shape` in `data.yaml` tells.
- A whole number may follow, the number of the object in its video. Predictions have their confidence there, or the
  confidence and the number.
- An empty file is a frame without objects. A frame without a file is taken as one that nobody labelled, though
  training of YOLO takes it as empty: files are missing for both reasons, and a frame that is left out does no harm.

What cannot be used is kept out of training: a box whose class has no name, or whose track has a box at that frame
already, becomes a region to ignore, and a frame with a line that cannot be read, or with labels in a second file, is
taken as one that nobody labelled.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from qcen_core.conversion.annotations import ANY_CLASS, ListedAnnotations
from qcen_core.conversion.formats.found_videos import video_records
from qcen_core.conversion.formats.incomplete_frames import leave_out_frames
from qcen_core.conversion.formats.label_lines import (
    FrameLabel,
    any_number,
    join_tracks,
    malformed,
    read_lines,
    whole_number,
)
from qcen_core.conversion.formats.label_names import is_ignored
from qcen_core.conversion.formats.read_labels import ReadLabels
from qcen_core.conversion.formats.yolo_files import LabelFile, find_files, find_videos, match_labels
from qcen_core.conversion.frame_library import FoundVideo, FrameLibrary
from qcen_core.conversion.problems import Problem
from qcen_core.errors import InputError
from qcen_core.records import Box, Category

FORM = "class x y width height, or class x1 y1 x2 y2 x3 y3 ..., all but the class from 0 to 1; a track id may follow"


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of a label file, in columns, and the indices of its video and frame."""

    place: str
    source: str
    cells: tuple[str, ...]
    video: int
    frame: int


@dataclass(frozen=True, slots=True)
class _Columns:
    """What stands where in the lines of a data set.

    Attributes:
        keypoints: numbers after each box that are key points.
        scored: the sixth column is a confidence.
        scored_tracks: of seven columns, the last two are a confidence and a track id.
    """

    keypoints: int
    scored: bool
    scored_tracks: bool


def read_yolo(path: Path, library: FrameLibrary | None) -> ReadLabels:
    """Reads YOLO labels; boxes become `x1 y1 x2 y2` pixels, those around outlines where labels are outlines.

    A video is a folder of frames; where frames of several videos lie in one folder, the beginnings of their names tell
    them apart. Videos without any label file are left out. Categories have the classes' numbers, from 0, as ids.

    Args:
        path: a data set's folder, its `data.yaml`, or a folder of label files.
        library: the frames; by default those in the data set's folder.

    Raises:
        InputError: there are no label files or no frames, none belong together, or the names cannot be used.
    """
    files = find_files(path)
    frames = library or FrameLibrary(files.root)
    found = list(find_videos(frames))
    everything = [video for video in found if isinstance(video, FoundVideo)]
    matches = list(match_labels(files.labels, everything, by_number=library is not None))
    labels = [match for match in matches if isinstance(match, LabelFile)]
    problems = [item for item in (*found, *matches) if isinstance(item, Problem)]
    if not labels:
        cause = f"none of the {len(files.labels)} label files belongs to a frame in {frames.root}"
        raise InputError(cause, place=path, hint=problems[-1].hint)
    kept = sorted({label.video for label in labels})
    index_of = {old: new for new, old in enumerate(kept)}
    problems += [_unlabelled_video(video) for index, video in enumerate(everything) if index not in index_of]
    videos = [everything[index] for index in kept]
    rows, labelled, incomplete, unusable = _read_files(
        [replace(label, video=index_of[label.video]) for label in labels]
    )
    problems += unusable
    columns = _find_columns(rows, files.keypoints)
    problems += _remarks(rows, columns, path)
    names = _seen_names(rows) if files.names is None else files.names
    objects = list(join_tracks(_labels(rows, columns, names, videos, incomplete)))
    spoilt: dict[int, set[int]] = {}
    for index, frame in incomplete:
        spoilt.setdefault(index, set()).add(frame)
    items = (*problems, *leave_out_frames(objects, spoilt, path))
    labelled -= incomplete
    unlabelled = {
        index: frozenset(frame for frame in range(len(video.files)) if (index, frame) not in labelled)
        for index, video in enumerate(videos)
    }
    annotations = ListedAnnotations(path, _categories(names), video_records(videos), items, unlabelled)
    return ReadLabels(annotations, frames.root, frames)


def _read_files(
    labels: Iterable[LabelFile],
) -> tuple[list[_Row], set[tuple[int, int]], set[tuple[int, int]], list[Problem]]:
    """The rows of label files.

    Returns:
        The rows; video and frame of all files; of those that hold labels that are lost; and what is wrong.
    """
    rows: list[_Row] = []
    first: dict[tuple[int, int], Path] = {}
    incomplete: set[tuple[int, int]] = set()
    problems = []
    for label in labels:
        frame = (label.video, label.frame)
        try:
            read = _read_rows(label)
        except InputError as error:
            problems.append(Problem("unreadable label file", str(label.path), error.cause, error.hint or "correct it"))
            incomplete.add(frame)
            continue
        if frame not in first:
            first[frame] = label.path
            rows += read
            continue
        cause = f"{first[frame]} belongs to the same frame"
        problems.append(Problem("two label files for a frame", str(label.path), cause, "remove one of them"))
        if read:
            incomplete.add(frame)
    return rows, set(first), incomplete, problems


def _unlabelled_video(video: FoundVideo) -> Problem:
    cause, hint = "no label file belongs to it, and it is left out", "nothing needs doing if nobody labelled it"
    return Problem("video without labels", video.name, cause, hint, loses_labels=False)


def _read_rows(label: LabelFile) -> list[_Row]:
    return [
        _Row(f"{label.path}: line {n}", str(label.path.parent), tuple(line.split()), label.video, label.frame)
        for n, line in enumerate(read_lines(label.path), start=1)
        if line
    ]


def _find_columns(rows: Sequence[_Row], keypoints: int) -> _Columns:
    """Confidences and ids are told apart by the whole set: a confidence of 1 may be written like a number."""
    plain = 5 + keypoints
    sixth = [row.cells[-1] for row in rows if len(row.cells) == plain + 1]
    seventh = [_is_whole(row.cells[-1]) for row in rows if len(row.cells) == 7]
    return _Columns(
        keypoints=keypoints,
        scored=sum(map(_is_fraction, sixth)) > sum(map(_is_whole, sixth)),
        scored_tracks=not keypoints and bool(seventh) and all(seventh),
    )


def _is_whole(cell: str) -> bool:
    return re.fullmatch(r"[+-]?\d+", cell) is not None


def _is_fraction(cell: str) -> bool:
    return re.fullmatch(r"[+-]?(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][+-]?\d+)?", cell) is not None


def _has_confidence(cells: Sequence[str], columns: _Columns) -> bool:
    if len(cells) == 6 + columns.keypoints:
        return columns.scored or _is_fraction(cells[-1])
    return len(cells) == 7 and columns.scored_tracks


def _remarks(rows: Sequence[_Row], columns: _Columns, path: Path) -> Iterator[Problem]:
    """What is in the files and is not used, said once."""
    scores = sum(_has_confidence(row.cells, columns) for row in rows)
    if scores:
        cause = f"{scores} labels have a confidence, which is not used"
        yield Problem("confidence", str(path), cause, "a track id is a whole number", loses_labels=False)


def _seen_names(rows: Sequence[_Row]) -> Mapping[int, str]:
    """Names of the classes that are there, where nothing else names them."""
    seen = {number for row in rows for number in [_class_number(row)] if number is not None and number >= 0}
    return {number: f"class {number}" for number in sorted(seen)}


def _categories(names: Mapping[int, str]) -> tuple[Category, ...]:
    """The classes of objects; names of regions to ignore are none."""
    return tuple(Category(number, name) for number, name in names.items() if not is_ignored(name))


def _class_number(row: _Row) -> int | None:
    try:
        return whole_number(row.cells[0])
    except ValueError:
        return None


def _labels(
    rows: Sequence[_Row],
    columns: _Columns,
    names: Mapping[int, str],
    videos: Sequence[FoundVideo],
    incomplete: set[tuple[int, int]],
) -> Iterator[FrameLabel | Problem]:
    """The labels of rows; video and frame of those that are none are added to `incomplete`."""
    class_of = {category.name: index for index, category in enumerate(_categories(names))}
    for row in rows:
        number, video = _class_number(row), videos[row.video]
        try:
            (x1, y1, x2, y2), track = _read_cells(row.cells, columns)
        except ValueError as error:
            yield malformed(row.place, str(error), " ".join(row.cells), FORM)
            incomplete.add((row.video, row.frame))
            continue
        name = None if number is None else names.get(number)
        if name is None:
            cause = f"class {row.cells[0]} has no name"
            yield Problem("unknown category", row.place, cause, "add its name to data.yaml or classes.txt")
        box = (x1 * video.width, y1 * video.height, x2 * video.width, y2 * video.height)
        class_id, ignore = (ANY_CLASS, True) if name is None else (class_of.get(name, ANY_CLASS), is_ignored(name))
        yield FrameLabel(row.place, row.source, row.video, row.frame, class_id, box, track, ignore)


def _read_cells(cells: Sequence[str], columns: _Columns) -> tuple[Box, int | None]:
    """The box, `x1 y1 x2 y2` in parts of the frame, and the track id.

    Raises:
        ValueError: a column is not a number, or there are too few or too many.
    """
    numbers = [any_number(cell) for cell in cells[1:]]
    count, plain = len(cells), 5 + columns.keypoints
    pair = count == 7 and columns.scored_tracks
    if count in (plain, plain + 1) or pair:
        x, y, width, height = numbers[:4]
        box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        tracked = pair or (count == plain + 1 and not _has_confidence(cells, columns))
        return box, _track(cells[-1]) if tracked else None
    if columns.keypoints or count < 7:
        raise ValueError(f"{count} columns")
    outline_end = count if count % 2 else count - 1
    # Not min and max: a NaN has to stay one.
    points = np.array(numbers[: outline_end - 1]).reshape(-1, 2)
    (x1, y1), (x2, y2) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    return (x1, y1, x2, y2), None if count % 2 else _track(cells[-1])


def _track(cell: str) -> int | None:
    """A track id; a negative one says that there is none.

    Raises:
        ValueError: it is not a whole number.
    """
    number = whole_number(cell)
    return number if number >= 0 else None
