"""HOTA and identity measures of tracks: how well objects are found, and how well a track stays on its object.

The definitions are those of Luiten et al. 2021 (HOTA), Ristani et al. 2016 (IDF1) and Bernardin and Stiefelhagen 2008
(identity switches), and the figures those of the TrackEval program, but that a figure without anything to measure is
undefined here and 0 there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from qcen_core.evaluation.association import count_switches, match_frames
from qcen_core.records import BoolArray, Float64Array, IntArray

# Least IoU of a match, one after the other.
ALPHAS: Float64Array = np.arange(1, 20) / 20
_LEAST_OF_IDENTITY = 0.5
_ROUNDING = float(np.finfo(np.float64).eps)
# The figures that are told at each of them.
_AT = ("HOTA", "DetA", "AssA")
# Rows of `HotaCounts.sums`.
_IOU, _ASSOCIATION, _ASSOCIATION_RECALL, _ASSOCIATION_PRECISION = range(4)


@dataclass(frozen=True, slots=True)
class HotaCounts:
    """What HOTA is made of, over one video; an object counts once in each frame that shows it, and so do results.

    Attributes:
        objects: number of visible objects, over all frames.
        results: number of results, likewise.
        matches: (19,) int64, number of matches at each of `ALPHAS`.
        sums: (4, 19) float64, over these matches: of the IoU, and of what tells how far the match's object and result
            go together in all frames: (frames where they match) / (frames with either), / (frames with the object) and
            / (frames with the result).
    """

    objects: int
    results: int
    matches: IntArray
    sums: Float64Array


@dataclass(frozen=True, slots=True)
class IdentityCounts:
    """What the identity measures are made of, over one video, beside the numbers in `HotaCounts`.

    Attributes:
        found: largest number of frames with an IoU of 0.5 or more, if each object has one result for the whole video
            and each result one object.
        switches: how often an object's result differs from the one it was last matched to. Couples of the frame before
            stay together while their IoU reaches 0.5; frames without any object or any result are passed over.
    """

    found: int
    switches: int


@dataclass(frozen=True, slots=True)
class VideoTracking:
    """Counts of one video.

    Attributes:
        together: of all classes, the classes playing no part.
        identity: likewise.
        by_class: class to the counts of its own results and objects, where it has any.
    """

    together: HotaCounts
    identity: IdentityCounts
    by_class: dict[int, HotaCounts]


def count_tracking(
    iou: Float64Array,
    results: BoolArray,
    objects: BoolArray,
    result_classes: IntArray,
    object_classes: IntArray,
    matches: IntArray | None = None,
) -> VideoTracking:
    """Count what the figures of a video are made of.

    Args:
        iou: (F, D, G) float64 of D results and G objects in each frame; crowds and results that are not shown left out.
        results: (F, D) bool, whether the frame holds the result.
        objects: (F, G) bool, whether it shows the object.
        result_classes: (D,) int64.
        object_classes: (G,) int64.
        matches: what `match_frames` makes of the IoU, where it is known already.
    """
    result_counts = np.bincount(result_classes, weights=results.sum(axis=0))
    object_counts = np.bincount(object_classes, weights=objects.sum(axis=0))
    unmatched = np.zeros(len(ALPHAS), np.int64), np.zeros((4, len(ALPHAS)))
    by_class = {kind: HotaCounts(0, int(count), *unmatched) for kind, count in enumerate(result_counts) if count}
    for kind in np.flatnonzero(object_counts).tolist():
        here, there = result_classes == kind, object_classes == kind
        by_class[kind] = count_hota(iou[:, here][:, :, there], results[:, here], objects[:, there])
    return VideoTracking(count_hota(iou, results, objects), count_identity(iou, results, objects, matches), by_class)


def count_hota(iou: Float64Array, results: BoolArray, objects: BoolArray) -> HotaCounts:
    """Match results and objects frame by frame, and count how far matches last.

    In each frame the sum of IoU times the likeness of the whole tracks is largest.

    Args:
        iou: (F, D, G) float64.
        results: (F, D) bool, whether the frame holds the result.
        objects: (F, G) bool, whether it shows the object.
    """
    matches, sums = np.zeros(len(ALPHAS), np.int64), np.zeros((4, len(ALPHAS)))
    result_lengths, object_lengths = results.sum(axis=0), objects.sum(axis=0)
    frames, rows, columns = _matches(iou, results, objects) if iou.any() else ((), (), ())
    if len(frames):
        values = iou[frames, rows, columns]
        reached = values >= ALPHAS[:, None] - _ROUNDING
        couples, places = np.unique(rows * iou.shape[2] + columns, return_inverse=True)
        # How often each couple is matched, (19, C).
        together = np.stack([np.bincount(places, weights=row, minlength=len(couples)) for row in reached])
        of_result = result_lengths[couples // iou.shape[2]]
        of_object = object_lengths[couples % iou.shape[2]]
        matches = reached.sum(axis=1)
        sums[_IOU] = reached @ values
        sums[_ASSOCIATION] = (together**2 / (of_result + of_object - together)).sum(axis=1)
        sums[_ASSOCIATION_RECALL] = (together**2 / of_object).sum(axis=1)
        sums[_ASSOCIATION_PRECISION] = (together**2 / of_result).sum(axis=1)
    return HotaCounts(int(object_lengths.sum()), int(result_lengths.sum()), matches, sums)


def _matches(iou: Float64Array, results: BoolArray, objects: BoolArray) -> tuple[IntArray, IntArray, IntArray]:
    """Frame, result and object of each match, of whatever IoU above 0."""
    shares = _divide(iou, iou.sum(axis=1, keepdims=True) + iou.sum(axis=2, keepdims=True) - iou).sum(axis=0)
    lengths = results.sum(axis=0)[:, None] + objects.sum(axis=0)
    weights = iou * _divide(shares, lengths - shares)
    # Where each object has a best result of its own, nothing can be better than those.
    chosen = (weights == weights.max(axis=1, keepdims=True)) & (weights > 0)
    contested = (chosen.sum(axis=1) > 1).any(axis=1) | (chosen.sum(axis=2) > 1).any(axis=1)
    for frame in np.flatnonzero(contested).tolist():
        there, visible = np.flatnonzero(results[frame]), np.flatnonzero(objects[frame])
        columns, rows = linear_sum_assignment(weights[frame][there][:, visible].T, maximize=True)
        chosen[frame] = False
        chosen[frame, there[rows], visible[columns]] = True
    found = np.nonzero(chosen & (weights > 0))
    return found[0], found[1], found[2]


def count_identity(
    iou: Float64Array, results: BoolArray, objects: BoolArray, matches: IntArray | None = None
) -> IdentityCounts:
    """Give each object one result for the whole video, and count how often its result of the frame changes.

    Args:
        iou: (F, D, G) float64.
        results: (F, D) bool, whether the frame holds the result.
        objects: (F, G) bool, whether it shows the object.
        matches: what `match_frames` makes of the IoU, where it is known already.
    """
    near = (iou >= _LEAST_OF_IDENTITY).sum(axis=0)
    occupied = results.any(axis=1) & objects.any(axis=1)
    if matches is None or not occupied.all():
        matches = match_frames(iou[occupied])
    return IdentityCounts(
        found=int(near[linear_sum_assignment(near, maximize=True)].sum()),
        switches=count_switches(matches),
    )


def tracking_figures(videos: Sequence[VideoTracking]) -> dict[str, object]:
    """HOTA and what it is made of, IDF1, and identity switches, of all classes together.

    Args:
        videos: counts of each.

    Returns:
        `HOTA`, `DetA`, `AssA`, `LocA`, `DetRe`, `DetPr`, `AssRe` and `AssPr`, means over `alphas`; of each alpha
        `HOTA_at`, `DetA_at` and `AssA_at`; `IDF1`, `IDP`, `IDR`; `IDSW`, a number. All others are 0 to 1, and `None`
        where there is nothing to measure.
    """
    counts = [video.together for video in videos]
    objects, results = sum(count.objects for count in counts), sum(count.results for count in counts)
    found = sum(video.identity.found for video in videos)
    at = _hota_at(counts)
    told = objects + results > 0
    reached = sum(int(count.matches[0]) for count in counts) > 0
    defined = {
        "HOTA": told,
        "DetA": told,
        "AssA": told,
        "LocA": reached,
        "DetRe": objects > 0,
        "DetPr": results > 0,
        "AssRe": told,
        "AssPr": told,
    }
    return {
        **{name: float(at[name].mean()) if known else None for name, known in defined.items()},
        "IDF1": 2 * found / (objects + results) if told else None,
        "IDP": found / results if results else None,
        "IDR": found / objects if objects else None,
        "IDSW": sum(video.identity.switches for video in videos),
        "alphas": tuple(ALPHAS.tolist()),
        **{f"{name}_at": tuple(at[name].tolist()) if told else (None,) * len(ALPHAS) for name in _AT},
    }


def class_hota(videos: Sequence[VideoTracking], names: Sequence[str]) -> dict[str, float | None]:
    """HOTA of each class, between its own results and objects; `None` where it has no object.

    Args:
        videos: counts of each.
        names: of the K classes.
    """
    found: dict[str, float | None] = {}
    for kind, name in enumerate(names):
        counts = [video.by_class[kind] for video in videos if kind in video.by_class]
        known = any(count.objects for count in counts)
        found[name] = float(_hota_at(counts)["HOTA"].mean()) if known else None
    return found


def _hota_at(counts: Sequence[HotaCounts]) -> dict[str, Float64Array]:
    """(19,) values of HOTA and its parts at each alpha.

    Where nothing matches, the localisation is 1 and the association is 0, as in TrackEval.
    """
    objects, results = sum(count.objects for count in counts), sum(count.results for count in counts)
    matches = np.sum([count.matches for count in counts], axis=0)
    sums = np.sum([count.sums for count in counts], axis=0)
    means = _divide(sums, np.broadcast_to(matches, sums.shape))
    detection = matches / np.maximum(1, objects + results - matches)
    return {
        "HOTA": np.sqrt(detection * means[_ASSOCIATION]),
        "DetA": detection,
        "AssA": means[_ASSOCIATION],
        "LocA": np.where(matches > 0, means[_IOU], 1.0),
        "DetRe": matches / max(1, objects),
        "DetPr": matches / max(1, results),
        "AssRe": means[_ASSOCIATION_RECALL],
        "AssPr": means[_ASSOCIATION_PRECISION],
    }


def _divide(part: Float64Array, whole: Float64Array) -> Float64Array:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
