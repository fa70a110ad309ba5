"""Backgrounds for cut-outs: the parts of images that show nothing annotated."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from qcen_core.conversion.made.clip_render import SUPERSAMPLING
from qcen_core.records import BoolArray

BACKGROUND_MARGIN = 0.2  # in short sides of the frame; more than the camera ever moves
MOST_COVERED = 0.002  # share of a window that may show something annotated
MOST_WINDOWS = 3  # of one image
SMALLEST_DETAIL = 1.0  # pixels of the image for one of the frame; a smaller window would be a blur
SHRINKING = 0.85  # from one size of window to the next
STEPS = 12  # places of windows along a side
LEAST_CONTRAST = 6.0  # standard deviation of grey levels; less is a blank wall or sky
GROWTH = 7  # pixels that annotations are widened by in all, for they end at or within the object's outline


@dataclass(frozen=True, slots=True)
class Window:
    """A part of an image, in whole pixels, half-open."""

    left: int
    top: int
    right: int
    bottom: int


def backdrop_size(size: tuple[int, int]) -> tuple[int, int]:
    """(height, width) of the backdrop of frames of a (height, width), supersampled and with a margin on each side."""
    margin = 2 * BACKGROUND_MARGIN * min(size)
    height, width = (int(np.ceil(SUPERSAMPLING * (side + margin))) for side in size)
    return height, width


def clear_windows(masks: Sequence[BoolArray], shape: tuple[int, int], size: tuple[int, int]) -> list[Window]:
    """The windows of an image that can serve as background.

    A window shows next to nothing of any annotated object or crowd. Objects that nobody annotated remain: those of
    categories that the set does not have, and those that its annotators passed over.

    Args:
        masks: of all annotations of the image, crowds included, each (H, W) bool.
        shape: (H, W) of the image.
        size: (height, width) of the frames.

    Returns:
        At most `MOST_WINDOWS`, the largest first, none of which overlaps another by much.
    """
    covered = np.zeros(shape, np.uint8)
    for mask in masks:
        covered |= mask.astype(np.uint8)
    total = cv2.integral(cv2.dilate(covered, np.ones((GROWTH, GROWTH), np.uint8)))
    needed_height, needed_width = (side / SUPERSAMPLING * SMALLEST_DETAIL for side in backdrop_size(size))
    scale = min(shape[0] / needed_height, shape[1] / needed_width)
    chosen: list[Window] = []
    while scale >= 1 and len(chosen) < MOST_WINDOWS:
        height, width = int(needed_height * scale), int(needed_width * scale)
        tops = np.unique(np.linspace(0, shape[0] - height, STEPS).astype(int))[:, None]
        lefts = np.unique(np.linspace(0, shape[1] - width, STEPS).astype(int))[None]
        bottoms, rights = tops + height, lefts + width
        shares = (total[bottoms, rights] - total[tops, rights] - total[bottoms, lefts] + total[tops, lefts]) / (
            height * width
        )
        for place in np.argsort(shares, axis=None, kind="stable"):
            row, column = np.unravel_index(place, shares.shape)
            if shares[row, column] > MOST_COVERED:
                break
            left, top = int(lefts[0, column]), int(tops[row, 0])
            window = Window(left, top, left + width, top + height)
            if len(chosen) < MOST_WINDOWS and all(_overlap(window, other) < 0.3 for other in chosen):
                chosen.append(window)
        scale *= SHRINKING
    return chosen


def _overlap(a: Window, b: Window) -> float:
    """The shared area as a share of the smaller window."""
    width = min(a.right, b.right) - max(a.left, b.left)
    height = min(a.bottom, b.bottom) - max(a.top, b.top)
    smaller = min((w.right - w.left) * (w.bottom - w.top) for w in (a, b))
    return max(0, width) * max(0, height) / smaller


def cut_background(pixels: NDArray[np.uint8], window: Window, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A window of an image, scaled to the backdrop of frames of a size, (H', W', 3) uint8."""
    part = pixels[window.top : window.bottom, window.left : window.right]
    height, width = backdrop_size(size)
    interpolation = cv2.INTER_AREA if part.shape[0] > height else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(part, (width, height), interpolation=interpolation), dtype=np.uint8)


def is_blank(background: NDArray[np.uint8]) -> bool:
    """Whether a background, (H', W', 3) uint8, shows nothing at all, so that every object on it stands alone."""
    return bool(cv2.cvtColor(background, cv2.COLOR_RGB2GRAY).std() < LEAST_CONTRAST)
