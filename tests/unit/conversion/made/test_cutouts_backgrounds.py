import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qcen_core.conversion.made.cutouts_backgrounds import (
    MOST_COVERED,
    MOST_WINDOWS,
    Window,
    backdrop_size,
    clear_windows,
    cut_background,
    is_blank,
)

SHAPE = (211, 307)
SIZE = (47, 61)


def rectangle(left, top, right, bottom):
    mask = np.zeros(SHAPE, bool)
    mask[top:bottom, left:right] = True
    return mask


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.integers(0, 290), st.integers(0, 200), st.integers(1, 200), st.integers(1, 150)), max_size=4)
)
def test_windows_are_clear_inside_and_of_the_right_form(parts):
    masks = [rectangle(x, y, x + w, y + h) for x, y, w, h in parts]
    covered = np.any(masks, axis=0) if masks else np.zeros(SHAPE, bool)
    windows = clear_windows(masks, SHAPE, SIZE)
    assert len(windows) <= MOST_WINDOWS
    height, width = backdrop_size(SIZE)
    for window in windows:
        assert 0 <= window.left < window.right <= SHAPE[1]
        assert 0 <= window.top < window.bottom <= SHAPE[0]
        shown = (window.bottom - window.top, window.right - window.left)
        assert abs(shown[1] / shown[0] - width / height) < 0.03
        assert shown[0] + 1 >= height / 2  # at least a pixel of the image for one of the frame
        assert covered[window.top : window.bottom, window.left : window.right].mean() <= MOST_COVERED
    areas = [(w.right - w.left) * (w.bottom - w.top) for w in windows]
    assert areas == sorted(areas, reverse=True)


def test_a_clear_image_is_used_at_its_full_size():
    window = clear_windows([], SHAPE, SIZE)[0]
    # 47 x 61 with a fifth of 47 on each side, twice as fine: 132 x 160, and 211 / 132 * 160 = 255.8.
    assert (window.bottom - window.top, window.right - window.left) == (211, 255)


def test_the_clear_side_is_found_and_a_full_image_has_none():
    assert all(window.left >= 150 for window in clear_windows([rectangle(0, 0, 150, 211)], SHAPE, SIZE))
    assert clear_windows([rectangle(0, 0, 150, 211)], SHAPE, SIZE)
    assert clear_windows([rectangle(100, 0, 250, 211)], SHAPE, SIZE)
    assert not clear_windows([rectangle(0, 0, 307, 211)], SHAPE, SIZE)
    assert not clear_windows([], (30, 40), SIZE)


def test_one_stray_pixel_in_the_middle_is_widened():
    dots = np.zeros(SHAPE, bool)
    dots[::23, ::29] = True  # far less than the limit by themselves
    assert not clear_windows([dots], SHAPE, SIZE)


@pytest.mark.parametrize("window", [Window(3, 5, 113, 90), Window(0, 0, 264, 211)])
def test_a_background_shows_its_window(window):
    ys, xs = np.mgrid[: SHAPE[0], : SHAPE[1]]
    pixels = np.stack([xs * 255 // SHAPE[1], ys * 255 // SHAPE[0], np.full(SHAPE, 7)], axis=-1).astype(np.uint8)
    background = cut_background(pixels, window, SIZE)
    assert background.shape == (*backdrop_size(SIZE), 3)
    middle = pixels[(window.top + window.bottom) // 2, (window.left + window.right) // 2].astype(int)
    assert np.abs(background[background.shape[0] // 2, background.shape[1] // 2] - middle).max() <= 3
    assert np.abs(background[1, 1].astype(int) - pixels[window.top + 1, window.left + 1]).max() <= 3


def test_blank():
    rng = np.random.default_rng(0)
    assert is_blank(np.full((20, 30, 3), (90, 130, 200), np.uint8))
    assert not is_blank(rng.integers(0, 255, (20, 30, 3), np.uint8))
