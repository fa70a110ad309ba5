"""Drawing one mask: enlarged without stairs, with a smooth edge and a smooth outline."""

import cv2
import numpy as np
from numpy.typing import NDArray

from qcen_core.records import BoolArray
from qcen_core.visualization.lettering import blend
from qcen_core.visualization.palette import INK, Color

_FRACTION_BITS = 4  # lines are drawn to a sixteenth of a pixel
_SEAM_OPACITY = 0.45


def soft_mask(
    mask: BoolArray, box: tuple[int, int, int, int], scale: float
) -> tuple[tuple[int, int], NDArray[np.float32]]:
    """Enlarge the part of a mask inside its box, with rounded stairs and a smooth edge.

    Args:
        mask: (H, W) bool.
        box: left, top, right, bottom of all its pixels, half-open.
        scale: factor of enlargement, at least 1.

    Returns:
        Left and top of the window in the enlarged picture, and its (h, w) float32 coverage.
    """
    margin = 3
    x1, y1, x2, y2 = box
    left, top = max(x1 - margin, 0), max(y1 - margin, 0)
    part = mask[top : y2 + margin, left : x2 + margin].astype(np.float32)
    # Window borders are moved to whole pixels of the enlarged picture by resampling with an exact affine map.
    start_x, start_y = int(np.floor(left * scale)), int(np.floor(top * scale))
    width = int(np.ceil((left + part.shape[1]) * scale)) - start_x
    height = int(np.ceil((top + part.shape[0]) * scale)) - start_y
    shift_x, shift_y = left * scale - start_x, top * scale - start_y
    centre = (scale - 1) / 2
    affine = np.array([[scale, 0, centre + shift_x], [0, scale, centre + shift_y]])
    large = cv2.warpAffine(part, affine, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    sigma = 0.7 * scale
    soft = cv2.GaussianBlur(large, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    # A straight edge blurred by sigma has this inverse slope: steepened by it, the edge is one pixel wide.
    slope = sigma * np.sqrt(2 * np.pi)
    return (start_x, start_y), np.clip((soft - 0.5) * slope + 0.5, 0, 1).astype(np.float32)


def draw_outline(
    canvas: NDArray[np.uint8],
    coverage: NDArray[np.float32],
    window: tuple[int, int],
    color: Color,
    line: float,
    scale: float,
) -> None:
    """Draw the outline of a mask; a dark seam sets it off on a ground of its own colour.

    Args:
        canvas: (H, W, 3) uint8, changed in place.
        coverage: (h, w) float32, as `soft_mask` makes it.
        window: left and top of the coverage in the canvas.
        color: of the line.
        line: its thickness in pixels.
        scale: by which the mask was enlarged; stairs of this size are smoothed.
    """
    inside = np.pad((coverage > 0.5).astype(np.uint8), 1)
    contours, _ = cv2.findContours(inside, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    # The region is a little larger than the window: half of the line lies outside of the mask.
    margin = int(np.ceil(line)) + 2
    (left, top), (height, width) = window, coverage.shape
    x1, y1 = max(left - margin, 0), max(top - margin, 0)
    region = canvas[y1 : top + height + margin, x1 : left + width + margin]
    offset = np.array([left - x1 - 1, top - y1 - 1])
    reach = round(2 * scale)
    points = [_smoothed(contour[:, 0, :] + offset, reach) for contour in contours]
    fixed_point = [np.rint(line_points * 2**_FRACTION_BITS).astype(np.int32) for line_points in points]
    seam = np.zeros(region.shape[:2], np.uint8)
    cv2.polylines(seam, fixed_point, True, 255, round(line * 1.25) + 1, cv2.LINE_AA, _FRACTION_BITS)
    blend(region, seam.astype(np.float32) * (_SEAM_OPACITY / 255), 0, 0, INK)
    cv2.polylines(region, fixed_point, True, color, round(line), cv2.LINE_AA, _FRACTION_BITS)


def _smoothed(points: NDArray[np.int64], reach: int) -> NDArray[np.float64]:
    """A closed line of pixel steps as a smooth one: the mean over `reach` neighbours on either side."""
    reach = min(reach, len(points) // 8)
    neighbours = np.stack([np.roll(points, step, axis=0) for step in range(-reach, reach + 1)])
    return np.asarray(neighbours.mean(axis=0), dtype=np.float64)
