"""Instances drawn over their frame: translucent masks, smooth outlines, legible labels."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from qcen_core.ops.mask_window import MaskWindow
from qcen_core.records import BoolArray, Box
from qcen_core.visualization.drawn_shape import Shape, label_anchor, shape_of
from qcen_core.visualization.label_layout import Place, place_labels
from qcen_core.visualization.layers import lay_over
from qcen_core.visualization.lettering import chip_size, fit_text, text_chip, text_width
from qcen_core.visualization.mask_drawing import MaskPaint, draw_mask
from qcen_core.visualization.palette import INK, Color, track_color


@dataclass(frozen=True, slots=True)
class DrawnInstance:
    """One instance in one frame, as a person shall see it.

    Attributes:
        track_id: chooses the colour and stands in the label as `#id`.
        name: name of the class.
        score: confidence 0 to 1; `None` (ground truth) leaves it out of the label.
        mask: (H, W) bool, or a window of it, which is quicker to draw, or `None` where only a box is known.
        box: `x1 y1 x2 y2` in pixels; `None` takes the box of the mask.
    """

    track_id: int
    name: str
    score: float | None = None
    mask: BoolArray | MaskWindow | None = None
    box: Box | None = None


@dataclass(frozen=True, slots=True)
class OverlayStyle:
    """What is drawn, and how.

    Attributes:
        masks: fill the masks.
        contours: draw the outlines of the masks.
        boxes: draw boxes also where there is a mask; an instance without a mask always shows its box.
        labels: write class, track and score.
        ids: write the track in the label; off where identities are not known.
        scores: write the score in the label, where there is one.
        trails: draw the way that each object came; in videos only.
        alpha: opacity of the masks, 0 to 1.
        min_height: a lower frame is enlarged to this height in pixels, so that text is legible.
    """

    masks: bool = True
    contours: bool = True
    boxes: bool = False
    labels: bool = True
    ids: bool = True
    scores: bool = True
    trails: bool = False
    alpha: float = 0.4
    min_height: int = 480


DEFAULT_STYLE = OverlayStyle()


def overlay_size(height: int, width: int, style: OverlayStyle = DEFAULT_STYLE) -> tuple[int, int]:
    """Height and width of the picture that is made of a frame; a video writer needs them up front."""
    scale = max(1.0, style.min_height / height)
    return round(height * scale), round(width * scale)


def draw_overlay(
    image: NDArray[np.uint8], instances: Sequence[DrawnInstance], style: OverlayStyle = DEFAULT_STYLE
) -> NDArray[np.uint8]:
    """Draw instances over a single picture; `OverlayPainter` draws those of a video.

    Args:
        image: (H, W, 3) uint8, RGB; left as it is.
        instances: what to draw, in any order; small ones come out on top of large ones. One with neither mask nor
            box, or with an empty mask, is not drawn.
        style: what is drawn, and how.

    Returns:
        (H', W', 3) uint8, RGB, of size `overlay_size(H, W, style)`.

    Raises:
        ValueError: a mask that does not fit the frame.
    """
    canvas, scale = enlarged_copy(image, style)
    shown = measured(instances, (image.shape[0], image.shape[1]), scale)
    shown.sort(key=lambda pair: pair[1].area, reverse=True)
    for instance, shape in shown:
        paint_shape(canvas, shape, track_color(instance.track_id), style, scale)
    if style.labels:
        height, width = canvas.shape[:2]
        size = letter_size(height, width)
        texts = [label_text(instance, instance.score, style, size, width) for instance, _ in shown]
        sizes = [chip_size(text, size) for text in texts]
        anchors = [label_anchor(shape, size[1], style.boxes) for (_, shape), size in zip(shown, sizes, strict=True)]
        places: list[Place] = place_labels(anchors, sizes, (height, width))
        for (instance, _), text, place in zip(shown, texts, places, strict=True):
            lay_over(canvas, text_chip(text, size, track_color(instance.track_id)), place[0], place[1])
    return canvas


def enlarged_copy(image: NDArray[np.uint8], style: OverlayStyle) -> tuple[NDArray[np.uint8], float]:
    """A copy of a frame to draw on, at least `min_height` high, and the factor it was enlarged by."""
    height, width = overlay_size(image.shape[0], image.shape[1], style)
    scale = height / image.shape[0]
    canvas = image.copy() if scale == 1 else cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(canvas, dtype=np.uint8), scale


def measured(
    instances: Sequence[DrawnInstance], frame_size: tuple[int, int], scale: float
) -> list[tuple[DrawnInstance, Shape]]:
    """The instances that there is something to draw of, each with its shape at the drawn size.

    Args:
        instances: of one frame.
        frame_size: height and width of the frame in pixels.
        scale: by which it is enlarged.

    Raises:
        ValueError: a mask that does not fit the frame.
    """
    pairs = ((instance, shape_of(instance.mask, instance.box, frame_size, scale)) for instance in instances)
    return [(instance, shape) for instance, shape in pairs if shape is not None]


def line_width(canvas: NDArray[np.uint8]) -> float:
    """Thickness of outlines in pixels, for a picture (H, W, 3)."""
    return 1.2 + float(min(canvas.shape[0], canvas.shape[1])) / 300


def letter_size(height: int, width: int) -> int:
    """Font size of labels in pixels, for a picture of this size."""
    return max(13, round(min(height, width) / 34))


def label_text(instance: DrawnInstance, score: float | None, style: OverlayStyle, size: int, width: int) -> str:
    """The label of an instance: `class #id 0.87`; a long name of a class is cut.

    Args:
        instance: that is labelled.
        score: that is shown.
        style: tells what stands in the label.
        size: font size in pixels.
        width: of the picture in pixels, which the label must fit.
    """
    rest = f" #{instance.track_id}" if style.ids else ""
    if style.scores and score is not None:
        rest += f"  {score:.2f}"  # one space reads as part of the number, as in "#1 0.87"
    return fit_text(instance.name, size, width - text_width(rest, size) - 2 * size) + rest


def paint_shape(canvas: NDArray[np.uint8], shape: Shape, color: Color, style: OverlayStyle, scale: float) -> None:
    """Draw mask, outline and box of one instance.

    Args:
        canvas: (H', W', 3) uint8, the frame enlarged; changed in place.
        shape: of the instance.
        color: of its track.
        style: what is drawn.
        scale: by which the frame was enlarged.
    """
    line = line_width(canvas)
    if shape.window is not None and (style.masks or style.contours):
        paint = MaskPaint(style.alpha if style.masks else 0.0, line if style.contours else 0.0, scale)
        draw_mask(canvas, shape.window, color, paint)
    if style.boxes or shape.window is None:
        _draw_box(canvas, shape.box, color, line)


def _draw_box(canvas: NDArray[np.uint8], box: Box, color: Color, line: float) -> None:
    x1, y1, x2, y2 = box
    # Half-open borders: the line stays inside the box.
    corners = (round(x1), round(y1)), (max(round(x2) - 1, round(x1)), max(round(y2) - 1, round(y1)))
    core = max(round(0.7 * line), 2)
    for shade, thickness in ((INK, core + 2), (color, core)):
        cv2.rectangle(canvas, corners[0], corners[1], shade, thickness)
