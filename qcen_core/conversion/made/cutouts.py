"""The set `cutouts`: real objects, cut out along their masks, move over real backgrounds."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from qcen_core.conversion.made.clip_render import SUPERSAMPLING, render_frames, sprite_owners, sprite_side
from qcen_core.conversion.made.clip_scene import ClipLevel, clip_rng, draw_scene
from qcen_core.conversion.made.clips import Clip, object_tracks, write_clips
from qcen_core.conversion.made.cutouts_material import Material, SplitMaterial
from qcen_core.conversion.made.cutouts_objects import paint_cutout
from qcen_core.conversion.problems import Progress
from qcen_core.records import TrackDataset

EXPOSURES = 3  # moments that are averaged into a frame with motion blur


@dataclass(frozen=True, slots=True, kw_only=True)
class CutoutsLevel(ClipLevel):
    """How hard clips of cut-outs are.

    Attributes:
        brightness: largest relative change of an object's brightness, which twins do not share.
    """

    brightness: float


LEVEL = CutoutsLevel(
    name="standard",
    objects=(2, 4),
    diameter=(0.3, 0.55),
    twin_share=0.3,
    speed=0.04,
    angle=(-0.15, 0.15),
    spin=float(np.radians(15)) / 11,  # 15 degrees over a clip of 12 frames
    scale_change=0.2,
    occlusion=0.55,
    leaving=0.25,
    camera=0.015,
    shutter=0.2,
    noise=2.0,
    brightness=0.08,
)


def largest_cutout(level: CutoutsLevel, size: tuple[int, int]) -> int:
    """The longer side of the largest object of a level, supersampled, in pixels; `size` is (height, width)."""
    return int(np.ceil(level.diameter[1] * min(size) * SUPERSAMPLING))


def generate_clip(
    level: CutoutsLevel,
    material: Material,
    class_of: Mapping[int, int],
    seed: int,
    split: str,
    index: int,
    size: tuple[int, int],
    length: int,
) -> Clip:
    """Generates one clip; a longer clip begins like a shorter one.

    Args:
        level: how hard it is.
        material: the objects and backgrounds to choose from.
        class_of: category id of the cut-outs -> class.
        seed: of the data set.
        split: name of the split; splits share no clip.
        index: of the clip in its split, from 0.
        size: (height, width) in pixels.
        length: frames.

    Returns:
        The clip. A mask holds the pixels at whose centre the object is the top-most one that covers more than half,
        at the middle of the exposure; a box fits its mask tightly; both are `None` where too little is visible.
    """
    rng = clip_rng(level, seed, split, index, size)
    scene = draw_scene(level, rng, size[1] / size[0], len(material.cutouts), lambda kind, _: material.cutouts[kind])
    backdrop = material.backgrounds[int(rng.integers(len(material.backgrounds)))].astype(np.float32)
    if rng.random() < 0.5:
        backdrop = np.ascontiguousarray(backdrop[:, ::-1])
    sprites = [
        paint_cutout(
            item.look,
            sprite_side(item.motion, size),
            mirrored=bool(rng.random() < 0.5),
            brightness=1 + level.brightness * rng.uniform(-1, 1),
        )
        for item in scene.objects
    ]
    frames = render_frames(level, scene, sprites, backdrop, rng, size, length, EXPOSURES)
    owners = [sprite_owners(scene, sprites, time, size) for time in level.frame_times(length)]
    return Clip(frames, object_tracks(owners, [class_of[item.look.category_id] for item in scene.objects], index + 1))


def write_cutouts(
    folder: Path,
    level: CutoutsLevel,
    material: SplitMaterial,
    seed: int,
    counts: Mapping[str, int],
    size: tuple[int, int],
    length: int,
    on_progress: Progress | None = None,
) -> TrackDataset:
    """Generates clips and writes their frames as `<folder>/<split>_<index>/<frame>.jpg`.

    Args:
        folder: made if it is missing.
        level: how hard the clips are.
        material: the split `holdout` is made of what is held out, every other one of what is trained on.
        seed: of the data set.
        counts: split -> number of clips.
        size: (height, width) in pixels; that of the material's backgrounds.
        length: frames of a clip.
        on_progress: called with clips done and all clips.

    Returns:
        The object tracks of all splits, in the order of `counts`.
    """

    def make_clip(split: str, index: int) -> Clip:
        part = material.holdout if split == "holdout" else material.train
        return generate_clip(level, part, material.class_of, seed, split, index, size, length)

    return write_clips(folder, make_clip, counts, material.categories, on_progress)
