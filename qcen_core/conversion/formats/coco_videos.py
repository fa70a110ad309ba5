"""Which images of a COCO file are frames of one video, and in which order.

COCO-VID says so: images carry `video_id` and `frame_id`. Plain COCO does not, and is what most labelling tools write
for the frames of a video: there the names of folders and files have to tell.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from qcen_core.conversion.formats.coco_file import ImageRecord, VideoEntry
from qcen_core.conversion.formats.file_names import distinct_file_names, original_stem, video_series
from qcen_core.conversion.frame_library import FRAME_FOLDERS, upright_size
from qcen_core.conversion.problems import Problem
from qcen_core.errors import InputError
from qcen_core.records import VideoRecord
from qcen_core.video.frame_folder import natural_order, require_inside

LONGEST_SIDE = 65_535  # pixels; what is stated beyond is no size of a picture

Key = int | str  # ids; the form asks for numbers, some tools write text


@dataclass(slots=True)
class SoundImage:
    """An image whose record can be used.

    Attributes:
        keys: its ids; several where the file lists a picture more than once.
        file: relative path with `/`.
        size: (height, width) in pixels where it is stated.
        place: file and record.
        record: the record.
        faults: kind, cause and hint of what makes its video useless.
    """

    keys: list[Key]
    file: str
    size: tuple[int, int] | None
    place: str
    record: ImageRecord
    faults: list[tuple[str, str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ImageGroup:
    """The images of one video in time order; `faults` as those of `SoundImage`."""

    name: str
    place: str
    images: Sequence[SoundImage]
    faults: Sequence[tuple[str, str, str]] = ()


@dataclass(frozen=True, slots=True)
class CocoVideos:
    """The videos of a COCO file; `frames` leads from an image's id to the index of its video and its frame."""

    videos: tuple[VideoRecord, ...]
    frames: Mapping[Key, tuple[int, int]]
    problems: tuple[Problem, ...]


def as_key(value: object) -> Key | None:
    """An id, `None` where it is neither a whole number nor text."""
    return value if isinstance(value, int | str) and not isinstance(value, bool) else None


def sound_images(records: Sequence[ImageRecord], path: Path) -> tuple[list[SoundImage], list[Problem]]:
    """The images that can be used, and why others cannot.

    Args:
        records: of the file.
        path: the file, for messages.

    Raises:
        InputError: a file name leads out of the folder of the frames.
    """
    images: dict[Key, SoundImage] = {}
    problems = []
    for index, record in enumerate(records):
        key = as_key(record.id)
        place = f"{path}: image {index if key is None else key}"
        if key is None or not isinstance(record.file_name, str) or not record.file_name.strip():
            cause, hint = "an image needs an id and a file_name", "write both"
            problems.append(Problem("malformed image", place, cause, hint))
            continue
        require_inside(record.file_name, place)
        file = str(PurePosixPath(record.file_name.replace("\\", "/")))
        first = images.setdefault(key, SoundImage([key], file, _stated_size(record), place, record))
        if first.record is not record and first.file != file:
            cause = f"{first.file} and {file} have the same id: whose the labels are cannot be told"
            first.faults.append(("duplicate id", cause, "number the images anew"))
    return list(images.values()), problems


def stated_groups(
    images: Sequence[SoundImage], entries: Sequence[VideoEntry], path: Path
) -> tuple[list[ImageGroup], list[Problem]]:
    """The videos of COCO-VID, in the file's order, frames by `frame_id`.

    Frame ids may start anywhere and may have gaps: the images that are listed are the video.

    Args:
        images: of the file.
        entries: its list of videos.
        path: the file, for messages.
    """
    problems = []
    entry_of: dict[Key, VideoEntry] = {}
    twice: set[Key] = set()
    for index, entry in enumerate(entries):
        key = as_key(entry.id)
        if key is None:
            problems.append(Problem("malformed video", f"{path}: video {index}", "a video needs an id", "write it"))
        elif entry_of.setdefault(key, entry) is not entry:
            twice.add(key)
    images_of: dict[Key, list[SoundImage]] = {key: [] for key in entry_of}
    for image in images:
        video, number = as_key(image.record.video_id), image.record.frame_id
        if video not in images_of:
            cause = f"video_id {video} is unknown" if video is not None else "the image has no video_id"
            problems.append(Problem("unknown video", image.place, cause, "add it to videos"))
        elif not isinstance(number, int) or isinstance(number, bool):
            cause, hint = "the image has no frame_id that is a whole number", "number the frames of each video"
            problems.append(Problem("malformed image", image.place, cause, hint))
        else:
            images_of[video].append(image)
    groups, gaps = [], []
    for key, members in images_of.items():
        place = f"{path}: video {key}"
        if not members:
            cause, hint = "no image belongs to it", "list its frames under images, or remove it"
            problems.append(Problem("video without frames", place, cause, hint, loses_labels=False))
            continue
        members.sort(key=lambda image: image.record.frame_id)
        numbers = [image.record.frame_id for image in members]
        if numbers[-1] - numbers[0] >= len(members):
            gaps.append(place)
        faults = [("duplicate id", "two videos have this id", "number the videos anew")] if key in twice else []
        if len(set(numbers)) < len(numbers):
            faults.append(("duplicate frame", "two images have the same frame_id", "number its frames anew"))
        name = entry_of[key].name
        groups.append(ImageGroup(name if isinstance(name, str) and name else f"video_{key}", place, members, faults))
    if gaps:
        cause = f"frame_id has gaps in {len(gaps)} of {len(groups)} videos; the images that are listed are the frames"
        hint = "list all frames where the file is cut down"
        problems.append(Problem("gaps between frames", gaps[0], cause, hint, loses_labels=False))
    return groups, problems


def guessed_groups(
    images: Sequence[SoundImage], path: Path, *, stills: bool = False
) -> tuple[list[ImageGroup], list[Problem]]:
    """The videos of plain COCO, by the names of folders and files.

    Where images lie in several folders, each folder is a video. In a single folder, and in one with two or more series
    of numbered names, as `video_series` finds them, a series is a video. All other images are videos of one frame.

    Args:
        images: of the file.
        path: the file, for messages.
        stills: take every image for a video of its own.
    """
    pictures: dict[tuple[str, tuple[int, int] | None], SoundImage] = {}
    repeated = []
    for image in images:
        first = pictures.setdefault((image.file, image.size), image)
        if first is not image:
            first.keys += image.keys
            first.faults += image.faults
            repeated.append(image)
    problems = []
    if repeated:
        cause = f"{len(repeated)} images have a file_name that another one has; their labels are put together"
        hint = "list a picture once"
        problems.append(Problem("picture listed twice", repeated[0].place, cause, hint, loses_labels=False))
    if stills:
        return [ImageGroup(original_stem(image.file), image.place, [image]) for image in pictures.values()], problems
    folders: dict[str, list[SoundImage]] = defaultdict(list)
    for image in pictures.values():
        folders[str(PurePosixPath(image.file).parent)].append(image)
    groups: list[ImageGroup] = []
    for folder, members in folders.items():
        groups += _groups_of_folder(folder, members, path, alone=len(folders) == 1)
    return groups, problems


def make_videos(groups: Sequence[ImageGroup], root: Path) -> CocoVideos:
    """The videos of groups of images, and what makes some of them useless.

    Args:
        groups: one a video.
        root: folder that frame files are relative to; sizes that the file does not state are read there.
    """
    videos = []
    frames: dict[Key, tuple[int, int]] = {}
    problems = []
    for index, (group, name) in enumerate(
        zip(groups, distinct_file_names([group.name for group in groups]), strict=True)
    ):
        faults = [(group.place, *fault) for fault in group.faults]
        faults += [(image.place, *fault) for image in group.images for fault in image.faults]
        sizes = list(dict.fromkeys(image.size for image in group.images if image.size is not None))
        if len(sizes) > 1:
            cause = "its frames have sizes of " + " and ".join(f"{w} x {h}" for h, w in sizes[:2])
            hint = "frames of one video have one size; give images that are no video other names, or their own folders"
            faults.append((group.place, "different frame sizes", cause, hint))
        size = sizes[0] if sizes else (0, 0)
        if not sizes:
            try:
                size = upright_size(root / group.images[0].file)
            except InputError as error:
                cause, hint = f"its size is not stated, and its first frame {error.cause}", "write height and width"
                faults.append((group.place, "unreadable frame file", cause, hint))
        problems += [Problem(kind, place, cause, hint, video=index) for place, kind, cause, hint in faults]
        videos.append(VideoRecord(index + 1, name, *size, tuple(image.file for image in group.images)))
        frames |= {key: (index, frame) for frame, image in enumerate(group.images) for key in image.keys}
    return CocoVideos(tuple(videos), frames, tuple(problems))


def _stated_size(record: ImageRecord) -> tuple[int, int] | None:
    """Pixels; what is no size counts as not stated, for the picture itself tells."""
    size = (record.height, record.width)
    good = all(isinstance(side, int) and not isinstance(side, bool) and 0 < side <= LONGEST_SIDE for side in size)
    return size if good else None


def _groups_of_folder(folder: str, images: list[SoundImage], path: Path, *, alone: bool) -> Iterator[ImageGroup]:
    series = video_series([image.file for image in images], lambda index: images[index].size)
    if not alone and len(series) < 2:
        images.sort(key=lambda image: natural_order(Path(original_stem(image.file))))
        yield ImageGroup(_folder_name(folder, path), f"{path}: images in {folder}", images)
        return
    beginning_of = {index: beginning for beginning, indices in series.items() for index in indices}
    for index, image in enumerate(images):
        beginning = beginning_of.get(index)
        if beginning is None:
            yield ImageGroup(PurePosixPath(image.file).stem, image.place, (image,))
        elif beginning in series:
            members = [images[member] for member in series.pop(beginning)]
            place = f"{path}: images {members[0].file} ... {members[-1].file}"
            yield ImageGroup(beginning.strip(" ._-") or _folder_name(folder, path), place, members)


def _folder_name(folder: str, path: Path) -> str:
    """A folder's name without what only says that frames are in it; that of the annotation file where none is left."""
    parts = list(PurePosixPath(folder).parts)
    while parts and parts[-1].lower() in FRAME_FOLDERS:
        parts.pop()
    return "/".join(parts) or path.stem
