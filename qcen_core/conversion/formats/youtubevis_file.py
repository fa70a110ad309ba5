"""A YouTube-VIS annotation file, read one annotation at a time: its masks are never in memory all at once.

Files of the public sets hold some hundred megabytes, nearly all of them masks. The file is mapped, not copied, and an
annotation is decoded when its turn comes.
"""

import mmap
import reprlib
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from qcen_core.conversion.annotations import ANY_CLASS, SourceObject
from qcen_core.conversion.formats.youtubevis_record import Annotation, decode_annotation
from qcen_core.conversion.problems import Problem
from qcen_core.errors import InputError
from qcen_core.jsonfile import JsonRecord, json_records, load_json
from qcen_core.ops.rle_measure import measure_masks
from qcen_core.records import Box, Category, Rle, VideoRecord
from qcen_core.trackfile import parse_mask, read_categories, read_videos

MOST_PIXELS = 65535  # of a side, as JPEG has it; far beyond, masks cannot be made
RELEASED_AFTER = 500  # annotations
FORM = "annotation files hold the lists videos, categories and annotations"


class YouTubeVisFile:
    """The annotations of one file; see `Annotations`.

    Boxes are those that the file states; where it states none but has a mask, the tight box of the mask.

    Args:
        path: the file; it must not change while it is read.
        folder: what is put before the names of frame files.

    Raises:
        InputError: it cannot be used as a whole; the place names file and record.
    """

    def __init__(self, path: Path, *, folder: str = "") -> None:
        self.path = path
        content, self._text = _load(path)
        file = JsonRecord(content, str(path))
        self.categories: tuple[Category, ...] = read_categories(
            json_records(file.items("categories", FORM), path, "category"), path
        )
        records = json_records(file.items("videos", FORM), path, "video")
        faults = [_video_fault(record) for record in records]
        self._problems = [fault for fault in faults if fault is not None]
        left_out = [record for record, fault in zip(records, faults, strict=True) if fault is not None]
        self._left_out = {number for record in left_out if isinstance(number := record.fields.get("id"), int)}
        videos = read_videos([record for record, fault in zip(records, faults, strict=True) if fault is None], path)
        self.videos: tuple[VideoRecord, ...] = tuple(
            replace(video, frame_files=tuple(folder + file for file in video.frame_files)) for video in videos
        )
        self.unlabelled: dict[int, Collection[int]] = {
            index: video.unlabelled for index, video in enumerate(self.videos) if video.unlabelled
        }
        self._annotations = [] if file.is_null("annotations") else file.items("annotations", FORM)
        self._class_of = {category.source_id: index for index, category in enumerate(self.categories)}
        self._video_of = {video.id: index for index, video in enumerate(self.videos)}

    def objects(self) -> Iterator[SourceObject | Problem]:
        """All tracks without masks, and what was wrong on the way."""
        yield from self._problems
        for item in self._sound_annotations():
            if isinstance(item, Problem):
                yield item
            else:
                yield from self._object(item, masks=False)

    def with_masks(self, videos: Collection[int]) -> Iterator[SourceObject | Problem]:
        """The tracks of these videos with their masks; problems are those of masks that `objects` had no use for."""
        wanted = {self.videos[index].id for index in videos}
        for item in self._sound_annotations():
            if isinstance(item, Annotation) and item.video_id in wanted:
                yield from self._object(item, masks=True)

    def _sound_annotations(self) -> Iterator[Annotation | Problem]:
        """Annotations of usable videos that can be used as a whole, and why others cannot."""
        seen: set[int] = set()
        for index, item in enumerate(self._annotations):
            if index % RELEASED_AFTER == 0:
                self._release()
            annotation, problems = decode_annotation(item, str(self.path), index)
            if annotation is None:
                yield from problems
                continue
            fault = self._fault(annotation, annotation.id in seen)
            seen.add(annotation.id)
            if fault is not None:
                yield replace(fault, boxes=_visible_frames(annotation))
            elif annotation.video_id in self._video_of:
                yield from problems
                if annotation.category_id not in self._class_of:
                    yield self._unknown_category(annotation)
                yield annotation

    def _release(self) -> None:
        """Give back the memory that the file's bytes took; they are read again where they are needed again."""
        if self._text is not None and hasattr(mmap, "MADV_DONTNEED"):
            self._text.madvise(mmap.MADV_DONTNEED)

    def _fault(self, annotation: Annotation, seen: bool) -> Problem | None:
        place = self._place(annotation)
        if seen:
            return Problem("duplicate id", place, f"id {annotation.id} occurs twice", "number them anew")
        if annotation.video_id not in self._video_of:
            if annotation.video_id in self._left_out:
                return None  # the video itself is named already
            return Problem("unknown video", place, f"video_id {annotation.video_id} is unknown", "add it to videos")
        length = len(self.videos[self._video_of[annotation.video_id]].frame_files)
        for key, frames in (("bboxes", annotation.bboxes), ("segmentations", annotation.segmentations)):
            if frames is not None and len(frames) != length:
                cause = f"{key} has {len(frames)} frames, video {annotation.video_id} has {length}"
                return Problem("frame count mismatch", place, cause, "write one entry a frame, null for absent")
        if annotation.bboxes is None and annotation.segmentations is None:
            cause, hint = "neither segmentations nor bboxes", "an annotation needs one of the two"
            return Problem("malformed annotation", place, cause, hint)
        return None

    def _unknown_category(self, annotation: Annotation) -> Problem:
        cause = f"category_id {annotation.category_id} is unknown"
        boxes = _visible_frames(annotation)
        return Problem("unknown category", self._place(annotation), cause, "add it to categories", boxes=boxes)

    def _object(self, annotation: Annotation, *, masks: bool) -> Iterator[SourceObject | Problem]:
        video = self._video_of[annotation.video_id]
        class_id = self._class_of.get(annotation.category_id, ANY_CLASS)
        boxes: dict[int, Box] = {
            frame: (box[0], box[1], box[0] + box[2], box[1] + box[3])
            for frame, box in enumerate(annotation.bboxes or ())
            if box is not None
        }
        stated = set(boxes)
        found, tight, wrong = self._masks(annotation, set() if masks else stated)
        for frame, reason in wrong.items():
            # Without a stated box it was told when the boxes were read.
            if not masks or frame in stated:
                yield self._unreadable(annotation, frame, reason)
        boxes = tight | boxes
        frames = sorted(boxes)
        yield SourceObject(
            place=self._place(annotation),
            video=video,
            class_id=class_id,
            frames=frames,
            boxes=[boxes[frame] for frame in frames],
            track=annotation.id,
            # An object of a category that is not known is no background: it is there, and nothing is owed for it.
            ignore=class_id == ANY_CLASS or bool(annotation.iscrowd) or bool(annotation.ignore),
            masks=[found.get(frame) for frame in frames] if masks and found else None,
        )

    def _masks(
        self, annotation: Annotation, but: Collection[int]
    ) -> tuple[dict[int, Rle], dict[int, Box], dict[int, str]]:
        """The masks of an annotation at all frames but some, the boxes around them, and why others cannot be read."""
        video = self.videos[self._video_of[annotation.video_id]]
        found: dict[int, Rle] = {}
        wrong: dict[int, str] = {}
        for frame, value in enumerate(annotation.segmentations or ()):
            if value is None or frame in but:
                continue
            try:
                mask = parse_mask(value, video.height, video.width)
            except ValueError as error:
                wrong[frame] = str(error)
            else:
                if mask is not None:
                    found[frame] = mask
        measured = measure_masks([mask["counts"] for mask in found.values()], video.height, video.width)
        frames = np.array(list(found), dtype=np.int64)
        for frame in frames[~measured.sound].tolist():
            wrong[frame] = f"the runs do not fill {video.height} x {video.width} pixels"
        seen = measured.areas > 0
        corners = map(tuple, measured.boxes[seen].astype(np.float64).tolist())
        tight: dict[int, Box] = dict(zip(frames[seen].tolist(), corners, strict=True))
        return {frame: found[frame] for frame in tight}, tight, wrong

    def _unreadable(self, annotation: Annotation, frame: int, reason: str) -> Problem:
        place, hint = f"{self._place(annotation)}, frame {frame}", "a mask has the size of its video's frames"
        return Problem("unreadable mask", place, f"unreadable mask: {reason}", hint)

    def _place(self, annotation: Annotation) -> str:
        return f"{self.path}: annotation {annotation.id}"


class _Lists(msgspec.Struct, omit_defaults=True):
    """The file's lists; annotations stay text."""

    videos: list[Any] | msgspec.UnsetType = msgspec.UNSET
    categories: list[Any] | msgspec.UnsetType = msgspec.UNSET
    annotations: list[msgspec.Raw] | msgspec.UnsetType | None = msgspec.UNSET
    images: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


def _load(path: Path) -> tuple[dict[str, object], mmap.mmap | None]:
    """The lists that the file holds, and its bytes.

    Annotations are texts, views of the bytes. Where the file is no strict JSON they are records; there are no bytes.
    """
    try:
        with path.open("rb") as file:
            # Never closed: the annotations are views of it, and it goes with the last of them.
            text = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        lists = msgspec.json.decode(text, type=_Lists)
    except (OSError, ValueError, msgspec.DecodeError, RecursionError):
        # Python writes NaN and reads it, and tells where a file is cut off.
        content = load_json(path)
        if isinstance(content, list):
            raise InputError("a results file, not annotations", place=path, hint="pass the annotation file") from None
        if not isinstance(content, dict):
            raise InputError("not YouTube-VIS annotations", place=path, hint="pass the annotation file") from None
        return content, None
    values = {name: getattr(lists, name) for name in lists.__struct_fields__}
    return {name: value for name, value in values.items() if value is not msgspec.UNSET}, text


def _visible_frames(annotation: Annotation) -> int:
    """At how many frames the object is said to be visible."""
    frames = annotation.bboxes if annotation.bboxes is not None else annotation.segmentations
    return sum(frame is not None for frame in frames or ())


def _video_fault(record: JsonRecord) -> Problem | None:
    """Why a video has to be left out, `None` where it can be used."""
    files = record.fields.get("file_names")
    count = len(files) if isinstance(files, list) else 0
    if count == 0:
        hint = "list them in file_names"
        return Problem("video without frames", record.place, "the video has no frames", hint)
    if record.fields.get("length", count) != count:
        cause = f"length is {record.fields.get('length')} but file_names lists {count} frames"
        return Problem("frame count mismatch", record.place, cause, "make the two agree")
    sides = [(side, record.fields.get(side)) for side in ("width", "height")]
    for side, value in sides:
        if isinstance(value, int) and value > MOST_PIXELS:
            cause = f"{side} is {reprlib.repr(value)} pixels"
            return Problem("wrong frame size", record.place, cause, "correct it")
    return None
