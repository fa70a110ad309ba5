"""The records of a COCO file, decoded as far as they are needed: masks stay text until somebody asks for them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from qcen_core.errors import InputError
from qcen_core.jsonfile import JsonRecord, decode_json, json_records

# Fields are `Any`: one record that is wrong must not make the file useless.


class ImageRecord(msgspec.Struct, gc=False):
    """An image as the file states it, nothing checked; `video_id` and `frame_id` are those of COCO-VID."""

    id: Any = None
    file_name: Any = None
    height: Any = None
    width: Any = None
    video_id: Any = None
    frame_id: Any = None


class AnnotationRecord(msgspec.Struct, gc=False):
    """An annotation as the file states it, nothing checked; `segmentation` is JSON text."""

    id: Any = None
    image_id: Any = None
    category_id: Any = None
    bbox: Any = None
    segmentation: msgspec.Raw = msgspec.Raw(b"null")
    iscrowd: Any = None
    ignore: Any = None
    instance_id: Any = None
    track_id: Any = None
    attributes: Any = None


class VideoEntry(msgspec.Struct, gc=False):
    """A video of COCO-VID as the file states it, nothing checked."""

    id: Any = None
    name: Any = None


class CocoContent(msgspec.Struct):
    """The lists of a COCO file."""

    images: list[ImageRecord]
    categories: list[Any]
    annotations: list[AnnotationRecord] | None = None
    videos: list[VideoEntry] | None = None


def load_coco(path: Path) -> CocoContent:
    """Read the lists of a COCO file.

    Raises:
        InputError: the file is missing or not JSON, a list is missing, or holds what is no record.
    """
    content = decode_json(path, CocoContent)
    return content if isinstance(content, CocoContent) else _from_python(content, path)


def _from_python(content: object, path: Path) -> CocoContent:
    hint = "pass a COCO annotation file; it holds the lists images, annotations and categories"
    if not isinstance(content, dict):
        raise InputError("not a COCO annotation file", place=path, hint=hint)
    file = JsonRecord(content, str(path))

    def fields(key: str, kind: str) -> list[dict[str, object]]:
        return [record.fields for record in json_records(file.items(key, hint), path, kind)]

    annotations = [] if file.is_null("annotations") else fields("annotations", "annotation")
    return CocoContent(
        [msgspec.convert(record, ImageRecord) for record in fields("images", "image")],
        file.items("categories", hint),
        [msgspec.convert(_with_text(record), AnnotationRecord) for record in annotations],
        None if file.is_null("videos") else [msgspec.convert(v, VideoEntry) for v in fields("videos", "video")],
    )


def _with_text(record: Mapping[str, object]) -> dict[str, object]:
    text = json.dumps(record.get("segmentation")).encode()
    return {**record, "segmentation": msgspec.Raw(text)}
