"""How fast the overlay of a video is drawn, beside the least that a drawing of its kind can cost.

The floor is one copy of the frame and one `cv2.addWeighted` over all of it. Both sides run on one thread, on the same
frames; processor time is counted, since other programs change the time on the clock.

Run it as `python benchmarks/overlay_speed.py [frames]`.
"""

import statistics
import sys
import time
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from qcen_core.ops.mask_window import window_of
from qcen_core.records import BoolArray
from qcen_core.visualization.overlay import DrawnInstance, OverlayStyle, draw_overlay
from qcen_core.visualization.overlay_painter import OverlayPainter
from qcen_core.visualization.side_by_side import side_by_side

SIZES = ((480, 854), (720, 1280), (2160, 3840))
INSTANCES = 10
NAMES = ("person", "dog", "coffee cup")


def blob(size: tuple[int, int], centre: tuple[float, float], turn: float, seed: int) -> BoolArray:
    """A wavy disc, 200 pixels wide and 250 high in a frame of 720 rows."""
    phases = np.random.default_rng(seed).uniform(0, 6.28, 3)
    rows, columns = np.ogrid[: size[0], : size[1]]
    y, x = (rows - centre[1]) / (125 * size[0] / 720), (columns - centre[0]) / (100 * size[0] / 720)
    angle = np.arctan2(y, x)
    radius = 0.93 + 0.1 * np.sin(3 * angle + phases[0] + turn) + 0.06 * np.sin(5 * angle + phases[1] - turn)
    return np.asarray(x**2 + y**2 < radius**2, dtype=np.bool_)


def instances_at(size: tuple[int, int], frame: int, windows: bool) -> list[DrawnInstance]:
    """Two rows of blobs that drift and change their shape."""
    rng = np.random.default_rng(frame)
    drawn = []
    for number in range(INSTANCES):
        drift = 2.0 * frame * (1 if number % 2 else -1) * size[0] / 720
        centre = ((number % 5 + 0.5) * size[1] / 5 + drift, (number // 5 + 0.5) * size[0] / 2)
        mask = blob(size, centre, 0.1 * frame, number)
        score = float(0.85 - 0.03 * number + 0.02 * rng.random())
        drawn.append(DrawnInstance(number + 1, NAMES[number % 3], score, window_of(mask) if windows else mask))
    return drawn


def milliseconds(draw: Callable[[int], object], frames: int) -> float:
    """Median processor time of a frame, the first one left out: it draws letters that later ones find ready."""
    times = []
    for frame in range(frames):
        start = time.process_time()
        draw(frame)
        times.append(1000 * (time.process_time() - start))
    return statistics.median(times[1:])


def floor(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    canvas = image.copy()
    cv2.addWeighted(canvas, 0.6, image, 0.4, 0, dst=canvas)
    return canvas


def measure(size: tuple[int, int], frames: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    given = {windows: [instances_at(size, frame, windows) for frame in range(frames)] for windows in (True, False)}
    plain, full = OverlayPainter(), OverlayPainter()
    rich = OverlayPainter(OverlayStyle(boxes=True, trails=True))
    least = milliseconds(lambda _: floor(image), 3 * frames)
    print(f"{size[0]} x {size[1]}, {INSTANCES} instances\n  floor                        {least:7.2f} ms")
    for name, draw in (
        ("painter", lambda frame: plain.draw(image, given[True][frame])),
        ("painter, masks as full frames", lambda frame: full.draw(image, given[False][frame])),
        ("painter, boxes and trails too", lambda frame: rich.draw(image, given[True][frame])),
        ("single picture", lambda frame: draw_overlay(image, given[True][frame])),
        ("side by side", lambda _: side_by_side(image, image, ("input", "instances"))),
    ):
        took = milliseconds(draw, frames)
        print(f"  {name:29}{took:7.2f} ms  {took / least:5.1f} x floor")


def main() -> None:
    cv2.setNumThreads(1)
    for size in SIZES:
        measure(size, int(sys.argv[1]) if len(sys.argv) > 1 else 20)


if __name__ == "__main__":
    main()
