"""Labels of a video: each follows its object calmly, and changes sides only for good reason."""

import math
import statistics
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from qcen_core.records import Box
from qcen_core.visualization.label_layout import Place, inside_picture, label_corners, overlap

Point = tuple[float, float]

_RANK_COST = 0.03
_OVERLAP_COST = 0.3
_MARGIN = 0.03
_PATIENCE = 2.0  # a covered label moves away after some five frames, one with a nicer corner after seconds
_GLIDE = 0.25  # share of the way to a new corner that is gone in a frame


@dataclass(slots=True)
class LabelMemory:
    """Where the label of one track is, as a way from the centre of its object.

    The centre of an object is steady and is followed closely; the way from it to the label depends on the edge of the
    mask, which is not, and is changed reluctantly.
    """

    centre: Point | None = None
    way: Point = (0.0, 0.0)
    corner: int = 0
    debt: float = 0.0
    gliding: bool = False
    seen: deque[tuple[Point, Box]] = field(default_factory=lambda: deque(maxlen=3))


@dataclass(frozen=True, slots=True)
class LabelWish:
    """What one label asks for in one frame: the centre of its object, the box to stand by, and height and width."""

    centre: Point
    anchor: Box
    size: tuple[int, int]


def move_labels(
    memories: Sequence[LabelMemory], wishes: Sequence[LabelWish], picture: tuple[int, int], gap: int = 2
) -> list[Place]:
    """Find the places of all labels of a frame.

    Args:
        memories: one a label, brought up to date; the earlier one keeps its place where two labels collide. Give
            them in an order that does not change from frame to frame.
        wishes: one a label.
        picture: height and width of the picture in pixels.
        gap: pixels between a box and its label.

    Returns:
        Left, top, right, bottom of each label, half-open, inside the picture unless the label is larger than it.
    """
    placed: list[Place] = []
    for memory, wish in zip(memories, wishes, strict=True):
        placed.append(_move(memory, wish, placed, picture, gap))
    return placed


def _move(memory: LabelMemory, wish: LabelWish, placed: Sequence[Place], picture: tuple[int, int], gap: int) -> Place:
    # The median of three frames passes over a mask that is broken in one of them.
    memory.seen.append((wish.centre, wish.anchor))
    measured = (_median([x for (x, _), _ in memory.seen]), _median([y for (_, y), _ in memory.seen]))
    anchor = tuple(_median([box[side] for _, box in memory.seen]) for side in range(4))
    unit = max(min(picture) / 720, 0.5)
    first = memory.centre is None
    memory.centre = measured if memory.centre is None else _followed(memory.centre, measured, 1.5 * unit, 6 * unit)
    corners = label_corners((anchor[0], anchor[1], anchor[2], anchor[3]), wish.size, gap)
    ways = [(left - measured[0], top - measured[1]) for left, top in corners]
    _choose_corner(memory, memory.centre, ways, wish.size, placed, picture, first)
    _change_way(memory, ways[memory.corner], dead=0.3 * wish.size[0])
    return _at(memory.centre, memory.way, wish.size, picture)


def _choose_corner(
    memory: LabelMemory,
    centre: Point,
    ways: Sequence[Point],
    size: tuple[int, int],
    placed: Sequence[Place],
    picture: tuple[int, int],
    first: bool,
) -> None:
    """Take the best corner at first; later only if the present one has been worse for long enough."""
    present = math.inf
    if not first:
        place = _at(centre, memory.way, size, picture)
        present = memory.corner * _RANK_COST + _crowding(place, placed, 0)
    # A corner that a label would move to must have some air around it, or it would soon move again.
    air = 0 if first else size[0] // 4
    best, least = memory.corner, present
    for rank, way in enumerate(ways):
        if rank * _RANK_COST >= least:
            break
        cost = rank * _RANK_COST + _crowding(_at(centre, way, size, picture), placed, air)
        if cost < least:
            best, least = rank, cost
    if first:
        memory.corner, memory.way = best, ways[best]
        return
    memory.debt = max(memory.debt + present - least - _MARGIN, 0.0)
    if memory.debt > _PATIENCE and best != memory.corner:
        memory.corner, memory.debt, memory.gliding = best, 0.0, True


def _change_way(memory: LabelMemory, wanted: Point, dead: float) -> None:
    """Glide to a corner just chosen; else stay within reach of the wanted way, and still as long as that is so."""
    if memory.gliding:
        x, y = (old + _GLIDE * (new - old) for old, new in zip(memory.way, wanted, strict=True))
        memory.way = (x, y)
        memory.gliding = max(abs(wanted[0] - x), abs(wanted[1] - y)) > 1
    else:
        memory.way = _followed(memory.way, wanted, dead, 4 * dead)


def _followed(old: Point, new: Point, dead: float, soft: float) -> Point:
    return _step(old[0], new[0], dead, soft), _step(old[1], new[1], dead, soft)


def _step(old: float, new: float, dead: float, soft: float) -> float:
    """Follow a value: not at all within `dead` of it, slowly just beyond, and never more than `soft` behind that."""
    away = new - old
    excess = abs(away) - dead
    if excess <= 0:
        return old
    step = excess * excess / (excess + soft)
    return old + step if away > 0 else old - step


def _crowding(place: Place, placed: Sequence[Place], air: int) -> float:
    """Cost of the labels that a place would cover, 0 if there is none."""
    wide = (place[0] - air, place[1] - air, place[2] + air, place[3] + air)
    covered = sum(overlap(wide, other) for other in placed)
    area = max((place[2] - place[0]) * (place[3] - place[1]), 1)
    return _OVERLAP_COST + covered / area if covered else 0.0


def _at(centre: Point, way: Point, size: tuple[int, int], picture: tuple[int, int]) -> Place:
    return inside_picture(centre[0] + way[0], centre[1] + way[1], size, picture)


def _median(values: Sequence[float]) -> float:
    return statistics.median_low(values)
