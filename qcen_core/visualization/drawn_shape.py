"""What is measured on one instance before it is drawn: its box, its centre, and where its head is."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from qcen_core.ops.mask_window import MaskWindow, window_of
from qcen_core.records import BoolArray, Box, Float64Array


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """An instance, measured.

    Attributes:
        window: its mask in pixels of the frame, or `None` where only a box is known.
        box: `x1 y1 x2 y2` in pixels of the drawn picture.
        centre: x and y of its centre of mass, or of its box, in pixels of the drawn picture.
        head: x of the middle of the uppermost eighth of the mask, or of the box, in pixels of the drawn picture.
    """

    window: MaskWindow | None
    box: Box
    centre: tuple[float, float]
    head: float

    @property
    def area(self) -> float:
        """Of the box, in pixels of the drawn picture."""
        return (self.box[2] - self.box[0]) * (self.box[3] - self.box[1])


def shape_of(
    mask: BoolArray | MaskWindow | None, box: Box | None, frame_size: tuple[int, int], scale: float
) -> Shape | None:
    """Measure an instance.

    Args:
        mask: (H, W) bool, or a window of it, or `None` where only a box is known.
        box: `x1 y1 x2 y2` in pixels of the frame, or `None` for that of the mask.
        frame_size: height and width of the frame in pixels.
        scale: by which the frame is enlarged.

    Returns:
        What was measured, or `None` where there is nothing to draw.

    Raises:
        ValueError: a mask that does not fit the frame.
    """
    if mask is None:
        if box is None:
            return None
        x1, y1, x2, y2 = (value * scale for value in box)
        return Shape(None, (x1, y1, x2, y2), ((x1 + x2) / 2, (y1 + y2) / 2), (x1 + x2) / 2)
    window = _fitted(mask, frame_size)
    if window is None:
        return None
    height, width = window.pixels.shape
    part = np.ascontiguousarray(window.pixels)
    rows, columns = _sums(part, axis=1), _sums(part, axis=0)
    # The highest pixel of a mask jumps from frame to frame; the uppermost eighth does not.
    upper = _sums(part[: max(round(height / 8), 1)], axis=0)
    x1, y1, x2, y2 = box or (window.left, window.top, window.left + width, window.top + height)
    return Shape(
        replace(window, pixels=part),
        (x1 * scale, y1 * scale, x2 * scale, y2 * scale),
        ((window.left + _middle(columns)) * scale, (window.top + _middle(rows)) * scale),
        (window.left + _middle(upper)) * scale,
    )


def label_anchor(shape: Shape, label_width: int, boxes: bool) -> Box:
    """The box that a label is placed by: where no box is drawn, the label is centred over the head of the mask."""
    if boxes or shape.window is None:
        return shape.box
    return shape.head - label_width / 2, shape.box[1], shape.head + label_width / 2, shape.box[3]


def _fitted(mask: BoolArray | MaskWindow, frame_size: tuple[int, int]) -> MaskWindow | None:
    """The tight window of a mask given either way."""
    if isinstance(mask, MaskWindow):
        size, window = (mask.height, mask.width), window_of(mask.pixels, mask.left, mask.top, frame_size)
    else:
        size, window = mask.shape, window_of(mask)
    if size != frame_size:
        raise ValueError(f"mask {size} does not fit the frame {frame_size}")
    return window


def _sums(part: BoolArray, axis: int) -> Float64Array:
    sums = cv2.reduce(part.view(np.uint8), axis, cv2.REDUCE_SUM, dtype=cv2.CV_32S)
    return np.asarray(sums, dtype=np.float64).ravel()


def _middle(weights: Float64Array) -> float:
    """Mean of the places of all weights, each half a pixel behind its index."""
    return float(np.arange(len(weights)) @ weights / weights.sum()) + 0.5
