"""COCO annotation files of images: which images there are, and the masks of the objects in them."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from qcen_core.errors import InputError
from qcen_core.jsonfile import JsonRecord, json_records, load_json
from qcen_core.ops import rle
from qcen_core.records import BoolArray, Category
from qcen_core.trackfile import parse_mask


@dataclass(frozen=True, slots=True)
class CocoImage:
    """An image and the records of its annotations, crowds included."""

    file: Path
    height: int
    width: int
    annotations: tuple[JsonRecord, ...]


@dataclass(frozen=True, slots=True)
class CocoImages:
    """The images of an annotation file.

    Attributes:
        annotations: the file.
        categories: in the file's order.
        images: those whose files are there, by their ids.
        missing: number of images without a file.
    """

    annotations: Path
    categories: tuple[Category, ...]
    images: tuple[CocoImage, ...]
    missing: int


def find_annotations(path: Path) -> tuple[Path, ...]:
    """The annotation files of a COCO folder, or the one that is named.

    Args:
        path: a folder with `annotations/instances_train*.json`, `annotations/instances_val*.json` or both, or a file.

    Returns:
        The files to train on and to hold out, or a single one. Of several years, the last.

    Raises:
        InputError: there is none.
    """
    if not path.is_dir():
        return (path,)
    found = [sorted(path.glob(f"annotations/instances_{split}*.json"))[-1:] for split in ("train", "val")]
    files = tuple(file for files in found for file in files)
    if not files:
        raise InputError(
            "there is no annotations/instances_train*.json or instances_val*.json in it",
            place=path,
            hint="pass a COCO folder, or a COCO annotation file",
        )
    return files


def read_coco_images(annotations: Path, frames: Path | None) -> CocoImages:
    """Reads a COCO annotation file and looks which of its images are there.

    Args:
        annotations: the file.
        frames: folder of the images, or of the folder of the images; by default that of COCO: `train2017` beside
            `annotations/instances_train2017.json`.

    Raises:
        InputError: the file cannot be used, or none of its images is there.
    """
    content = load_json(annotations)
    if not isinstance(content, dict) or not isinstance(content.get("images"), list):
        raise InputError(
            'it has no list "images"', place=annotations, hint="pass a COCO annotation file of object instances"
        )
    whole = JsonRecord(content, str(annotations))
    records = json_records(whole.items("images"), annotations, "image")
    annotations_of: dict[int, list[JsonRecord]] = defaultdict(list)
    for record in json_records(whole.items("annotations"), annotations, "annotation"):
        annotations_of[record.integer("image_id")].append(record)
    categories = tuple(
        Category(record.integer("id"), record.text("name"))
        for record in json_records(whole.items("categories"), annotations, "category")
    )
    folder = _image_folder(annotations, frames, [record.text("file_name") for record in records])
    images = [
        CocoImage(file, record.integer("height"), record.integer("width"), tuple(annotations_of[record.integer("id")]))
        for record in sorted(records, key=lambda record: record.integer("id"))
        if (file := folder / record.text("file_name")).is_file()
    ]
    return CocoImages(annotations, categories, tuple(images), len(records) - len(images))


def _image_folder(annotations: Path, frames: Path | None, names: list[str]) -> Path:
    """The first likely folder that holds any of the images."""
    split = annotations.stem.removeprefix("instances_")
    root = frames or annotations.absolute().parent.parent
    likely = [root / split, root] if frames else [root / split, root, annotations.parent]
    for folder in likely:
        if any((folder / name).is_file() for name in names):
            return folder
    raise InputError(
        f"none of its {len(names)} images is in {likely[0]}",
        place=annotations,
        hint="pass the folder of the images with --frames",
    )


def read_pixels(image: CocoImage) -> NDArray[np.uint8] | None:
    """The image as (H, W, 3) uint8, RGB, or `None` if it cannot be decoded or its size is not the stated one."""
    try:
        # Pillow, for it leaves the orientation tag alone, as COCO's annotators did, and tells a cut-off file.
        with Image.open(image.file) as opened:
            pixels = np.asarray(opened.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None
    return pixels if pixels.shape == (image.height, image.width, 3) else None


def read_masks(image: CocoImage) -> list[BoolArray]:
    """The masks of all annotations of an image, crowds included, each (H, W) bool.

    Raises:
        InputError: a segmentation cannot be read.
    """
    masks = []
    for record in image.annotations:
        try:
            mask = parse_mask(record.value("segmentation"), image.height, image.width)
            masks.append(np.zeros((image.height, image.width), np.bool_) if mask is None else rle.decode(mask))
        except (ValueError, TypeError, KeyError) as error:
            reason = str(error) if isinstance(error, ValueError) else "neither run lengths nor polygons"
            raise InputError(f"unreadable mask: {reason}", place=record.place, hint="write it again") from None
    return masks
