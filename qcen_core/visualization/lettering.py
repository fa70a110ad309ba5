"""Text in pictures: measured, cut to fit, and set on rounded chips."""

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from qcen_core.visualization.layers import Layer
from qcen_core.visualization.palette import Color, text_color

ELLIPSIS = "…"
_CHIP_OPACITY = 0.94


@lru_cache(maxsize=32)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


@lru_cache(maxsize=256)
def text_width(text: str, size: int) -> int:
    """Width of one line of text in pixels, for a font size in pixels."""
    return int(np.ceil(_font(size).getlength(text)))


def fit_text(text: str, size: int, width: int) -> str:
    """The text, cut at its end with an ellipsis if it is wider than `width` pixels."""
    if text_width(text, size) <= width:
        return text
    while text and text_width(text + ELLIPSIS, size) > width:
        text = text[:-1].rstrip()
    return text + ELLIPSIS


def draw_text(image: NDArray[np.uint8], text: str, left: int, middle: int, size: int, color: Color) -> None:
    """Write one line of text into a picture.

    Args:
        image: (H, W, 3) uint8, changed in place.
        text: one line.
        left: pixel column where the text begins.
        middle: pixel row that the text is centred on.
        size: font size in pixels.
        color: of the letters.
    """
    coverage = _text_coverage(text, size, 0, text_width(text, size) + 2, size * 2)
    blend(image, coverage, left, middle - size, color)


def chip_size(text: str, size: int) -> tuple[int, int]:
    """Height and width in pixels of the chip that a text stands on.

    All digits count as wide as the widest one, so that a number that changes does not change the chip.
    """
    wide = max("0123456789", key=lambda digit: text_width(digit, size))
    counted = "".join(wide if letter.isdigit() else letter for letter in text)
    return round(size * 1.5), text_width(counted, size) + 2 * _padding(size)


@lru_cache(maxsize=64)
def text_chip(text: str, size: int, color: Color) -> Layer:
    """One line of text on a rounded chip, ready to be laid over a picture.

    Args:
        text: one line.
        size: font size in pixels.
        color: of the chip; the letters are dark or light, whichever reads better.

    Returns:
        A layer of `chip_size(text, size)`; treat it as read-only.
    """
    height, width = chip_size(text, size)
    chip = _CHIP_OPACITY * _rounded(height, width, size * 0.32)[..., None]
    letters = _text_coverage(text, size, _padding(size), width, height)[..., None]
    keep = (1 - chip) * (1 - letters)
    add = chip * (1 - letters) * np.array(color) + letters * np.array(text_color(color))
    return Layer(np.rint(np.repeat(keep, 3, axis=2) * 255).astype(np.uint8), np.rint(add).astype(np.uint8))


def _padding(size: int) -> int:
    return round(size * 0.42)


def _text_coverage(text: str, size: int, left: int, width: int, height: int) -> NDArray[np.float32]:
    """A line of text, 0 to 1, in the middle of (height, width) and `left` pixels from the border."""
    canvas = Image.new("L", (width, height))
    # "lm": anchored at its left end and the middle between the highest and the lowest letter of the font.
    ImageDraw.Draw(canvas).text((left, height / 2), text, fill=255, font=_font(size), anchor="lm")
    return np.asarray(np.asarray(canvas) / 255, dtype=np.float32)


def draw_chip(
    image: NDArray[np.uint8],
    place: tuple[int, int, int, int],
    radius: float,
    color: Color,
    opacity: float = 1.0,
) -> None:
    """Draw a filled rectangle with round, smooth corners.

    Args:
        image: (H, W, 3) uint8, changed in place.
        place: left, top, right, bottom in pixels, half-open.
        radius: of the corners, in pixels.
        color: of the filling.
        opacity: 0 to 1.
    """
    left, top, right, bottom = place
    blend(image, _rounded(bottom - top, right - left, radius) * opacity, left, top, color)


def _rounded(height: int, width: int, radius: float) -> NDArray[np.float32]:
    """Share of a rectangle with round corners in every pixel, 0 to 1."""
    radius = min(radius, height / 2, width / 2)
    rows = np.abs(np.arange(height) + 0.5 - height / 2)[:, None] - (height / 2 - radius)
    columns = np.abs(np.arange(width) + 0.5 - width / 2)[None, :] - (width / 2 - radius)
    # Distance to the rounded outline, negative inside: half a pixel around it is the smooth edge.
    outside = np.hypot(np.maximum(rows, 0), np.maximum(columns, 0)) + np.minimum(np.maximum(rows, columns), 0)
    return np.asarray(np.clip(radius - outside + 0.5, 0, 1), dtype=np.float32)


def blend(image: NDArray[np.uint8], coverage: NDArray[np.floating[Any]], left: int, top: int, color: Color) -> None:
    """Mix a colour into a picture.

    Args:
        image: (H, W, 3) uint8, changed in place.
        coverage: (h, w) floats, share of the colour in each pixel, 0 to 1.
        left: column of the coverage's first column; may lie outside, as may all the rest.
        top: row of the coverage's first row.
        color: the colour.
    """
    height, width = coverage.shape
    y1, x1 = max(top, 0), max(left, 0)
    y2, x2 = min(top + height, image.shape[0]), min(left + width, image.shape[1])
    if y1 >= y2 or x1 >= x2:
        return
    share = np.ascontiguousarray(coverage[y1 - top : y2 - top, x1 - left : x2 - left], dtype=np.float32)
    region = image[y1:y2, x1:x2]
    region[:] = cv2.blendLinear(region, np.full_like(region, color), 1 - share, share)
