"""YouTube-VIS files: annotations (videos with object tracks) and results (predicted tracks).

At this border source category ids become class indices and back, `x y w h` boxes become `x1 y1 x2 y2` and
back, and every form of mask becomes compressed run lengths. A mask without pixels is an absent object.
"""

import json
import math
import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from qcen_core.errors import InputError
from qcen_core.ops import rle
from qcen_core.records import Box, Category, ObjectTrack, Rle, TrackDataset, TrackResult, VideoRecord

Json = dict[str, Any]


def read_annotations(path: Path) -> TrackDataset:
    """Read a YouTube-VIS annotation file.

    Masks may be compressed or uncompressed run lengths or polygons, and may be missing altogether; boxes that
    are missing are taken from the masks. A file without annotations gives a data set without tracks.

    Raises:
        InputError: the file or a record in it cannot be used; the place names both.
    """
    content = _load(path)
    if isinstance(content, list):
        raise InputError("a list, as results files are, not annotations", place=path, hint="pass the annotation file")
    if "images" in content:
        raise InputError(
            "a COCO file of images, not YouTube-VIS annotations",
            place=path,
            hint="turn it into a video set with `qcen prepare` and use what that writes",
        )
    categories = _read_categories(_records(content, "categories", path), path)
    videos = _read_videos(_records(content, "videos", path), path)
    class_of = {category.source_id: index for index, category in enumerate(categories)}
    video_of = {video.id: video for video in videos}
    records = _records(content, "annotations", path) if content.get("annotations") is not None else []
    _require_distinct([_integer(record, "id", f"{path}: annotation {i}") for i, record in enumerate(records)], path)
    tracks = tuple(_read_track(record, video_of, class_of, path) for record in records)
    return TrackDataset(categories, videos, tracks)


def write_annotations(dataset: TrackDataset, path: Path) -> None:
    """Write a YouTube-VIS annotation file, whole or not at all.

    Tracks that know only boxes are written without `segmentations`, their areas being those of the boxes.
    """
    videos = {video.id: video for video in dataset.videos}
    content = {
        "info": {"description": "YouTube-VIS annotations"},
        "videos": [
            {
                "id": video.id,
                "name": video.name,
                "width": video.width,
                "height": video.height,
                "length": len(video.frame_files),
                "file_names": list(video.frame_files),
            }
            for video in dataset.videos
        ],
        "categories": [{"id": category.source_id, "name": category.name} for category in dataset.categories],
        "annotations": [_track_record(track, videos[track.video_id], dataset.categories) for track in dataset.tracks],
    }
    _write(content, path)


def read_results(path: Path, dataset: TrackDataset) -> tuple[TrackResult, ...]:
    """Read a YouTube-VIS results file against the data set it was predicted for.

    The form has no track ids: the tracks of each video are numbered from 1 in the order of the file.

    Raises:
        InputError: the file or a record in it cannot be used, or does not fit the data set.
    """
    content = _load(path)
    if not isinstance(content, list):
        raise InputError(
            "not a results file, which is a list of tracks", place=path, hint="pass the results.json of `qcen infer`"
        )
    videos = {video.id: video for video in dataset.videos}
    class_of = {category.source_id: index for index, category in enumerate(dataset.categories)}
    numbers: Counter[int] = Counter()
    results = []
    for index, record in enumerate(content):
        place = f"{path}: result {index}"
        _require_object(record, place)
        video = _video(record, videos, place)
        numbers[video.id] += 1
        results.append(
            TrackResult(
                video_id=video.id,
                track_id=numbers[video.id],
                class_id=_class_id(record, class_of, place),
                score=_score(record, place),
                segmentations=_masks(_frames(record, "segmentations", video, place), video, place),
            )
        )
    return tuple(results)


def write_results(results: Sequence[TrackResult], categories: Sequence[Category], path: Path) -> None:
    """Write a YouTube-VIS results file, as the public evaluation servers take it, whole or not at all."""
    content = [
        {
            "video_id": result.video_id,
            "category_id": categories[result.class_id].source_id,
            "score": float(result.score),
            "segmentations": [_visible(mask) for mask in result.segmentations],
        }
        for result in results
    ]
    _write(content, path)


# Reading -----------------------------------------------------------------------------------------------------


def _read_categories(records: Sequence[Json], path: Path) -> tuple[Category, ...]:
    categories = []
    for index, record in enumerate(records):
        place = f"{path}: category {record.get('id', index)}"
        categories.append(Category(_integer(record, "id", place), _text(record, "name", place)))
    _require_distinct([category.source_id for category in categories], path, "category ")
    _require_distinct([category.name for category in categories], path, "category ")
    return tuple(categories)


def _read_videos(records: Sequence[Json], path: Path) -> tuple[VideoRecord, ...]:
    places = [f"{path}: video {record.get('id', index)}" for index, record in enumerate(records)]
    ids = [_integer(record, "id", place) for record, place in zip(records, places, strict=True)]
    _require_distinct(ids, path, "video ")
    files = [_frame_files(record, place) for record, place in zip(records, places, strict=True)]
    given = [record.get("name") for record in records]
    names = _video_names(ids, files, [name if isinstance(name, str) else None for name in given])
    videos = []
    for record, place, number, name, frames in zip(records, places, ids, names, files, strict=True):
        height, width = _integer(record, "height", place), _integer(record, "width", place)
        if height < 1 or width < 1:
            raise InputError(f"frames of {width} x {height} pixels", place=place, hint="write the true size")
        videos.append(VideoRecord(number, name, height, width, frames))
    return tuple(videos)


def _frame_files(record: Json, place: str) -> tuple[str, ...]:
    files = _value(record, "file_names", place)
    if not isinstance(files, list) or not all(isinstance(file, str) and file for file in files):
        raise InputError("file_names is not a list of file names", place=place, hint="name one file a frame")
    if not files:
        raise InputError("the video has no frames", place=place, hint="remove it, or list its frames in file_names")
    if record.get("length", len(files)) != len(files):
        raise InputError(
            f"length is {record['length']} but file_names lists {len(files)} frames",
            place=place,
            hint="make the two agree",
        )
    return tuple(files)


def _video_names(ids: Sequence[int], files: Sequence[tuple[str, ...]], given: Sequence[str | None]) -> tuple[str, ...]:
    """One distinct, safe file name a video: its given name, or its folder of frames, or its first frame, or its id."""

    def safe(name: str) -> str:
        return re.sub(r"[^\w.-]+", "_", name).strip("._")

    def folder(frames: tuple[str, ...]) -> str:
        parents = {PurePosixPath(frame.replace("\\", "/")).parent for frame in frames}
        return parents.pop().name if len(parents) == 1 else ""

    stems = [PurePosixPath(frames[0].replace("\\", "/")).stem for frames in files]
    choices = [[name or "" for name in given], [folder(frames) for frames in files], stems]
    names = [f"video_{number}" for number in ids]
    for choice in reversed(choices):
        wanted = [safe(name) for name in choice]
        uses = Counter(name.casefold() for name in wanted)
        names = [new if new and uses[new.casefold()] == 1 else old for new, old in zip(wanted, names, strict=True)]
    # A name of one kind may equal another video's name of another kind.
    uses = Counter(name.casefold() for name in names)
    return tuple(
        name if uses[name.casefold()] == 1 else f"{name}_{number}" for name, number in zip(names, ids, strict=True)
    )


def _read_track(record: Json, videos: dict[int, VideoRecord], class_of: dict[int, int], path: Path) -> ObjectTrack:
    place = f"{path}: annotation {record['id']}"
    video = _video(record, videos, place)
    class_id = _class_id(record, class_of, place)
    if record.get("segmentations") is None and record.get("bboxes") is None:
        raise InputError("neither segmentations nor bboxes", place=place, hint="an annotation needs one of the two")
    masks: tuple[Rle | None, ...] | None = None
    boxes: list[Box | None] = [None] * len(video.frame_files)
    if record.get("segmentations") is not None:
        masks = _masks(_frames(record, "segmentations", video, place), video, place)
        boxes = [None if mask is None else rle.bounding_box(mask) for mask in masks]
    if record.get("bboxes") is not None:
        stated = _frames(record, "bboxes", video, place)
        boxes = [_box(box, f"{place}, frame {i}") or boxes[i] for i, box in enumerate(stated)]
    if masks is not None and not any(masks) and any(boxes):
        masks = None
    return ObjectTrack(record["id"], video.id, class_id, tuple(boxes), masks, is_crowd=bool(record.get("iscrowd", 0)))


def _masks(frames: Sequence[Any], video: VideoRecord, place: str) -> tuple[Rle | None, ...]:
    return tuple(_mask(value, video.height, video.width, f"{place}, frame {i}") for i, value in enumerate(frames))


def _mask(value: Any, height: int, width: int, place: str) -> Rle | None:
    if value is None or value == []:
        return None
    try:
        if isinstance(value, list):
            return _visible(rle.from_polygons(value, height, width))
        size, counts = list(value["size"]), value["counts"]
        if size != [height, width]:
            raise InputError(
                f"the mask's size is {size}, the video's is {[height, width]} (height, width)",
                place=place,
                hint="masks must have the size of the video's frames",
            )
        if isinstance(counts, list):
            return _visible(rle.from_counts(counts, height, width))
        mask = Rle(size=[height, width], counts=counts)
        if not rle.is_sound(mask):
            raise ValueError(f"the runs do not fill a mask of {height} x {width}")
        return _visible(mask)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        reason = str(error) if isinstance(error, ValueError) else "it is neither run lengths nor polygons"
        raise InputError(f"unreadable mask: {reason}", place=place, hint="write the mask again") from None


def _visible(mask: Rle | None) -> Rle | None:
    return None if mask is None or rle.area(mask) == 0 else mask


def _box(value: Any, place: str) -> Box | None:
    """`x1 y1 x2 y2` of a file's `x y w h`; `None` where it is null or has no extent."""
    if value is None or value == []:
        return None
    if not isinstance(value, list) or len(value) != 4 or not all(_is_finite(v) for v in value):
        raise InputError(f"a box is four numbers x, y, width, height, not {value}", place=place, hint="correct it")
    x, y, width, height = (float(v) for v in value)
    return (x, y, x + width, y + height) if width > 0 and height > 0 else None


def _video(record: Json, videos: dict[int, VideoRecord], place: str) -> VideoRecord:
    number = _integer(record, "video_id", place)
    if number not in videos:
        raise InputError(f"video_id {number} is unknown", place=place, hint="use the annotation file it belongs to")
    return videos[number]


def _class_id(record: Json, class_of: dict[int, int], place: str) -> int:
    number = _integer(record, "category_id", place)
    if number not in class_of:
        raise InputError(
            f"category_id {number} is unknown",
            place=place,
            hint=f"the annotation file's categories are {sorted(class_of)}",
        )
    return class_of[number]


def _score(record: Json, place: str) -> float:
    score = _value(record, "score", place)
    if not _is_finite(score):
        raise InputError(f"score is {score}, not a finite number", place=place, hint="scores lie between 0 and 1")
    return float(score)


def _frames(record: Json, key: str, video: VideoRecord, place: str) -> list[Any]:
    frames = _value(record, key, place)
    if not isinstance(frames, list) or len(frames) != len(video.frame_files):
        found = f"{len(frames)} frames" if isinstance(frames, list) else "no list"
        raise InputError(
            f"{key} has {found}, video {video.id} has {len(video.frame_files)} frames",
            place=place,
            hint="write one entry a frame, null where the object is absent",
        )
    return frames


# JSON --------------------------------------------------------------------------------------------------------


def _load(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError("there is no such file", place=path, hint="check the path") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read as text: {error}", place=path, hint="pass a JSON file") from None
    if not text.strip():
        raise InputError("the file is empty", place=path, hint="write or download it again")
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(
            f"not valid JSON: {error.msg}, line {error.lineno}, column {error.colno}",
            place=path,
            hint="the file may be cut off; write or download it again",
        ) from None
    if not isinstance(content, dict | list):
        raise InputError("neither annotations nor results", place=path, hint="pass a YouTube-VIS file")
    return content


def _write(content: Any, path: Path) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        beside.write_text(json.dumps(content, allow_nan=False), encoding="utf-8")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _track_record(track: ObjectTrack, video: VideoRecord, categories: Sequence[Category]) -> Json:
    boxes = [None if b is None else [float(v) for v in (b[0], b[1], b[2] - b[0], b[3] - b[1])] for b in track.boxes]
    record: Json = {
        "id": track.id,
        "video_id": track.video_id,
        "category_id": categories[track.class_id].source_id,
        "iscrowd": int(track.is_crowd),
        "height": video.height,
        "width": video.width,
        "length": len(track.boxes),
        "bboxes": boxes,
        "areas": [None if box is None else box[2] * box[3] for box in boxes],
    }
    if track.segmentations is not None:
        masks = [_visible(mask) for mask in track.segmentations]
        record |= {
            "segmentations": masks,
            "areas": [None if mask is None else rle.area(mask) for mask in masks],
        }
    return record


def _records(content: Json, key: str, path: Path) -> list[Json]:
    records = content.get(key)
    if not isinstance(records, list):
        raise InputError(
            f'no list "{key}"', place=path, hint="annotations hold the lists videos, categories and annotations"
        )
    for index, record in enumerate(records):
        _require_object(record, f"{path}: {key} {index}")
    return records


def _require_object(record: Any, place: str) -> None:
    if not isinstance(record, dict):
        raise InputError("not a JSON object", place=place, hint="each record is an object in braces")


def _require_distinct(values: Sequence[int | str], path: Path, kind: str = "annotation ") -> None:
    for value, uses in Counter(values).items():
        if uses > 1:
            raise InputError(
                f"occurs {uses} times", place=f"{path}: {kind}{value}", hint="ids and names must be distinct"
            )


def _value(record: Json, key: str, place: str) -> Any:
    if key not in record:
        raise InputError(f'"{key}" is missing', place=place, hint="add it")
    return record[key]


def _integer(record: Json, key: str, place: str) -> int:
    value = _value(record, key, place)
    if not isinstance(value, int) or isinstance(value, bool):
        raise InputError(f"{key} is {value!r}, not a whole number", place=place, hint="correct it")
    return value


def _text(record: Json, key: str, place: str) -> str:
    value = _value(record, key, place)
    if not isinstance(value, str) or not value:
        raise InputError(f"{key} is {value!r}, not a name", place=place, hint="correct it")
    return value


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
