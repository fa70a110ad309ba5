"""Layers of paint in whole numbers: what they keep of the picture below, and what they add to it."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """Paint on a window of a picture.

    Attributes:
        keep: (h, w, 3) uint8, share of the picture that stays, 255 for all of it.
        add: (h, w, 3) uint8, colour that is added, already multiplied with its own share.
    """

    keep: NDArray[np.uint8]
    add: NDArray[np.uint8]


def lay_over(canvas: NDArray[np.uint8], layer: Layer, left: int, top: int) -> None:
    """Paint a layer over a picture.

    Args:
        canvas: (H, W, 3) uint8, changed in place.
        layer: the paint.
        left: column of its first column in the canvas; may lie outside, as may all the rest.
        top: row of its first row.
    """
    height, width = layer.keep.shape[:2]
    y1, x1 = max(top, 0), max(left, 0)
    y2, x2 = min(top + height, canvas.shape[0]), min(left + width, canvas.shape[1])
    if y1 >= y2 or x1 >= x2:
        return
    region = canvas[y1:y2, x1:x2]
    inside = slice(y1 - top, y2 - top), slice(x1 - left, x2 - left)
    cv2.multiply(region, layer.keep[inside], dst=region, scale=1 / 255)
    cv2.add(region, layer.add[inside], dst=region)
