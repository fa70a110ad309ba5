"""Drawing one mask: enlarged without stairs, with a smooth edge and a smooth outline, in one pass.

The mask is blurred; the level of the blur tells how far a pixel is from the edge. One table from levels to paint
then holds all that is drawn: filling, outline and the dark seam that sets the outline off on its own colour.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from qcen_core.ops.mask_window import MaskWindow
from qcen_core.records import Float64Array
from qcen_core.visualization.layers import Layer, lay_over
from qcen_core.visualization.palette import INK, Color

_SEAM_OPACITY = 0.45


@dataclass(frozen=True, slots=True)
class MaskPaint:
    """How a mask is painted.

    Attributes:
        alpha: opacity of the filling, 0 to 1; 0 leaves it out.
        line: thickness of the outline in pixels of the picture; 0 leaves it out.
        scale: factor by which the frame is enlarged, at least 1.
    """

    alpha: float
    line: float
    scale: float = 1.0

    @property
    def reach(self) -> int:
        """Pixels on either side of the edge that the blur has to reach: all of the seam, and the stairs."""
        outline = math.ceil(_seam(self.line) / 2 + 0.5) if self.line else 0
        return max(outline, round(2.1 * self.scale - 1), 1)


def draw_mask(canvas: NDArray[np.uint8], window: MaskWindow, color: Color, paint: MaskPaint) -> None:
    """Draw one mask.

    Where a mask touches the border of the frame it goes on behind it: no line is drawn there.

    Args:
        canvas: (H', W', 3) uint8, the frame enlarged; changed in place.
        window: the mask in pixels of the frame, not empty.
        color: of filling and line.
        paint: what is drawn.
    """
    part, left, top = _with_margin(window, math.ceil(paint.reach / paint.scale) + 1)
    if paint.scale != 1:
        part, left, top = _enlarged(part, left, top, paint.scale)
    for radius in _box_radii(paint.reach):
        side = 2 * radius + 1
        part = np.asarray(cv2.blur(part, (side, side), borderType=cv2.BORDER_REPLICATE), dtype=np.uint8)
    keep, add = _tables(paint, color)
    kept = cv2.cvtColor(cv2.LUT(part, keep), cv2.COLOR_GRAY2RGB)
    added = cv2.applyColorMap(part, add)
    lay_over(canvas, Layer(np.asarray(kept, dtype=np.uint8), np.asarray(added, dtype=np.uint8)), left, top)


def _with_margin(window: MaskWindow, margin: int) -> tuple[NDArray[np.uint8], int, int]:
    """The window as 0 and 255, with a margin of zeros as far as the frame has room for it; its left and top."""
    height, width = window.pixels.shape
    left, top = max(window.left - margin, 0), max(window.top - margin, 0)
    right = min(window.left + width + margin, window.width)
    bottom = min(window.top + height + margin, window.height)
    part = np.zeros((bottom - top, right - left), dtype=np.uint8)
    y, x = window.top - top, window.left - left
    np.multiply(window.pixels.view(np.uint8), 255, out=part[y : y + height, x : x + width])
    return part, left, top


def _enlarged(part: NDArray[np.uint8], left: int, top: int, scale: float) -> tuple[NDArray[np.uint8], int, int]:
    """A part of the frame at the drawn size; its borders are moved to whole pixels by an exact affine map."""
    start_x, start_y = math.floor(left * scale), math.floor(top * scale)
    width = math.ceil((left + part.shape[1]) * scale) - start_x
    height = math.ceil((top + part.shape[0]) * scale) - start_y
    centre = (scale - 1) / 2
    affine = np.array([[scale, 0, centre + left * scale - start_x], [0, scale, centre + top * scale - start_y]])
    large = cv2.warpAffine(part, affine, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(large, dtype=np.uint8), start_x, start_y


def _box_radii(reach: int) -> list[int]:
    """Radii of up to three box blurs, together as wide as `reach`: nearly a Gaussian, at a tenth of its cost."""
    return [radius for radius in (reach // 3 + (index < reach % 3) for index in range(3)) if radius]


def _distances(paint: MaskPaint) -> Float64Array:
    """(256,) signed distance from a straight edge in pixels, positive inside, for every level of the blur."""
    kernel = np.ones(1)
    for radius in _box_radii(paint.reach):
        kernel = np.convolve(kernel, np.full(2 * radius + 1, 1 / (2 * radius + 1)))
    # Linear enlarging blurs by one more box, as wide as a pixel of the frame has become.
    wide = round(paint.scale)
    kernel = np.convolve(kernel, np.full(wide, 1 / wide))
    positions = np.arange(len(kernel)) - (len(kernel) - 1) / 2 + 0.5
    return np.asarray(np.interp(np.arange(256) / 255, np.cumsum(kernel), positions), dtype=np.float64)


@lru_cache(maxsize=64)
def _tables(paint: MaskPaint, color: Color) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """What stays of the picture, (256,), and the colour that is added, (256, 1, 3), for every level of the blur."""
    distance = _distances(paint)
    fill = paint.alpha * np.clip(distance + 0.5, 0, 1)
    beside = np.abs(distance)
    line = np.clip((paint.line + 1) / 2 - beside, 0, 1) if paint.line else np.zeros(256)
    seam = _SEAM_OPACITY * np.clip((_seam(paint.line) + 1) / 2 - beside, 0, 1) if paint.line else np.zeros(256)
    fill[0] = line[0] = seam[0] = 0
    keep = (1 - fill) * (1 - seam) * (1 - line)
    colored = fill * (1 - seam) * (1 - line) + line
    add = colored[:, None] * np.array(color) + (seam * (1 - line))[:, None] * np.array(INK)
    return np.rint(keep * 255).astype(np.uint8), np.rint(add).astype(np.uint8)[:, None, :]


def _seam(line: float) -> float:
    """Thickness of the seam under a line."""
    return 1.25 * line + 1
