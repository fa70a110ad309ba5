import cv2
import numpy as np
import pytest

from qcen_core.conversion.made.clip_render import SPRITE_HALF
from qcen_core.conversion.made.cutouts_objects import SMALLEST_SIDE, Cutout, cut_out, paint_cutout, worth_cutting

HEIGHT, WIDTH = 211, 307
NOISE = np.random.default_rng(4).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)


def rectangle(left, top, right, bottom):
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top:bottom, left:right] = True
    return mask


WHOLE = rectangle(60, 50, 140, 120)


def ring():
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    return cv2.circle(mask, (100, 100), 60, 1, 9).astype(bool)


def diagonal():
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    return cv2.line(mask, (30, 30), (150, 150), 1, 25).astype(bool)


def test_a_whole_object_is_worth_cutting():
    np.testing.assert_array_equal(worth_cutting(NOISE, WHOLE, []), WHOLE)


def test_only_the_largest_piece_is_cut():
    np.testing.assert_array_equal(worth_cutting(NOISE, WHOLE | rectangle(200, 20, 210, 40), []), WHOLE)


@pytest.mark.parametrize(
    "mask",
    [
        rectangle(0, 0, 0, 0),
        rectangle(60, 50, 60 + SMALLEST_SIDE - 1, 50 + SMALLEST_SIDE - 1),
        rectangle(0, 50, 80, 120),
        rectangle(60, 1, 140, 80),
        rectangle(WIDTH - 90, 50, WIDTH - 2, 120),
        rectangle(60, 150, 140, HEIGHT),
        WHOLE | rectangle(200, 50, 230, 90),
        ring(),
        diagonal(),
        rectangle(60, 50, 160, 80),
    ],
    ids=["empty", "small", "left", "top", "right", "bottom", "two pieces", "sparse", "slanting and long", "long"],
)
def test_what_is_not_worth_cutting(mask):
    assert worth_cutting(NOISE, mask, []) is None


def test_a_corner_on_the_border_is_no_harm():
    mask = cv2.fillPoly(np.zeros((HEIGHT, WIDTH), np.uint8), [np.array([(0, 90), (80, 40), (90, 150)])], 1).astype(bool)
    assert worth_cutting(NOISE, mask, []) is not None


def test_an_object_of_one_colour_is_left():
    flat = NOISE.copy()
    flat[WHOLE] = (3, 4, 5)
    assert worth_cutting(flat, WHOLE, []) is None


def test_an_object_that_borders_on_others_is_left():
    right, bottom = rectangle(140, 50, 190, 120), rectangle(60, 120, 140, 180)
    assert worth_cutting(NOISE, WHOLE, [right]) is not None  # a quarter of the outline, nearly
    assert worth_cutting(NOISE, WHOLE, [right, bottom]) is None
    assert worth_cutting(NOISE, WHOLE, [rectangle(180, 50, 230, 120), rectangle(60, 150, 140, 200)]) is not None


def test_a_cutout_shows_its_object_alone():
    pixels = np.full((HEIGHT, WIDTH, 3), (0, 0, 255), np.uint8)
    pixels[WHOLE] = (200, 50, 10)
    cut = cut_out(pixels, WHOLE, 18, 1000)
    assert cut.category_id == 18
    assert cut.rgba.shape == (70, 80, 4)
    alpha = cut.rgba[..., 3]
    assert (alpha[4:-4, 4:-4] == 255).all()
    assert 0 < alpha[0, 40] < 128 < alpha[2, 40]  # soft
    inner = alpha > 20
    assert np.abs(cut.rgba[inner][:, :3].astype(int) - (200, 50, 10)).max() <= 3  # no seam of the background


def test_a_large_cutout_shrinks():
    disc = cv2.circle(np.zeros((HEIGHT, WIDTH), np.uint8), (120, 100), 81, 1, -1).astype(bool)
    cut = cut_out(NOISE, disc, 1, 47)
    assert cut.rgba.shape[:2] == (47, 47)
    covered = (cut.rgba[..., 3] / 255).sum()
    assert abs(covered / (np.pi / 4 * 47**2) - 1) < 0.05


@pytest.mark.parametrize(("side", "shape"), [(71, (30, 53)), (130, (53, 30)), (44, (29, 31))])
def test_a_sprite_spans_the_diameter(side, shape):
    cutout = Cutout(1, np.full((*shape, 4), (80, 120, 40, 255), np.uint8))
    sprite = paint_cutout(cutout, side, mirrored=False, brightness=1.0)
    assert sprite.shape == (side, side, 4)
    assert sprite.dtype == np.float32
    rows, columns = np.flatnonzero(sprite[..., 3].any(axis=1)), np.flatnonzero(sprite[..., 3].any(axis=0))
    diameter = side / SPRITE_HALF
    for found, extent in ((rows, shape[0]), (columns, shape[1])):
        assert abs(len(found) - diameter * extent / max(shape)) <= 1
        assert abs((found[0] + found[-1] + 1) / 2 - side / 2) <= 1
    inside = sprite[..., 3] == 1
    np.testing.assert_allclose(sprite[inside][:, :3], np.broadcast_to((80, 120, 40), (inside.sum(), 3)), atol=0.1)


def test_mirrored_and_brighter():
    rgba = np.random.default_rng(1).integers(0, 200, (37, 41, 4), np.uint8)
    plain = paint_cutout(Cutout(1, rgba), 53, mirrored=False, brightness=1.0)
    mirrored = paint_cutout(Cutout(1, np.ascontiguousarray(rgba[:, ::-1])), 53, mirrored=True, brightness=1.0)
    np.testing.assert_allclose(plain, mirrored, atol=1e-3)
    brighter = paint_cutout(Cutout(1, rgba), 53, mirrored=False, brightness=1.2)
    np.testing.assert_allclose(brighter[..., :3], plain[..., :3] * 1.2, rtol=1e-4, atol=1e-3)
    np.testing.assert_array_equal(brighter[..., 3], plain[..., 3])
    bright = paint_cutout(Cutout(1, np.full_like(rgba, 255)), 53, mirrored=False, brightness=1.2)
    assert bright.max() <= 255
