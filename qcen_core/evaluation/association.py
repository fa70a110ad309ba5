"""Whether a predicted track stays on the same object from one frame to the next."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from qcen_core.records import Float64Array, IntArray

UNMATCHED = -1


@dataclass(frozen=True, slots=True)
class Association:
    """Association over a set of videos. The classes of results and objects play no part.

    In each frame results are matched one to one to the visible objects that they cover with an IoU of 0.5 or
    more. A couple of the frame before is kept while it covers as much (as the CLEAR MOT measures have it, so
    that a doubled result is no switch); the others are matched for the largest sum of IoU.

    Attributes:
        accuracy: share of links that are right, `None` without a link. A link is an object matched in two
            frames that follow each other; it is right where both frames match it to one and the same result.
        links: number of links.
        switches: how often an object's result differs from the one it was last matched to, however long ago.
        matched: share of visible objects that are matched, `None` where no object is visible.
        mean_iou: mean IoU of the matched couples, `None` without one.
    """

    accuracy: float | None
    links: int
    switches: int
    matched: float | None
    mean_iou: float | None


@dataclass(frozen=True, slots=True)
class LinkCounts:
    """What `Association` is made of, over one video; its fields are counts but `iou`, the sum over all couples."""

    links: int
    right: int
    switches: int
    visible: int
    couples: int
    iou: float


def association(counts: Sequence[LinkCounts]) -> Association:
    """Association over a set of videos.

    Args:
        counts: those of each video.
    """
    links, right, couples, visible = (
        sum(getattr(count, name) for count in counts) for name in ("links", "right", "couples", "visible")
    )
    return Association(
        accuracy=right / links if links else None,
        links=links,
        switches=sum(count.switches for count in counts),
        matched=couples / visible if visible else None,
        mean_iou=sum(count.iou for count in counts) / couples if couples else None,
    )


def match_frames(iou: Float64Array, least: float = 0.5) -> IntArray:
    """The result matched to each object in each frame.

    Args:
        iou: (F, D, G) float64, IoU of results and objects in each frame.
        least: IoU that a match needs.

    Returns:
        (F, G) int64, index of the result, or -1.
    """
    frames, _, objects = iou.shape
    matches = np.full((frames, objects), UNMATCHED)
    for frame in range(frames):
        near = np.where(iou[frame] >= least, iou[frame], 0.0)
        if frame:
            before = matches[frame - 1]
            kept = np.flatnonzero(before != UNMATCHED)
            kept = kept[near[before[kept], kept] > 0]
            matches[frame, kept] = before[kept]
            near[before[kept]] = 0.0
            near[:, kept] = 0.0
        if not near.any():
            continue
        rows, columns = linear_sum_assignment(near, maximize=True)
        real = near[rows, columns] > 0
        matches[frame, columns[real]] = rows[real]
    return matches


def count_switches(matches: IntArray) -> int:
    """How often an object's result differs from the one it was last matched to.

    Args:
        matches: (F, G) int64, the result of each object in each frame, or -1.
    """
    histories = (matches[matches[:, g] != UNMATCHED, g] for g in range(matches.shape[1]))
    return sum(int((history[1:] != history[:-1]).sum()) for history in histories)


def count_links(iou: Float64Array, areas: Float64Array, matches: IntArray | None = None) -> LinkCounts:
    """Count what there is to associate in a video, and how much of it is right.

    Args:
        iou: (F, D, G) float64 of the video's D results and G objects in each frame. Leave out crowds, and results
            whose score is too low to be shown.
        areas: (F, G) float64 of the objects, 0 where not visible.
        matches: what `match_frames` makes of the IoU, where it is known already.
    """
    matches = match_frames(iou) if matches is None else matches
    frames, objects = np.nonzero(matches != UNMATCHED)
    linked = (matches[1:] != UNMATCHED) & (matches[:-1] != UNMATCHED)
    return LinkCounts(
        links=int(linked.sum()),
        right=int((linked & (matches[1:] == matches[:-1])).sum()),
        switches=count_switches(matches),
        visible=int((areas > 0).sum()),
        couples=len(frames),
        iou=float(iou[frames, matches[frames, objects], objects].sum()),
    )
