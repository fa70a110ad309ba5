"""COCO files: those of COCO-VID, and plain ones of images that may be frames of videos.

Facts of the form, from its public documentation: `bbox` is `x y width height` in pixels from the top-left corner;
`iscrowd` marks a region of many objects; an image that is listed without annotations shows no object. Identities are
called `instance_id` or `track_id`; CVAT writes them among an annotation's `attributes`.

What cannot be used is kept out of training: an annotation whose box is known becomes a region to ignore, and the image
of one without is taken as one that nobody labelled.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import msgspec

from qcen_core.conversion.annotations import ANY_CLASS, SourceObject
from qcen_core.conversion.formats.coco_file import AnnotationRecord, load_coco
from qcen_core.conversion.formats.coco_videos import (
    CocoVideos,
    Key,
    as_key,
    guessed_groups,
    make_videos,
    sound_images,
    stated_groups,
)
from qcen_core.conversion.formats.incomplete_frames import leave_out_frames
from qcen_core.conversion.formats.read_labels import ReadLabels
from qcen_core.conversion.frame_library import FrameLibrary
from qcen_core.conversion.problems import Problem
from qcen_core.errors import InputError
from qcen_core.jsonfile import json_records, require_distinct
from qcen_core.ops import rle
from qcen_core.ops.rle_measure import measure_masks
from qcen_core.records import Box, Category, Rle, VideoRecord
from qcen_core.trackfile import parse_mask


def read_coco(path: Path, library: FrameLibrary | None, *, stills: bool = False) -> ReadLabels:
    """Read a COCO file of videos, or of images that may be frames of videos.

    Args:
        path: the file.
        library: the frames; without it they are looked for beside the file.
        stills: take every image for a video of its own.

    Returns:
        The annotations, and where their frames are.

    Raises:
        InputError: the file cannot be used as a whole, or its images are nowhere.
    """
    content = load_coco(path)
    categories, class_of = _categories(content.categories, path)
    images, image_problems = sound_images(content.images, path)
    if not images:
        raise InputError("it lists no image that can be used", place=path, hint="list the frames under images")
    root = _frames_root(path, library, [image.file for image in images])
    if content.videos and not stills:
        groups, group_problems = stated_groups(images, content.videos, path)
    else:
        groups, group_problems = guessed_groups(images, path, stills=stills)
    found = make_videos(groups, root)
    problems = (*image_problems, *group_problems, *found.problems)
    annotations = CocoAnnotations(path, categories, class_of, found, content.annotations or [], problems)
    return ReadLabels(annotations, root)


class CocoAnnotations:
    """The annotations of a COCO file; see `Annotations`. Masks are decoded when they are asked for.

    Args:
        path: the file.
        categories: the K classes.
        class_of: category id of the file -> class.
        found: videos and frames.
        records: annotations.
        problems: what is wrong with all else.
    """

    def __init__(
        self,
        path: Path,
        categories: tuple[Category, ...],
        class_of: Mapping[Key | None, int],
        found: CocoVideos,
        records: Sequence[AnnotationRecord],
        problems: Sequence[Problem],
    ) -> None:
        self.path = path
        self.categories = categories
        self.videos: tuple[VideoRecord, ...] = found.videos
        self._class_of = class_of
        self._frames = found.frames
        self._records = records
        self._problems = problems
        self._number_of = _number_texts(records)
        self._repeated = _repeated_records(records)

    @cached_property
    def unlabelled(self) -> Mapping[int, Collection[int]]:
        """Video index -> frames that lost a label of which nobody knows where it was; all others are labelled."""
        lost: dict[int, set[int]] = {}
        for record in self._records:
            frame = self._frame(record)
            # One with a sound box is an object or a region.
            if frame is None or _stated_box(record.bbox) is not None:
                continue
            if self._box_and_mask(record, self.videos[frame[0]], masks=False)[0] is None:
                lost.setdefault(frame[0], set()).add(frame[1])
        return lost

    def objects(self) -> Iterator[SourceObject | Problem]:
        """All objects, one an annotation, and what was wrong on the way."""
        yield from self._problems
        found = (item for record in self._records for item in self._object(record, masks=False))
        yield from leave_out_frames(found, self.unlabelled, self.path)

    def with_masks(self, videos: Collection[int]) -> Iterator[SourceObject | Problem]:
        """The objects of these videos with their masks; problems are those of masks that `objects` had no use for."""
        for record in self._records:
            place = self._frame(record)
            if place is not None and place[0] in videos and place[1] not in self.unlabelled.get(place[0], ()):
                yield from self._object(record, masks=True)

    def _frame(self, record: AnnotationRecord) -> tuple[int, int] | None:
        """Video and frame of an annotation."""
        key = as_key(record.image_id)
        return None if key is None else self._frames.get(key)

    def _fault(self, record: AnnotationRecord) -> Problem | None:
        """Why an annotation cannot be used, whatever its box."""
        place = f"{self.path}: annotation {record.id}"
        if self._frame(record) is None:
            cause = f"image_id {record.image_id!r:.40} is that of no image that can be used"
            return Problem("label without a frame", place, cause, "list the image, or remove its annotations")
        if id(record) in self._repeated:
            return Problem("duplicate id", place, f"id {record.id} occurs twice", "number the annotations anew")
        if as_key(record.category_id) not in self._class_of:
            cause = f"category_id {record.category_id!r:.40} is unknown"
            return Problem("unknown category", place, cause, "add it to categories")
        if not isinstance(record.iscrowd or 0, int | float) or not isinstance(record.ignore or 0, int | float):
            return Problem("malformed annotation", place, "iscrowd and ignore are 0 or 1", "correct it")
        return None

    def _object(self, record: AnnotationRecord, *, masks: bool) -> Iterator[SourceObject | Problem]:
        """The object of an annotation, a region to ignore where it cannot be used, and what is wrong with it."""
        fault, frame = self._fault(record), self._frame(record)
        if fault is not None and not masks:
            yield fault
        if frame is None:
            return
        place = f"{self.path}: annotation {record.id}"
        box, mask, lack = self._box_and_mask(record, self.videos[frame[0]], masks=masks)
        if lack is not None and fault is None:
            yield lack
        if box is None:
            return
        track, doubt = self._track(record, place)
        if doubt is not None and not masks:
            yield doubt
        yield SourceObject(
            place=place,
            video=frame[0],
            class_id=self._class_of.get(as_key(record.category_id), ANY_CLASS),
            frames=(frame[1],),
            boxes=(box,),
            track=track,
            ignore=fault is not None or bool(record.iscrowd) or bool(record.ignore),
            masks=None if mask is None or not masks else (mask,),
        )

    def _box_and_mask(
        self, record: AnnotationRecord, video: VideoRecord, *, masks: bool
    ) -> tuple[Box | None, Rle | None, Problem | None]:
        """The box, the mask if it is wanted or there is no other box, and what is wrong and yet to be told."""
        place = f"{self.path}: annotation {record.id}"
        if record.bbox is not None and record.bbox != []:
            box = _stated_box(record.bbox)
            if box is None:
                cause = f"a box is four numbers x, y, width, height, not {record.bbox!r:.60}"
                return None, None, None if masks else Problem("malformed box", place, cause, "correct it")
            # Masks that no box is taken from are looked at when they are asked for.
            mask, lack = _mask(record, video, place) if masks else (None, None)
            return box, mask, lack
        mask, lack = _mask(record, video, place)
        if mask is None and lack is None:
            cause = "neither a bbox nor a segmentation that covers a pixel"
            lack = Problem("malformed box", place, cause, "correct it")
        return None if mask is None else rle.bounding_box(mask), mask, None if masks else lack

    def _track(self, record: AnnotationRecord, place: str) -> tuple[int | None, Problem | None]:
        identity = _identity(record)
        key = as_key(identity)
        if identity is not None and key is None:
            cause, hint = f"an identity is a number, not {identity!r:.40}", "correct it; the box is used without it"
            return None, Problem("malformed identity", place, cause, hint, loses_labels=False)
        return (self._number_of[key] if isinstance(key, str) else key), None


def _categories(items: Sequence[object], path: Path) -> tuple[tuple[Category, ...], dict[Key | None, int]]:
    """The classes, and category id -> class. Some tools list a name twice: it is one class then."""
    records = json_records(items, path, "category")
    require_distinct([record.integer("id") for record in records], path, "category")
    first: dict[str, Category] = {}
    for record in records:
        first.setdefault(record.text("name"), Category(record.integer("id"), record.text("name")))
    if not first:
        raise InputError("it lists no categories", place=path, hint="list them under categories")
    classes = {name: index for index, name in enumerate(first)}
    return tuple(first.values()), {record.integer("id"): classes[record.text("name")] for record in records}


def _frames_root(path: Path, library: FrameLibrary | None, files: Sequence[str]) -> Path:
    """The first likely folder that holds an image of the file."""
    split = path.stem.removeprefix("instances_")
    here = path.absolute().parent
    if library is not None:
        likely = [library.root, library.root / split]
    else:
        above = here.parent
        likely = [here / split, above / split, here / "images", above / "images", here]
        likely += [here / "images" / split, above / "images" / split, above]
    for folder in likely:
        if folder.is_dir() and any(_is_file(folder / file) for file in files):
            return folder
    tried = ", ".join(str(folder) for folder in likely)
    hint = "pass the folder that its file_name entries are relative to as --frames"
    raise InputError(f"none of its {len(files)} images, such as {files[0]}, is in {tried}", place=path, hint=hint)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that no file system takes
        return False


def _repeated_records(records: Sequence[AnnotationRecord]) -> frozenset[int]:
    """Python's ids of the annotations whose id came before; one without an id is called by its position."""
    seen: set[Key] = set()
    repeated = set()
    for index, record in enumerate(records):
        key = as_key(record.id)
        if key is None:
            record.id = f"number {index}"
        elif key in seen:
            repeated.add(id(record))
        else:
            seen.add(key)
    return frozenset(repeated)


def _identity(record: AnnotationRecord) -> object:
    """What the annotation says which object it is; numbers below 0 say that nobody knows."""
    attributes = record.attributes if isinstance(record.attributes, dict) else {}
    for identity in (record.instance_id, record.track_id, attributes.get("track_id")):
        if identity is not None and not (isinstance(identity, int) and identity < 0):
            return identity
    return None


def _number_texts(records: Sequence[AnnotationRecord]) -> dict[str, int]:
    """Numbers for identities that are text, beyond those that are numbers."""
    identities = {key for record in records if (key := as_key(_identity(record))) is not None}
    first = 1 + max((key for key in identities if isinstance(key, int)), default=0)
    texts = sorted(key for key in identities if isinstance(key, str))
    return {text: number for number, text in enumerate(texts, start=first)}


def _stated_box(value: object) -> Box | None:
    """`x1 y1 x2 y2` of `x y width height`, `None` where it is not four numbers."""
    if not isinstance(value, list) or len(value) != 4:
        return None
    if not all(isinstance(number, int | float) and not isinstance(number, bool) for number in value):
        return None
    try:
        x, y, width, height = (float(number) for number in value)
    except OverflowError:
        return None
    return x, y, x + width, y + height


def _mask(record: AnnotationRecord, video: VideoRecord, place: str) -> tuple[Rle | None, Problem | None]:
    """The mask, `None` where there is none or it covers no pixel, and why it cannot be read."""
    try:
        if not video.height:
            raise ValueError("the size of its image is not known")
        mask = parse_mask(msgspec.json.decode(record.segmentation), video.height, video.width)
        measured = None if mask is None else measure_masks([mask["counts"]], video.height, video.width)
        if measured is not None and not measured.sound[0]:
            raise ValueError(f"the runs do not fill {video.height} x {video.width} pixels")
    except (TypeError, KeyError, OverflowError):
        return None, _unreadable(place, "neither run lengths nor polygons")
    except ValueError as error:
        return None, _unreadable(place, str(error))
    return mask if measured is not None and measured.areas[0] else None, None


def _unreadable(place: str, reason: str) -> Problem:
    return Problem(
        "unreadable mask", place, f"unreadable mask: {reason}", "a mask has the size of its image; write it again"
    )
