"""CVAT's XML, version 1.1, read piece by piece into plain records; nothing is placed in a video yet.

Facts are those of CVAT's documentation of the format: `annotations` holds one `meta` about the task, job or project,
and then `track` elements (export "for video") or `image` elements (export "for images").
"""

import reprlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree.ElementTree import Element

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import ParseError, iterparse

from qcen_core.conversion.formats.cvat_shapes import BOXED_SHAPES, NO_SHAPES, has_ignore_attribute, shape_values
from qcen_core.conversion.formats.found_videos import MOST_FRAMES
from qcen_core.conversion.formats.keyframes import Values
from qcen_core.conversion.formats.label_names import YES
from qcen_core.conversion.problems import Problem
from qcen_core.errors import InputError


@dataclass(frozen=True, slots=True)
class CvatTask:
    """A task: the frames of one video, or some of them.

    Attributes:
        id: by which tracks name it; may be empty.
        names: what the video may be called, the likeliest first.
        start: number of its first frame in the source video.
        step: from one of its frames to the next.
        count: how many frames it has, where that is told.
        size: (height, width) of the frames that it was drawn on, where that is told.
    """

    id: str = ""
    names: tuple[str, ...] = ()
    start: int = 0
    step: int = 1
    count: int | None = None
    size: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class CvatShape:
    """One shape at one frame.

    Attributes:
        frame: number in the source video, from 0.
        values: as `shape_values` tells; `None` where they cannot be read.
        outside: not visible from this frame on, up to the next shape of its track.
        filled_in: CVAT filled it in between key frames that a person drew.
        ignore: marked as a region to ignore.
    """

    frame: int
    values: Values | None
    outside: bool
    filled_in: bool
    ignore: bool


@dataclass(frozen=True, slots=True)
class CvatTrack:
    """One object through a task; `shapes` have distinct frames, ascending. `task` is an id where there are several."""

    place: str
    label: str | None
    task: str | None
    shapes: tuple[CvatShape, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class CvatImageShape:
    """One shape of an image."""

    place: str
    label: str | None
    values: Values
    ignore: bool


@dataclass(frozen=True, slots=True)
class CvatImage:
    """One labelled frame of an export for images. `size` is (height, width) where it is told.

    `problems` are those of shapes whose place nobody knows.
    """

    place: str
    name: str
    task: str | None
    size: tuple[int, int] | None
    shapes: tuple[CvatImageShape, ...]
    problems: tuple[Problem, ...]


@dataclass(slots=True)
class CvatFile:
    """All of a file; `others` counts the shapes that no box can stand for by their kind."""

    tasks: tuple[CvatTask, ...] = ()
    labels: tuple[str, ...] = ()
    tracks: list[CvatTrack] = field(default_factory=list)
    images: list[CvatImage] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)


def load_cvat(path: Path) -> CvatFile:
    """Read a file. Tracks and images are forgotten as XML once they are read.

    Raises:
        InputError: the file cannot be read, is cut off, declares entities or a document type, or is no CVAT file.
    """
    file = CvatFile()
    meta_seen = False
    for element in _pieces(path):
        if element.tag == "meta":
            file.tasks, file.labels, meta_seen = _read_tasks(element, path), _read_labels(element), True
        elif element.tag == "track":
            file.tracks.append(_read_track(element, path, len(file.tracks) + 1, file.others))
        elif element.tag == "image":
            file.images.append(_read_image(element, path, len(file.images), file.others))
    if not (meta_seen or file.tracks or file.images):
        raise InputError("neither tracks nor images in it", place=path, hint="export as 'CVAT for video 1.1'")
    file.tasks = file.tasks or (CvatTask(),)
    return file


def _pieces(path: Path) -> Iterator[Element]:
    """The children of the root, each as soon as it is whole."""
    try:
        with path.open("rb") as stream:
            depth, root = 0, None
            for event, element in iterparse(stream, ("start", "end"), forbid_dtd=True):
                depth += 1 if event == "start" else -1
                if root is None:
                    root = element
                    if root.tag != "annotations":
                        hint = "CVAT's files have the root 'annotations'"
                        raise InputError(f"the root is '{root.tag}', not CVAT's", place=path, hint=hint)
                elif event == "end" and depth == 1:
                    yield element
                    root.clear()
    except DefusedXmlException:
        hint = "CVAT writes none; remove it, or export the file again"
        raise InputError("declares a document type or entities, which is refused", place=path, hint=hint) from None
    except (ParseError, LookupError, UnicodeError) as error:
        hint = "the file may be cut off; export it again"
        raise InputError(f"not valid XML: {error}", place=path, hint=hint) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", place=path, hint="check the path") from None


def _read_tasks(meta: Element, path: Path) -> tuple[CvatTask, ...]:
    elements = [*meta.iter("task")] or [*meta.iter("job")]
    tasks: list[CvatTask] = []
    for element in elements:
        number = element.findtext("id", "").strip()
        place = f"{path}: task {number or len(tasks)}"
        source = element.findtext("source") or (meta.findtext("source") if len(elements) == 1 else None) or ""
        names = tuple(name for name in (source.strip(), element.findtext("name", "").strip()) if name)
        start, stop = _whole(element, "start_frame", place) or 0, _whole(element, "stop_frame", place)
        step, count = _step(element, place), _whole(element, "size", place)
        if count is None and stop is not None:
            count = max(0, (stop - start) // step + 1)
        height, width = (_whole(element, f"original_size/{side}", place) for side in ("height", "width"))
        tasks.append(CvatTask(number, names, start, step, count, (height, width) if height and width else None))
    return tuple(tasks)


def _read_labels(meta: Element) -> tuple[str, ...]:
    """Names of the labels; those of the parts of a skeleton, which have a parent, are no objects."""
    names = (label.findtext("name", "").strip() for label in meta.iter("label") if not label.findtext("parent"))
    return tuple(name for name in names if name)


def _step(element: Element, place: str) -> int:
    text = element.findtext("frame_filter", "").replace(" ", "")
    if not text:
        return 1
    key, _, number = text.partition("=")
    if key != "step" or not number.isdecimal() or not 1 <= int(number[:10]) <= MOST_FRAMES:
        hint = "frames are chosen by step=N only; export the task anew"
        raise InputError(f"frame_filter is {reprlib.repr(text)}", place=place, hint=hint)
    return int(number)


def _whole(element: Element, key: str, place: str) -> int | None:
    text = element.findtext(key, "").strip()
    if not text:
        return None
    if not text.isdecimal() or int(text[:10]) > MOST_FRAMES:
        raise InputError(f"{key} is {reprlib.repr(text)}, not a number of frames", place=place, hint="export it again")
    return int(text)


def _read_track(element: Element, path: Path, position: int, others: Counter[str]) -> CvatTrack:
    place = f"{path}: track {element.get('id') or f'without id, number {position}'}"
    shapes: dict[int, CvatShape] = {}
    problems = []
    for child in element:
        if child.tag not in BOXED_SHAPES:
            others.update({child.tag} - NO_SHAPES)
            continue
        shape = _read_shape(child, place)
        if isinstance(shape, CvatShape) and shape.frame in shapes:
            shape = Problem(
                "duplicate frame",
                f"{place}, frame {shape.frame}",
                "two shapes of one object at one frame; the first is used",
                "remove one of the two, or make them two tracks",
            )
        if isinstance(shape, Problem):
            problems.append(shape)
            continue
        shapes[shape.frame] = shape
        if shape.values is None and not shape.outside:
            problems.append(_malformed(child, f"{place}, frame {shape.frame}"))
    ordered = tuple(shapes[frame] for frame in sorted(shapes))
    return CvatTrack(place, element.get("label"), element.get("task_id"), ordered, tuple(problems))


def _read_shape(shape: Element, place: str) -> CvatShape | Problem:
    number = shape.get("frame", "")
    if not number.strip().isdecimal() or len(number) > 18:
        cause = f"frame is {reprlib.repr(number)}" if number else "a shape without a frame"
        return Problem("label without a frame", place, cause, "write the number of its frame, from 0")
    try:
        values = shape_values(shape)
    except ValueError:
        values = None
    outside = shape.get("outside", "0").strip().casefold() in YES
    return CvatShape(int(number), values, outside, shape.get("keyframe", "1") == "0", has_ignore_attribute(shape))


def _malformed(shape: Element, place: str) -> Problem:
    cause = f"unreadable {shape.tag}"
    try:
        shape_values(shape)
    except ValueError as error:
        cause = f"{shape.tag}: {error}"
    return Problem("malformed box", place, cause, "write the corners as numbers")


def _read_image(element: Element, path: Path, index: int, others: Counter[str]) -> CvatImage:
    place = f"{path}: image {element.get('id', index)}"
    shapes, problems = [], []
    for number, child in enumerate(element):
        if child.tag not in BOXED_SHAPES:
            others.update({child.tag} - NO_SHAPES)
            continue
        where = f"{place}, shape {number}"
        try:
            values = shape_values(child)
        except ValueError:
            problems.append(_malformed(child, where))
            continue
        shapes.append(CvatImageShape(where, child.get("label"), values, has_ignore_attribute(child)))
    sides = [element.get(side, "") for side in ("height", "width")]
    size = (int(sides[0]), int(sides[1])) if all(side.isdecimal() and len(side) < 8 for side in sides) else None
    return CvatImage(place, element.get("name", ""), element.get("task_id"), size, tuple(shapes), tuple(problems))
