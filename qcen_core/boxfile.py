"""The box-only file: boxes and categories of each frame, and no room for anything else: no masks, no identities.

Files hold `x y w h` boxes and the source's category ids; in memory there are `x1 y1 x2 y2` and classes 0..K-1.
"""

import re
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import numpy as np

from qcen_core.errors import InputError
from qcen_core.jsonfile import JsonRecord, json_records, load_json, require_distinct, write_whole
from qcen_core.records import (
    BoolArray,
    BoxDataset,
    Category,
    FrameTable,
    IntArray,
    VideoRecord,
    frame_table,
)

FORMAT = "qcen-boxes"
VERSION = 1
# Files hold boxes to a ten-thousandth of a pixel, so an edge on the frame's border may lie beyond it by as much.
DECIMALS = 4
TOLERANCE = 1e-3
AGAIN = "prepare the data again"

FORMS = {"boxes": "a box is four numbers x, y, width, height", "category_ids": "a category id is a whole number"}

T = TypeVar("T")
Lists = tuple[list[tuple[float, float, float, float]], list[int], list[bool]]
NOTHING: Lists = ([], [], [])
Id = Annotated[int, msgspec.Meta(ge=-(2**62), le=2**62)]


def write_boxes(dataset: BoxDataset, path: Path) -> None:
    """Write a box-only file, whole or not at all. A video without labels is written as unlabelled frames.

    Raises:
        ValueError: a box holds a number that is not finite.
    """
    source_ids = np.array([category.source_id for category in dataset.categories], np.int64)
    head = {
        "format": FORMAT,
        "version": VERSION,
        "name": dataset.name,
        "categories": category_items(dataset.categories),
    }
    # One at a time: as Python's objects, the labels of a large set would take ten times the room of their text.
    videos = [msgspec.Raw(msgspec.json.encode(_video_item(video, source_ids))) for video in dataset.videos]
    write_whole(msgspec.json.encode({**head, "videos": videos}), path)


def read_boxes(path: Path, frames_root: Path) -> BoxDataset:
    """Read a box-only file; every video gets labels, unlabelled frames among them.

    Args:
        path: the file.
        frames_root: folder that its frame files are relative to.

    Returns:
        The data set; the labels of its videos are views of the same flat arrays.

    Raises:
        InputError: the file or a record in it cannot be used; the place names both.
    """
    head = _decode(path, _Head)
    if head.format != FORMAT:
        raise InputError("not a box-only file of QCEN", place=path, hint="write it with `qcen prepare`")
    fields = {"version": head.version, "categories": head.categories}
    record = JsonRecord({name: value for name, value in fields.items() if value is not msgspec.UNSET}, str(path))
    require_version(record)
    categories = read_box_categories(record, path)
    file = _decode(path, _File)
    for video in file.videos:
        place = f"{path}: video {video.id}"
        if video.height < 1 or video.width < 1:
            raise InputError(f"frames of {video.width} x {video.height} pixels", place=place, hint=AGAIN)
        if not video.frames:
            raise InputError("the video has no frames", place=place, hint=f"remove it or {AGAIN}")
    require_distinct([video.id for video in file.videos], path, "video")
    require_distinct([video.name for video in file.videos], path, "video")
    table = _read_labels(file.videos, categories, path)
    ends = np.cumsum([len(video.frames) for video in file.videos], dtype=np.int64).tolist()
    videos = tuple(
        VideoRecord(
            video.id,
            video.name,
            video.height,
            video.width,
            tuple(frame.file for frame in video.frames),
            table.part(end - len(video.frames), end),
        )
        for video, end in zip(file.videos, ends, strict=True)
    )
    return BoxDataset(file.name, frames_root, categories, videos)


def category_items(categories: Iterable[Category]) -> list[dict[str, int | str]]:
    """Categories as files of ours state them."""
    return [{"id": category.source_id, "name": category.name} for category in categories]


def read_box_categories(file: JsonRecord, path: Path) -> tuple[Category, ...]:
    """What `category_items` wrote.

    Raises:
        InputError: a record cannot be used, or an id or a name occurs twice.
    """
    records = json_records(file.items("categories"), path, "category")
    categories = tuple(Category(record.integer("id"), record.text("name")) for record in records)
    require_distinct([category.source_id for category in categories], path, "category")
    require_distinct([category.name for category in categories], path, "category")
    return categories


def require_version(file: JsonRecord) -> None:
    """Check that a file of ours is of the version that is read here.

    Raises:
        InputError: it is of another one.
    """
    version = file.value("version")
    if version != VERSION:
        raise InputError(
            f"version {version} of this format is not known, only {VERSION}",
            place=file.place,
            hint=f"{AGAIN} with this release, or use the release that wrote it",
        )


class _Head(msgspec.Struct):
    format: Any = None
    version: Any = msgspec.UNSET
    categories: Any = msgspec.UNSET


class _Frame(msgspec.Struct):
    file: str
    labelled: bool
    boxes: list[tuple[float, float, float, float]] | msgspec.UnsetType = msgspec.UNSET
    category_ids: list[Id] | msgspec.UnsetType = msgspec.UNSET
    ignore: list[bool] | msgspec.UnsetType = msgspec.UNSET


class _Video(msgspec.Struct):
    id: int
    name: str
    width: int
    height: int
    frames: list[_Frame]


class _File(msgspec.Struct):
    name: str
    videos: list[_Video]


def _video_item(video: VideoRecord, source_ids: IntArray) -> dict[str, Any]:
    return {
        "id": video.id,
        "name": video.name,
        "width": video.width,
        "height": video.height,
        "frames": _frame_items(video, source_ids),
    }


def _frame_items(video: VideoRecord, source_ids: IntArray) -> list[dict[str, Any]]:
    if video.labels is None:
        return [{"file": file, "labelled": False} for file in video.frame_files]
    table = frame_table(video.labels)
    boxes = table.boxes.astype(np.float64)
    if not np.isfinite(boxes).all():
        raise ValueError(f"video {video.name}: a box is not made of finite numbers")
    boxes[:, 2:] -= boxes[:, :2]
    columns = boxes.round(DECIMALS).tolist(), source_ids[table.class_ids].tolist(), table.ignore.tolist()
    starts = table.starts.tolist()
    items: list[dict[str, Any]] = []
    for frame, (file, labelled) in enumerate(zip(video.frame_files, table.labelled.tolist(), strict=True)):
        item: dict[str, Any] = {"file": file, "labelled": labelled}
        if labelled:
            rows = slice(starts[frame], starts[frame + 1])
            item |= {"boxes": columns[0][rows], "category_ids": columns[1][rows], "ignore": columns[2][rows]}
        items.append(item)
    return items


def _decode(path: Path, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except msgspec.ValidationError as error:
        content = load_json(path)
        if not isinstance(content, dict) or kind is _Head:
            raise InputError("not a box-only file of QCEN", place=path, hint="write it with `qcen prepare`") from None
        raise _fault(str(error), content, path) from None
    except (OSError, msgspec.DecodeError):
        load_json(path)
        raise InputError("cannot be read as JSON", place=path, hint=AGAIN) from None


def _fault(message: str, content: dict[str, Any], path: Path) -> InputError:
    """The error of a record that is not in form, its place in words: `$.videos[3].frames[2].boxes[1]`."""
    cause, _, trail = message.partition(" - at ")
    place = str(path)
    for name, index in re.findall(r"\.(\w+)\[(\d+)\]", trail):
        if name == "videos":
            video = content["videos"][int(index)]
            place += f": video {video.get('id', index) if isinstance(video, dict) else index}"
        elif name == "frames":
            place += f", frame {index}"
        elif name in ("boxes", "category_ids", "ignore"):
            place += f", box {index}"
    for key, form in FORMS.items():
        if f".{key}[" in trail:
            cause = f"{form}: {cause[0].lower()}{cause[1:]}"
    missing = re.search("missing required field `(.*)`", cause)
    return InputError(f'"{missing[1]}" is missing' if missing else cause.replace("`", ""), place=place, hint=AGAIN)


def _read_labels(videos: Sequence[_Video], categories: Sequence[Category], path: Path) -> FrameTable:
    """The labels of all frames of all videos."""
    frames = [frame for video in videos for frame in video.frames]
    labels = [
        _lists(frame, f"{path}: video {video.id}, frame {index}") if frame.labelled else NOTHING
        for video in videos
        for index, frame in enumerate(video.frames)
    ]
    counts = np.array([len(boxes) for boxes, _, _ in labels], np.int64)
    xywh = np.fromiter(chain.from_iterable(chain.from_iterable(part[0] for part in labels)), np.float64).reshape(-1, 4)
    source_ids = np.fromiter(chain.from_iterable(part[1] for part in labels), np.int64)
    ignore = np.fromiter(chain.from_iterable(part[2] for part in labels), np.bool_)
    lengths = [len(video.frames) for video in videos]
    sizes = np.repeat([(video.width, video.height) for video in videos], lengths, axis=0)
    limits = np.repeat(sizes.astype(np.float64).reshape(-1, 2), counts, axis=0)

    def place(row: int) -> str:
        frame = int(np.searchsorted(np.cumsum(counts), row, side="right"))
        video = int(np.searchsorted(np.cumsum(lengths), frame, side="right"))
        first = sum(lengths[:video])
        return f"{path}: video {videos[video].id}, frame {frame - first}, box {row - int(counts[:frame].sum())}"

    class_ids, known = _classes(source_ids, categories)
    if not known.all():
        row = int(np.argmin(known))
        hint = f"the file's categories: {', '.join(str(category.source_id) for category in categories)}"
        raise InputError(f"category id {source_ids[row]} is unknown", place=place(row), hint=hint)
    corners = xywh.copy()
    corners[:, 2:] += corners[:, :2]
    empty = np.asarray((corners[:, 2:] <= corners[:, :2]).any(axis=1))
    left_top, right_bottom = corners[:, :2] < -TOLERANCE, corners[:, 2:] > limits + TOLERANCE
    outside = np.asarray((left_top | right_bottom).any(axis=1))
    if (empty | outside).any():
        row = int(np.argmax(empty | outside))
        width, height = limits[row].astype(int)
        cause = "the box has no area" if empty[row] else f"the box leaves the {width} x {height} frame"
        raise InputError(f"{cause}: {xywh[row].tolist()}", place=place(row), hint="correct or remove it")
    boxes = np.clip(corners, 0, np.tile(limits, 2)).astype(np.float32)
    starts = np.concatenate([[0], np.cumsum(counts)])
    return FrameTable(starts, boxes, class_ids, ignore, np.array([frame.labelled for frame in frames], np.bool_))


def _lists(frame: _Frame, place: str) -> Lists:
    """Boxes, category ids and ignore flags of a labelled frame."""
    if frame.boxes is msgspec.UNSET or frame.category_ids is msgspec.UNSET or frame.ignore is msgspec.UNSET:
        missing = next(name for name in ("boxes", "category_ids", "ignore") if getattr(frame, name) is msgspec.UNSET)
        raise InputError(f'"{missing}" is missing', place=place, hint=AGAIN)
    if not len(frame.boxes) == len(frame.category_ids) == len(frame.ignore):
        raise InputError(
            f"{len(frame.boxes)} boxes, {len(frame.category_ids)} category_ids and {len(frame.ignore)} ignore flags",
            place=place,
            hint="give each box one of each",
        )
    return frame.boxes, frame.category_ids, frame.ignore


def _classes(source_ids: IntArray, categories: Sequence[Category]) -> tuple[IntArray, BoolArray]:
    """(N,) class of each id, and whether it is known."""
    known = np.array([category.source_id for category in categories], np.int64)
    order = np.argsort(known)
    place = np.clip(np.searchsorted(known[order], source_ids), 0, max(len(known) - 1, 0))
    if not len(known):
        return np.zeros_like(source_ids), np.zeros(len(source_ids), np.bool_)
    return order[place], known[order][place] == source_ids
