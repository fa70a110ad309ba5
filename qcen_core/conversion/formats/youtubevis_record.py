"""One annotation of a YouTube-VIS file, in its right types."""

import json
import reprlib
from typing import TypedDict

import msgspec

from qcen_core.conversion.problems import Problem
from qcen_core.jsonfile import is_finite_number

AGAIN = "write it again"


class RunLengths(TypedDict):
    """A mask's run lengths as files state them, compressed or not."""

    size: list[int]
    counts: str | list[int]


class Annotation(msgspec.Struct):
    """An object's way through a video; lists have one entry a frame, `None` where it is not visible.

    Boxes are `x y w h` in pixels.
    """

    id: int
    video_id: int
    category_id: int
    iscrowd: int | bool | None = 0
    ignore: int | bool | None = 0
    bboxes: list[tuple[float, float, float, float] | None] | None = None
    segmentations: list[RunLengths | list[list[float]] | None] | None = None


def decode_annotation(item: object, file: str, index: int) -> tuple[Annotation | None, list[Problem]]:
    """The annotation, and what was wrong with it.

    Args:
        item: the JSON text of a record, or a record that was read already.
        file: the file, for messages.
        index: position in the file's list, by which a record without an id is named.

    Returns:
        The annotation without what is malformed in it, or `None` where nothing of it can be used.
    """
    try:
        return _typed(item), []
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    try:
        # Python's own reader: it takes numbers that are too large to be stored, which one box may hold.
        fields = json.loads(bytes(item)) if isinstance(item, msgspec.Raw) else item
    except (ValueError, RecursionError) as error:
        return None, [Problem("malformed annotation", f"{file}: annotation {index}", f"not valid JSON: {error}", AGAIN)]
    if not isinstance(fields, dict):
        place = f"{file}: annotation {index}"
        return None, [Problem("malformed annotation", place, "not a JSON object", "write it as an object in braces")]
    place = f"{file}: annotation {fields.get('id', index)}"
    for key, kind in (
        ("id", "malformed annotation"),
        ("video_id", "unknown video"),
        ("category_id", "unknown category"),
    ):
        value = fields.get(key)
        if not isinstance(value, int) or isinstance(value, bool):
            return None, [Problem(kind, place, f"{key} {reprlib.repr(value)} is unknown", "write a whole number there")]
    kept, problems = _mended(fields, place)
    try:
        return _typed(kept), problems
    except msgspec.ValidationError as error:
        return None, [Problem("malformed annotation", place, str(error), "correct it")]


def _typed(item: object) -> Annotation:
    if isinstance(item, msgspec.Raw):
        return msgspec.json.decode(item, type=Annotation)
    return msgspec.convert(item, type=Annotation)


def _mended(fields: dict[str, object], place: str) -> tuple[dict[str, object], list[Problem]]:
    """The record without boxes that are not four numbers and masks that are nothing of the kind."""
    problems: list[Problem] = []
    boxes, masks = fields.get("bboxes"), fields.get("segmentations")
    if isinstance(boxes, list):
        boxes = list(boxes)
        for frame, box in enumerate(boxes):
            if box == []:
                boxes[frame] = None
            elif box is not None and not (isinstance(box, list) and len(box) == 4 and all(map(_is_number, box))):
                cause = f"a box is four numbers x, y, width, height, not {reprlib.repr(box)}"
                problems.append(Problem("malformed box", f"{place}, frame {frame}", cause, "correct it"))
                boxes[frame] = None
                if isinstance(masks, list) and frame < len(masks):
                    masks = [*masks[:frame], None, *masks[frame + 1 :]]
    if isinstance(masks, list):
        masks = list(masks)
        for frame, mask in enumerate(masks):
            try:
                msgspec.convert(mask, type=RunLengths | list[list[float]] | None)
            except msgspec.ValidationError:
                cause = "unreadable mask: neither run lengths nor polygons"
                problems.append(Problem("unreadable mask", f"{place}, frame {frame}", cause, AGAIN))
                masks[frame] = None
    return {**fields, "bboxes": boxes, "segmentations": masks}, problems


def _is_number(value: object) -> bool:
    """NaN and infinities pass: they are found with all that is wrong with the values of boxes."""
    return is_finite_number(value) or isinstance(value, float)
