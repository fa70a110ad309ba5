"""What every reader checks before something of a file goes into a store."""

import math
import re
import reprlib
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from qcen_core.errors import InputError
from qcen_core.jsonfile import JsonRecord, is_finite_number
from qcen_core.ops.rle_measure import measure_masks
from qcen_core.records import Box, Rle
from qcen_core.trackforms.store import Sighting, StoredVideo, TrackStore

LARGEST_SIDE = 65_535  # pixels; what is stated beyond is no size of a picture


def stated_fraction(record: JsonRecord | None, key: str) -> Fraction | None:
    """A fraction above 0 that a record states as text, `None` where it states none.

    Raises:
        InputError: it is something else.
    """
    value = None if record is None else record.fields.get(key)
    if record is None or value is None:
        return None
    try:
        fraction = Fraction(value) if isinstance(value, str | int | float) else Fraction(0)
    except (ValueError, ZeroDivisionError, OverflowError):
        fraction = Fraction(0)
    if fraction <= 0:
        raise InputError(
            f"{key} is {reprlib.repr(value)}, not a fraction above 0", place=record.place, hint="correct it"
        )
    return fraction


def whole_number(text: str, what: str, place: str, *, least: int = 0) -> int:
    """A whole number of a text file, also one that is written as `3.0`.

    Raises:
        InputError: it is something else, or below the least one.
    """
    value = finite_number(text, what, place)
    if not value.is_integer() or not least <= value < 2**53:
        raise InputError(f"{what} is {text[:40]!r}, not a whole number from {least} on", place=place, hint="correct it")
    return int(value)


def finite_number(text: str, what: str, place: str) -> float:
    """A number of a text file.

    Raises:
        InputError: it is something else, or not finite.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{what} is {text[:40]!r}, not a number", place=place, hint="correct it")
    return value


def stated_box(value: object, place: str) -> Box | None:
    """`x1 y1 x2 y2` of a file's `x y w h` pixels; `None` where it is null or has no extent.

    Raises:
        InputError: it is something else.
    """
    if value is None or value == []:
        return None
    if not isinstance(value, list) or len(value) != 4 or not all(is_finite_number(v) for v in value):
        raise InputError("a box is four numbers x, y, width, height", place=place, hint="correct it")
    x, y, width, height = (float(v) for v in value)
    return (x, y, x + width, y + height) if width > 0 and height > 0 else None


def safe_name(text: str, number: int) -> str:
    """What a video is called, as a part of file names; one that has no name is called by its number."""
    return re.sub(r"[^\w.-]+", "_", text).strip("._") or f"video_{number}"


def require_safe_name(name: str, place: str | Path) -> None:
    """Check that the name of a video can be that of a file.

    Raises:
        InputError: it cannot.
    """
    if name != safe_name(name, 0):
        cause = f"a video called {reprlib.repr(name)}, which is no name for files"
        raise InputError(cause, place=place, hint="use letters, digits and _.-, beginning with a letter or digit")


def check_size(height: int, width: int, place: str | Path) -> None:
    """Check the size of frames.

    Raises:
        InputError: no picture has this size.
    """
    if not (1 <= height <= LARGEST_SIDE and 1 <= width <= LARGEST_SIDE):
        raise InputError(f"frames of {width} x {height} pixels", place=place, hint="write the size of the frames")


def require_sound(masks: Sequence[Rle], video: StoredVideo, places: Sequence[str]) -> None:
    """Check that masks have the size of the video's frames and that their runs fill it.

    Args:
        masks: of the video.
        video: the video.
        places: where each mask stands.

    Raises:
        InputError: one does not; it names its place.
    """
    hint = "a mask has the size of its video's frames; write it again"
    for mask, place in zip(masks, places, strict=True):
        if list(mask["size"]) != [video.height, video.width]:
            stated = f"{mask['size'][1]} x {mask['size'][0]}"
            raise InputError(
                f"a mask of {stated} in a video of {video.width} x {video.height} pixels", place=place, hint=hint
            )
    measured = measure_masks([mask["counts"] for mask in masks], video.height, video.width)
    for sound, place in zip(measured.sound.tolist(), places, strict=True):
        if not sound:
            raise InputError(
                f"unreadable mask: the runs do not fill {video.width} x {video.height} pixels", place=place, hint=hint
            )


def add_sightings(store: TrackStore, video: StoredVideo, sightings: Sequence[Sighting], place: str | Path) -> None:
    """Take sightings into a store.

    Raises:
        InputError: a track is seen twice in a frame.
    """
    try:
        store.add_sightings(video.id, sightings)
    except ValueError as error:
        raise InputError(str(error), place=place, hint="an id is one object of a video: number them anew") from None
