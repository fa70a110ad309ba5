"""Shapes of CVAT's XML as boxes.

By CVAT's documentation of the format: a `box` has corners `xtl ytl xbr ybr` in pixels and may be turned by `rotation`
degrees, clockwise, about its centre; `points` of a polygon are `x,y` pairs between semicolons; an ellipse has a centre
and two radii; a mask tells the rectangle of pixels that its run lengths fill.
"""

import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from qcen_core.conversion.formats.keyframes import Values
from qcen_core.conversion.formats.label_names import YES
from qcen_core.conversion.formats.turned_boxes import turned_box
from qcen_core.conversion.problems import Problem
from qcen_core.records import Box

# What else stands within a track or an image, and tells no object.
NO_SHAPES = frozenset({"attribute"})
BOXED_SHAPES = frozenset({"box", "ellipse", "mask", "polygon"})


def shape_values(shape: Element) -> Values:
    """`x1 y1 x2 y2` pixels and the degrees that they are turned by, of one of `BOXED_SHAPES`.

    Of a shape that is no box it is the box around it, not turned.

    Raises:
        ValueError: a number is missing or not a number; the text says which.
    """
    if shape.tag == "box":
        x1, y1, x2, y2 = (_number(shape, key) for key in ("xtl", "ytl", "xbr", "ybr"))
        return x1, y1, x2, y2, _number(shape, "rotation", 0.0)
    if shape.tag == "polygon":
        return *_around_points(shape.get("points", "")), 0.0
    if shape.tag == "ellipse":
        return *_around_ellipse(shape), 0.0
    left, top, width, height = (_number(shape, key) for key in ("left", "top", "width", "height"))
    return left, top, left + width, top + height, 0.0


def shape_box(values: Values) -> Box:
    """The upright box around what `shape_values` tells; CVAT turns boxes about their centre."""
    x1, y1, x2, y2, degrees = values
    return turned_box((x1, y1, x2, y2), degrees, ((x1 + x2) / 2, (y1 + y2) / 2))


def has_ignore_attribute(shape: Element) -> bool:
    """Whether somebody marked the shape as a region to ignore."""
    return any(
        attribute.get("name", "").casefold() in {"crowd", "ignore", "iscrowd"}
        and (attribute.text or "").strip().casefold() in YES
        for attribute in shape.iter("attribute")
    )


def other_shapes(kinds: Counter[str], path: Path) -> Iterator[Problem]:
    """One problem for each kind of shape that no box can stand for."""
    for kind, count in sorted(kinds.items()):
        yield Problem(
            "not a box",
            str(path),
            f"{count} of kind {kind}, which is no box",
            "draw rectangles around these objects, or leave them out",
        )


def _number(shape: Element, key: str, default: float | None = None) -> float:
    text = shape.get(key)
    if text is None:
        if default is None:
            raise ValueError(f"{key} is missing")
        return default
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{key} is '{text[:40]}', not a number") from None


def _around_points(text: str) -> Box:
    try:
        points = np.array([[float(v) for v in pair.split(",")] for pair in text.split(";")], dtype=np.float64)
    except ValueError:
        points = np.empty(0)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"points are '{text[:40]}', not pairs of numbers")
    (x1, y1), (x2, y2) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    return x1, y1, x2, y2


def _around_ellipse(shape: Element) -> Box:
    x, y, radius_x, radius_y = (_number(shape, key) for key in ("cx", "cy", "rx", "ry"))
    turn = math.radians(_number(shape, "rotation", 0.0))
    half_width = math.hypot(radius_x * math.cos(turn), radius_y * math.sin(turn))
    half_height = math.hypot(radius_x * math.sin(turn), radius_y * math.cos(turn))
    return x - half_width, y - half_height, x + half_width, y + half_height
