"""The prepared data set on disk: box-only label files and the `dataset.yaml` that says which is which.

A box-only file has room for boxes and categories of each frame and for nothing else: no masks, no identities.
Files hold `x y w h` boxes and the source's category ids; in memory there are `x1 y1 x2 y2` and classes 0..K-1.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from qcen_core.errors import InputError
from qcen_core.jsonfile import JsonRecord, is_finite_number, json_records, load_json, require_distinct, write_json
from qcen_core.records import BoxDataset, Category, FloatArray, FrameBoxes, VideoRecord

FORMAT = "qcen-boxes"
PREPARED_FORMAT = "qcen-dataset"
VERSION = 1
PREPARED_FILE = "dataset.yaml"
# Files hold boxes to a ten-thousandth of a pixel, so an edge on the frame's border may lie beyond it by as much.
DECIMALS = 4
TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class PreparedSplit:
    """The files of one split.

    Attributes:
        boxes: the box-only file.
        strong: annotations with masks or identities for the stronger levels, where somebody asked for them.
        ground_truth: annotations for evaluation only, never for training.
        videos: names of its videos.
    """

    boxes: Path
    strong: Path | None
    ground_truth: Path | None
    videos: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PreparedData:
    """A prepared data set, as its `dataset.yaml` describes it.

    Attributes:
        root: its folder.
        name: its name.
        frames_root: folder that the frame files are relative to; frames of own data stay where they are.
        categories: the K classes, in class order.
        splits: `train` and, unless nothing was held out, `holdout`.
        source: what it was made from, for people.
        seed: of the hold-out split, or of the procedural clips.
        created: ISO time.
        holdout_sha256: hash of the held-out videos' names, by which two hold-outs are compared; empty without one.
    """

    root: Path
    name: str
    frames_root: Path
    categories: tuple[Category, ...]
    splits: dict[str, PreparedSplit]
    source: str
    seed: int
    created: str
    holdout_sha256: str


def write_boxes(dataset: BoxDataset, path: Path) -> None:
    """Write a box-only file, whole or not at all. A video without labels is written as unlabelled frames."""
    source_ids = [category.source_id for category in dataset.categories]
    write_json(
        {
            "format": FORMAT,
            "version": VERSION,
            "name": dataset.name,
            "categories": _category_items(dataset.categories),
            "videos": [
                {
                    "id": video.id,
                    "name": video.name,
                    "width": video.width,
                    "height": video.height,
                    "frames": _frame_items(video, source_ids),
                }
                for video in dataset.videos
            ],
        },
        path,
    )


def read_boxes(path: Path, frames_root: Path) -> BoxDataset:
    """Read a box-only file; every video gets labels, unlabelled frames among them.

    Args:
        path: the file.
        frames_root: folder that its frame files are relative to.

    Raises:
        InputError: the file or a record in it cannot be used; the place names both.
    """
    content = load_json(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError("not a box-only file of QCEN", place=path, hint="write it with `qcen prepare`")
    file = JsonRecord(content, str(path))
    _require_version(file)
    categories = _read_categories(file, path)
    class_of = {category.source_id: index for index, category in enumerate(categories)}
    records = json_records(file.items("videos"), path, "video")
    videos = tuple(_read_video(record, class_of) for record in records)
    require_distinct([video.id for video in videos], path, "video")
    require_distinct([video.name for video in videos], path, "video")
    return BoxDataset(file.text("name"), frames_root, categories, videos)


def write_prepared(data: PreparedData) -> None:
    """Write `dataset.yaml` into the data set's folder, whole or not at all; paths inside the folder are relative."""
    content = {
        "format": PREPARED_FORMAT,
        "version": VERSION,
        "name": data.name,
        "source": data.source,
        "seed": data.seed,
        "created": data.created,
        "holdout_sha256": data.holdout_sha256,
        "frames_root": _portable(data.frames_root, data.root),
        "categories": _category_items(data.categories),
        "splits": {
            name: {
                "boxes": _portable(split.boxes, data.root),
                "strong": None if split.strong is None else _portable(split.strong, data.root),
                "ground_truth": None if split.ground_truth is None else _portable(split.ground_truth, data.root),
                "videos": list(split.videos),
            }
            for name, split in data.splits.items()
        },
    }
    path = data.root / PREPARED_FILE
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        beside.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def read_prepared(root: Path) -> PreparedData:
    """Read the `dataset.yaml` of a prepared data set.

    Args:
        root: the data set's folder.

    Raises:
        InputError: there is none, it cannot be used, or the frames it names are gone.
    """
    path = root / PREPARED_FILE
    file = JsonRecord(_load_yaml(path), str(path))
    if file.fields.get("format") != PREPARED_FORMAT:
        raise InputError("not a prepared data set of QCEN", place=path, hint="make one with `qcen prepare`")
    _require_version(file)
    splits: dict[str, PreparedSplit] = {}
    for name, fields in _mapping(file, "splits").items():
        split = JsonRecord(fields, f"{path}: split {name}") if isinstance(fields, dict) else None
        if split is None:
            raise InputError("not a mapping", place=f"{path}: split {name}", hint="prepare the data again")
        splits[str(name)] = PreparedSplit(
            boxes=root / split.text("boxes"),
            strong=None if split.is_null("strong") else root / split.text("strong"),
            ground_truth=None if split.is_null("ground_truth") else root / split.text("ground_truth"),
            videos=tuple(str(video) for video in split.items("videos")),
        )
    frames_root = root / file.text("frames_root")
    if not frames_root.is_dir():
        raise InputError(
            f"its frames folder {frames_root} is gone",
            place=path,
            hint="frames are linked, not copied: move them back or prepare the data again",
        )
    return PreparedData(
        root=root,
        name=file.text("name"),
        frames_root=frames_root,
        categories=_read_categories(file, path),
        splits=splits,
        source=file.text("source"),
        seed=file.integer("seed"),
        created=file.text("created"),
        holdout_sha256=str(file.value("holdout_sha256")),
    )


def _category_items(categories: Iterable[Category]) -> list[dict[str, int | str]]:
    return [{"id": category.source_id, "name": category.name} for category in categories]


def _frame_items(video: VideoRecord, source_ids: Sequence[int]) -> list[dict[str, Any]]:
    if video.labels is None:
        return [{"file": file, "labelled": False} for file in video.frame_files]
    return [
        {"file": file, "labelled": True, **_label_items(labels, source_ids)}
        if labels.labelled
        else {"file": file, "labelled": False}
        for file, labels in zip(video.frame_files, video.labels, strict=True)
    ]


def _label_items(labels: FrameBoxes, source_ids: Sequence[int]) -> dict[str, Any]:
    boxes = labels.boxes.astype(np.float64)
    boxes[:, 2:] -= boxes[:, :2]
    return {
        "boxes": boxes.round(DECIMALS).tolist(),
        "category_ids": [source_ids[int(class_id)] for class_id in labels.class_ids],
        "ignore": labels.ignore.tolist(),
    }


def _portable(path: Path, root: Path) -> str:
    """Relative to `root` where `path` lies in it, else absolute."""
    path, root = path.absolute(), root.absolute()
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _load_yaml(path: Path) -> dict[str, object]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            f"no prepared data set: {PREPARED_FILE} is missing", place=path.parent, hint="make one with `qcen prepare`"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read as text: {error}", place=path, hint="prepare the data again") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        spot = "" if mark is None else f", line {mark.line + 1}, column {mark.column + 1}"
        raise InputError(f"not valid YAML{spot}", place=path, hint="prepare the data again") from None
    if not isinstance(content, dict):
        raise InputError("not a mapping of names to values", place=path, hint="prepare the data again")
    return content


def _mapping(record: JsonRecord, key: str) -> dict[object, object]:
    value = record.value(key)
    if not isinstance(value, dict):
        raise InputError(f'"{key}" is not a mapping', place=record.place, hint="prepare the data again")
    return value


def _require_version(file: JsonRecord) -> None:
    version = file.value("version")
    if version != VERSION:
        raise InputError(
            f"version {version} of this format is not known, only {VERSION}",
            place=file.place,
            hint="prepare the data again with this release, or use the release that wrote it",
        )


def _read_categories(file: JsonRecord, path: Path) -> tuple[Category, ...]:
    records = json_records(file.items("categories"), path, "category")
    categories = tuple(Category(record.integer("id"), record.text("name")) for record in records)
    require_distinct([category.source_id for category in categories], path, "category")
    require_distinct([category.name for category in categories], path, "category")
    return categories


def _read_video(record: JsonRecord, class_of: dict[int, int]) -> VideoRecord:
    height, width = record.integer("height"), record.integer("width")
    if height < 1 or width < 1:
        raise InputError(f"frames of {width} x {height} pixels", place=record.place, hint="prepare the data again")
    files: list[str] = []
    labels: list[FrameBoxes] = []
    for index, fields in enumerate(record.items("frames")):
        place = f"{record.place}, frame {index}"
        if not isinstance(fields, dict):
            raise InputError("not a JSON object", place=place, hint="prepare the data again")
        frame = JsonRecord(fields, place)
        files.append(frame.text("file"))
        labels.append(_read_labels(frame, width, height, class_of))
    if not files:
        raise InputError("the video has no frames", place=record.place, hint="remove it or prepare the data again")
    return VideoRecord(record.integer("id"), record.text("name"), height, width, tuple(files), tuple(labels))


def _read_labels(frame: JsonRecord, width: int, height: int, class_of: dict[int, int]) -> FrameBoxes:
    labelled = frame.value("labelled")
    if labelled is not True:
        empty = np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, np.bool_)
        return FrameBoxes(*empty, labelled=False)
    items, source_ids, ignore = (frame.items(key) for key in ("boxes", "category_ids", "ignore"))
    if not len(items) == len(source_ids) == len(ignore):
        raise InputError(
            f"{len(items)} boxes, {len(source_ids)} category_ids and {len(ignore)} ignore flags",
            place=frame.place,
            hint="give each box one of each",
        )
    classes = [class_of.get(number) if isinstance(number, int) else None for number in source_ids]
    if None in classes:
        index = classes.index(None)
        raise InputError(
            f"category id {source_ids[index]} is unknown",
            place=f"{frame.place}, box {index}",
            hint=f"the file's categories: {', '.join(map(str, class_of))}",
        )
    class_ids = np.array(classes, np.int64)
    flags = np.array([flag is True for flag in ignore], np.bool_)
    return FrameBoxes(_read_frame_boxes(items, frame.place, width, height), class_ids, flags)


def _read_frame_boxes(items: Sequence[object], place: str, width: int, height: int) -> FloatArray:
    for index, item in enumerate(items):
        if not (isinstance(item, list) and len(item) == 4 and all(is_finite_number(value) for value in item)):
            raise InputError(
                f"a box is four numbers x, y, width, height, not {item}",
                place=f"{place}, box {index}",
                hint="correct it",
            )
    boxes = np.array(items, np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    empty = (boxes[:, 2:] <= boxes[:, :2]).any(axis=1)
    limit = np.array([width, height], np.float64)
    outside = (boxes[:, :2] < -TOLERANCE).any(axis=1) | (boxes[:, 2:] > limit + TOLERANCE).any(axis=1)
    for wrong, cause in ((empty, "the box has no area"), (outside, f"the box leaves the {width} x {height} frame")):
        if wrong.any():
            index = int(np.argmax(wrong))
            raise InputError(f"{cause}: {items[index]}", place=f"{place}, box {index}", hint="correct or remove it")
    return np.clip(boxes, 0, np.tile(limit, 2)).astype(np.float32)
