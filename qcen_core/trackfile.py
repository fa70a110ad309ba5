"""YouTube-VIS annotation files: videos with object tracks.

At this border source category ids become class indices and back, `x y w h` boxes become `x1 y1 x2 y2` and
back, and every form of mask becomes compressed run lengths. A mask without pixels is an absent object.
"""

import reprlib
from collections.abc import Sequence
from pathlib import Path

from qcen_core.errors import InputError
from qcen_core.jsonfile import JsonRecord, is_finite_number, json_records, load_json, require_distinct, write_json
from qcen_core.ops import rle
from qcen_core.ops.rle_measure import measure_masks
from qcen_core.records import Box, Category, ObjectTrack, Rle, TrackDataset, VideoRecord
from qcen_core.video.frame_folder import points_outside
from qcen_core.video.video_names import video_names

# How much of an object is hidden, in the words of OVIS.
OCCLUSIONS = {"no_occlusion": 0.0, "slight_occlusion": 0.25, "severe_occlusion": 0.75}


def read_annotations(path: Path) -> TrackDataset:
    """Read a YouTube-VIS annotation file.

    Masks may be compressed or uncompressed run lengths or polygons, and may be missing altogether; boxes that
    are missing are taken from the masks. A file without annotations gives a data set without tracks.

    Raises:
        InputError: the file or a record in it cannot be used; the place names both.
    """
    return parse_annotations(load_json(path), path)


def parse_annotations(content: object, path: Path) -> TrackDataset:
    """As `read_annotations`, from what was read already.

    Args:
        content: the JSON content of an annotation file.
        path: the file that it came from, for messages.

    Raises:
        InputError: the content or a record in it cannot be used; the place names file and record.
    """
    if isinstance(content, list):
        raise InputError("a results file, not annotations", place=path, hint="pass the annotation file")
    if not isinstance(content, dict):
        raise InputError("not YouTube-VIS annotations", place=path, hint="pass the annotation file")
    if "images" in content:
        raise InputError(
            "a COCO file of images, not YouTube-VIS annotations",
            place=path,
            hint="turn it into a video set with `qcen prepare` and use what that writes",
        )
    file = JsonRecord(content, str(path))
    form = "annotation files hold the lists videos, categories and annotations"
    categories = read_categories(json_records(file.items("categories", form), path, "category"), path)
    videos = read_videos(json_records(file.items("videos", form), path, "video"), path)
    class_of = {category.source_id: index for index, category in enumerate(categories)}
    video_of = {video.id: video for video in videos}
    items = [] if file.is_null("annotations") else file.items("annotations", form)
    records = json_records(items, path, "annotation")
    require_distinct([record.integer("id") for record in records], path, "annotation")
    return TrackDataset(categories, videos, tuple(_read_track(record, video_of, class_of) for record in records))


def write_annotations(dataset: TrackDataset, path: Path) -> None:
    """Write a YouTube-VIS annotation file, whole or not at all.

    Tracks that know only boxes are written without `segmentations`, their areas being those of the boxes. Frames that
    nobody labelled are listed as `unlabelled`, a key of ours that other programs pass over.
    """
    video_of = {video.id: video for video in dataset.videos}
    videos = [
        {
            "id": video.id,
            "name": video.name,
            "width": video.width,
            "height": video.height,
            "length": len(video.frame_files),
            "file_names": list(video.frame_files),
            **({"unlabelled": sorted(video.unlabelled)} if video.unlabelled else {}),
        }
        for video in dataset.videos
    ]
    categories = [{"id": category.source_id, "name": category.name} for category in dataset.categories]
    annotations = [_track_record(track, video_of[track.video_id], dataset.categories) for track in dataset.tracks]
    write_json({"info": {}, "videos": videos, "categories": categories, "annotations": annotations}, path)


def read_categories(records: Sequence[JsonRecord], path: Path) -> tuple[Category, ...]:
    """The categories of a file, in its order.

    Raises:
        InputError: a record cannot be used, or an id or a name occurs twice.
    """
    categories = tuple(Category(record.integer("id"), record.text("name")) for record in records)
    require_distinct([category.source_id for category in categories], path, "category")
    require_distinct([category.name for category in categories], path, "category")
    return categories


def read_videos(records: Sequence[JsonRecord], path: Path) -> tuple[VideoRecord, ...]:
    """The videos of a YouTube-VIS file, in its order; their names are made distinct and safe as file names.

    Raises:
        InputError: a record cannot be used, an id occurs twice, or a frame file lies outside the frames folder.
    """
    ids = [record.integer("id") for record in records]
    require_distinct(ids, path, "video")
    files = [_frame_files(record) for record in records]
    given = [str(record.fields.get("name") or "") for record in records]
    videos = []
    for record, name, frames in zip(records, video_names(ids, given, files), files, strict=True):
        height, width = record.integer("height"), record.integer("width")
        if height < 1 or width < 1:
            raise InputError(
                f"frames of {width} x {height} pixels", place=record.place, hint="write width and height of the frames"
            )
        unlabelled = _unlabelled(record, len(frames))
        videos.append(VideoRecord(record.integer("id"), name, height, width, frames, unlabelled=unlabelled))
    return tuple(videos)


def _unlabelled(record: JsonRecord, count: int) -> frozenset[int]:
    frames = [] if record.is_null("unlabelled") else record.items("unlabelled")
    kept = frozenset(frame for frame in frames if isinstance(frame, int) and 0 <= frame < count)
    if len(kept) != len(frames):
        raise InputError(
            f"unlabelled is {reprlib.repr(frames)}, not a list of the video's frames",
            place=record.place,
            hint=f"list frames from 0 to {count - 1}, each once",
        )
    return kept


def _frame_files(record: JsonRecord) -> tuple[str, ...]:
    files = tuple(file for file in record.items("file_names") if isinstance(file, str) and file)
    stated = len(record.items("file_names"))
    if len(files) != stated:
        raise InputError("file_names holds what is no file name", place=record.place, hint="name one file a frame")
    if not files:
        raise InputError("the video has no frames", place=record.place, hint="list them in file_names, or remove it")
    outside = next((file for file in files if points_outside(file)), None)
    if outside is not None:
        hint = "write file names relative to the frames folder, without '..'"
        raise InputError(f"{outside} points outside the frames folder", place=record.place, hint=hint)
    if record.fields.get("length", stated) != stated:
        raise InputError(
            f"length is {record.fields['length']} but file_names lists {stated} frames",
            place=record.place,
            hint="make the two agree",
        )
    return files


def _read_track(record: JsonRecord, videos: dict[int, VideoRecord], class_of: dict[int, int]) -> ObjectTrack:
    video = track_video(record, videos)
    if record.is_null("segmentations") and record.is_null("bboxes"):
        hint = "an annotation needs one of the two"
        raise InputError("neither segmentations nor bboxes", place=record.place, hint=hint)
    masks: tuple[Rle | None, ...] | None = None
    boxes: list[Box | None] = [None] * len(video.frame_files)
    if not record.is_null("segmentations"):
        masks, boxes = track_masks_and_boxes(record, video)
    if not record.is_null("bboxes"):
        stated = _frames(record, "bboxes", video)
        boxes = [_box(value, f"{record.place}, frame {i}") or boxes[i] for i, value in enumerate(stated)]
    if masks is not None and not any(masks) and any(boxes):
        masks = None
    return ObjectTrack(
        id=record.integer("id"),
        video_id=video.id,
        class_id=track_class(record, class_of),
        boxes=tuple(boxes),
        segmentations=masks,
        is_crowd=bool(record.fields.get("iscrowd")),
        occlusion=_occlusion(record, len(boxes)),
        areas=_areas(record, len(boxes)),
    )


def _occlusion(record: JsonRecord, frames: int) -> tuple[float | None, ...] | None:
    """What OVIS says of an object's frames; `None` where it is not said, or not in its words."""
    words = _for_each_frame(record, "occlusion", frames)
    known = tuple(OCCLUSIONS.get(word) if isinstance(word, str) else None for word in words)
    told = all(word is None or value is not None for word, value in zip(words, known, strict=True))
    return known if told and any(value is not None for value in known) else None


def _areas(record: JsonRecord, frames: int) -> tuple[float | None, ...] | None:
    values = _for_each_frame(record, "areas", frames)
    stated = tuple(float(value) if isinstance(value, int | float) else None for value in values)
    return stated if values and all(value is None or is_finite_number(value) for value in values) else None


def _for_each_frame(record: JsonRecord, key: str, frames: int) -> list[object]:
    """The field where it is a list of one entry a frame, else nothing."""
    values = record.fields.get(key)
    return values if isinstance(values, list) and len(values) == frames else []


def track_video(record: JsonRecord, videos: dict[int, VideoRecord]) -> VideoRecord:
    """The video that a record names.

    Raises:
        InputError: there is none of that id.
    """
    number = record.integer("video_id")
    if number not in videos:
        hint = "use the annotation file that has this video"
        raise InputError(f"video_id {number} is unknown", place=record.place, hint=hint)
    return videos[number]


def track_class(record: JsonRecord, class_of: dict[int, int]) -> int:
    """The class that a record names.

    Raises:
        InputError: there is no category of that id.
    """
    number = record.integer("category_id")
    if number not in class_of:
        known = ", ".join(map(str, sorted(class_of)))
        raise InputError(
            f"category_id {number} is unknown", place=record.place, hint=f"the annotation file's categories: {known}"
        )
    return class_of[number]


def _frames(record: JsonRecord, key: str, video: VideoRecord) -> list[object]:
    frames = record.items(key)
    if len(frames) != len(video.frame_files):
        raise InputError(
            f"{key} has {len(frames)} frames, video {video.id} has {len(video.frame_files)}",
            place=record.place,
            hint="write one entry a frame, null where the object is absent",
        )
    return frames


def track_masks(record: JsonRecord, video: VideoRecord, *, any_length: bool = False) -> tuple[Rle | None, ...]:
    """The masks of `track_masks_and_boxes` alone."""
    return track_masks_and_boxes(record, video, any_length=any_length)[0]


def track_masks_and_boxes(
    record: JsonRecord, video: VideoRecord, *, any_length: bool = False
) -> tuple[tuple[Rle | None, ...], list[Box | None]]:
    """The masks of a record and the boxes around them, one a frame, `None` where there is none or it is empty.

    Args:
        record: of a track.
        video: its video.
        any_length: there may be more or fewer masks than the video has frames.

    Raises:
        InputError: a mask cannot be read, or there are more or fewer than the video has frames.
    """

    def unreadable(frame: int, reason: str) -> InputError:
        hint = "a mask has the size of its video's frames; write it again"
        return InputError(f"unreadable mask: {reason}", place=f"{record.place}, frame {frame}", hint=hint)

    masks: list[Rle | None] = []
    values = record.items("segmentations") if any_length else _frames(record, "segmentations", video)
    for frame, value in enumerate(values):
        try:
            masks.append(parse_mask(value, video.height, video.width))
        except (ValueError, TypeError, KeyError) as error:
            reason = str(error) if isinstance(error, ValueError) else "neither run lengths nor polygons"
            raise unreadable(frame, reason) from None
    boxes: list[Box | None] = [None] * len(masks)
    present = [frame for frame, mask in enumerate(masks) if mask is not None]
    measured = measure_masks([mask["counts"] for mask in masks if mask is not None], video.height, video.width)
    for frame, good in zip(present, measured.sound.tolist(), strict=True):
        if not good:
            raise unreadable(frame, f"the runs do not fill {video.height} x {video.width} pixels")
    for frame, area, box in zip(present, measured.areas.tolist(), measured.boxes.tolist(), strict=True):
        if area:
            boxes[frame] = (float(box[0]), float(box[1]), float(box[2]), float(box[3]))
        else:
            masks[frame] = None
    return tuple(masks), boxes


def parse_mask(value: object, height: int, width: int) -> Rle | None:
    """A mask as annotation files state it: polygons, or run lengths, compressed or not; `None` where there is none.

    Raises:
        ValueError: the size is another, or polygons or uncompressed runs make no mask of it.
        TypeError: it is neither polygons nor run lengths.
        KeyError: run lengths without size or counts.
    """
    if value is None or value == []:
        return None
    if isinstance(value, list):
        return rle.from_polygons(value, height, width)
    if not isinstance(value, dict):
        raise TypeError
    size, counts = list(value["size"]), value["counts"]
    if size != [height, width]:
        raise ValueError(f"its size is {size}, the video's (height, width) is {[height, width]}")
    if isinstance(counts, list):
        return rle.from_counts(counts, height, width)
    if not isinstance(counts, str):
        raise TypeError
    return Rle(size=size, counts=counts)


def visible(mask: Rle | None) -> Rle | None:
    """The mask, or `None` where it has no pixel."""
    return None if mask is None or rle.area(mask) == 0 else mask


def _box(value: object, place: str) -> Box | None:
    """`x1 y1 x2 y2` of a file's `x y w h`; `None` where it is null or has no extent."""
    if value is None or value == []:
        return None
    if not isinstance(value, list) or len(value) != 4 or not all(is_finite_number(v) for v in value):
        raise InputError(
            f"a box is four numbers x, y, width, height, not {reprlib.repr(value)}", place=place, hint="correct it"
        )
    x, y, width, height = (float(v) for v in value)
    return (x, y, x + width, y + height) if width > 0 and height > 0 else None


def _track_record(track: ObjectTrack, video: VideoRecord, categories: Sequence[Category]) -> dict[str, object]:
    boxes = [None if b is None else [float(v) for v in (b[0], b[1], b[2] - b[0], b[3] - b[1])] for b in track.boxes]
    areas: list[float | None] = [None if box is None else box[2] * box[3] for box in boxes]
    record: dict[str, object] = {
        "id": track.id,
        "video_id": track.video_id,
        "category_id": categories[track.class_id].source_id,
        "iscrowd": int(track.is_crowd),
        "height": video.height,
        "width": video.width,
        "length": len(track.boxes),
        "bboxes": boxes,
    }
    if track.segmentations is not None:
        masks = [visible(mask) for mask in track.segmentations]
        areas = [None if mask is None else rle.area(mask) for mask in masks]
        record["segmentations"] = masks
    if track.occlusion is not None:
        words = {value: word for word, value in OCCLUSIONS.items()}
        record["occlusion"] = [None if value is None else words[value] for value in track.occlusion]
    return record | {"areas": areas}
