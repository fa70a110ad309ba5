"""Instances drawn over their frame: translucent masks, smooth outlines, legible labels."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from qcen_core.records import BoolArray, Box
from qcen_core.visualization.label_layout import Place, place_labels
from qcen_core.visualization.lettering import blend, draw_chip, draw_text, fit_text, text_width
from qcen_core.visualization.mask_drawing import draw_outline, soft_mask
from qcen_core.visualization.palette import INK, PAPER, Color, text_color, track_color


@dataclass(frozen=True, slots=True)
class DrawnInstance:
    """One instance in one frame, as a person shall see it.

    Attributes:
        track_id: chooses the colour and stands in the label as `#id`.
        name: name of the class.
        score: confidence 0 to 1; `None` (ground truth) leaves it out of the label.
        mask: (H, W) bool, or `None` where only a box is known.
        box: `x1 y1 x2 y2` in pixels; `None` takes the box of the mask.
    """

    track_id: int
    name: str
    score: float | None = None
    mask: BoolArray | None = None
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
        alpha: opacity of the masks, 0 to 1.
        min_height: a lower frame is enlarged to this height in pixels, so that text is legible.
    """

    masks: bool = True
    contours: bool = True
    boxes: bool = False
    labels: bool = True
    ids: bool = True
    alpha: float = 0.4
    min_height: int = 480


DEFAULT_STYLE = OverlayStyle()


@dataclass(frozen=True, slots=True)
class _Shape:
    """An instance at the drawn size: soft mask inside a window, contours and box in pixels of the picture."""

    color: Color
    label: str
    box: Box
    window: tuple[int, int]
    coverage: NDArray[np.float32] | None


def overlay_size(height: int, width: int, style: OverlayStyle = DEFAULT_STYLE) -> tuple[int, int]:
    """Height and width of the picture that `draw_overlay` makes of a frame; a video writer needs them up front."""
    scale = max(1.0, style.min_height / height)
    return round(height * scale), round(width * scale)


def draw_overlay(
    image: NDArray[np.uint8], instances: Sequence[DrawnInstance], style: OverlayStyle = DEFAULT_STYLE
) -> NDArray[np.uint8]:
    """Draw instances over a frame.

    Args:
        image: (H, W, 3) uint8, RGB; left as it is.
        instances: what to draw, in any order; small ones come out on top of large ones. One with neither mask nor
            box, or with an empty mask, is not drawn.
        style: what is drawn, and how.

    Returns:
        (H', W', 3) uint8, RGB, of size `overlay_size(H, W, style)`.

    Raises:
        ValueError: a mask of another size than the frame.
    """
    height, width = overlay_size(image.shape[0], image.shape[1], style)
    scale = height / image.shape[0]
    canvas = image.copy() if scale == 1 else cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC)
    canvas = np.ascontiguousarray(canvas, dtype=np.uint8)
    candidates = (_shape(instance, image.shape[:2], scale, style.ids) for instance in instances)
    shapes = [shape for shape in candidates if shape is not None]
    shapes.sort(key=lambda shape: (shape.box[2] - shape.box[0]) * (shape.box[3] - shape.box[1]), reverse=True)
    line = max(1.0, min(height, width) / 300)
    if style.masks:
        for shape in shapes:
            if shape.coverage is not None:
                blend(canvas, shape.coverage * style.alpha, shape.window[0], shape.window[1], shape.color)
    for shape in shapes:
        if style.contours and shape.coverage is not None:
            draw_outline(canvas, shape.coverage, shape.window, shape.color, line, scale)
        if style.boxes or shape.coverage is None:
            _draw_box(canvas, shape, line)
    if style.labels:
        _draw_labels(canvas, shapes, style.boxes)
    return canvas


def side_by_side(
    left: NDArray[np.uint8],
    right: NDArray[np.uint8],
    titles: tuple[str, str] = ("ground truth", "prediction"),
) -> NDArray[np.uint8]:
    """Two pictures of one height beside each other, each under its title.

    Args:
        left: (H, W, 3) uint8, RGB.
        right: (H, W', 3) uint8, RGB.
        titles: what stands above them.

    Returns:
        (H + bar, W + gap + W', 3) uint8, RGB.

    Raises:
        ValueError: pictures of different height.
    """
    if left.shape[0] != right.shape[0]:
        raise ValueError(f"heights differ: {left.shape[0]} and {right.shape[0]}")
    height = left.shape[0]
    size = max(14, round(height / 28))
    bar, gap = round(size * 2.1), max(4, round(height / 90))
    canvas = np.empty((height + bar, left.shape[1] + gap + right.shape[1], 3), dtype=np.uint8)
    canvas[:] = INK
    for picture, title, start in zip((left, right), titles, (0, left.shape[1] + gap), strict=True):
        canvas[bar:, start : start + picture.shape[1]] = picture
        shown = fit_text(title, size, picture.shape[1] - size)
        draw_text(canvas, shown, start + size // 2, bar // 2, size, PAPER)
    return canvas


def _shape(instance: DrawnInstance, frame_size: tuple[int, ...], scale: float, ids: bool) -> _Shape | None:
    label = f"{instance.name} #{instance.track_id}" if ids else instance.name
    if instance.score is not None:
        label += f"  {instance.score:.2f}"
    color = track_color(instance.track_id)
    if instance.mask is None:
        if instance.box is None:
            return None
        x1, y1, x2, y2 = (value * scale for value in instance.box)
        return _Shape(color, label, (x1, y1, x2, y2), (0, 0), None)
    if instance.mask.shape != frame_size:
        raise ValueError(f"mask {instance.mask.shape} of {label} does not fit the frame {frame_size}")
    rows, columns = np.flatnonzero(instance.mask.any(1)), np.flatnonzero(instance.mask.any(0))
    if rows.size == 0:
        return None
    y1, x1, y2, x2 = int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1
    window, coverage = soft_mask(instance.mask, (x1, y1, x2, y2), scale)
    box = instance.box or (x1, y1, x2, y2)
    return _Shape(color, label, (box[0] * scale, box[1] * scale, box[2] * scale, box[3] * scale), window, coverage)


def _draw_box(canvas: NDArray[np.uint8], shape: _Shape, line: float) -> None:
    x1, y1, x2, y2 = shape.box
    # Half-open borders: the line stays inside the box.
    corners = (round(x1), round(y1)), (max(round(x2) - 1, round(x1)), max(round(y2) - 1, round(y1)))
    core = max(round(line), 2)
    for color, thickness in ((INK, core + 2), (shape.color, core)):
        cv2.rectangle(canvas, corners[0], corners[1], color, thickness, cv2.LINE_AA)


def _draw_labels(canvas: NDArray[np.uint8], shapes: Sequence[_Shape], boxes: bool) -> None:
    height, width = canvas.shape[:2]
    size = max(13, round(min(height, width) / 34))
    padding = round(size * 0.42)
    chip_height = round(size * 1.5)
    texts = [fit_text(shape.label, size, width - 2 * padding) for shape in shapes]
    sizes = [(chip_height, text_width(text, size) + 2 * padding) for text in texts]
    anchors = [shape.box if boxes else _top_of_mask(shape, size[1]) for shape, size in zip(shapes, sizes, strict=True)]
    places: list[Place] = place_labels(anchors, sizes, (height, width))
    for shape, text, place in zip(shapes, texts, places, strict=True):
        draw_chip(canvas, place, size * 0.32, shape.color, opacity=0.94)
        draw_text(canvas, text, place[0] + padding, (place[1] + place[3]) // 2, size, text_color(shape.color))


def _top_of_mask(shape: _Shape, label_width: int) -> Box:
    """The box that a label is placed by: where no box is drawn, the label is centred over the top of the mask.

    The top is the uppermost eighth, not the highest pixel, which jumps from frame to frame.
    """
    _, y1, _, y2 = shape.box
    if shape.coverage is None:
        return shape.box
    rows = max(round(y1 + (y2 - y1) / 8) - shape.window[1], 1)
    weights = shape.coverage[:rows].sum(0)
    if weights.sum() == 0:
        return shape.box
    centre = shape.window[0] + float(np.average(np.arange(len(weights)) + 0.5, weights=weights))
    return centre - label_width / 2, y1, centre + label_width / 2, y2
