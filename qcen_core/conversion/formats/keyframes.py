"""Objects that annotations state at key frames only: where they are between two of them, and after the last."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

Values = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class KeyFrame:
    """What is known of an object at a frame.

    Attributes:
        frame: its number, as the annotations count.
        values: numbers that change evenly up to the next key frame; `None` where it tells none, so that those before
            stay.
        shown: whether the object is visible at this very frame.
        lasts: whether it is visible after it, up to the next key frame.
        ignore: whether it is a region to ignore from here on.
        stated: whether the annotations state it, rather than that it follows.
    """

    frame: int
    values: Values | None
    shown: bool = True
    lasts: bool = True
    ignore: bool = False
    stated: bool = True


def visible_frames(
    keys: Sequence[KeyFrame], frames: Sequence[int], *, to_end: bool
) -> Iterator[tuple[KeyFrame, Values]]:
    """All frames at which an object is visible, with its values there.

    Args:
        keys: key frames, ascending and distinct; those that are `shown` or `lasts` have values.
        frames: numbers of the frames that there are, ascending; only these are filled in. Key frames beyond them are
            given all the same.
        to_end: whether an object that lasts after its last key frame is there up to the end.

    Yields:
        The frames in ascending order.
    """
    for key, following in zip(keys, [*keys[1:], None], strict=False):
        if key.values is None:
            continue
        if key.shown:
            yield key, key.values
        if not key.lasts or (following is None and not to_end):
            continue
        first = bisect_right(frames, key.frame)
        last = len(frames) if following is None else bisect_left(frames, following.frame)
        for frame in frames[first:last]:
            yield replace(key, frame=frame, stated=False), _between(key.values, key.frame, following, frame)


def open_frames(lost: Iterable[int], keys: Sequence[KeyFrame], frames: Sequence[int], *, to_end: bool) -> set[int]:
    """Frames at which nobody knows where an object is, as one of its key frames cannot be read.

    Args:
        lost: numbers of such key frames.
        keys: the others, ascending and distinct.
        frames: numbers of the frames that there are, ascending.
        to_end: whether an object that lasts after its last key frame is there up to the end.

    Returns:
        Those of `frames` between the key frames before and behind each.
    """
    known = [key.frame for key in keys]
    spoilt: set[int] = set()
    for number in lost:
        behind = bisect_left(known, number)
        first = known[behind - 1] + 1 if behind else number
        last = known[behind] if behind < len(known) else None
        start = bisect_left(frames, first)
        if last is not None:
            stop = bisect_left(frames, last)
        else:
            stop = len(frames) if to_end else bisect_right(frames, number)
        spoilt.update(frames[start:stop])
    return spoilt


def _between(values: Values, start: int, following: KeyFrame | None, frame: int) -> Values:
    if following is None or following.values is None:
        return values
    share = (frame - start) / (following.frame - start)
    return tuple(a + (b - a) * share for a, b in zip(values, following.values, strict=True))
