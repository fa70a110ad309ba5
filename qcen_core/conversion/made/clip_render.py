"""How a scene becomes a frame: sprites over a backdrop, painted at twice the frame's size, then averaged."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from qcen_core.conversion.made.clip_scene import ClipLevel, Motion, Pose, Scene
from qcen_core.records import FloatArray, IntArray

SUPERSAMPLING = 2
SPRITE_HALF = 1.1  # a sprite shows this many radii around the object's centre


def sprite_side(motion: Motion, size: tuple[int, int]) -> int:
    """Pixels along one side of an object's sprite, as fine as a frame is painted; `size` is (height, width)."""
    return int(np.ceil(2 * SPRITE_HALF * motion.radius * min(size) * SUPERSAMPLING))


def exposure_times(time: float, shutter: float, count: int) -> list[float]:
    """The moments whose mean is a frame: `count` of them spread evenly around `time`, or `time` alone without blur."""
    if shutter == 0:
        return [time]
    return [time + shutter * ((i + 0.5) / count - 0.5) for i in range(count)]


def render_frames(
    level: ClipLevel,
    scene: Scene[Any],
    sprites: list[FloatArray],
    backdrop: FloatArray,
    rng: np.random.Generator,
    size: tuple[int, int],
    length: int,
    exposures: int,
) -> NDArray[np.uint8]:
    """Paints the frames of a clip, with motion blur and sensor noise.

    Args:
        level: gives the moments of the frames, the shutter and the noise.
        scene: what there is.
        sprites: one painting an object.
        backdrop: as of `render_frame`.
        rng: source of the noise; drawn from frame by frame, so that a longer clip begins like a shorter one.
        size: (height, width) in pixels.
        length: frames.
        exposures: moments that are averaged into a frame with motion blur.

    Returns:
        (length, height, width, 3) uint8, RGB.
    """
    frames = np.empty((length, *size, 3), np.uint8)
    for i, time in enumerate(level.frame_times(length)):
        image = render_frame(scene, sprites, backdrop, exposure_times(time, level.shutter, exposures), size)
        image += rng.standard_normal(image.shape, dtype=np.float32) * np.float32(level.noise)
        frames[i] = np.clip(np.rint(image), 0, 255)
    return frames


def render_frame(
    scene: Scene[Any], sprites: list[FloatArray], backdrop: FloatArray, times: list[float], size: tuple[int, int]
) -> FloatArray:
    """Paints one frame as the mean of one or several moments.

    Args:
        scene: what there is.
        sprites: one painting an object.
        backdrop: (H', W', 3) float32, RGB 0 to 255, `SUPERSAMPLING` times finer than the frame and larger by what the
            camera moves.
        times: the moments of the exposure.
        size: (height, width) in pixels.

    Returns:
        (height, width, 3) float32, RGB 0 to 255.
    """
    height, width = size
    total = np.zeros((height * SUPERSAMPLING, width * SUPERSAMPLING, 3), np.float32)
    for time in times:
        moment = _place_backdrop(backdrop, scene.camera, time, size)
        for item, sprite in zip(scene.objects, sprites, strict=True):
            _blend(moment, sprite, item.motion.pose(time), min(size) * SUPERSAMPLING)
        total += moment
    mean = cv2.resize(total, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(mean / len(times), dtype=np.float32)


def _place_backdrop(backdrop: FloatArray, camera: Motion, time: float, size: tuple[int, int]) -> FloatArray:
    height, width = size[0] * SUPERSAMPLING, size[1] * SUPERSAMPLING
    unit = min(height, width)
    pose = camera.pose(time)
    zoom = 1.0 / pose.radius
    # Maps a pixel of the frame to a pixel of the backdrop, zooming about the middle of both.
    middle = np.array([backdrop.shape[1], backdrop.shape[0]]) / 2 + np.array([pose.x, pose.y]) * unit
    matrix = np.array([[zoom, 0, middle[0] - zoom * width / 2], [0, zoom, middle[1] - zoom * height / 2]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    placed = cv2.warpAffine(backdrop, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(placed, dtype=np.float32)


def _blend(canvas: FloatArray, sprite: FloatArray, pose: Pose, unit: float) -> None:
    """Lays a sprite over `canvas` at a pose; touches only the part of the canvas that it covers."""
    placed = _place_sprite(sprite, pose, unit, canvas.shape)
    if placed is None:
        return
    rows, columns, warped = placed
    region = canvas[rows, columns]
    region *= 1 - warped[..., 3:]
    region += warped[..., :3]


def sprite_owners(scene: Scene[Any], sprites: list[FloatArray], time: float, size: tuple[int, int]) -> IntArray:
    """Which object each pixel shows, by the sprites' coverage at the pixel's centre.

    Args:
        scene: what there is.
        sprites: one painting an object, about twice as fine as the frame.
        time: the moment.
        size: (height, width) in pixels.

    Returns:
        (height, width) int64: index of the top-most object that covers more than half, -1 for background.
    """
    owner = np.full(size, -1, np.int64)
    for i, (item, sprite) in enumerate(zip(scene.objects, sprites, strict=True)):
        alpha = np.ascontiguousarray(sprite[..., 3])
        placed = _place_sprite(alpha, item.motion.pose(time), min(size), size)
        if placed is not None:
            rows, columns, warped = placed
            owner[rows, columns][warped > 0.5] = i
    return owner


def _place_sprite(
    sprite: FloatArray, pose: Pose, unit: float, shape: tuple[int, ...]
) -> tuple[slice, slice, FloatArray] | None:
    """The rows and columns of a canvas that a sprite reaches, and what it shows there; `None` if it is outside."""
    x, y, radius = pose.x * unit, pose.y * unit, pose.radius * unit
    reach = radius * SPRITE_HALF * 1.42  # half a diagonal, for any rotation
    left, top = max(0, int(x - reach)), max(0, int(y - reach))
    right, bottom = min(shape[1], int(x + reach) + 2), min(shape[0], int(y + reach) + 2)
    if left >= right or top >= bottom:
        return None
    # Pixel i of any grid has its centre at i + 0.5; warpAffine counts centres as integers, hence the halves.
    scale = sprite.shape[0] / (2 * SPRITE_HALF * radius)
    cos, sin = np.cos(pose.angle) * scale, np.sin(pose.angle) * scale
    linear = np.array([[cos, sin], [-sin, cos]])
    shift = linear @ np.array([left + 0.5 - x, top + 0.5 - y]) + sprite.shape[0] / 2 - 0.5
    warped = cv2.warpAffine(
        sprite,
        np.column_stack([linear, shift]),
        (right - left, bottom - top),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
    )
    return slice(top, bottom), slice(left, right), np.asarray(warped, dtype=np.float32)
