"""Boxes that labelling tools turn, as upright ones."""

import math

from qcen_core.records import Box


def turned_box(box: Box, degrees: float, fixed: tuple[float, float]) -> Box:
    """The upright box around a turned one; corners that are not turned, or lie the wrong way round, stay as stated.

    Args:
        box: `x1 y1 x2 y2` pixels before it is turned.
        degrees: clockwise, as it is seen.
        fixed: the point `x y` that it is turned about.
    """
    x1, y1, x2, y2 = box
    if degrees % 360 == 0 or x2 < x1 or y2 < y1:
        return box
    if not math.isfinite(degrees):
        return math.nan, math.nan, math.nan, math.nan
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    right, down = (x1 + x2) / 2 - fixed[0], (y1 + y2) / 2 - fixed[1]
    x, y = fixed[0] + right * cos - down * sin, fixed[1] + right * sin + down * cos
    half_width = ((x2 - x1) * abs(cos) + (y2 - y1) * abs(sin)) / 2
    half_height = ((x2 - x1) * abs(sin) + (y2 - y1) * abs(cos)) / 2
    return x - half_width, y - half_height, x + half_width, y + half_height
