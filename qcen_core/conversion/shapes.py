"""The procedural set `shapes`: clips with exact masks, boxes and identities, the same for the same seed."""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
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
from qcen_core.conversion.shapes_scene import CATEGORY_NAMES, Scene, ShapesLevel, draw_scene
from qcen_core.ops import rle
from qcen_core.records import BoolArray, Box, Category, IntArray, ObjectTrack, Rle, TrackDataset, VideoRecord

DEFAULT_SIZE = (96, 160)
DEFAULT_LENGTH = 12
JPEG_QUALITY = 95
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


def write_clips(
    folder: Path,
    level: ShapesLevel,
    seed: int,
    counts: Mapping[str, int],
    size: tuple[int, int],
    length: int,
    on_progress: Callable[[int, int], None] | None = None,
) -> TrackDataset:
    """Generates clips and writes their frames as `<folder>/<split>_<index>/<frame>.jpg`.

    Args:
        folder: made if it is missing.
        level: how hard the clips are.
        seed: of the data set.
        counts: split -> number of clips.
        size: (height, width) in pixels.
        length: frames of a clip.
        on_progress: called with clips done and all clips.

    Returns:
        The object tracks of all splits, in the order of `counts`; category ids count from 1.
    """
    videos: list[VideoRecord] = []
    tracks: list[ObjectTrack] = []
    clips = [(split, index) for split, count in counts.items() for index in range(count)]
    for done, (split, index) in enumerate(clips, start=1):
        clip = generate_clip(level, seed, split, index, size, length)
        name = f"{split}_{index:05d}"
        files = tuple(f"{name}/{frame:05d}.jpg" for frame in range(length))
        (folder / name).mkdir(parents=True)
        for file, image in zip(files, clip.frames, strict=True):
            encoded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
            (folder / file).write_bytes(encoded.tobytes())
        videos.append(VideoRecord(done, name, *size, files))
        tracks += [replace(track, id=len(tracks) + i, video_id=done) for i, track in enumerate(clip.tracks, start=1)]
        if on_progress is not None:
            on_progress(done, len(clips))
    categories = tuple(Category(number, name) for number, name in enumerate(CATEGORY_NAMES, start=1))
    return TrackDataset(categories, tuple(videos), tuple(tracks))


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
