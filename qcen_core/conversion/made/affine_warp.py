"""Pictures, masks and boxes under an affine map.

A map is (2, 3) float64 and leads from pixels of an image to pixels of a clip's frame, both continuous: the centre of
the first pixel is at (0.5, 0.5). OpenCV, which counts centres as whole numbers, is the matter of `warp_frame` alone.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from qcen_core.records import BoolArray, Float64Array


def warp_points(points: Float64Array, matrix: Float64Array) -> Float64Array:
    """Where points (..., 2), `x y`, are led to."""
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2])


def inverse_map(matrix: Float64Array) -> Float64Array:
    """The map (2, 3) that leads back."""
    linear = np.linalg.inv(matrix[:, :2])
    return np.column_stack([linear, -linear @ matrix[:, 2]])


def warp_frame(image: NDArray[np.uint8], matrix: Float64Array, size: tuple[int, int]) -> NDArray[np.uint8]:
    """The image under a map, without aliasing where it shrinks.

    Args:
        image: (H, W, 3) uint8.
        matrix: image pixels -> frame pixels.
        size: (height, width) of the frame.

    Returns:
        (height, width, 3) uint8; beyond the image its border pixels go on.
    """
    height, width = image.shape[:2]
    shrink = min(1.0, float(np.sqrt(abs(np.linalg.det(matrix[:, :2])))))
    # Averaged over areas first, so that the map itself neither shrinks nor, at a scale of 1, changes anything.
    small = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    if small != (width, height):
        image = cv2.resize(image, small, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    linear = matrix[:, :2] @ np.diag([width / small[0], height / small[1]])
    shift = matrix[:, 2] + linear @ np.array([0.5, 0.5]) - 0.5
    warped = cv2.warpAffine(
        image,
        np.column_stack([linear, shift]),
        (size[1], size[0]),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(warped, dtype=np.uint8)


def warp_mask(mask: BoolArray, matrix: Float64Array, size: tuple[int, int]) -> BoolArray:
    """The mask under a map: a pixel is set where its centre comes from a pixel that is set.

    Args:
        mask: (H, W) bool.
        matrix: image pixels -> frame pixels.
        size: (height, width) of the frame.

    Returns:
        (height, width) bool.
    """
    warped = np.zeros(size, np.bool_)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return warped
    # Only where the mask may be: most are small.
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    corners = warp_points(np.array([[left, top], [right, top], [left, bottom], [right, bottom]], np.float64), matrix)
    x1, y1 = (max(0, int(np.floor(low))) for low in corners.min(axis=0))
    x2, y2 = (min(side, int(np.ceil(high))) for side, high in zip((size[1], size[0]), corners.max(axis=0), strict=True))
    if x1 >= x2 or y1 >= y2:
        return warped
    centres = np.stack(np.meshgrid(np.arange(x1, x2) + 0.5, np.arange(y1, y2) + 0.5), axis=-1)
    source = np.floor(warp_points(centres, inverse_map(matrix))).astype(np.int64)
    x, y = source[..., 0], source[..., 1]
    inside = (x >= 0) & (y >= 0) & (x < mask.shape[1]) & (y < mask.shape[0])
    warped[y1:y2, x1:x2][inside] = mask[y[inside], x[inside]]
    return warped


def warp_boxes(boxes: Float64Array, matrix: Float64Array) -> Float64Array:
    """The boxes of objects under a map, where nothing is known of them but their boxes.

    An object is taken for the ellipse that touches its box: the box around a turned box would be too large for
    nearly every object that the box may hold.

    Args:
        boxes: (G, 4), `x1 y1 x2 y2` in the image.
        matrix: image pixels -> frame pixels.

    Returns:
        (G, 4), `x1 y1 x2 y2` in the frame, not clipped.
    """
    centres = warp_points((boxes[:, :2] + boxes[:, 2:]) / 2, matrix)
    # A linear map takes the unit circle's extent along an axis to the length of the map's row.
    reach = np.sqrt(((boxes[:, 2:] - boxes[:, :2]) / 2) ** 2 @ (matrix[:, :2] ** 2).T)
    return np.concatenate([centres - reach, centres + reach], axis=1)
