"""Annotations of CVAT exported "for images 1.1": frames with shapes, which are nobody's tracks.

By CVAT's documentation an `image` has the path of the picture as its `name`; the frames of a video are called
`frame_` and their number in the video, from 0. Images are listed even where nothing was drawn.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from qcen_core.conversion.annotations import ListedAnnotations, SourceObject
from qcen_core.conversion.formats.cvat_file import CvatFile, CvatImage, CvatTask
from qcen_core.conversion.formats.cvat_shapes import other_shapes, turned_box
from qcen_core.conversion.formats.found_videos import FoundVideos
from qcen_core.conversion.formats.label_names import LabelNames, is_ignored
from qcen_core.conversion.frame_library import FoundVideo, FrameLibrary
from qcen_core.conversion.problems import Problem
from qcen_core.errors import InputError
from qcen_core.video.frame_folder import points_outside


@dataclass(slots=True)
class _Frames:
    """The videos that images were found in."""

    library: FrameLibrary
    tasks: dict[str, CvatTask]
    videos: FoundVideos = field(default_factory=FoundVideos)
    labelled: dict[int, set[int]] = field(default_factory=dict)
    stems: dict[int, dict[str, int]] = field(default_factory=dict)
    wrong_size: set[int] = field(default_factory=set)

    def find(self, image: CvatImage) -> tuple[int, int] | None:
        """Video and frame of an image."""
        name = PurePosixPath(image.name.replace("\\", "/"))
        found = self._video(name, image)
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

    def _video(self, name: PurePosixPath, image: CvatImage) -> FoundVideo | None:
        task = self.tasks.get(image.task or "") or (next(iter(self.tasks.values())) if len(self.tasks) == 1 else None)
        folder = str(name.parent)
        for wanted in ([] if folder == "." else [folder]) + list(task.names if task else ()):
            found = self.library.get(wanted)
            if found is not None:
                return found
        return self.library.only()


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
    frames = _Frames(library, {task.id: task for task in file.tasks})
    items: list[SourceObject | Problem] = []
    for image in file.images:
        if points_outside(image.name):
            cause = f"'{image.name}' points outside the frames folder"
            raise InputError(cause, place=image.place, hint="name images relative to the frames folder")
        items += _read_image(image, frames, names)
    if not frames.labelled:
        cause = f"none of the images, the first of them '{file.images[0].name}', is among the frames"
        raise InputError(cause, place=path, hint=f"correct --frames, which holds {', '.join(library.names[:5])}")
    items += other_shapes(file.others, path)
    unlabelled = frames.videos.left_over(frames.labelled)
    return ListedAnnotations(path, names.categories(), frames.videos.records(), tuple(items), unlabelled)


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
    frames.labelled.setdefault(video, set()).add(frame)
    picture = frames.videos[video]
    if image.size not in (None, (picture.height, picture.width)) and video not in frames.wrong_size:
        frames.wrong_size.add(video)
        cause = f"labelled at another size than that of the frames, {picture.width} x {picture.height} pixels"
        yield Problem("wrong frame size", image.place, cause, "pass the frames that CVAT was given", video)
    for shape in image.shapes:
        class_id = names.class_id(shape.label) if shape.label else None
        if class_id is None or not shape.label:
            cause = f"the label '{shape.label}' is not in the list" if shape.label else "the shape has no label"
            yield Problem("unknown category", shape.place, cause, "add the label to those of the task")
            continue
        ignore = shape.ignore or is_ignored(shape.label)
        yield SourceObject(shape.place, video, class_id, (frame,), (turned_box(shape.values),), ignore=ignore)
