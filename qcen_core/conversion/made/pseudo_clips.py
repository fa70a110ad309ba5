"""Clips made of still images: a camera pans, zooms and turns over the picture, and its labels go along."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qcen_core.conversion.made.affine_warp import warp_boxes, warp_frame, warp_mask
from qcen_core.conversion.made.camera_path import CAMERA_PATH, CameraPath, clip_path
from qcen_core.conversion.made.clips import MIN_VISIBLE_PIXELS, Clip, write_clips
from qcen_core.conversion.problems import Progress
from qcen_core.errors import InputError
from qcen_core.ops import rle
from qcen_core.records import BoolArray, Box, Category, Float64Array, ObjectTrack, Rle, TrackDataset
from qcen_core.video.frame_folder import read_image

DEFAULT_SHORT_SIDE = 360
MIN_VISIBLE_SHARE = 0.1  # of an object's area; one that shows less is not labelled


@dataclass(frozen=True, slots=True)
class StillObject:
    """An object of an image.

    Attributes:
        box: `x1 y1 x2 y2`, pixels of the image.
        class_id: 0..K-1.
        mask: of the image's size, where there is one; the labels of the clip are then taken from it.
        is_crowd: a region to ignore.
    """

    box: Box
    class_id: int
    mask: Rle | None = None
    is_crowd: bool = False


@dataclass(frozen=True, slots=True)
class StillImage:
    """An image by the name that its set gives it, its file, its (height, width) in pixels, and the objects in it."""

    name: str
    file: Path
    height: int
    width: int
    objects: tuple[StillObject, ...]


def clip_size(height: int, width: int, short_side: int = DEFAULT_SHORT_SIDE) -> tuple[int, int]:
    """(height, width) of the frames made of an image: its shape, even numbers, no larger than it is."""
    scale = min(1.0, short_side / min(height, width))
    return max(2, 2 * round(height * scale / 2)), max(2, 2 * round(width * scale / 2))


def make_pseudo_clip(
    pixels: NDArray[np.uint8],
    objects: Sequence[StillObject],
    rng: np.random.Generator,
    size: tuple[int, int],
    length: int,
    video_id: int,
    strength: CameraPath = CAMERA_PATH,
) -> Clip:
    """Makes a clip of an image.

    Args:
        pixels: (H, W, 3) uint8, RGB.
        objects: of the image; the camera looks at one of them, drawn by lot.
        rng: source of all chance.
        size: (height, width) of the frames.
        length: frames.
        video_id: of the clip's tracks.
        strength: how far and how fast the camera moves.

    Returns:
        The clip. Where an object has a mask, its box fits the mask tightly; else it is that of an ellipse, clipped to
        the frame. Both are `None` where less than a tenth of the object or too few pixels are in view.
    """
    wanted = [item.box for item in objects if not item.is_crowd]
    anchor = wanted[int(rng.integers(len(wanted)))] if wanted else None
    path = clip_path(rng, (pixels.shape[0], pixels.shape[1]), size, length, anchor, strength)
    frames = np.stack([warp_frame(pixels, matrix, size) for matrix in path])
    tracks: list[ObjectTrack] = []
    for item in objects:
        labels = _warp_boxed(item, path, size) if item.mask is None else _warp_masked(item.mask, path, size)
        if any(label is not None for label in labels):
            boxes = tuple(None if label is None else label[0] for label in labels)
            masks = tuple(None if label is None else label[1] for label in labels)
            segmentations = None if item.mask is None else masks
            number = len(tracks) + 1
            tracks.append(ObjectTrack(number, video_id, item.class_id, boxes, segmentations, item.is_crowd))
    return Clip(frames, tuple(tracks))


def write_pseudo_clips(
    folder: Path,
    images: Mapping[str, Sequence[StillImage]],
    categories: tuple[Category, ...],
    seed: int,
    counts: Mapping[str, int],
    length: int,
    size: tuple[int, int] | None = None,
    short_side: int = DEFAULT_SHORT_SIDE,
    on_progress: Progress | None = None,
) -> TrackDataset:
    """Makes clips of images and writes their frames as `<folder>/<split>_<index>/<frame>.jpg`.

    Args:
        folder: made if it is missing.
        images: split -> its images; each is used once before any is used again.
        categories: of the objects, in class order.
        seed: of the data set.
        counts: split -> number of clips.
        length: frames of a clip.
        size: (height, width) of all clips; by default each keeps the shape of its image.
        short_side: of the frames, where `size` is not given; smaller images are not enlarged.
        on_progress: called with clips done and all clips.

    Returns:
        The object tracks of all splits, in the order of `counts`.

    Raises:
        InputError: a split has no images, or one cannot be read or is not of the size that is stated.
    """
    empty = [split for split, count in counts.items() if count and not images.get(split)]
    if empty:
        raise InputError(f"there are no images for the split {empty[0]}", hint="add images, or ask for no clips of it")

    numbers = {split: zlib.crc32(split.encode()) for split in images}
    orders = {split: np.random.default_rng([seed, n]).permutation(len(images[split])) for split, n in numbers.items()}

    def make_clip(split: str, index: int) -> Clip:
        number, order = numbers[split], orders[split]
        image = images[split][int(order[index % len(order)])]
        pixels = read_image(image.file)
        if pixels.shape[:2] != (image.height, image.width):
            cause = f"{pixels.shape[1]} x {pixels.shape[0]} pixels, its record says {image.width} x {image.height}"
            raise InputError(cause, place=image.file, hint="correct the record, or leave the image out")
        out_size = size or clip_size(image.height, image.width, short_side)
        rng = np.random.default_rng([seed, number, index])
        return make_pseudo_clip(pixels, image.objects, rng, out_size, length, index + 1)

    return write_clips(folder, make_clip, counts, categories, on_progress)


def _warp_masked(mask: Rle, path: Float64Array, size: tuple[int, int]) -> list[tuple[Box, Rle | None] | None]:
    """Box and mask in each frame, `None` where too little is in view."""
    whole: BoolArray = rle.decode(mask)
    area = np.count_nonzero(whole)
    labels: list[tuple[Box, Rle | None] | None] = []
    for matrix in path:
        warped = warp_mask(whole, matrix, size)
        least = max(MIN_VISIBLE_PIXELS, MIN_VISIBLE_SHARE * area * abs(np.linalg.det(matrix[:, :2])))
        encoded = rle.encode(warped)
        box = rle.bounding_box(encoded)
        labels.append((box, encoded) if box is not None and np.count_nonzero(warped) >= least else None)
    return labels


def _warp_boxed(item: StillObject, path: Float64Array, size: tuple[int, int]) -> list[tuple[Box, Rle | None] | None]:
    """As `_warp_masked`, of an object of which only the box is known."""
    labels: list[tuple[Box, Rle | None] | None] = []
    for matrix in path:
        whole = warp_boxes(np.array([item.box]), matrix)[0]
        x1, y1, x2, y2 = (float(v) for v in np.clip(whole, 0, (size[1], size[0], size[1], size[0])))
        least = max(MIN_VISIBLE_PIXELS, MIN_VISIBLE_SHARE * float(np.prod(whole[2:] - whole[:2])))
        labels.append(((x1, y1, x2, y2), None) if (x2 - x1) * (y2 - y1) >= least else None)
    return labels
