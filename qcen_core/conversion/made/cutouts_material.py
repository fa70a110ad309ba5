"""What clips of cut-outs are put together from: objects and backgrounds of the images of COCO annotation files."""

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qcen_core.conversion.made.coco_images import (
    CocoImages,
    find_annotations,
    read_coco_images,
    read_masks,
    read_pixels,
)
from qcen_core.conversion.made.cutouts_backgrounds import clear_windows, cut_background, is_blank
from qcen_core.conversion.made.cutouts_objects import SMALLEST_SIDE, Cutout, cut_out, worth_cutting
from qcen_core.errors import InputError
from qcen_core.records import Category

HELD_OUT_IMAGES = 0.25  # share of the images, where there is one annotation file only
# Enough of a large collection: more would change little but the memory and the time to collect them.
MOST_CUTOUTS = 1000
MOST_BACKGROUNDS = 400


@dataclass(frozen=True, slots=True)
class Material:
    """What clips are put together from.

    Attributes:
        cutouts: the objects.
        backgrounds: each (H', W', 3) uint8, RGB.
        unreadable: number of images that could not be used.
    """

    cutouts: tuple[Cutout, ...]
    backgrounds: tuple[NDArray[np.uint8], ...]
    unreadable: int


def collect_material(source: CocoImages, longest: int, size: tuple[int, int], rng: np.random.Generator) -> Material:
    """Cuts objects and backgrounds out of images, in an order drawn by lot, until there are enough.

    Args:
        source: the images.
        longest: longer side at which cut-outs are kept, in pixels.
        size: (height, width) of the frames.
        rng: source of all chance.

    Raises:
        InputError: an annotation cannot be read, or there is no object or no background of use.
    """
    cutouts: list[Cutout] = []
    backgrounds: list[NDArray[np.uint8]] = []
    unreadable = 0
    for index in rng.permutation(len(source.images)):
        if len(cutouts) >= MOST_CUTOUTS and len(backgrounds) >= MOST_BACKGROUNDS:
            break
        image = source.images[int(index)]
        pixels = read_pixels(image)
        if pixels is None:
            unreadable += 1
            continue
        masks = read_masks(image)
        for i, record in enumerate(image.annotations):
            if record.fields.get("iscrowd"):
                continue
            mask = worth_cutting(pixels, masks[i], [*masks[:i], *masks[i + 1 :]])
            if mask is not None:
                cutouts.append(cut_out(pixels, mask, record.integer("category_id"), longest))
        windows = clear_windows(masks, (image.height, image.width), size)
        found = [cut_background(pixels, window, size) for window in windows]
        backgrounds += [background for background in found if not is_blank(background)]
    among = f"among its {len(source.images)} images"
    if not cutouts:
        cause, hint = (
            f"no object is shown large and whole {among}",
            f"objects of {SMALLEST_SIDE} pixels and more that nothing hides are used",
        )
        raise InputError(cause, place=source.annotations, hint=hint)
    if not backgrounds:
        cause, hint = f"no part without objects is large enough {among}", "add images, or ask for smaller frames"
        raise InputError(cause, place=source.annotations, hint=hint)
    return Material(tuple(cutouts), tuple(backgrounds), unreadable)


@dataclass(frozen=True, slots=True)
class SplitMaterial:
    """Material to train on and material that is held out; they have no image in common.

    Attributes:
        train: for clips to train on.
        holdout: for clips that are held out.
        categories: of the cut-outs, in class order.
        class_of: category id of a cut-out -> class.
        dropped: images that could not be used: reason -> count.
    """

    train: Material
    holdout: Material
    categories: tuple[Category, ...]
    class_of: dict[int, int]
    dropped: dict[str, int]


def read_material(
    path: Path, frames: Path | None, categories: int, longest: int, size: tuple[int, int], seed: int
) -> SplitMaterial:
    """Reads the material of a COCO folder or annotation file.

    The images of `instances_train*.json` are trained on and those of `instances_val*.json` held out; of a single
    annotation file, a share of the images drawn by lot is held out.

    Args:
        path: the folder or the file.
        frames: folder of the images, or of their folders; by default that of COCO.
        categories: number of categories, the most frequent ones among the objects to train on that are worth
            cutting out; 0 for all objects under one category "object".
        longest: longer side at which cut-outs are kept, in pixels.
        size: (height, width) of the frames.
        seed: of the choice of images.

    Raises:
        InputError: there are no annotations, no images, or nothing in them of use.
    """
    sources = [read_coco_images(file, frames) for file in find_annotations(path)]
    missing = sum(source.missing for source in sources)
    if len(sources) == 1:
        sources = _split_images(sources[0], seed)
    train, holdout = (
        collect_material(source, longest, size, np.random.default_rng([seed, number]))
        for number, source in enumerate(sources)
    )
    chosen = _most_frequent(train, sources[0].categories, categories) if categories else sources[0].categories
    class_of = {category.source_id: number if categories else 0 for number, category in enumerate(chosen)}
    train, holdout = (
        replace(part, cutouts=tuple(cutout for cutout in part.cutouts if cutout.category_id in class_of))
        for part in (train, holdout)
    )
    if not train.cutouts or not holdout.cutouts:
        cause = "no object of the chosen categories is worth cutting out on both sides of the split"
        raise InputError(cause, place=path, hint="ask for more categories, or for --categories 0")
    counts = {"image without file": missing, "unreadable image": train.unreadable + holdout.unreadable}
    return SplitMaterial(
        train=train,
        holdout=holdout,
        categories=chosen if categories else (Category(1, "object"),),
        class_of=class_of,
        dropped={reason: count for reason, count in counts.items() if count},
    )


def _split_images(source: CocoImages, seed: int) -> list[CocoImages]:
    count = len(source.images)
    if count < 2:
        cause = "only one image is there, but the held-out clips need images of their own"
        raise InputError(cause, place=source.annotations, hint="add images")
    held = set(np.random.default_rng(seed).permutation(count)[: max(1, round(HELD_OUT_IMAGES * count))].tolist())
    return [
        replace(source, images=tuple(image for i, image in enumerate(source.images) if (i in held) == is_held))
        for is_held in (False, True)
    ]


def _most_frequent(material: Material, categories: tuple[Category, ...], count: int) -> tuple[Category, ...]:
    """The most frequent categories of cut-outs, the most frequent first, in the file's order where they are equal."""
    uses = Counter(cutout.category_id for cutout in material.cutouts)
    ranked = sorted(categories, key=lambda category: -uses[category.source_id])
    return tuple(category for category in ranked[:count] if uses[category.source_id])
