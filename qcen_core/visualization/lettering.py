"""Text in pictures: measured, cut to fit, and set on rounded chips."""

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from qcen_core.visualization.palette import Color

ELLIPSIS = "…"


@lru_cache(maxsize=32)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


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
    height, width = size * 2, text_width(text, size) + 2
    canvas = Image.new("L", (width, height))
    # "lm": anchored at its left end and the middle between the highest and the lowest letter of the font.
    ImageDraw.Draw(canvas).text((0, height / 2), text, fill=255, font=_font(size), anchor="lm")
    blend(image, np.asarray(canvas, dtype=np.float32) / 255, left, middle - height // 2, color)


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
    half_height, half_width = (bottom - top) / 2, (right - left) / 2
    radius = min(radius, half_height, half_width)
    rows = np.abs(np.arange(bottom - top) + 0.5 - half_height)[:, None] - (half_height - radius)
    columns = np.abs(np.arange(right - left) + 0.5 - half_width)[None, :] - (half_width - radius)
    # Distance to the rounded outline, negative inside: half a pixel around it is the smooth edge.
    outside = np.hypot(np.maximum(rows, 0), np.maximum(columns, 0)) + np.minimum(np.maximum(rows, columns), 0)
    coverage = np.clip(radius - outside + 0.5, 0, 1).astype(np.float32)
    blend(image, coverage * opacity, left, top, color)


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
