from dataclasses import replace

import cv2
import numpy as np
import pytest

from qcen_core.conversion.made.clip_render import SPRITE_HALF, render_frame
from qcen_core.conversion.made.clip_scene import Motion, Scene, SceneObject
from qcen_core.conversion.made.shapes_render import covers, owner_map, paint_backdrop, paint_sprite, texture
from qcen_core.conversion.made.shapes_scene import CATEGORY_NAMES, LEVELS, Look, draw_shapes

SIZE = (61, 101)


def outline(name):
    """The shape's corners from its geometry, apart from how the project draws it."""
    turns = 2 * np.pi * np.arange(10) / 10
    match name:
        case "square":
            return np.array([(-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8)])
        case "triangle":  # equilateral around an incircle of 0.55, flat side at the top
            half = 0.55 * np.sqrt(3)
            return np.array([(-half, -0.55), (half, -0.55), (0.0, 1.1)])
        case "star":
            radius = np.where(np.arange(10) % 2 == 0, 1.06, 0.55)
            return np.stack([radius * np.sin(turns), -radius * np.cos(turns)], axis=1)
        case "cross":
            a, b = 0.4, 0.98
            quarter = np.array([(a, -b), (a, -a), (b, -a)])
            rotation = np.array([[0.0, 1.0], [-1.0, 0.0]])
            return np.concatenate([quarter @ np.linalg.matrix_power(rotation, i) for i in range(4)])


@pytest.mark.parametrize("name", CATEGORY_NAMES)
def test_shapes_agree_with_their_outlines(name):
    rng = np.random.default_rng(3)
    points = rng.uniform(-1.2, 1.2, (1500, 2))
    inside = covers(CATEGORY_NAMES.index(name), points[:, 0], points[:, 1])
    if name == "circle":
        expected = np.hypot(*points.T) <= 0.92
    else:
        corners = (outline(name) * 2**16).astype(np.float32)
        distances = [cv2.pointPolygonTest(corners, (float(x), float(y)), True) for x, y in points * 2**16]
        expected = np.array(distances) > 0
        clear = np.abs(distances) > 100
        inside, expected = inside[clear], expected[clear]
    assert 0.1 < expected.mean() < 0.6
    np.testing.assert_array_equal(inside, expected)


def test_textures_tell_categories_apart_and_repeat_within_the_object():
    axis = np.linspace(-0.6, 0.6, 101, dtype=np.float32)
    u, v = np.meshgrid(axis, axis)
    patterns = [texture(i, u, v, 0.48) for i in range(len(CATEGORY_NAMES))]
    for i, pattern in enumerate(patterns):
        for other in patterns[i + 1 :]:
            assert (pattern != other).mean() > 0.15
    stripes = patterns[CATEGORY_NAMES.index("triangle")][:, 0]
    assert np.count_nonzero(stripes[1:] != stripes[:-1]) >= 4


def still(x, y, radius, angle):
    nothing = (0.0, 0.0)
    return Motion((x, y), nothing, nothing, nothing, nothing, 0.0, 0.0, radius, 0.0, angle, 0.0)


def draw(scene):
    level = replace(LEVELS["easy"], clutter=0)
    backdrop = paint_backdrop(level, np.random.default_rng(5), SIZE)
    sprites = [paint_sprite(i.look, int(4 * SPRITE_HALF * i.motion.radius * SIZE[0])) for i in scene.objects]
    return render_frame(scene, sprites, backdrop, [0.0], SIZE)


@pytest.mark.parametrize("class_id", range(len(CATEGORY_NAMES)))
def test_pixels_show_the_object_where_the_mask_says(class_id):
    look = Look(class_id, (0.9, 0.1, 0.1), (0.6, 0.05, 0.05), 0.5)
    empty = Scene((), still(0, 0, 1, 0))
    scene = replace(empty, objects=(SceneObject(look, still(0.71, 0.43, 0.27, 0.6)),))
    changed = np.abs(draw(scene) - draw(empty)).max(axis=2)
    mask = (owner_map(scene, 0.0, SIZE) == 0).astype(np.uint8)
    kernel = np.ones((3, 3), np.uint8)
    assert mask.sum() > 400
    assert changed[cv2.erode(mask, kernel) == 1].min() > 40
    assert changed[cv2.dilate(mask, kernel) == 0].max() < 5
    # On the edge a pixel is a blend; more than half of it belongs to the object that covers its centre, or nearly.
    assert abs(int((changed > 60).sum()) - int(mask.sum())) < 0.12 * mask.sum()


def test_the_top_most_object_owns_the_pixel():
    look = Look(CATEGORY_NAMES.index("circle"), (0.9, 0.1, 0.1), (0.9, 0.1, 0.1), 0.5)
    low, high = SceneObject(look, still(0.5, 0.5, 0.3, 0)), SceneObject(look, still(0.8, 0.5, 0.3, 0))
    owner = owner_map(Scene((low, high), still(0, 0, 1, 0)), 0.0, SIZE)
    height, width = SIZE
    for row in range(height):
        for column in range(width):
            x, y = (column + 0.5) / height, (row + 0.5) / height
            inside = [np.hypot(x - cx, y - 0.5) <= 0.92 * 0.3 for cx in (0.5, 0.8)]
            expected = 1 if inside[1] else 0 if inside[0] else -1
            assert owner[row, column] == expected


def test_background_is_of_low_saturation():
    for seed in range(5):
        backdrop = paint_backdrop(LEVELS["hard"], np.random.default_rng(seed), SIZE)
        saturation = cv2.cvtColor(backdrop / 255, cv2.COLOR_RGB2HSV)[..., 1]
        assert np.quantile(saturation, 0.99) < 0.35


def test_backdrop_is_larger_than_the_camera_moves():
    camera = draw_shapes(LEVELS["hard"], np.random.default_rng(0), 1.5).camera
    assert max(camera.reach) + 0.05 < 0.3


def test_an_object_outside_the_frame_changes_nothing():
    look = Look(0, (0.9, 0.1, 0.1), (0.9, 0.1, 0.1), 0.5)
    empty = Scene((), still(0, 0, 1, 0))
    away = replace(empty, objects=(SceneObject(look, still(-0.6, 0.5, 0.2, 0)),))
    np.testing.assert_array_equal(draw(away), draw(empty))
    assert (owner_map(away, 0.0, SIZE) == -1).all()
