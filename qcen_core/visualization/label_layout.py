"""Where labels go: near their box, inside the picture, and clear of each other where that is easy."""

from collections.abc import Sequence

from qcen_core.records import Box

Place = tuple[int, int, int, int]


def place_labels(
    boxes: Sequence[Box], sizes: Sequence[tuple[int, int]], picture: tuple[int, int], gap: int = 2
) -> list[Place]:
    """Find a place for one label per box.

    The favourite place is on the upper left corner of the box; then inside it, below it, and at its right. A label
    takes the first place that no earlier label touches, or else the one with the least overlap.

    Args:
        boxes: `x1 y1 x2 y2` in pixels.
        sizes: height and width of each label in pixels.
        picture: height and width of the picture in pixels.
        gap: pixels between a box and its label.

    Returns:
        Left, top, right, bottom of each label, half-open, inside the picture unless the label is larger than it.
    """
    placed: list[Place] = []
    for box, size in zip(boxes, sizes, strict=True):
        choices = [inside_picture(left, top, size, picture) for left, top in label_corners(box, size, gap)]
        placed.append(min(choices, key=lambda choice: sum(overlap(choice, other) for other in placed)))
    return placed


def label_corners(box: Box, size: tuple[int, int], gap: int) -> list[tuple[float, float]]:
    """Left and top of the places to try for a label, the best first; always as many."""
    x1, y1, x2, y2 = box
    height, width = size
    right = x2 - width
    return [
        (x1, y1 - height - gap),
        (right, y1 - height - gap),
        (x1, y2 + gap),
        (right, y2 + gap),
        (x1 + gap, y1 + gap),
        (right - gap, y2 - height - gap),
        (x1, y1 - 2 * height - 2 * gap),
        (x1, y2 + height + 2 * gap),
    ]


def inside_picture(left: float, top: float, size: tuple[int, int], picture: tuple[int, int]) -> Place:
    """The place of a label, moved into the picture as far as it has to be."""
    height, width = size
    x = max(min(round(left), picture[1] - width), 0)
    y = max(min(round(top), picture[0] - height), 0)
    return x, y, x + width, y + height


def overlap(first: Place, second: Place) -> int:
    """Pixels that two places share."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    return max(width, 0) * max(height, 0)
