"""Annotations of CVAT exported "for images 1.1": frames with shapes, which are nobody's tracks.

By CVAT's documentation an `image` has the path of the picture as its `name`; the frames of a video are called
`frame_` and their number in the video, from 0. Images are listed even where nothing was drawn.

What cannot be used is kept out of training: a shape whose label is unknown becomes a region to ignore, and a frame with
a shape that cannot be read, or with shapes in a second record, is taken as one that nobody labelled.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from qcen_core.conversion.annotations import ANY_CLASS, ListedAnnotations, SourceObject
from qcen_core.conversion.formats.cvat_file import CvatFile, CvatImage, CvatTask
from qcen_core.conversion.formats.cvat_shapes import other_shapes, shape_box
from qcen_core.conversion.formats.found_videos import FoundVideos, find_video
from qcen_core.conversion.formats.incomplete_frames import leave_out_frames
from qcen_core.conversion.formats.label_names import LabelNames, is_ignored
from qcen_core.conversion.frame_library import FoundVideo, FrameLibrary
from qcen_core.conversion.problems import Problem
from qcen_core.errors import InputError
from qcen_core.video.frame_folder import require_inside


@dataclass(slots=True)
class _Frames:
    """The videos that images were found in."""

    library: FrameLibrary
    tasks: dict[str, CvatTask]
    folders: dict[str | None, set[str]]  # of the images of each task
    videos: FoundVideos = field(default_factory=FoundVideos)
    labelled: dict[int, set[int]] = field(default_factory=dict)
    incomplete: dict[int, set[int]] = field(default_factory=dict)
    stems: dict[int, dict[str, int]] = field(default_factory=dict)
    wrong_size: set[int] = field(default_factory=set)

    def find(self, image: CvatImage) -> tuple[int, int] | None:
        """Video and frame of an image."""
        name = PurePosixPath(image.name.replace("\\", "/"))
        found = self._video(image)
        if found is None:
            return None
        video = self.videos.add(found)
        if video not in self.stems:
            self.stems[video] = {PurePosixPath(file).stem: index for index, file in enumerate(found.files)}
        # Only the names that CVAT gives to the frames of a video tell a number in it.
        numbered = re.fullmatch(r"frame_(\d{1,18})", name.stem)
        frame = self.stems[video].get(name.stem)
        if frame is None and numbered:
            frame = found.frame_index(int(numbered[1]), 0)
        return None if frame is None else (video, frame)

    def _video(self, image: CvatImage) -> FoundVideo | None:
        task = self.tasks.get(image.task or "") or (next(iter(self.tasks.values())) if len(self.tasks) == 1 else None)
        folder = _parent(image.name)
        # Images of several folders are of several videos: what a task is called, or that there is but one video, then
        # tells nothing.
        of_one_video = len(self.folders[image.task]) == 1
        names = ([] if folder == "." else [folder]) + list(task.names if task and of_one_video else ())
        return find_video(names, self.library, alone=of_one_video and len(self.folders) == 1)


def read_images(file: CvatFile, path: Path, library: FrameLibrary, names: LabelNames) -> ListedAnnotations:
    """Objects of images. Frames of the videos they are in that the file does not list are unlabelled.

    Args:
        file: what `load_cvat` read.
        path: the file, for messages.
        library: the frames. A video is found by the folder that images are in, else by the name of the task.
        names: the labels.

    Raises:
        InputError: no image is in any of the videos, or a name points outside the frames folder.
    """
    folders: dict[str | None, set[str]] = {}
    for image in file.images:
        require_inside(image.name, image.place)
        folders.setdefault(image.task, set()).add(_parent(image.name))
    frames = _Frames(library, {task.id: task for task in file.tasks}, folders)
    items: list[SourceObject | Problem] = []
    for image in file.images:
        items += _read_image(image, frames, names)
    if not frames.labelled:
        cause = f"none of the images, the first of them '{file.images[0].name}', is among the frames"
        raise InputError(cause, place=path, hint=f"correct --frames, which holds {', '.join(library.names[:5])}")
    items += other_shapes(file.others, path)
    items = list(leave_out_frames(items, frames.incomplete, path))
    complete = {video: seen - frames.incomplete.get(video, set()) for video, seen in frames.labelled.items()}
    unlabelled = frames.videos.left_over(complete)
    return ListedAnnotations(path, names.categories(), frames.videos.records(), tuple(items), unlabelled)


def _parent(name: str) -> str:
    return str(PurePosixPath(name.replace("\\", "/")).parent)


def _read_image(image: CvatImage, frames: _Frames, names: LabelNames) -> Iterator[SourceObject | Problem]:
    yield from image.problems
    found = frames.find(image)
    if found is None:
        # An image without shapes loses nothing but the knowledge that there is nothing in it.
        for shape in image.shapes:
            cause = f"there is no frame '{image.name}'"
            yield Problem("label without a frame", shape.place, cause, "pass the frames that CVAT was given")
        return
    video, frame = found
    seen = frames.labelled.setdefault(video, set())
    if image.problems or (frame in seen and image.shapes):
        frames.incomplete.setdefault(video, set()).add(frame)
    if frame in seen:
        cause = f"'{image.name}' is a frame that another image is, too; this one is left out"
        hint = "remove one of the two, or pass frames in which each has its own"
        yield Problem("two images for a frame", image.place, cause, hint, loses_labels=bool(image.shapes))
        return
    seen.add(frame)
    picture = frames.videos[video]
    if image.size not in (None, (picture.height, picture.width)) and video not in frames.wrong_size:
        frames.wrong_size.add(video)
        cause = f"labelled at another size than that of the frames, {picture.width} x {picture.height} pixels"
        yield Problem("wrong frame size", image.place, cause, "pass the frames that CVAT was given", video)
    for shape in image.shapes:
        class_id = names.class_id(shape.label) if shape.label else None
        if class_id is None:
            cause = f"the label '{shape.label}' is not in the list" if shape.label else "the shape has no label"
            yield Problem("unknown category", shape.place, cause, "add the label to those of the task")
        ignore = class_id is None or shape.ignore or is_ignored(shape.label or "")
        class_id = ANY_CLASS if class_id is None else class_id
        yield SourceObject(shape.place, video, class_id, (frame,), (shape_box(shape.values),), ignore=ignore)
