"""The sprites and backdrops of clips of shapes, and their masks.

Painting is for the eye, but masks are exact: `covers` says analytically whether a pixel's centre lies in a shape.
"""

import colorsys

import cv2
import numpy as np

from qcen_core.conversion.made.clip_render import SPRITE_HALF, SUPERSAMPLING
from qcen_core.conversion.made.clip_scene import Scene
from qcen_core.conversion.made.shapes_scene import CATEGORY_NAMES, Look, ShapesLevel
from qcen_core.records import BoolArray, FloatArray, IntArray

BACKDROP_MARGIN = 0.3  # in short sides; more than the camera ever moves


def covers(class_id: int, u: FloatArray, v: FloatArray) -> BoolArray:
    """Whether points lie inside a category's shape.

    Args:
        class_id: index into `CATEGORY_NAMES`.
        u: abscissae in radii of the object, in its own axes; any shape.
        v: ordinates, likewise.

    Returns:
        Bool, of the shape of `u`.
    """
    inside: BoolArray
    match CATEGORY_NAMES[class_id]:
        case "circle":
            inside = u * u + v * v <= 0.92**2
        case "square":
            inside = np.maximum(np.abs(u), np.abs(v)) <= 0.8
        case "triangle":
            inside = np.maximum(np.abs(u) * 0.8660254 + v * 0.5, -v) <= 0.55
        case "star":
            radius, angle = np.hypot(u, v), np.arctan2(u, -v)
            # Within one tenth of a turn the outline is a straight line from tip to notch.
            turn = np.abs((angle + np.pi / 5) % (2 * np.pi / 5) - np.pi / 5)
            tip, notch = 1.06, 0.55
            edge_x, edge_y = notch * np.cos(np.pi / 5) - tip, notch * np.sin(np.pi / 5)
            inside = (radius * np.cos(turn) - tip) * edge_y <= radius * np.sin(turn) * edge_x
        case _:
            short, long = np.minimum(np.abs(u), np.abs(v)), np.maximum(np.abs(u), np.abs(v))
            inside = (long <= 0.98) & (short <= 0.4)
    return inside


def texture(class_id: int, u: FloatArray, v: FloatArray, period: float) -> BoolArray:
    """Where a category's texture shows its second colour; arguments as of `covers`."""
    x, y = u / period, v / period
    second: BoolArray
    match CATEGORY_NAMES[class_id]:
        case "circle":
            second = (x % 1 - 0.5) ** 2 + (y % 1 - 0.5) ** 2 < 0.3**2
        case "square":
            second = (np.floor(x) + np.floor(y)) % 2 == 0
        case "triangle":
            second = y % 1 < 0.5
        case "star":
            second = np.zeros_like(x, dtype=bool)
        case _:
            second = (np.hypot(x, y) + 0.25) % 1 < 0.5
    return second


def paint_sprite(look: Look, side: int) -> FloatArray:
    """Paints an object once, upright.

    Args:
        look: how it looks.
        side: pixels along one side; they span 2 * `SPRITE_HALF` radii.

    Returns:
        (side, side, 4) float32: RGB 0 to 255 multiplied by coverage, and coverage 0 to 1.
    """
    fine = 3 * side
    axis = np.linspace(-SPRITE_HALF, SPRITE_HALF, 2 * fine + 1, dtype=np.float32)[1::2]  # centres of fine pixels
    u, v = np.broadcast_to(axis[None], (fine, fine)), np.broadcast_to(axis[:, None], (fine, fine))
    second = texture(look.class_id, u, v, look.period)[..., None]
    colour = np.where(second, np.array(look.second_colour, np.float32), np.array(look.colour, np.float32))
    shading = (1.0 - 0.12 * v)[..., None]  # a little lighter at the top: flat areas look less dead
    alpha = covers(look.class_id, u, v).astype(np.float32)[..., None]
    rgba = np.concatenate([np.clip(colour * shading, 0, 1) * 255 * alpha, alpha], axis=-1)
    return np.asarray(cv2.resize(rgba, (side, side), interpolation=cv2.INTER_AREA), dtype=np.float32)


def paint_backdrop(level: ShapesLevel, rng: np.random.Generator, size: tuple[int, int]) -> FloatArray:
    """Paints the background: a soft gradient, cloudy texture and clutter, all of low saturation.

    Args:
        level: gives the amount of clutter.
        rng: source of all chance.
        size: (height, width) of the frame in pixels.

    Returns:
        (H', W', 3) float32, RGB 0 to 255, supersampled and with a margin of `BACKDROP_MARGIN` on each side.
    """
    unit = min(size) * SUPERSAMPLING
    margin = 2 * BACKDROP_MARGIN * unit
    height, width = (int(np.ceil(side * SUPERSAMPLING + margin)) for side in size)
    hue, value = rng.random(), rng.uniform(0.4, 0.82)
    top, bottom = (
        np.array(_muted((hue + turn) % 1, value + lift, 255), np.float32)
        for turn, lift in ((0.0, 0.12), (rng.uniform(0.1, 0.3), -0.08))
    )
    ramp = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    canvas = np.ascontiguousarray(np.broadcast_to(top * (1 - ramp) + bottom * ramp, (height, width, 3)))
    for cells, strength in ((4, 14.0), (13, 8.0), (47, 5.0)):
        noise = rng.standard_normal((cells, cells * 2), dtype=np.float32) * np.float32(strength)
        canvas += cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)[..., None]
    for _ in range(level.clutter):
        _add_distractor(canvas, unit, (hue + rng.uniform(-0.2, 0.2)) % 1, rng)
    return canvas.clip(0, 255)


def _muted(hue: float, value: float, scale: float) -> tuple[float, float, float]:
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.14, float(np.clip(value, 0.2, 0.95)))
    return red * scale, green * scale, blue * scale


def _add_distractor(canvas: FloatArray, unit: float, hue: float, rng: np.random.Generator) -> None:
    """Paints one blob, line or patch of stripes into `canvas`, half transparent."""
    height, width = canvas.shape[:2]
    colour = _muted(hue, rng.uniform(0.25, 0.95), 255)
    centre = (int(rng.integers(width)), int(rng.integers(height)))
    length, angle = rng.uniform(0.08, 0.3) * unit, rng.uniform(0, np.pi)
    layer = canvas.copy()
    kind = rng.integers(3)
    if kind == 0:
        axes = (int(length), max(2, int(length * rng.uniform(0.4, 1.0))))
        cv2.ellipse(layer, centre, axes, float(np.degrees(angle)), 0, 360, colour, -1, cv2.LINE_AA)
    else:
        step = np.array([np.cos(angle), np.sin(angle)])
        across = np.array([-step[1], step[0]]) * 0.07 * unit
        for i in range(1 if kind == 1 else int(rng.integers(3, 6))):
            start, end = centre + across * i - step * length, centre + across * i + step * length
            ends = [(int(p[0]), int(p[1])) for p in (start, end)]
            cv2.line(layer, ends[0], ends[1], colour, max(1, int(0.022 * unit)), cv2.LINE_AA)
    opacity = rng.uniform(0.35, 0.75)
    cv2.addWeighted(layer, opacity, canvas, 1 - opacity, 0, dst=canvas)


def owner_map(scene: Scene[Look], time: float, size: tuple[int, int]) -> IntArray:
    """Which object each pixel shows, by the pixel's centre.

    Args:
        scene: what there is.
        time: the moment.
        size: (height, width) in pixels.

    Returns:
        (height, width) int64: index of the top-most object that covers the centre, -1 for background.
    """
    height, width = size
    unit = min(size)
    owner = np.full(size, -1, np.int64)
    for i, item in enumerate(scene.objects):
        pose = item.motion.pose(time)
        reach = 1.1 * pose.radius * unit + 1
        left, right = (int(np.clip(pose.x * unit + side * reach, 0, width)) for side in (-1, 1))
        top, bottom = (int(np.clip(pose.y * unit + side * reach, 0, height)) for side in (-1, 1))
        x = (np.arange(left, right, dtype=np.float32)[None] + 0.5) / unit - pose.x
        y = (np.arange(top, bottom, dtype=np.float32)[:, None] + 0.5) / unit - pose.y
        cos, sin = np.cos(pose.angle) / pose.radius, np.sin(pose.angle) / pose.radius
        inside = covers(item.look.class_id, x * cos + y * sin, y * cos - x * sin)
        owner[top:bottom, left:right][inside] = i
    return owner
