"""What label files with one box a line have in common: lines, numbers, lists of names, and tracks out of boxes."""

import reprlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from qcen_core.conversion.annotations import SourceObject
from qcen_core.conversion.problems import Problem
from qcen_core.errors import InputError
from qcen_core.records import Box, Category


@dataclass(frozen=True, slots=True)
class FrameLabel:
    """One box at one frame.

    Attributes:
        place: file and line.
        source: file or folder that track ids are distinct in, for messages.
        video: index of its video.
        frame: index of its frame.
        class_id: 0..K-1.
        box: `x1 y1 x2 y2`, pixels, as stated.
        track: which object of its video it is, where that is known.
        ignore: a region that is neither object nor background.
    """

    place: str
    source: str
    video: int
    frame: int
    class_id: int
    box: Box
    track: int | None = None
    ignore: bool = False


def join_tracks(labels: Iterable[FrameLabel | Problem]) -> Iterator[SourceObject | Problem]:
    """Objects out of the boxes of single frames, after all problems; a box without a track is an object by itself.

    An object has one class and is to be ignored or not as a whole: where the boxes of a track differ in that, they
    become several objects of the same track. A second box of a track at one frame becomes a region to ignore: something
    is there, and it is not known what.

    Args:
        labels: boxes and problems, in the order of the source.
    """
    boxes: dict[tuple[object, ...], dict[int, FrameLabel]] = {}
    seen: set[tuple[int, int, int]] = set()
    classes: dict[tuple[int, int], int] = {}
    changed: set[tuple[int, int]] = set()
    for label in labels:
        if isinstance(label, Problem):
            yield label
            continue
        if label.track is None:
            boxes[label.place,] = {label.frame: label}
            continue
        track = (label.video, label.track)
        if (*track, label.frame) in seen:
            cause = f"track {label.track} has a box at this frame already"
            yield Problem("duplicate id", label.place, cause, "an id is one object of a video: number them anew")
            boxes[label.place,] = {label.frame: replace(label, ignore=True)}
            continue
        seen.add((*track, label.frame))
        if not label.ignore and classes.setdefault(track, label.class_id) != label.class_id and track not in changed:
            changed.add(track)
            cause = f"track {label.track} is of another class before, and is taken for one object a class"
            yield Problem("class changes", label.place, cause, "give each object one class", loses_labels=False)
        key = (label.video, label.track, label.class_id, label.ignore)
        boxes.setdefault(key, {})[label.frame] = label
    for group in boxes.values():
        ordered = [group[frame] for frame in sorted(group)]
        any_of = ordered[0]
        yield SourceObject(
            place=any_of.place if any_of.track is None else f"{any_of.source}: track {any_of.track}",
            video=any_of.video,
            class_id=any_of.class_id,
            frames=[label.frame for label in ordered],
            boxes=[label.box for label in ordered],
            track=any_of.track,
            ignore=any_of.ignore,
        )


def read_lines(path: Path) -> tuple[str, ...]:
    """The lines of a text file, stripped; empty ones stay, so that they can be numbered.

    Raises:
        InputError: the file cannot be read as text.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read as text: {error}", place=path, hint="write or export it again") from None
    return tuple(line.strip() for line in text.split("\n"))


def any_number(text: str) -> float:
    """A number, which may be NaN or infinite.

    Raises:
        ValueError: it is something else.
    """
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number") from None


def whole_number(text: str) -> int:
    """A whole number, also one that is written as `3.0`.

    Raises:
        ValueError: it is something else.
    """
    value = any_number(text)
    if not value.is_integer():
        raise ValueError(f"{text!r} is not a whole number")
    return int(value)


def read_names(path: Path, first: int) -> dict[int, str]:
    """Names of classes, one a line. An empty line is a number without a name.

    Args:
        path: the file.
        first: number of the first line.

    Raises:
        InputError: the file cannot be read, or a name occurs twice.
    """
    return require_distinct_names({n: name for n, name in enumerate(read_lines(path), start=first) if name}, path)


def require_distinct_names(names: Mapping[int, str], path: Path) -> dict[int, str]:
    """Names of classes by their numbers, ascending.

    Args:
        names: the names by number.
        path: the file that they come from.

    Raises:
        InputError: a name occurs twice.
    """
    number_of: dict[str, int] = {}
    for number, name in sorted(names.items()):
        if name in number_of:
            raise InputError(
                f"'{name}' is the name of class {number_of[name]}, too",
                place=f"{path}: class {number}",
                hint="give each class a name of its own",
            )
        number_of[name] = number
    return {number: name for name, number in number_of.items()}


def merge_categories(names: Iterable[tuple[int, str]]) -> tuple[Category, ...]:
    """The classes of several lists, by name; numbered anew from 1 where one number stands for two names.

    Args:
        names: numbers with their names.
    """
    number_of: dict[str, int] = {}
    for number, name in sorted(names):
        number_of.setdefault(name, number)
    if len(set(number_of.values())) < len(number_of):
        number_of = {name: number for number, name in enumerate(number_of, start=1)}
    return tuple(Category(number, name) for name, number in number_of.items())


def malformed(place: str, cause: str, text: str, form: str) -> Problem:
    """The problem of a line that is no label.

    Args:
        place: file and line.
        cause: what is wrong.
        text: the line.
        form: how lines have to look.
    """
    return Problem("malformed box", place, f"{cause}: {reprlib.repr(text)}", f"a line is {form}")
