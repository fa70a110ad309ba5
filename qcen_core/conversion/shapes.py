"""The procedural set `shapes`: clips with exact masks, boxes and identities, the same for the same seed."""

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qcen_core.conversion.shapes_render import (
    EXPOSURES,
    SPRITE_HALF,
    SUPERSAMPLING,
    owner_map,
    paint_backdrop,
    paint_sprite,
    render_frame,
)
from qcen_core.conversion.shapes_scene import Scene, ShapesLevel, draw_scene
from qcen_core.ops import rle
from qcen_core.records import BoolArray, Box, IntArray, ObjectTrack, Rle

DEFAULT_SIZE = (96, 160)
DEFAULT_LENGTH = 12
MIN_VISIBLE_PIXELS = 12  # an object that shows less than this is not labelled


@dataclass(frozen=True, slots=True)
class ShapesClip:
    """A procedural clip.

    Attributes:
        frames: (T, H, W, 3) uint8, RGB.
        tracks: the objects that are labelled in at least one frame; ids count from 1, `video_id` is index + 1.
    """

    frames: NDArray[np.uint8]
    tracks: tuple[ObjectTrack, ...]


def generate_clip(
    level: ShapesLevel, seed: int, split: str, index: int, size: tuple[int, int], length: int
) -> ShapesClip:
    """Generates one clip; a longer clip begins like a shorter one.

    Args:
        level: how hard it is, one of `shapes_scene.LEVELS` or your own.
        seed: of the data set.
        split: name of the split; splits share no clip.
        index: of the clip in its split, from 0.
        size: (height, width) in pixels.
        length: frames.

    Returns:
        The clip. A mask holds the pixels whose centre the object covers as the top-most one at the middle of the
        exposure; a box fits its mask tightly; both are `None` where fewer than `MIN_VISIBLE_PIXELS` are visible.
    """
    names = [zlib.crc32(name.encode()) for name in (split, level.name)]
    rng = np.random.default_rng([seed, *names, index, *size])
    scene = draw_scene(level, rng, size[1] / size[0])
    backdrop = paint_backdrop(level, rng, size)
    unit = min(size) * SUPERSAMPLING
    sprites = [
        paint_sprite(item.look, int(np.ceil(2 * SPRITE_HALF * item.motion.radius * unit))) for item in scene.objects
    ]
    frames = np.empty((length, *size, 3), np.uint8)
    owners: list[IntArray] = []
    for i in range(length):
        time = i * level.frame_stride
        image = render_frame(scene, sprites, backdrop, _exposure(time, level.shutter), size)
        image += rng.standard_normal(image.shape, dtype=np.float32) * np.float32(level.noise)
        frames[i] = np.clip(np.rint(image), 0, 255)
        owners.append(owner_map(scene, time, size))
    return ShapesClip(frames, _tracks(scene, owners, index + 1))


def _exposure(time: float, shutter: float) -> list[float]:
    if shutter == 0:
        return [time]
    return [time + shutter * ((i + 0.5) / EXPOSURES - 0.5) for i in range(EXPOSURES)]


def _tracks(scene: Scene, owners: list[IntArray], video_id: int) -> tuple[ObjectTrack, ...]:
    tracks: list[ObjectTrack] = []
    for i, item in enumerate(scene.objects):
        masks = [owner == i for owner in owners]
        visible = [mask if mask.sum() >= MIN_VISIBLE_PIXELS else None for mask in masks]
        if all(mask is None for mask in visible):
            continue
        segmentations: tuple[Rle | None, ...] = tuple(None if mask is None else rle.encode(mask) for mask in visible)
        boxes = tuple(None if mask is None else _tight_box(mask) for mask in visible)
        tracks.append(ObjectTrack(len(tracks) + 1, video_id, item.look.class_id, boxes, segmentations))
    return tuple(tracks)


def _tight_box(mask: BoolArray) -> Box:
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)
