"""Which result belongs to which object of a video, and the colours that say so."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from qcen_core.ops.rle_measure import common_pixels, measure_masks
from qcen_core.records import Float64Array, ObjectTrack, Rle, TrackResult
from qcen_core.visualization.palette import hex_color, track_color

_LEAST_IOU = 0.1


def partners_told(entry: Mapping[str, Any]) -> dict[int, int]:
    """The object that each result follows for most of its frames, as an evaluation found it.

    Args:
        entry: one of the `worst` videos of `report.json`.

    Returns:
        Id of a result to the id of its object; a result has one object, and an object one result.
    """
    frames: Counter[tuple[int, int]] = Counter()
    for item in entry.get("objects") or ():
        for first, last, result in item.get("matched") or ():
            frames[result, item["id"]] += last - first + 1
    return _one_to_one([pair for pair, _ in sorted(frames.items(), key=lambda item: (-item[1], item[0]))])


def partners_by_overlap(objects: Sequence[ObjectTrack], results: Sequence[TrackResult]) -> dict[int, int]:
    """The object that each result overlaps most, each with one partner at most, whatever the classes.

    Args:
        objects: of one video; those without masks have no partner.
        results: of the same video.

    Returns:
        Track id of a result to the id of its object, where their tubes' IoU is at least 0.1.
    """
    if not objects or not results:
        return {}
    overlap = _tube_iou(objects, results)
    rows, columns = linear_sum_assignment(-overlap)
    return {
        results[column].track_id: objects[row].id
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
        if overlap[row, column] >= _LEAST_IOU
    }


def pair_colors(
    objects: Sequence[int], results: Sequence[int], partners: Mapping[int, int]
) -> tuple[dict[int, str], dict[int, str]]:
    """Colours of a video's objects and results; a result has the colour of its object.

    Args:
        objects: ids, in the order that gives them their colours.
        results: ids.
        partners: id of a result to that of its object.

    Returns:
        Id to `#rrggbb`, of the objects and of the results.
    """
    true = {item: hex_color(track_color(place)) for place, item in enumerate(objects, start=1)}
    strangers = [result for result in results if partners.get(result) not in true]
    other = {item: hex_color(track_color(place)) for place, item in enumerate(strangers, start=len(objects) + 1)}
    return true, {result: other.get(result) or true[partners[result]] for result in results}


def _one_to_one(pairs: Sequence[tuple[int, int]]) -> dict[int, int]:
    partners: dict[int, int] = {}
    for result, item in pairs:
        if result not in partners and item not in partners.values():
            partners[result] = item
    return partners


def _tube_iou(objects: Sequence[ObjectTrack], results: Sequence[TrackResult]) -> Float64Array:
    """(len(objects), len(results)) IoU over the whole video."""
    true, found = (_shown([track.segmentations or () for track in side]) for side in (objects, results))
    common = np.zeros((len(objects), len(results)))
    if not true or not found:
        return common
    height, width = true[0].mask["size"]
    a, b = (measure_masks([shown.mask["counts"] for shown in side], height, width) for side in (true, found))
    rows, columns = (np.array([shown.track for shown in side]) for side in (true, found))
    i, j = np.nonzero(np.equal.outer([shown.frame for shown in true], [shown.frame for shown in found]))
    np.add.at(common, (rows[i], columns[j]), common_pixels(a, i, b, j))
    union = np.add.outer(np.bincount(rows, a.areas, len(objects)), np.bincount(columns, b.areas, len(results))) - common
    return np.asarray(np.divide(common, union, out=np.zeros_like(common), where=union > 0))


class _Shown(NamedTuple):
    track: int
    frame: int
    mask: Rle


def _shown(tracks: Sequence[Sequence[Rle | None]]) -> list[_Shown]:
    return [
        _Shown(number, frame, mask)
        for number, track in enumerate(tracks)
        for frame, mask in enumerate(track)
        if mask is not None
    ]
