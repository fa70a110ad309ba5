"""What is wrong with the boxes of a video set, whatever format they came from."""

from collections.abc import Sequence

import numpy as np

from qcen_core.conversion.box_rows import BoxRows
from qcen_core.conversion.problems import Problem
from qcen_core.records import BoolArray, Category, Float64Array, VideoRecord

BORDER_TOLERANCE = 1.0  # pixels a box may leave the frame by; it is clipped then
SMALLEST_SIDE = 1e-3  # pixels; a thinner box has no area
SAME_BOX = 0.9  # IoU of two boxes of one class in one frame that are probably one object labelled twice


def box_faults(boxes: Float64Array, sizes: Float64Array) -> tuple[BoolArray, BoolArray, BoolArray]:
    """Which boxes hold what is no finite number, which have no area, and which leave the frame.

    Args:
        boxes: (N, 4) `x1 y1 x2 y2` pixels.
        sizes: (N, 2) width and height of the frame of each.

    Returns:
        Three masks (N,); no box is in two of them.
    """
    finite = np.asarray(np.isfinite(boxes).all(axis=1))
    with np.errstate(invalid="ignore", over="ignore"):  # infinities, and sides longer than a float can tell
        sides = boxes[:, 2:] - boxes[:, :2]
    thin = finite & (sides < SMALLEST_SIDE).any(axis=1)
    beyond = np.maximum(-boxes[:, :2], boxes[:, 2:] - sizes).max(axis=1, initial=-np.inf)
    visible = np.minimum(boxes[:, 2:], sizes) - np.maximum(boxes[:, :2], 0)
    outside = finite & ~thin & ((beyond > BORDER_TOLERANCE) | (visible < SMALLEST_SIDE).any(axis=1))
    return ~finite, np.asarray(thin), np.asarray(outside)


def shows_a_part(boxes: Float64Array, sizes: Float64Array) -> BoolArray:
    """(N,) whether a part of each box lies within its frame; arguments as `box_faults`."""
    visible = np.minimum(boxes[:, 2:], sizes) - np.maximum(boxes[:, :2], 0)
    return np.asarray((visible >= SMALLEST_SIDE).all(axis=1))


def frame_sizes(videos: Sequence[VideoRecord]) -> Float64Array:
    """(V, 2) width and height of each video's frames."""
    return np.array([(video.width, video.height) for video in videos], dtype=np.float64).reshape(-1, 2)


def check_boxes(rows: BoxRows, videos: Sequence[VideoRecord]) -> tuple[list[Problem], BoolArray, BoolArray]:
    """Finds boxes that cannot be learned from.

    Args:
        rows: the boxes as stated.
        videos: their videos.

    Returns:
        A problem for each wrong box, in the order of the rows; (N,) whether each row can be used; and (N,) whether it
        leaves its frame but shows a part of itself there.
    """
    boxes, sizes = rows.boxes, frame_sizes(videos)[rows.videos]
    malformed, thin, outside = box_faults(boxes, sizes)
    problems = []
    wrong = malformed | thin | outside
    for row in np.flatnonzero(wrong).tolist():
        shown = _shown(boxes[row])
        if malformed[row]:
            kind, cause, hint = "malformed box", f"the box {shown} is not made of finite numbers", "correct it"
        elif thin[row]:
            kind, cause = "zero-area box", f"the box {shown} has no area"
            hint = "leave it out, or write null, where an object is not visible"
        else:
            width, height = sizes[row].astype(int)
            kind, hint = "box outside the frame", "correct it"
            cause = f"the box {shown} leaves the {width} x {height} frame"
        problems.append(Problem(kind, rows.place(row), cause, hint))
    return problems, ~wrong, outside & shows_a_part(boxes, sizes)


def check_duplicates(rows: BoxRows) -> list[Problem]:
    """Boxes of one class that lie on one another in one frame: worth a look, not an error.

    Args:
        rows: boxes that can be used.
    """
    order = np.lexsort((rows.class_ids, rows.frames, rows.videos))
    keys = np.stack([rows.videos, rows.frames, rows.class_ids], axis=1)[order]
    pairs = []
    for apart in range(1, len(order)):
        together = np.flatnonzero((keys[apart:] == keys[:-apart]).all(axis=1))
        if not len(together):
            break
        first, second = order[together], order[together + apart]
        pairs.append(np.stack([first, second], axis=1)[_iou(rows.boxes[first], rows.boxes[second]) >= SAME_BOX])
    return [_duplicate(rows, *sorted(pair)) for pair in np.concatenate([np.zeros((0, 2), np.int64), *pairs]).tolist()]


def check_categories(rows: BoxRows, categories: Sequence[Category], file: str) -> list[Problem]:
    """Categories that no box is of: known to the model, and never learned."""
    used = set(rows.class_ids.tolist())
    return [
        _note(
            "unused category",
            f"{file}: category {category.source_id}",
            f"no usable annotation shows {category.name}",
            "nothing needs doing",
        )
        for class_id, category in enumerate(categories)
        if class_id not in used
    ]


def _duplicate(rows: BoxRows, first: int, second: int) -> Problem:
    cause = f"the box {_shown(rows.boxes[second])} lies on another of its class, in {rows.place(first)}"
    return _note("near-duplicate box", rows.place(second), cause, "remove one of the two if they are one object")


def _iou(a: Float64Array, b: Float64Array) -> Float64Array:
    """(N,) of boxes with area, row by row."""
    sides = np.clip(np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]), 0, None)
    shared = sides.prod(axis=1)
    areas = (a[:, 2:] - a[:, :2]).prod(axis=1) + (b[:, 2:] - b[:, :2]).prod(axis=1)
    return np.asarray(shared / (areas - shared), dtype=np.float64)


def _note(kind: str, place: str, cause: str, hint: str) -> Problem:
    return Problem(kind, place, cause, hint, loses_labels=False)


def _shown(box: Float64Array) -> str:
    """`[x, y, width, height]`, as files mostly have it."""
    x1, y1, x2, y2 = box.tolist()
    return f"[{x1:g}, {y1:g}, {x2 - x1:g}, {y2 - y1:g}]"
