"""The way of a camera over a still image, as affine maps."""

import itertools
from dataclasses import dataclass, replace

import numpy as np

from qcen_core.conversion.made.affine_warp import inverse_map, warp_points
from qcen_core.records import Box, Float64Array

ANCHOR_IN_VIEW = 0.7  # share of the frames that show the anchor's centre, at least


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraPath:
    """How far and how fast the camera moves.

    Attributes:
        zoom: smallest and largest window, as a share of the largest one that fits into the image.
        zoom_change: share of the window that zooming takes from it at most.
        angle: largest rotation, radians.
        reach: how far the anchor may leave the middle of the window, as a share of the window's sides; smallest and
            largest swing.
        speed: largest way of any point of the frame from one frame to the next, as a share of the short side.
        sharpness: image pixels a frame pixel shall have at least, where the image is large enough.
    """

    zoom: tuple[float, float] = (0.4, 0.95)
    zoom_change: float = 0.25
    angle: float = float(np.radians(9))
    reach: tuple[float, float] = (0.2, 0.6)
    speed: float = 0.05
    sharpness: float = 0.6


CAMERA_PATH = CameraPath()


def clip_path(
    rng: np.random.Generator,
    size: tuple[int, int],
    out_size: tuple[int, int],
    length: int,
    anchor: Box | None = None,
    strength: CameraPath = CAMERA_PATH,
) -> Float64Array:
    """Draws the way of a camera over an image.

    The way is smooth, and the window, however turned, never leaves the image. The anchor's centre is in view in most
    frames.

    Args:
        rng: source of all chance.
        size: (height, width) of the image.
        out_size: (height, width) of the frames.
        length: frames.
        anchor: `x1 y1 x2 y2` of what the camera looks at; by default any point.
        strength: how far and how fast the camera moves.

    Returns:
        (length, 2, 3) float64, maps from pixels of the image to those of the frames, continuous.
    """
    if anchor is None:
        x, y = (float(v) for v in rng.uniform((0, 0), (size[1], size[0])))
        anchor = (x, y, x, y)
    draw = _Draw(
        waves=np.stack([rng.uniform(0.15, 0.3, 4), rng.uniform(0, 2 * np.pi, 4), rng.uniform(0, 2 * np.pi, 4)]),
        zoom=float(rng.uniform()),
        reach=float(rng.uniform(*strength.reach)),
    )
    limit = strength.speed * min(out_size) * float(rng.uniform(0.4, 1))
    path = np.empty((0, 2, 3))
    # A turned window does not reach into the image's corners: where the anchor lies there, the last one is upright.
    for share, turn in ((1.0, 1.0), (0.5, 1.0), (0.0, 0.3), (0.0, 0.0)):
        calmer = replace(strength, angle=turn * strength.angle)
        times, fastest = np.arange(length, dtype=np.float64), np.inf
        while fastest > limit:
            path = _place_windows(draw, share * draw.reach, times, size, out_size, anchor, calmer)
            fastest = _fastest(path, out_size)
            times *= 0.7
        centres = np.stack([warp_points(np.array([_middle(anchor)]), matrix)[0] for matrix in path])
        in_view = ((centres >= 0) & (centres < out_size[::-1])).all(axis=1)
        if in_view.mean() >= ANCHOR_IN_VIEW:
            break
    return path


@dataclass(frozen=True, slots=True)
class _Draw:
    """What chance decides of a path.

    Attributes:
        waves: (3, 4), for x, y, angle and zoom: angular frequency a frame, and the phases of two waves.
        zoom: 0 to 1, where between the smallest and the largest window.
        reach: as of `CameraPath`.
    """

    waves: Float64Array
    zoom: float
    reach: float

    def swings(self, times: Float64Array) -> Float64Array:
        """(4, T), each from -1 to 1."""
        rate, first, second = (row[:, None] for row in self.waves)
        # A second wave that never falls in step with the first: no camera swings like a pendulum.
        return np.asarray(0.7 * np.sin(rate * times + first) + 0.3 * np.sin(1.9 * rate * times + second))


def _place_windows(
    draw: _Draw,
    reach: float,
    times: Float64Array,
    size: tuple[int, int],
    out_size: tuple[int, int],
    anchor: Box,
    strength: CameraPath,
) -> Float64Array:
    """The maps at some moments; the window shows the anchor, off its middle by `reach` of its sides at most."""
    image, frame = np.array(size[::-1], np.float64), np.array(out_size[::-1], np.float64)
    swings = draw.swings(times)
    angles = strength.angle * swings[2]
    # Half the extent of a turned window of scale 1. That of the largest angle at all times, for with the angle of each
    # moment the zoom would bounce whenever the window passes the upright.
    extent = (np.abs(np.cos(angles)).max() * frame + np.abs(np.sin(angles)).max() * frame[::-1]) / 2
    largest = float((image / (2 * extent)).min())  # image pixels a frame pixel
    sharp = strength.sharpness / (largest * (1 - strength.zoom_change))
    needed = max(sharp, 1.15 * float((_extent(anchor) / (largest * frame)).max()))
    high = strength.zoom[1]
    low = min(max(strength.zoom[0], needed), high)
    zoom = low * (high / low) ** draw.zoom
    scales = largest * zoom * (1 + strength.zoom_change * (swings[3] - 1) / 2)
    room = scales[:, None] * extent
    base = np.clip(_middle(anchor), room, image - room)
    # From as far to the left as it may be to as far to the right.
    left = np.maximum(base - reach * scales[:, None] * frame, room)
    right = np.minimum(base + reach * scales[:, None] * frame, image - room)
    centres = left + (right - left) * (swings[:2].T + 1) / 2
    cos, sin = np.cos(angles) / scales, np.sin(angles) / scales
    linear = np.stack([np.stack([cos, sin], -1), np.stack([-sin, cos], -1)], -2)
    shift = frame / 2 - np.einsum("tij,tj->ti", linear, centres)
    return np.concatenate([linear, shift[..., None]], axis=2)


def _fastest(path: Float64Array, out_size: tuple[int, int]) -> float:
    """The longest way, in frame pixels, that any point in view goes from one frame to the next."""
    height, width = out_size
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], np.float64)
    ways = [
        np.linalg.norm(warp_points(warp_points(corners, inverse_map(before)), after) - corners, axis=1).max()
        for before, after in itertools.pairwise(path)
    ]
    return float(max(ways, default=0.0))


def _middle(box: Box) -> Float64Array:
    return np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2])


def _extent(box: Box) -> Float64Array:
    return np.array([box[2] - box[0], box[3] - box[1]])
