"""Trails: the way an object came, as a thin line that fades."""

from collections import deque
from collections.abc import Iterable
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from qcen_core.visualization.palette import Color

TRAIL_LENGTH = 45
_LARGEST_GAP = 5
_FRACTION_BITS = 4  # lines are drawn to a sixteenth of a pixel


class Trail:
    """The last positions of one object."""

    def __init__(self) -> None:
        self._points: deque[tuple[int, float, float]] = deque(maxlen=TRAIL_LENGTH)

    def add(self, frame: int, x: float, y: float) -> None:
        """Remember a position in pixels of the picture; frames come in their order."""
        self._points.append((frame, x, y))

    def draw(self, canvas: NDArray[np.uint8], frame: int, color: Color, line: float) -> None:
        """Draw the way of the last `TRAIL_LENGTH` frames, broken where the object was away for longer.

        Args:
            canvas: (H, W, 3) uint8, changed in place.
            frame: the present frame; what is older is fainter.
            color: of the line.
            line: its thickness in pixels.
        """
        points = [point for point in self._points if frame - point[0] < TRAIL_LENGTH]
        pairs = [pair for pair in pairwise(points) if pair[1][0] - pair[0][0] <= _LARGEST_GAP]
        if not pairs:
            return
        margin = int(line) + 3
        left = int(min(x for _, x, _ in points)) - margin
        top = int(min(y for _, _, y in points)) - margin
        width = int(max(x for _, x, _ in points)) + margin - left + 1
        height = int(max(y for _, _, y in points)) + margin - top + 1
        share = np.zeros((height, width), dtype=np.uint8)
        # From old to new: where the way crosses itself the newer part is seen.
        for (_, x1, y1), (newer, x2, y2) in pairs:
            strength = round(255 * (1 - (frame - newer) / TRAIL_LENGTH))
            ends = [_fixed_point((x - left, y - top)) for x, y in ((x1, y1), (x2, y2))]
            cv2.line(share, ends[0], ends[1], strength, max(round(line), 1), cv2.LINE_AA, _FRACTION_BITS)
        _mix_few(canvas, share, left, top, color)


def _fixed_point(point: Iterable[float]) -> tuple[int, int]:
    x, y = (round(value * 2**_FRACTION_BITS) for value in point)
    return x, y


def _mix_few(canvas: NDArray[np.uint8], share: NDArray[np.uint8], left: int, top: int, color: Color) -> None:
    """Mix a colour into the few pixels whose share is not zero; the rest of the window is not touched."""
    if not share.any():
        return
    found = cv2.findNonZero(share)
    columns, rows = (found.reshape(-1, 2) + np.array([left, top])).T
    inside = (rows >= 0) & (rows < canvas.shape[0]) & (columns >= 0) & (columns < canvas.shape[1])
    rows, columns = rows[inside], columns[inside]
    weight = share[rows - top, columns - left].astype(np.float32)[:, None] / 255
    below = canvas[rows, columns].astype(np.float32)
    canvas[rows, columns] = np.rint(below + (np.array(color, dtype=np.float32) - below) * weight).astype(np.uint8)
