"""Masks in compressed COCO run-length form; the only file that touches pycocotools.

A mask's runs are counted down the columns, starting with background. All pixel counts are exact.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from qcen_core.ops.rle_measure import measure_masks
from qcen_core.records import BoolArray, Box, Rle


def encode(mask: BoolArray) -> Rle:
    """Compress a mask.

    Args:
        mask: (H, W) bool.

    Raises:
        ValueError: the array is not two-dimensional.
    """
    if mask.ndim != 2:
        raise ValueError(f"a mask is (H, W), not {mask.shape}")
    return _from_coco(coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8)))


def decode(rle: Rle) -> BoolArray:
    """The mask as (H, W) bool.

    Raises:
        ValueError: the runs do not fill the mask's size.
    """
    height, width = rle["size"]
    measured = measure_masks([rle["counts"]], height, width)
    if not measured.sound[0]:
        raise ValueError(f"the runs do not fill a mask of {height} x {width}")
    # Not pycocotools: its decoder warns under numpy 2.
    lengths = np.diff(measured.ends, prepend=0)
    columns = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths).reshape(width, height)
    return np.ascontiguousarray(columns.T)


def area(rle: Rle) -> int:
    """Number of foreground pixels."""
    return int(coco_mask.area(rle))


def bounding_box(rle: Rle) -> Box | None:
    """The smallest box around the mask, `x1 y1 x2 y2` half-open, or `None` where no pixel is set."""
    x, y, width, height = coco_mask.toBbox(rle).tolist()
    return (x, y, x + width, y + height) if width and height else None


def from_polygons(polygons: Sequence[Sequence[float]], height: int, width: int) -> Rle:
    """The union of polygons, rasterised as COCO does.

    Args:
        polygons: each is `x y x y ...` in pixels, three corners or more.
        height: of the mask.
        width: of the mask.

    Raises:
        ValueError: no polygon, fewer than three corners, an odd number of coordinates, or absurd ones.
    """
    if not polygons:
        raise ValueError("there is no polygon")
    for polygon in polygons:
        # pycocotools would read four numbers as a box, without a word.
        if len(polygon) < 6 or len(polygon) % 2:
            raise ValueError(f"a polygon needs three or more pairs of coordinates, not {len(polygon)} numbers")
        if not all(-1e6 < coordinate < 1e6 for coordinate in polygon):
            raise ValueError("a polygon's coordinates are not pixels")
    # One at a time, so that the number of coordinates is never taken for another form.
    parts = [coco_mask.frPyObjects([[float(v) for v in polygon]], height, width)[0] for polygon in polygons]
    return _from_coco(coco_mask.merge(parts))


def from_counts(counts: Sequence[int], height: int, width: int) -> Rle:
    """A mask from uncompressed run lengths.

    Args:
        counts: lengths of runs down the columns, background first.
        height: of the mask.
        width: of the mask.

    Raises:
        ValueError: a run is negative, or the runs do not fill height x width.
    """
    if min(counts, default=0) < 0 or sum(counts) != height * width:
        raise ValueError(f"the runs do not fill a mask of {height} x {width}")
    return _from_coco(coco_mask.frPyObjects({"size": [height, width], "counts": list(counts)}, height, width))


def _from_coco(coco: dict[str, Any]) -> Rle:
    height, width = coco["size"]
    return Rle(size=[int(height), int(width)], counts=coco["counts"].decode("ascii"))
