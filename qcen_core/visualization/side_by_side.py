"""Two pictures beside each other, each under its title; cheap enough for every frame of a video."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from qcen_core.visualization.lettering import draw_text, fit_text
from qcen_core.visualization.palette import INK, PAPER


def side_by_side_size(height: int, left_width: int, right_width: int) -> tuple[int, int]:
    """Height and width of the picture that `side_by_side` makes, both even, as video files want them.

    Args:
        height: of both pictures in pixels.
        left_width: of the left picture.
        right_width: of the right picture.
    """
    bar, gap = _bar_and_gap(height, left_width + right_width)
    return bar + height, left_width + gap + right_width


def side_by_side(
    left: NDArray[np.uint8],
    right: NDArray[np.uint8],
    titles: tuple[str, str] = ("ground truth", "prediction"),
) -> NDArray[np.uint8]:
    """Two pictures of one height beside each other, each under its title.

    Args:
        left: (H, W, 3) uint8, RGB.
        right: (H, W', 3) uint8, RGB.
        titles: what stands above them, cut where there is no room.

    Returns:
        (H'', W'', 3) uint8, RGB, of size `side_by_side_size(H, W, W')`; the pictures are its last H rows.

    Raises:
        ValueError: pictures of different height.
    """
    if left.shape[0] != right.shape[0]:
        raise ValueError(f"heights differ: {left.shape[0]} and {right.shape[0]}")
    height, width = side_by_side_size(left.shape[0], left.shape[1], right.shape[1])
    bar = _title_bar(height - left.shape[0], width, _letter_size(left.shape[0]), right.shape[1], titles)
    canvas = np.empty((height, width, 3), dtype=np.uint8)
    canvas[: len(bar)] = bar
    canvas[len(bar) :, : left.shape[1]] = left
    canvas[len(bar) :, left.shape[1] : width - right.shape[1]] = INK
    canvas[len(bar) :, width - right.shape[1] :] = right
    return canvas


def _letter_size(height: int) -> int:
    return max(14, round(height / 28))


def _bar_and_gap(height: int, widths: int) -> tuple[int, int]:
    bar, gap = round(_letter_size(height) * 2.1), max(4, round(height / 90))
    return bar + (bar + height) % 2, gap + (gap + widths) % 2


@lru_cache(maxsize=4)
def _title_bar(height: int, width: int, size: int, right_width: int, titles: tuple[str, str]) -> NDArray[np.uint8]:
    """The strip above the pictures, drawn once for all frames of a video; read-only."""
    bar = np.empty((height, width, 3), dtype=np.uint8)
    bar[:] = INK
    for title, start, end in ((titles[0], 0, width - right_width), (titles[1], width - right_width, width)):
        draw_text(bar, fit_text(title, size, end - start - size), start + size // 2, height // 2, size, PAPER)
    bar.setflags(write=False)
    return bar
