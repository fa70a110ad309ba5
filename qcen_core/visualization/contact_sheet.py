"""Many frames on one picture: contact sheets of data sets and film strips of videos."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from qcen_core.ops.mask_window import MaskWindow
from qcen_core.records import BoolArray, Box
from qcen_core.visualization.lettering import ELLIPSIS, draw_text, fit_text, text_width
from qcen_core.visualization.overlay import DEFAULT_STYLE, DrawnInstance, OverlayStyle, draw_overlay
from qcen_core.visualization.palette import PAPER, Color

_GROUND: Color = (24, 24, 27)
_MOUNT: Color = (39, 39, 42)
_FAINT: Color = (161, 161, 170)


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """One picture of a sheet.

    Attributes:
        image: (H, W, 3) uint8, RGB.
        caption: first line under the picture.
        detail: what follows the caption, fainter.
        instances: drawn over the picture after it has been scaled, so that lines and labels stay crisp.
    """

    image: NDArray[np.uint8]
    caption: str = ""
    detail: str = ""
    instances: tuple[DrawnInstance, ...] = ()


def contact_sheet(
    thumbnails: Sequence[Thumbnail],
    *,
    title: str = "",
    columns: int | None = None,
    cell_width: int = 400,
    style: OverlayStyle = DEFAULT_STYLE,
) -> NDArray[np.uint8]:
    """Lay pictures out in rows, each with its caption.

    Pictures keep their shape; all cells are alike, shaped as most of the pictures are.

    Args:
        thumbnails: at least one, in reading order.
        title: heading of the sheet.
        columns: cells in a row; by default such that the sheet comes out a little wider than high.
        cell_width: pixels.
        style: how instances are drawn.

    Returns:
        (H, W, 3) uint8, RGB.

    Raises:
        ValueError: no picture at all.
    """
    if not thumbnails:
        raise ValueError("a contact sheet needs at least one picture")
    shape = float(np.median([item.image.shape[0] / item.image.shape[1] for item in thumbnails]))
    cell_height = round(cell_width * min(max(shape, 0.4), 1.6))
    columns = columns or _columns(len(thumbnails), cell_height / cell_width)
    columns = min(columns, len(thumbnails))
    rows = math.ceil(len(thumbnails) / columns)
    size = max(13, round(cell_width / 26))
    gap, margin = round(cell_width / 25), round(cell_width / 16)
    caption_height = round(size * 2) if any(item.caption or item.detail for item in thumbnails) else 0
    title_height = round(size * 3) if title else 0
    width = 2 * margin + columns * cell_width + (columns - 1) * gap
    height = 2 * margin + title_height + rows * (cell_height + caption_height) + (rows - 1) * gap
    sheet = np.full((height, width, 3), _GROUND, dtype=np.uint8)
    if title:
        large = round(size * 1.5)
        shown = fit_text(title, large, width - 2 * margin)
        draw_text(sheet, shown, margin, margin + round(size * 0.8), large, PAPER)
    for index, item in enumerate(thumbnails):
        row, column = divmod(index, columns)
        left = margin + column * (cell_width + gap)
        top = margin + title_height + row * (cell_height + caption_height + gap)
        sheet[top : top + cell_height, left : left + cell_width] = _mounted(item, cell_height, cell_width, style)
        _write_caption(sheet, item, left, top + cell_height + caption_height // 2, size, cell_width)
    return sheet


def _columns(count: int, cell_shape: float) -> int:
    """Columns that bring the whole sheet near four to three, without a ragged last row where that is cheap."""
    ideal = math.sqrt(count * cell_shape * 4 / 3)
    choices = [n for n in range(1, count + 1) if ideal * 0.6 <= n <= ideal * 1.5 + 1] or [1]
    return min(choices, key=lambda n: abs(math.log(n / ideal)) + 0.5 * ((-count) % n) / n)


def _mounted(item: Thumbnail, height: int, width: int, style: OverlayStyle) -> NDArray[np.uint8]:
    """A picture scaled into its cell, with its instances, on a mount where shapes differ."""
    scale = min(height / item.image.shape[0], width / item.image.shape[1])
    # A pixel of difference is rounding, not shape.
    fitted = [max(round(side * scale), 1) for side in item.image.shape[:2]]
    if abs(fitted[0] - height) <= 1 and abs(fitted[1] - width) <= 1:
        fitted = [height, width]
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    picture = cv2.resize(item.image, (fitted[1], fitted[0]), interpolation=method).astype(np.uint8, copy=False)
    ratio = (fitted[0] / item.image.shape[0], fitted[1] / item.image.shape[1])
    instances = [_scaled(instance, (fitted[0], fitted[1]), ratio) for instance in item.instances]
    drawn = draw_overlay(picture, instances, replace(style, min_height=1))
    cell = np.full((height, width, 3), _MOUNT, dtype=np.uint8)
    top, left = (height - fitted[0]) // 2, (width - fitted[1]) // 2
    cell[top : top + fitted[0], left : left + fitted[1]] = drawn
    return cell


def _scaled(instance: DrawnInstance, size: tuple[int, int], ratio: tuple[float, float]) -> DrawnInstance:
    box: Box | None = None
    if instance.box is not None:
        x1, y1, x2, y2 = instance.box
        box = (x1 * ratio[1], y1 * ratio[0], x2 * ratio[1], y2 * ratio[0])
    mask: BoolArray | None = None
    if instance.mask is not None:
        soft = cv2.resize(
            (instance.mask.full() if isinstance(instance.mask, MaskWindow) else instance.mask).astype(np.float32),
            (size[1], size[0]),
            interpolation=cv2.INTER_AREA if ratio[0] < 1 else cv2.INTER_LINEAR,
        )
        mask = soft >= 0.5
    return replace(instance, mask=mask, box=box)


def _write_caption(sheet: NDArray[np.uint8], item: Thumbnail, left: int, middle: int, size: int, width: int) -> None:
    caption = fit_text(item.caption, size, width)
    draw_text(sheet, caption, left, middle, size, PAPER)
    # The detail follows at the right end, if there is room for it.
    detail = fit_text(item.detail, size, width - text_width(caption, size) - size)
    if detail != ELLIPSIS:
        draw_text(sheet, detail, left + width - text_width(detail, size), middle, size, _FAINT)
