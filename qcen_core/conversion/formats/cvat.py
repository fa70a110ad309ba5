"""Annotations of CVAT: "CVAT for video 1.1", and "CVAT for images 1.1", which `cvat_images` takes over.

Facts that CVAT's documentation and its exports tell: frames are numbered as in the source video, from 0, even where a
task uses only some of them, from `start_frame` on every `frame_filter`-th one. An object whose shape is `outside` is
not visible from there on, up to its next shape. Between two shapes it moves evenly, and after its last one it stays to
the end of the task. CVAT itself lists every frame at which an object is visible and marks those that no person drew
with `keyframe="0"`; files that are written for it often hold the key frames only.

So, what is missing between two shapes is always filled in. What would follow the last shape is filled in for files of
key frames only: those in which no shape has `keyframe="0"`, and that either leave out frames after some visible shape
or nowhere list two visible frames in a row.

What cannot be used is kept out of training: a track whose label is unknown becomes regions to ignore, and the frames at
which an object is somewhere between a shape that cannot be read and its neighbours are taken as ones that nobody
labelled. Shapes that no box stands for are only counted, and a shape that names no frame is only told.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from qcen_core.conversion.annotations import ANY_CLASS, ListedAnnotations, SourceObject
from qcen_core.conversion.formats.cvat_file import CvatFile, CvatShape, CvatTask, CvatTrack, load_cvat
from qcen_core.conversion.formats.cvat_images import read_images
from qcen_core.conversion.formats.cvat_shapes import other_shapes, shape_box
from qcen_core.conversion.formats.found_videos import FoundVideos, find_video, frame_places
from qcen_core.conversion.formats.incomplete_frames import leave_out_frames
from qcen_core.conversion.formats.keyframes import KeyFrame, open_frames, visible_frames
from qcen_core.conversion.formats.label_names import LabelNames, is_ignored
from qcen_core.conversion.formats.read_labels import ReadLabels
from qcen_core.conversion.frame_library import FoundVideo, FrameLibrary
from qcen_core.conversion.problems import Problem
from qcen_core.errors import InputError
from qcen_core.records import Box


@dataclass(frozen=True, slots=True)
class _PlacedTask:
    """A task in its video.

    Attributes:
        task: the task.
        video: index of the video.
        places: the index of each of its frames, counted within the task.
        incomplete: of these indices, those at which an object is nobody knows where.
    """

    task: CvatTask
    video: int
    places: dict[int, int]
    incomplete: set[int] = field(default_factory=set)

    def ordinal(self, number: int) -> int | None:
        """Where a frame of the source video stands among those of the task; `None` if the task leaves it out."""
        ordinal, rest = divmod(number - self.task.start, self.task.step)
        return None if rest else ordinal


def read_cvat(path: Path, library: FrameLibrary | None) -> ReadLabels:
    """Read the XML of a CVAT task, job or project. Frames of a video that no task uses are unlabelled.

    Boxes are `x1 y1 x2 y2` pixels as stated, turned ones the upright box around them, as are polygons, ellipses and
    masks. Every track is an object of its own, whatever its id.

    Args:
        path: `annotations.xml`.
        library: the frames. A video is found by the name of the source video, else by that of the task; a single video
            need not be called like either. By default those in the folder of the file.

    Raises:
        InputError: the file cannot be read, or there are no frames for it.
    """
    file = load_cvat(path)
    library = library or FrameLibrary(path.parent)
    names = LabelNames(file.labels)
    if file.images:
        if file.tracks:
            raise InputError("both tracks and images in it", place=path, hint="export as 'CVAT for video 1.1'")
        return ReadLabels(read_images(file, path, library, names), library.root, library)
    videos = FoundVideos()
    tasks, problems = _place_tasks(file.tasks, path, library, videos)
    items: list[SourceObject | Problem] = [*problems, *_repeated_ids(file.tracks)]
    to_end = _holds_key_frames_only(file, tasks)
    for number, track in enumerate(file.tracks, start=1):
        items += _read_track(track, tasks, names, number, to_end=to_end)
    items += other_shapes(file.others, path)
    labelled: dict[int, set[int]] = {}
    for placed in tasks.values():
        labelled.setdefault(placed.video, set()).update(placed.places.values())
    incomplete: dict[int, set[int]] = {}
    for placed in tasks.values():
        incomplete.setdefault(placed.video, set()).update(placed.incomplete)
    items = list(leave_out_frames(items, incomplete, path))
    unlabelled = videos.left_over({video: frames - incomplete[video] for video, frames in labelled.items()})
    annotations = ListedAnnotations(path, names.categories(), videos.records(), tuple(items), unlabelled)
    return ReadLabels(annotations, library.root, library)


def _place_tasks(
    tasks: Sequence[CvatTask], path: Path, library: FrameLibrary, videos: FoundVideos
) -> tuple[dict[str, _PlacedTask], list[Problem]]:
    placed: dict[str, _PlacedTask] = {}
    problems = []
    for task in tasks:
        place = f"{path}: task {task.id}" if task.id else str(path)
        found = find_video(task.names, library, alone=len(tasks) == 1)
        if found is None:
            if task is tasks[-1] and not placed:
                library.require(task.names[0] if task.names else path.stem, place)
            cause = f"no frames of '{task.names[0] if task.names else task.id}'"
            problems.append(Problem("video without frames", place, cause, "add its frames to --frames"))
            continue
        video = videos.add(found)
        placed[task.id] = _PlacedTask(task, video, _task_places(task, found, place))
        if task.size is not None and task.size != (found.height, found.width):
            cause = f"labelled at {task.size[1]} x {task.size[0]} pixels, frames of {found.width} x {found.height}"
            problems.append(Problem("wrong frame size", place, cause, "pass the frames that CVAT was given", video))
    return placed, problems


def _task_places(task: CvatTask, found: FoundVideo, place: str) -> dict[int, int]:
    """Where the frames of a task are: alone in their folder, or among all frames of the source video.

    Raises:
        InputError: it uses one frame in several, and fewer frames than it uses are there: which is which is not told.
    """
    count, files = task.count, len(found.files)
    if count == files:
        return {ordinal: ordinal for ordinal in range(files)}
    if count is None or count < files:
        numbers = frame_places(found, 0)
        ordinals = {
            (number - task.start) // task.step: index
            for number, index in numbers.items()
            if number >= task.start and (number - task.start) % task.step == 0
        }
        return {ordinal: index for ordinal, index in ordinals.items() if count is None or ordinal < count}
    if task.step > 1:
        cause = f"the task uses {count} frames, one in {task.step}, but only {files} are there"
        raise InputError(cause, place=place, hint="pass all frames of the task or of its video as --frames")
    return {
        number - task.start: index
        for number, index in frame_places(found, task.start).items()
        if number < task.start + count
    }


def _repeated_ids(tracks: Sequence[CvatTrack]) -> Iterator[Problem]:
    seen: set[tuple[str, str | None]] = set()
    for track in tracks:
        if (track.place, track.task) in seen:
            cause = "the id occurs twice; each track is taken for an object of its own"
            yield Problem("duplicate id", track.place, cause, "nothing needs doing", loses_labels=False)
        seen.add((track.place, track.task))


def _holds_key_frames_only(file: CvatFile, tasks: dict[str, _PlacedTask]) -> bool:
    if any(shape.filled_in for track in file.tracks for shape in track.shapes):
        return False
    in_a_row = False
    for track in file.tracks:
        placed = _task_of(track, tasks)
        step = placed.task.step if placed else 1
        for shape, following in pairwise(track.shapes):
            if not shape.outside and following.frame - shape.frame > step:
                return True
            in_a_row |= not shape.outside and not following.outside
    return not in_a_row


def _task_of(track: CvatTrack, tasks: dict[str, _PlacedTask]) -> _PlacedTask | None:
    if track.task is None and len(tasks) == 1:
        return next(iter(tasks.values()))
    return tasks.get(track.task or "")


def _read_track(
    track: CvatTrack, tasks: dict[str, _PlacedTask], names: LabelNames, number: int, *, to_end: bool
) -> Iterator[SourceObject | Problem]:
    yield from track.problems
    placed = _task_of(track, tasks)
    if placed is None:
        cause = f"there are no frames of its task {track.task}" if track.task else "the track names no task"
        yield Problem("label without a frame", track.place, cause, "export each task by itself, or add its frames")
        return
    class_id = names.class_id(track.label) if track.label else None
    unusable = class_id is None or not track.label or is_ignored(track.label)
    if class_id is None:
        cause = f"the label '{track.label}' is not in the list" if track.label else "the track has no label"
        yield Problem("unknown category", track.place, cause, "add the label to those of the task")
    frames: dict[bool, list[tuple[int, Box]]] = {False: [], True: []}
    for visible in _visible(track, placed, to_end=to_end):
        if isinstance(visible, Problem):
            yield visible
        else:
            index, box, ignored = visible
            frames[ignored or unusable].append((index, box))
    for ignored, seen in frames.items():
        if seen:
            indices, boxes = zip(*seen, strict=True)
            yield SourceObject(
                track.place, placed.video, ANY_CLASS if class_id is None else class_id, indices, boxes, number, ignored
            )


def _visible(track: CvatTrack, placed: _PlacedTask, *, to_end: bool) -> Iterator[tuple[int, Box, bool] | Problem]:
    """Index, box and whether to ignore it, of each frame at which a track is visible."""
    keys: list[KeyFrame] = []
    lost: list[int] = []
    for shape in track.shapes:
        ordinal = placed.ordinal(shape.frame)
        if ordinal is None:
            yield _no_frame(track, shape.frame)
        elif shape.outside or shape.values is not None:
            keys.append(_key_frame(shape, ordinal, keys))
        else:
            lost.append(ordinal)
    frames = list(placed.places)
    placed.incomplete.update(placed.places[frame] for frame in open_frames(lost, keys, frames, to_end=to_end))
    for key, values in visible_frames(keys, frames, to_end=to_end):
        if key.frame in placed.places:
            yield placed.places[key.frame], shape_box(values), key.ignore
        else:
            yield _no_frame(track, placed.task.start + key.frame * placed.task.step)


def _key_frame(shape: CvatShape, ordinal: int, before: Sequence[KeyFrame]) -> KeyFrame:
    values = shape.values
    previous = before[-1].values if before else None
    if values is not None and previous is not None:
        # A shape turns the shorter way round.
        turn = (values[4] - previous[4] + 180) % 360 - 180
        values = (*values[:4], previous[4] + turn)
    return KeyFrame(ordinal, values, shown=not shape.outside, lasts=not shape.outside, ignore=shape.ignore)


def _no_frame(track: CvatTrack, frame: int) -> Problem:
    cause = "there is no such frame among those of the task"
    hint = "pass the frames that CVAT was given"
    return Problem("label without a frame", f"{track.place}, frame {frame}", cause, hint)
