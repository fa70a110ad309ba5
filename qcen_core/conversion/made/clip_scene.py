"""What a made-up clip shows, whatever its objects look like: how many there are, how they lie and how they move.

Lengths are fractions of the frame's short side, positions are `x y` in the same unit from the top-left corner,
angles are radians. Time counts frames of a clip at frame stride 1.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np

Point = tuple[float, float]
LookT = TypeVar("LookT")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipLevel:
    """How hard made-up clips are.

    Attributes:
        name: what a person calls the level; part of the seed of its clips.
        objects: fewest and most objects in a clip.
        diameter: smallest and largest diameter of an object.
        twin_share: chance that an object copies the look of an earlier one.
        speed: typical speed of objects, in short sides a unit of time.
        angle: smallest and largest rotation at time 0.
        spin: largest rotation speed, in radians a unit of time.
        scale_change: largest relative change of an object's size.
        occlusion: chance that an object's path is led across that of an earlier one.
        leaving: chance that an object leaves the frame and comes back.
        camera: speed of the background, in short sides a unit of time.
        shutter: share of a unit of time over which one frame is exposed; 0 gives no motion blur.
        noise: standard deviation of the sensor noise, in grey levels.
        frame_stride: units of time from frame to frame; 2 halves the frame rate.
    """

    name: str
    objects: tuple[int, int]
    diameter: tuple[float, float]
    twin_share: float
    speed: float
    angle: tuple[float, float] = (0.0, 2 * np.pi)
    spin: float
    scale_change: float
    occlusion: float
    leaving: float
    camera: float
    shutter: float
    noise: float
    frame_stride: float = 1.0

    def frame_times(self, length: int) -> list[float]:
        """The moments that the frames of a clip show, the first at time 0; `length` counts frames."""
        return [i * self.frame_stride for i in range(length)]


@dataclass(frozen=True, slots=True)
class Pose:
    """Where an object is at one moment: centre, radius, rotation."""

    x: float
    y: float
    radius: float
    angle: float


@dataclass(frozen=True, slots=True)
class Motion:
    """A smooth path that stays near its anchor for ever, but for visits beyond the frame's edge.

    Attributes:
        anchor: middle of the path.
        reach: how far the path swings, along x and y.
        rate: angular frequency of the swing, along x and y.
        phase: of the swing, along x and y.
        exit_shift: how far a visit beyond the edge leads; (0, 0) for an object that stays.
        exit_rate: angular frequency of the visits.
        exit_phase: of the visits.
        radius: mean radius.
        scale_change: relative swing of the radius.
        angle: rotation at time 0.
        spin: rotation speed.
    """

    anchor: Point
    reach: Point
    rate: Point
    phase: Point
    exit_shift: Point
    exit_rate: float
    exit_phase: float
    radius: float
    scale_change: float
    angle: float
    spin: float

    def pose(self, time: float) -> Pose:
        """The pose at a moment, which may lie between two frames."""
        # Zero for half of the time, so that an object is inside long enough to be seen.
        away = max(0.0, float(np.sin(self.exit_rate * time + self.exit_phase))) ** 2
        swing = [
            reach * float(np.sin(rate * time + phase))
            for reach, rate, phase in zip(self.reach, self.rate, self.phase, strict=True)
        ]
        size = 1.0 + self.scale_change * float(np.sin(0.35 * time + self.phase[0]))
        return Pose(
            self.anchor[0] + swing[0] + away * self.exit_shift[0],
            self.anchor[1] + swing[1] + away * self.exit_shift[1],
            self.radius * size,
            self.angle + self.spin * time,
        )


@dataclass(frozen=True, slots=True)
class SceneObject(Generic[LookT]):
    """One object of a clip."""

    look: LookT
    motion: Motion


@dataclass(frozen=True, slots=True)
class Scene(Generic[LookT]):
    """One clip before it is drawn; `objects` lie from the lowest to the top-most."""

    objects: tuple[SceneObject[LookT], ...]
    camera: Motion


def clip_rng(level: ClipLevel, seed: int, split: str, index: int, size: tuple[int, int]) -> np.random.Generator:
    """The source of all chance of one clip; no two clips of a data set share it.

    Args:
        level: of the clip; its name counts.
        seed: of the data set.
        split: name of the split.
        index: of the clip in its split, from 0.
        size: (height, width) in pixels.
    """
    names = [zlib.crc32(name.encode()) for name in (split, level.name)]
    return np.random.default_rng([seed, *names, index, *size])


def draw_scene(
    level: ClipLevel,
    rng: np.random.Generator,
    aspect: float,
    kinds: int,
    draw_look: Callable[[int, np.random.Generator], LookT],
) -> Scene[LookT]:
    """Draws a scene by lot.

    Args:
        level: how hard it shall be.
        rng: source of all chance.
        aspect: frame width over frame height.
        kinds: number of kinds of look; no kind comes twice, but for twins, before every other has come once.
        draw_look: gives the look of an object of a kind, 0 to kinds - 1.

    Returns:
        The scene, in a frame whose short side is 1. Twins share one look.
    """
    extent = (max(aspect, 1.0), max(1.0 / aspect, 1.0))
    count = int(rng.integers(level.objects[0], level.objects[1] + 1))
    order = rng.permutation(kinds)
    objects: list[SceneObject[LookT]] = []
    for i in range(count):
        if objects and rng.random() < level.twin_share:
            look = objects[int(rng.integers(len(objects)))].look
        else:
            look = draw_look(int(order[i % kinds]), rng)
        motion = _draw_motion(level, rng, extent, [other.motion.anchor for other in objects])
        if rng.random() < level.leaving:
            motion = _lead_out(motion, rng, extent)
        elif objects and rng.random() < level.occlusion:
            other = objects[int(rng.integers(len(objects)))].motion
            motion = _lead_across(motion, other, rng, extent, level.frame_stride)
        objects.append(SceneObject(look, motion))
    layers = rng.permutation(count)
    return Scene(tuple(objects[int(i)] for i in layers), _draw_camera(level, rng))


def _draw_motion(level: ClipLevel, rng: np.random.Generator, extent: Point, taken: list[Point]) -> Motion:
    radius = 0.5 * rng.uniform(*level.diameter)
    margin = 0.8 * radius
    # The farthest of a few candidates: objects spread over the frame instead of lying in a heap.
    candidates = rng.uniform((margin, margin), (extent[0] - margin, extent[1] - margin), (6, 2))
    room = [min((np.hypot(*(c - other)) for other in np.array(taken)), default=0.0) for c in candidates]
    x, y = (float(value) for value in candidates[int(np.argmax(room))])
    reach = rng.uniform(0.1, 0.25, 2)
    rate = level.speed * rng.uniform(0.7, 1.3, 2) / reach
    phase = rng.uniform(0, 2 * np.pi, 2)
    return Motion(
        anchor=(x, y),
        reach=(float(reach[0]), float(reach[1])),
        rate=(float(rate[0]), float(rate[1])),
        phase=(float(phase[0]), float(phase[1])),
        exit_shift=(0.0, 0.0),
        exit_rate=0.0,
        exit_phase=0.0,
        radius=radius,
        scale_change=rng.uniform(0.3, 1.0) * level.scale_change,
        angle=rng.uniform(*level.angle),
        spin=rng.uniform(-1, 1) * level.spin,
    )


def _lead_out(motion: Motion, rng: np.random.Generator, extent: Point) -> Motion:
    """The same path moved to the nearest edge, with visits beyond it; the first begins in an early frame."""
    (x, y), radius = motion.anchor, motion.radius
    # For each edge: how far the anchor is from it, and the step that leads straight to it.
    edges = [(x, (-1, 0)), (extent[0] - x, (1, 0)), (y, (0, -1)), (extent[1] - y, (0, 1))]
    distance, (step_x, step_y) = min(edges)
    closer = distance - 0.7 * radius
    # Short swings, or the visits would have to lead far out, at a speed that nothing else here has.
    beyond = 2.0 * radius + 0.05
    rate = 2 * np.pi / rng.uniform(18, 26)
    return replace(
        motion,
        anchor=(x + step_x * closer, y + step_y * closer),
        reach=(0.05, 0.05),
        exit_shift=(step_x * beyond, step_y * beyond),
        exit_rate=rate,
        exit_phase=-rate * rng.uniform(-3, 4),
    )


def _lead_across(motion: Motion, other: Motion, rng: np.random.Generator, extent: Point, frame_stride: float) -> Motion:
    """The same path, shifted so that it comes close to `other` in one of the first frames."""
    time = rng.uniform(1, 9) * frame_stride
    here, there = motion.pose(time), other.pose(time)
    direction = rng.uniform(0, 2 * np.pi)
    gap = rng.uniform(0.4, 0.9) * (here.radius + there.radius)
    target_x = np.clip(there.x + gap * np.cos(direction), 0.2, extent[0] - 0.2)
    target_y = np.clip(there.y + gap * np.sin(direction), 0.2, extent[1] - 0.2)
    shift = (float(target_x) - here.x, float(target_y) - here.y)
    return replace(motion, anchor=(motion.anchor[0] + shift[0], motion.anchor[1] + shift[1]))


def _draw_camera(level: ClipLevel, rng: np.random.Generator) -> Motion:
    reach = rng.uniform(0.08, 0.15, 2)
    rate = level.camera * rng.uniform(0.5, 1.5, 2) / reach
    phase = rng.uniform(0, 2 * np.pi, 2)
    return Motion(
        anchor=(0.0, 0.0),
        reach=(float(reach[0]), float(reach[1])),
        rate=(float(rate[0]), float(rate[1])),
        phase=(float(phase[0]), float(phase[1])),
        exit_shift=(0.0, 0.0),
        exit_rate=0.0,
        exit_phase=0.0,
        radius=1.0,
        scale_change=0.04,
        angle=0.0,
        spin=0.0,
    )
