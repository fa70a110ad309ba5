"""The procedural set `shapes`: clips with exact masks, boxes and identities, the same for the same seed."""

from collections.abc import Mapping
from pathlib import Path

from qcen_core.conversion.made.clip_render import render_frames, sprite_side
from qcen_core.conversion.made.clip_scene import clip_rng
from qcen_core.conversion.made.clips import Clip, object_tracks, write_clips
from qcen_core.conversion.made.shapes_render import owner_map, paint_backdrop, paint_sprite
from qcen_core.conversion.made.shapes_scene import CATEGORY_NAMES, ShapesLevel, draw_shapes
from qcen_core.conversion.problems import Progress
from qcen_core.records import Category, TrackDataset

EXPOSURES = 5  # moments that are averaged into a frame with motion blur


def generate_clip(level: ShapesLevel, seed: int, split: str, index: int, size: tuple[int, int], length: int) -> Clip:
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
        exposure; a box fits its mask tightly; both are `None` where too little is visible.
    """
    rng = clip_rng(level, seed, split, index, size)
    scene = draw_shapes(level, rng, size[1] / size[0])
    backdrop = paint_backdrop(level, rng, size)
    sprites = [paint_sprite(item.look, sprite_side(item.motion, size)) for item in scene.objects]
    frames = render_frames(level, scene, sprites, backdrop, rng, size, length, EXPOSURES)
    owners = [owner_map(scene, time, size) for time in level.frame_times(length)]
    return Clip(frames, object_tracks(owners, [item.look.class_id for item in scene.objects], index + 1))


def write_shapes(
    folder: Path,
    level: ShapesLevel,
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
        seed: of the data set.
        counts: split -> number of clips.
        size: (height, width) in pixels.
        length: frames of a clip.
        on_progress: called with clips done and all clips.

    Returns:
        The object tracks of all splits, in the order of `counts`; category ids count from 1.
    """
    categories = tuple(Category(number, name) for number, name in enumerate(CATEGORY_NAMES, start=1))
    return write_clips(
        folder,
        lambda split, index: generate_clip(level, seed, split, index, size, length),
        counts,
        categories,
        on_progress,
    )
