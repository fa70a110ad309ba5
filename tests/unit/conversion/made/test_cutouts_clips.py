from dataclasses import replace

import numpy as np
import pytest

from qcen_core.conversion.made.clip_render import SPRITE_HALF, exposure_times, render_frame, sprite_owners
from qcen_core.conversion.made.clip_scene import Motion, Scene, SceneObject, draw_scene
from qcen_core.conversion.made.clips import MIN_VISIBLE_PIXELS
from qcen_core.conversion.made.cutouts import LEVEL, generate_clip, largest_cutout
from qcen_core.conversion.made.cutouts_backgrounds import backdrop_size
from qcen_core.conversion.made.cutouts_material import Material
from qcen_core.conversion.made.cutouts_objects import Cutout
from qcen_core.ops import rle

SIZE = (47, 73)
ASPECT = SIZE[1] / SIZE[0]
CLASS_OF = {18: 0, 3: 1}


def still(x, y, radius, angle):
    nothing = (0.0, 0.0)
    return Motion((x, y), nothing, nothing, nothing, nothing, 0.0, 0.0, radius, 0.0, angle, 0.0)


def material(count=7):
    """Cut-outs of plain colours, each another one, over grey; every other one has a corner cut away."""
    cutouts = []
    for i in range(count):
        rgba = np.zeros((53 + i, 61, 4), np.uint8)
        rgba[..., :3] = (30 * i, 200 - 20 * i, 90)
        rgba[..., 3] = 255
        if i % 2:
            rgba[:20, :30, 3] = 0
        cutouts.append(Cutout((18, 3)[i % 2], rgba))
    background = np.full((*backdrop_size(SIZE), 3), 230, np.uint8)
    return Material(tuple(cutouts), (background,), 0)


def clip(seed=0, split="train", index=0, length=5, level=LEVEL):
    return generate_clip(level, material(), CLASS_OF, seed, split, index, SIZE, length)


def covers_half(sprite, motion, x, y):
    """Whether a sprite covers more than half at a point of the frame: bilinear, written out."""
    pose = motion.pose(0.0)
    unit, side = min(SIZE), len(sprite)
    dx, dy = x - pose.x * unit, y - pose.y * unit
    scale = side / (2 * SPRITE_HALF * pose.radius * unit)
    u = (np.cos(pose.angle) * dx + np.sin(pose.angle) * dy) * scale + side / 2 - 0.5
    v = (-np.sin(pose.angle) * dx + np.cos(pose.angle) * dy) * scale + side / 2 - 0.5
    total = 0.0
    for row in (int(np.floor(v)), int(np.floor(v)) + 1):
        for column in (int(np.floor(u)), int(np.floor(u)) + 1):
            if 0 <= row < side and 0 <= column < side:
                total += (1 - abs(v - row)) * (1 - abs(u - column)) * sprite[row, column, 3]
    return total


def test_the_top_most_object_owns_the_pixel():
    rng = np.random.default_rng(3)
    sprites, objects = [], []
    for i in range(3):
        sprite = np.zeros((67, 67, 4), np.float32)
        sprite[9 + i : 55, 11 : 50 + i, 3] = 1
        sprite[20:30, 20 : 25 + 5 * i, 3] = 0
        sprites.append(sprite)
        objects.append(SceneObject(None, still(*rng.uniform(0.2, 1.0, 2), rng.uniform(0.2, 0.5), rng.uniform(-1, 1))))
    scene = Scene(tuple(objects), still(0, 0, 1, 0))
    owner = sprite_owners(scene, sprites, 0.0, SIZE)
    assert set(np.unique(owner)) == {-1, 0, 1, 2}
    unclear = 0
    for row in range(SIZE[0]):
        for column in range(SIZE[1]):
            cover = [covers_half(s, o.motion, column + 0.5, row + 0.5) for s, o in zip(sprites, objects, strict=True)]
            if min(abs(c - 0.5) for c in cover) < 0.04:  # the warp works in steps of 1/32 pixel
                unclear += 1
                continue
            expected = max((i for i, c in enumerate(cover) if c > 0.5), default=-1)
            assert owner[row, column] == expected
    assert unclear < 0.05 * owner.size


def test_pixels_show_the_object_where_the_mask_says():
    level = replace(LEVEL, noise=0.0, shutter=0.0, brightness=0.0)
    colours = np.array([cutout.rgba[-1, -1, :3] for cutout in material().cutouts], float)
    for index in range(6):
        made = clip(index=index, level=level, length=3)
        for frame in range(3):
            image, owner = made.frames[frame].astype(float), np.full(SIZE, -1)
            for i, track in enumerate(made.tracks):
                if track.segmentations[frame] is not None:
                    owner[rle.decode(track.segmentations[frame])] = i
            # Of every pixel, the nearest known colour; at borders between two it may be either.
            known = np.concatenate([colours, [[230, 230, 230]]])
            nearest = np.abs(image[:, :, None] - known).sum(axis=-1).argmin(axis=-1)
            wrong = 0
            for i, track in enumerate(made.tracks):
                shown = nearest[owner == i]
                if shown.size:
                    values, counts = np.unique(shown, return_counts=True)
                    most = values[counts.argmax()]
                    assert most < len(colours)
                    assert (18, 3)[most % 2] == {v: k for k, v in CLASS_OF.items()}[track.class_id]
                    wrong += (shown != most).sum()
            wrong += (nearest[owner == -1] != len(colours)).sum()
            assert wrong < 0.06 * owner.size


def test_same_arguments_same_clip_and_a_longer_one_begins_alike():
    first, second, long = clip(length=4), clip(length=4), clip(length=7)
    np.testing.assert_array_equal(first.frames, second.frames)
    assert first.tracks == second.tracks
    np.testing.assert_array_equal(first.frames, long.frames[:4])


@pytest.mark.parametrize("other", [{"seed": 1}, {"split": "holdout"}, {"index": 1}])
def test_other_arguments_other_clip(other):
    assert clip().tracks != clip(**other).tracks


def test_masks_and_boxes_fit_together():
    for index in range(8):
        made = clip(index=index)
        assert [track.id for track in made.tracks] == list(range(1, len(made.tracks) + 1))
        for frame in range(5):
            covered = np.zeros(SIZE, int)
            for track in made.tracks:
                assert (track.boxes[frame] is None) == (track.segmentations[frame] is None)
                if track.boxes[frame] is None:
                    continue
                mask = rle.decode(track.segmentations[frame])
                ys, xs = np.nonzero(mask)
                assert len(ys) >= MIN_VISIBLE_PIXELS
                assert track.boxes[frame] == (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
                covered += mask
            assert covered.max() <= 1


def scenes(level, count, kinds=11):
    return [draw_scene(level, np.random.default_rng([2, i]), ASPECT, kinds, lambda k, _: k) for i in range(count)]


def test_objects_are_what_the_level_says():
    drawn = scenes(LEVEL, 300)
    assert {len(scene.objects) for scene in drawn} == {2, 3, 4}
    motions = [item.motion for scene in drawn for item in scene.objects]
    diameters = [2 * motion.radius for motion in motions]
    assert LEVEL.diameter[0] <= min(diameters) < 0.32
    assert 0.53 < max(diameters) <= LEVEL.diameter[1]
    turns = [abs(np.degrees(motion.pose(11).angle - motion.pose(0).angle)) for motion in motions]
    assert 14 < max(turns) <= 15.001
    assert max(abs(motion.angle) for motion in motions) < np.radians(10)
    chances = sum(len(scene.objects) - 1 for scene in drawn)
    twins = sum(len(scene.objects) - len({item.look for item in scene.objects}) for scene in drawn)
    assert abs(twins / chances - LEVEL.twin_share) < 0.06


def test_the_camera_never_leaves_the_background():
    height, width = backdrop_size(SIZE)
    for scene in scenes(LEVEL, 40):
        for time in range(0, 200, 3):
            pose = scene.camera.pose(time)
            for place, side, whole in ((pose.x, SIZE[1], width), (pose.y, SIZE[0], height)):
                half = side / pose.radius  # twice as fine, so half a side is a side
                middle = whole / 2 + place * 2 * min(SIZE)
                assert middle - half >= 0
                assert middle + half <= whole


def test_cutouts_are_kept_as_large_as_they_are_shown():
    assert largest_cutout(LEVEL, SIZE) == np.ceil(0.55 * 47 * 2)


def test_a_frame_is_the_mean_of_its_moments():
    scene = Scene(
        (SceneObject(None, replace(still(0.7, 0.5, 0.3, 0), reach=(0.2, 0), rate=(0.9, 0))),), still(0, 0, 1, 0)
    )
    sprite = np.ones((41, 41, 4), np.float32) * np.float32([250, 20, 30, 1])
    backdrop = np.zeros((*backdrop_size(SIZE), 3), np.float32)
    times = exposure_times(2.0, 0.6, 3)
    assert times == pytest.approx([1.8, 2.0, 2.2])
    assert exposure_times(2.0, 0.0, 3) == [2.0]
    moments = [render_frame(scene, [sprite], backdrop, [time], SIZE) for time in times]
    mean = render_frame(scene, [sprite], backdrop, times, SIZE)
    np.testing.assert_allclose(mean, np.mean(moments, axis=0), atol=1e-3)
