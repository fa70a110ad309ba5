"""Objects cut out of images along their true masks: which are worth it, and their sprites."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from qcen_core.conversion.made.clip_render import SPRITE_HALF
from qcen_core.records import BoolArray, FloatArray

SMALLEST_SIDE = 50  # pixels along the longer side; a smaller object has no detail to show
MOST_BORDER = 0.05  # share of the longer side that may lie on the image's border
SMALLEST_PIECE = 0.9  # share of the mask that its largest piece must hold
LEAST_SOLID = 0.55  # share of its convex hull that an object must fill
MOST_STRETCHED = 3.0  # length over breadth
MOST_TOUCHED = 0.25  # share of the outline that may border on other objects
LEAST_CONTRAST = 16.0  # standard deviation of an object's grey levels; less is a silhouette or a smudge
BORDER = 3  # pixels; annotators seldom draw to the very last one


@dataclass(frozen=True, slots=True)
class Cutout:
    """An object out of an image.

    Attributes:
        category_id: as in its annotation file.
        rgba: (H, W, 4) uint8: RGB and coverage, 255 for inside; tight around the object, the longer side at most
            as large as was asked for.
    """

    category_id: int
    rgba: NDArray[np.uint8]


def worth_cutting(pixels: NDArray[np.uint8], mask: BoolArray, others: Sequence[BoolArray]) -> BoolArray | None:
    """The part of an object's mask to cut out, if the object is shown large, whole and clearly.

    Left out are objects that are small, cut by the image's border, in several pieces, sparse, stretched or of one
    colour, and those of which much of the outline borders on other annotated objects: one of the two hides the other.
    What hides an object without being annotated goes unnoticed.

    Args:
        pixels: (H, W, 3) uint8, RGB.
        mask: (H, W) bool.
        others: masks of all other annotations of the image, each (H, W) bool.

    Returns:
        The largest piece of the mask, (H, W) bool, or `None`.
    """
    piece = _whole_piece(mask)
    if piece is None or _is_odd(piece) or _is_touched(mask, others):
        return None
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[piece]
    return None if grey.std() < LEAST_CONTRAST else piece


def _whole_piece(mask: BoolArray) -> BoolArray | None:
    """The largest piece of a mask, if it is large, nearly all of it, and inside the image."""
    if not mask.any() or _longer_side(mask) < SMALLEST_SIDE:
        return None
    strips = ((mask[:BORDER], 0), (mask[-BORDER:], 0), (mask[:, :BORDER], 1), (mask[:, -BORDER:], 1))
    on_border = max(int(np.count_nonzero(strip.any(axis=axis))) for strip, axis in strips)
    if on_border > MOST_BORDER * _longer_side(mask):
        return None
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    areas = stats[1:, cv2.CC_STAT_AREA]
    piece: BoolArray = labels == 1 + int(np.argmax(areas))
    return piece if areas.max() >= SMALLEST_PIECE * areas.sum() else None


def _is_odd(piece: BoolArray) -> bool:
    """Whether a form is sparse or stretched."""
    outline = np.concatenate(cv2.findContours(piece.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0])
    breadth, length = sorted(cv2.minAreaRect(outline)[1])
    hull = cv2.contourArea(cv2.convexHull(outline))
    return bool(piece.sum() < LEAST_SOLID * hull or length > MOST_STRETCHED * breadth)


def _is_touched(mask: BoolArray, others: Sequence[BoolArray]) -> bool:
    """Whether much of an outline borders on other objects."""
    side = 2 * max(2, round(0.03 * _longer_side(mask))) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    ring = cv2.dilate(mask.astype(np.uint8), kernel).astype(np.bool_) & ~mask
    touched = np.zeros_like(ring)
    for other in others:
        touched |= ring & other
    return bool(touched.sum() > MOST_TOUCHED * ring.sum())


def _longer_side(mask: BoolArray) -> int:
    return max(int(np.ptp(np.flatnonzero(mask.any(axis=axis)))) + 1 for axis in (0, 1))


def cut_out(pixels: NDArray[np.uint8], mask: BoolArray, category_id: int, longest: int) -> Cutout:
    """Cuts an object out, with a soft edge, and shrinks it to the largest size at which it is shown.

    Args:
        pixels: (H, W, 3) uint8, RGB.
        mask: (H, W) bool, where the object is.
        category_id: as in its annotation file.
        longest: the longer side afterwards, in pixels; smaller objects keep their size.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    # Outlines are drawn a little outside of the object, and would carry a seam of its old background along.
    inside = cv2.erode(np.pad(mask[part].astype(np.float32), 1), np.ones((3, 3), np.uint8))
    alpha = np.asarray(cv2.GaussianBlur(inside, (0, 0), 0.7), dtype=np.float32)[1:-1, 1:-1, None]
    rgba = np.concatenate([pixels[part].astype(np.float32) * alpha, 255 * alpha], axis=-1)
    scale = longest / max(rgba.shape[:2])
    if scale < 1:
        rgba = _resize(rgba, scale)
    # Colour without coverage, so that the rounding of faint pixels costs no colour.
    rgba[..., :3] *= 255 / np.maximum(rgba[..., 3:], 1)
    return Cutout(category_id, np.clip(np.rint(rgba), 0, 255).astype(np.uint8))


def paint_cutout(cutout: Cutout, side: int, *, mirrored: bool, brightness: float) -> FloatArray:
    """The sprite of a cut-out: its longer side is the object's diameter.

    Args:
        cutout: what to show.
        side: pixels along one side of the sprite; they span 2 * `SPRITE_HALF` radii.
        mirrored: show it from left to right.
        brightness: factor of all colours.

    Returns:
        (side, side, 4) float32: RGB 0 to 255 multiplied by coverage, and coverage 0 to 1.
    """
    rgba = cutout.rgba.astype(np.float32)
    alpha = rgba[..., 3:] / 255
    rgba = np.concatenate([np.minimum(rgba[..., :3] * brightness, 255) * alpha, alpha], axis=-1)
    rgba = _resize(rgba, side / SPRITE_HALF / max(rgba.shape[:2]))
    if mirrored:
        rgba = rgba[:, ::-1]
    sprite = np.zeros((side, side, 4), np.float32)
    top, left = ((side - extent) // 2 for extent in rgba.shape[:2])
    sprite[top : top + rgba.shape[0], left : left + rgba.shape[1]] = rgba
    return sprite


def _resize(rgba: FloatArray, scale: float) -> FloatArray:
    height, width = (max(1, round(extent * scale)) for extent in rgba.shape[:2])
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(rgba, (width, height), interpolation=interpolation), dtype=np.float32)
