"""A batch exactly as it enters the model: drawn to look at, and kept to take its step again."""

import json
import math
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from torch import Tensor

from qcen_core.errors import InputError
from qcen_core.jsonfile import write_whole
from qcen_core.model.checkpoint import write_tensors
from qcen_core.records import BoolArray
from qcen_core.structures import BoxTarget, ClipBatch, StrongLabels
from qcen_core.visualization.contact_sheet import Thumbnail, contact_sheet
from qcen_core.visualization.lettering import blend
from qcen_core.visualization.overlay import DrawnInstance, OverlayStyle
from qcen_core.visualization.palette import INK, PAPER, Color

TENSORS, PICTURE, ABOUT = "batch.safetensors", "batch.jpg", "about.json"
MOST_WIDTH = 1600  # pixels of the whole picture
LEAST_CELL = 480  # pixels; narrower frames are enlarged to it where there is room
_SOURCES = [field.name for field in fields(ClipBatch) if field.name.endswith("sources")]
_PADDING: Color = (112, 112, 118)
_STYLE = OverlayStyle(boxes=True, ids=False, alpha=0.35)


def draw_batch(batch: ClipBatch, names: Sequence[str]) -> NDArray[np.uint8]:
    """Draw every frame with its labels: a row for each clip, a column for each frame.

    Padding is grey and hatched, ignored regions are hatched inside a dashed line. Colours stand for classes. Masks
    and the numbers of tracks are drawn only if the batch carries them.

    Args:
        batch: on any device.
        names: of the K classes.

    Returns:
        (H', W', 3) uint8, RGB, at most about `MOST_WIDTH` wide.
    """
    clips, length, _, height, width = batch.images.shape
    # The sheet's margins and gaps are shares of the cell.
    widest = MOST_WIDTH / (length + 1 / 8 + (length - 1) / 25)
    cell = int(min(widest, max(width, LEAST_CELL)))
    size = max(round(height * cell / width), 1), cell
    images = batch.images.permute(0, 1, 3, 4, 2).flatten(0, 1).cpu().numpy()
    valid = batch.valid.cpu().numpy()
    times = batch.frame_times.flatten().tolist()
    thumbnails = []
    for frame, image in enumerate(images):
        clip = frame // length
        ratio = np.array([cell / width, size[0] / height] * 2)
        picture = _resized(image, size)
        _hatch_padding(picture, _resized(valid[clip].astype(np.uint8), size) == 0)
        for region in batch.targets[frame].ignored.cpu().numpy() * ratio:
            _hatch_ignored(picture, region)
        instances = _instances(batch, frame, names, size, ratio)
        thumbnails.append(Thumbnail(picture, batch.sources[clip], f"frame {times[frame]}", instances))
    title = f"{clips} clips of {length} frames, {width} x {height} pixels, {_labels_of(batch)}"
    return contact_sheet(thumbnails, title=title, columns=length, cell_width=cell, style=_STYLE)


def write_jpeg(picture: NDArray[np.uint8], path: Path) -> None:
    """Write an RGB picture as JPEG, whole or not at all."""
    write_whole(cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes(), path)


def save_batch(batch: ClipBatch, names: Sequence[str], folder: Path, about: Mapping[str, Any]) -> None:
    """Keep a batch for inspection; the folder appears whole or not at all, and replaces an older one.

    Args:
        batch: on any device.
        names: of the K classes.
        folder: for `batch.safetensors`, from which `load_batch` makes the batch again, `batch.jpg` and `about.json`.
        about: what there is to tell, e.g. the step and its loss terms; numbers that are not finite become texts.
    """
    new, old = (folder.with_name(f".{folder.name}.{os.getpid()}.{kind}") for kind in ("part", "old"))
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    try:
        header = {name: json.dumps(getattr(batch, name)) for name in _SOURCES}
        write_tensors(new / TENSORS, _tensors(batch), header)
        write_jpeg(draw_batch(batch, names), new / PICTURE)
        text = json.dumps(_plain(about), allow_nan=False, indent=2, ensure_ascii=False)
        (new / ABOUT).write_text(text + "\n", encoding="utf-8")
        if folder.exists():
            shutil.rmtree(old, ignore_errors=True)
            folder.rename(old)
        new.rename(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)


def load_batch(folder: Path) -> ClipBatch:
    """The batch that `save_batch` kept, on the CPU.

    Raises:
        InputError: there is none, or it is damaged.
    """
    path = folder / TENSORS
    if not path.is_file():
        raise InputError("no batch was kept here", place=folder, hint=f"name a folder that holds {TENSORS}")
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a mapping
        frames = range(tensors["frame_times"].numel())
        targets = (BoxTarget(*(tensors[f"{kind}.{n}"] for kind in ("boxes", "labels", "ignored"))) for n in frames)
        masks, track_ids = (_per_frame(tensors, kind, frames) for kind in ("masks", "track_ids"))
        return ClipBatch(
            tensors["images"],
            tensors["valid"],
            tensors["frame_times"],
            tuple(targets),
            None if masks is None and track_ids is None else StrongLabels(masks, track_ids),
            **{name: tuple(json.loads(header[name])) for name in _SOURCES},
        )
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise InputError(f"the batch is damaged: {error}", place=path, hint="it cannot be used any more") from None


def _tensors(batch: ClipBatch) -> dict[str, Tensor]:
    """The tensors of a batch, those of each frame with its index in their name."""
    tensors = {"images": batch.images, "valid": batch.valid, "frame_times": batch.frame_times}
    strong = batch.strong or StrongLabels(None, None)
    for frame, target in enumerate(batch.targets):
        own = {"boxes": target.boxes, "labels": target.labels, "ignored": target.ignored}
        if strong.masks is not None:
            own["masks"] = strong.masks[frame]
        if strong.track_ids is not None:
            own["track_ids"] = strong.track_ids[frame]
        # Safetensors refuses tensors that share their memory.
        tensors |= {f"{kind}.{frame}": tensor.clone() for kind, tensor in own.items()}
    return tensors


def _per_frame(tensors: Mapping[str, Tensor], kind: str, frames: range) -> tuple[Tensor, ...] | None:
    return tuple(tensors[f"{kind}.{frame}"] for frame in frames) if f"{kind}.0" in tensors else None


def _plain(value: object) -> object:
    """A value as JSON can hold it."""
    match value:
        case Mapping():
            return {str(key): _plain(part) for key, part in value.items()}
        case list() | tuple():
            return [_plain(part) for part in value]
        case Tensor():
            return _plain(value.tolist())
        case float():
            return value if math.isfinite(value) else str(value)
        case None | str() | int():
            return value
    return str(value)


def _labels_of(batch: ClipBatch) -> str:
    strong = batch.strong or StrongLabels(None, None)
    told = ["masks" if strong.masks is not None else "boxes"]
    return " and ".join(told if strong.track_ids is None else [*told, "identities"])


def _instances(
    batch: ClipBatch, frame: int, names: Sequence[str], size: tuple[int, int], ratio: NDArray[np.float64]
) -> tuple[DrawnInstance, ...]:
    """The labels of a frame at the drawn size."""
    target, strong = batch.targets[frame], batch.strong or StrongLabels(None, None)
    masks = [None] * len(target.labels) if strong.masks is None else strong.masks[frame].cpu().numpy()
    track_ids = None if strong.track_ids is None else strong.track_ids[frame].tolist()
    boxes = target.boxes.cpu().numpy() * ratio
    instances = []
    for index, (label, mask) in enumerate(zip(target.labels.tolist(), masks, strict=True)):
        name = names[label] if track_ids is None else f"{names[label]} #{track_ids[index]}"
        x1, y1, x2, y2 = boxes[index].tolist()
        instances.append(DrawnInstance(label + 1, name, None, _mask(mask, size), (x1, y1, x2, y2)))
    return tuple(instances)


def _mask(mask: BoolArray | None, size: tuple[int, int]) -> BoolArray | None:
    """A mask at the drawn size; one that is empty is none, so that its box is drawn all the same."""
    if mask is None:
        return None
    drawn = _resized(mask.astype(np.uint8) * 255, size) >= 128
    return drawn if drawn.any() else None


def _resized(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """A picture (H, W) or (H, W, 3) at another size; enlarged, its pixels stay squares, as the network gets them."""
    method = cv2.INTER_AREA if size[1] < image.shape[1] else cv2.INTER_NEAREST
    return np.ascontiguousarray(cv2.resize(image, (size[1], size[0]), interpolation=method), dtype=np.uint8)


def _hatch_padding(picture: NDArray[np.uint8], padding: BoolArray) -> None:
    picture[padding] = _PADDING
    blend(picture, _stripes(padding.shape[0], padding.shape[1], 14, 1.5) * padding * 0.55, 0, 0, INK)


def _hatch_ignored(picture: NDArray[np.uint8], box: NDArray[np.float64]) -> None:
    x1, y1 = np.maximum(np.rint(box[:2]), 0).astype(int).tolist()
    x2, y2 = np.minimum(np.rint(box[2:]), picture.shape[1::-1]).astype(int).tolist()
    if x2 <= x1 or y2 <= y1:
        return
    rows, columns = np.arange(y2 - y1)[:, None], np.arange(x2 - x1)[None]
    line, dash = 2, 8
    border = np.minimum(np.minimum(rows, rows[::-1]), np.minimum(columns, columns[:, ::-1])) < line
    dashes = border & ((rows + columns) // dash % 2 == 0)
    coverage = np.maximum(_stripes(y2 - y1, x2 - x1, 10, 1.5) * ~border, dashes)
    blend(picture, np.full(coverage.shape, 0.35), x1, y1, INK)
    blend(picture, coverage * 0.9, x1, y1, PAPER)


def _stripes(height: int, width: int, distance: float, line: float) -> NDArray[np.float64]:
    """(height, width) coverage of slanted lines, `distance` pixels apart and `line` pixels wide."""
    along = (np.arange(height)[:, None] + np.arange(width)[None]) / math.sqrt(2) % distance
    return np.asarray(np.clip(line / 2 + 0.5 - np.abs(along - distance / 2), 0, 1), dtype=np.float64)
