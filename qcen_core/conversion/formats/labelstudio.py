"""Annotations of Label Studio: rectangles in videos, exported as JSON or JSON-MIN.

Facts that Label Studio's documentation and program tell: `x y width height` are per cent of the frame, `rotation`
degrees, clockwise, about the corner `x y`. Frames count from 1. A file holds key frames only, unless the export was
asked to fill in the others. An object moves evenly from a key frame that is `enabled` to the next one, and from the
last one on stays to the end of the video. At a key frame that is not enabled it is visible for the last time before
the next key frame. `framesCount` is reckoned from the length of the video and the frame rate that the project states,
so that it may be wrong, and the numbers of the frames with it.

What cannot be used is kept out of training: a region without a label becomes one to ignore, and the frames at which an
object is somewhere between a key frame that cannot be read and its neighbours are taken as ones that nobody labelled;
where nothing of a region can be read, all frames of its task.
"""

import reprlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from qcen_core.conversion.annotations import ANY_CLASS, ListedAnnotations, SourceObject
from qcen_core.conversion.formats.found_videos import FoundVideos, find_video, frame_places
from qcen_core.conversion.formats.incomplete_frames import leave_out_frames
from qcen_core.conversion.formats.keyframes import KeyFrame, Values, open_frames, visible_frames
from qcen_core.conversion.formats.label_names import LabelNames, is_ignored
from qcen_core.conversion.formats.labelstudio_file import Region, Task, load_tasks
from qcen_core.conversion.formats.read_labels import ReadLabels
from qcen_core.conversion.formats.turned_boxes import turned_box
from qcen_core.conversion.frame_library import FrameLibrary
from qcen_core.conversion.problems import Problem
from qcen_core.records import Box

FIRST_FRAME = 1


@dataclass(frozen=True, slots=True)
class _Picture:
    """The frames that a task is about.

    Attributes:
        video: index of the video.
        height: pixels.
        width: pixels.
        places: index of each frame by its number.
        incomplete: of these indices, those at which an object is nobody knows where.
    """

    video: int
    height: int
    width: int
    places: dict[int, int]
    incomplete: set[int] = field(default_factory=set)


def read_labelstudio(path: Path, library: FrameLibrary | None) -> ReadLabels:
    """Read the tasks of a video project. The videos of tasks that nobody has finished are unlabelled as a whole.

    Boxes become `x1 y1 x2 y2` pixels, turned ones the upright box around them. Of several annotations of a task the
    last one counts. Classes are the labels in the order in which they occur.

    Args:
        path: the JSON file.
        library: the frames. A video is found by the name of the file at the end of its address, with or without what
            an upload puts before; a single video need not be called like that of a single task. By default those in
            the folder of the file.

    Raises:
        InputError: the file cannot be read, or there are no frames for any task.
    """
    tasks = load_tasks(path)
    library = library or FrameLibrary(path.parent)
    names, videos = LabelNames(), FoundVideos()
    items: list[SourceObject | Problem] = []
    labelled: dict[int, set[int]] = {}
    incomplete: dict[int, set[int]] = {}
    stated = [task for task in tasks if isinstance(task, Task)]
    for task in tasks:
        if isinstance(task, Problem):
            items.append(task)
            continue
        items += task.problems
        found = find_video(task.names(), library, alone=len(stated) == 1)
        if found is None:
            items.append(_no_video(task))
            continue
        video = videos.add(found)
        if task.regions is None:
            continue
        if video in labelled:
            cause = "its video was labelled in another task before; this one is left out"
            items.append(Problem("video labelled twice", task.place, cause, "remove one of the two tasks"))
            continue
        picture = _Picture(video, found.height, found.width, frame_places(found, FIRST_FRAME))
        items += _check_counts(task, task.regions, len(found.files))
        for number, region in enumerate(task.regions, start=1):
            items += _read_region(region, number, picture, names)
        incomplete[video] = picture.incomplete if task.complete else set(picture.places.values())
        labelled[video] = set(range(len(found.files))) - incomplete[video]
    records = videos.records()
    if not records and stated:
        library.require(next(reversed(stated[0].names()), "the video"), stated[0].place)
    items = list(leave_out_frames(items, incomplete, path))
    unlabelled = videos.left_over(labelled)
    annotations = ListedAnnotations(path, names.categories(), records, tuple(items), unlabelled)
    return ReadLabels(annotations, library.root, library)


def _no_video(task: Task) -> Problem:
    cause = f"no frames of '{task.names()[-1]}'" if task.names() else "the task names no video"
    hint = "add its frames to --frames"
    return Problem("video without frames", task.place, cause, hint, loses_labels=bool(task.regions))


def _check_counts(task: Task, regions: Sequence[Region], count: int) -> Iterator[Problem]:
    """One frame more or less is usual."""
    for stated in sorted({_whole(region.value.get("framesCount")) or count for region in regions}):
        if abs(stated - count) > 1:
            cause = f"Label Studio counted {stated} frames, there are {count}"
            hint = "set frameRate in the project's Video tag to that of the video, else boxes are at wrong frames"
            yield Problem("wrong frame count", task.place, cause, hint, loses_labels=False)


def _read_region(region: Region, number: int, picture: _Picture, names: LabelNames) -> Iterator[SourceObject | Problem]:
    label = region.labels[0] if region.labels else ""
    if not label:
        yield Problem("unknown category", region.place, "the region has no label", "give it a label")
    if len(set(region.labels)) > 1:
        cause = f"several labels, {', '.join(region.labels)}; '{label}' is used"
        yield Problem("several labels", region.place, cause, "give it one label")
    keys, lost, problems = _read_sequence(region)
    yield from problems
    numbers = list(picture.places)
    spoilt = numbers if lost is None else open_frames(lost, keys, numbers, to_end=True)
    picture.incomplete.update(picture.places[number] for number in spoilt)
    frames: list[int] = []
    boxes: list[Box] = []
    for key, values in visible_frames(keys, numbers, to_end=True):
        if key.frame in picture.places:
            frames.append(picture.places[key.frame])
            boxes.append(_pixel_box(values, picture))
        else:
            cause = f"there is no such frame, they count from {FIRST_FRAME} to {max(picture.places)}"
            place = f"{region.place}, frame {key.frame}"
            yield Problem("label without a frame", place, cause, "pass the video that Label Studio was given")
    class_id = names.class_id(label) if label else None
    if frames:
        ignore = class_id is None or is_ignored(label)
        class_id = ANY_CLASS if class_id is None else class_id
        yield SourceObject(region.place, picture.video, class_id, frames, boxes, number, ignore)


def _read_sequence(region: Region) -> tuple[list[KeyFrame], list[int] | None, list[Problem]]:
    """The key frames of a region.

    Returns:
        The key frames in order; the numbers of those that cannot be read, `None` where nothing can be read; and what is
        wrong.
    """
    sequence = region.value.get("sequence")
    if not isinstance(sequence, list):
        problem = Problem("malformed record", region.place, "the sequence is not a list", "export the project again")
        return [], None, [problem]
    keys: dict[int, KeyFrame] = {}
    lost: list[int] = []
    problems: list[Problem] = []
    for index, entry in enumerate(sequence):
        record = entry if isinstance(entry, dict) else {}
        frame = _whole(record.get("frame"))
        if frame is None:
            cause = f"frame is {reprlib.repr(record.get('frame'))}"
            place = f"{region.place}, key frame {index}"
            problems.append(Problem("label without a frame", place, cause, "write the number of its frame, from 1"))
            continue
        place = f"{region.place}, frame {frame}"
        values = _values(record)
        if values is None:
            cause = "x, y, width and height are not four numbers"
            problems.append(Problem("malformed box", place, cause, "write them in per cent of the frame"))
            lost.append(frame)
        elif frame in keys:
            cause = "two boxes of one object at one frame; the first is used"
            problems.append(Problem("duplicate frame", place, cause, "remove one of the two"))
        else:
            keys[frame] = KeyFrame(frame, values, lasts=bool(record.get("enabled", True)))
    return [keys[frame] for frame in sorted(keys)], lost, problems


def _values(record: dict[str, object]) -> Values | None:
    """`x y width height` in per cent and the degrees that they are turned by; `None` if one is no number."""
    values = []
    for key in ("x", "y", "width", "height", "rotation"):
        number = record.get(key)
        if number is None and key == "rotation":
            number = 0
        if not isinstance(number, int | float) or isinstance(number, bool):
            return None
        try:
            values.append(float(number))
        except OverflowError:
            return None
    return tuple(values)


def _whole(value: object) -> int | None:
    """A whole number, also one that is written as 3.0."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return int(value) if isinstance(value, float) and value.is_integer() else None


def _pixel_box(values: Values, picture: _Picture) -> Box:
    x, y = values[0] * picture.width / 100, values[1] * picture.height / 100
    width, height = values[2] * picture.width / 100, values[3] * picture.height / 100
    return turned_box((x, y, x + width, y + height), values[4], (x, y))
