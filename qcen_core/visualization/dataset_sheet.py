"""A box-only data set at a glance: one telling frame of each video, and what is in it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from qcen_core.errors import InputError
from qcen_core.jsonfile import write_whole
from qcen_core.records import BoxDataset, VideoRecord
from qcen_core.video.frame_folder import read_image
from qcen_core.visualization.contact_sheet import Thumbnail, contact_sheet
from qcen_core.visualization.overlay import DrawnInstance, OverlayStyle

T = TypeVar("T")


def dataset_thumbnails(dataset: BoxDataset, count: int) -> list[Thumbnail]:
    """One frame of each video with its boxes, for a contact sheet.

    Colours stand for classes, since a box-only set knows no identities.

    Args:
        dataset: the set; its frame files are read.
        count: most videos shown, spread evenly over the set.

    Raises:
        InputError: a frame file that cannot be read.
    """
    return [_thumbnail(dataset, video) for video in spread(dataset.videos, count)]


def dataset_sheet(dataset: BoxDataset, count: int = 24, title: str = "") -> NDArray[np.uint8]:
    """One frame of each video with its boxes, on one picture: (H, W, 3) uint8, RGB.

    Args:
        dataset: the set, with one video at least; its frame files are read.
        count: most videos shown, spread evenly over the set.
        title: heading of the sheet.

    Raises:
        InputError: a frame file that cannot be read.
    """
    return contact_sheet(dataset_thumbnails(dataset, count), title=title, style=OverlayStyle(ids=False))


def write_sheet(sheet: NDArray[np.uint8], path: Path) -> None:
    """Write a sheet as PNG, whole or not at all; its folder is made if missing.

    Raises:
        InputError: it cannot be written there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(cv2.imencode(".png", sheet[..., ::-1])[1].tobytes(), path)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", place=path, hint="choose another place") from None


def class_counts(dataset: BoxDataset) -> dict[str, tuple[int, int]]:
    """For each class its number of boxes and of videos it occurs in, the most frequent first."""
    boxes = np.zeros(len(dataset.categories), dtype=np.int64)
    videos = np.zeros_like(boxes)
    for video in dataset.videos:
        labels = [frame.class_ids[~frame.ignore] for frame in video.labels or ()]
        found = np.bincount(np.concatenate([*labels, np.empty(0, np.int64)]), minlength=len(boxes))
        boxes += found
        videos += found > 0
    order = np.argsort(-boxes, kind="stable")
    return {dataset.categories[k].name: (int(boxes[k]), int(videos[k])) for k in order}


def spread(items: Sequence[T], count: int) -> list[T]:
    """At most `count` of the items, evenly spread, the first and the last among them."""
    if len(items) <= count:
        return list(items)
    return [items[round(place)] for place in np.linspace(0, len(items) - 1, count)]


def _thumbnail(dataset: BoxDataset, video: VideoRecord) -> Thumbnail:
    labels = video.labels or ()
    # The frame with the most boxes tells the most; of equals the one nearest to the middle.
    middle = len(video.frame_files) // 2
    best = max(range(len(labels)), key=lambda t: (len(labels[t].boxes), -abs(t - middle)), default=middle)
    instances = []
    if labels:
        for box, class_id, ignore in zip(labels[best].boxes, labels[best].class_ids, labels[best].ignore, strict=True):
            x1, y1, x2, y2 = (float(value) for value in box)
            name = dataset.categories[class_id].name
            shown = f"{name} (ignored)" if ignore else name
            instances.append(DrawnInstance(int(class_id) + 1, shown, box=(x1, y1, x2, y2)))
    image = read_image(dataset.frames_root / video.frame_files[best])
    return Thumbnail(image, video.name, f"{best + 1} of {len(video.frame_files)}", tuple(instances))
