"""What is wrong with results: every false one gets one kind of error, and every kind its cost in AP50.

TIDE (Bolya et al. 2020) carried from boxes in images to tracks over videos. IoU is that of tubes, of masks, or of
boxes where the ground truth has no masks. Results are matched as for AP50: best score first, each takes the object of
its class that it covers most of those still free, from an IoU of 0.5 on. What a result is then:

- `right`: it has taken an object.
- `excused`: it lies on a crowd, or has a hundred better ones of its class in its video; it counts for nothing.
- `localisation`: the largest IoU with an object of its class is 0.1 or more, and below 0.5.
- `association`: as `localisation`, but frame by frame it lies right. In each frame that shows both the result and any
  object of its class take the largest IoU with one of them; the mean over these frames is 0.5 or more. What is wrong
  is the identity or the extent in time: one result over two objects, or a track broken in pieces.
- `classification`: none of these, and its IoU with an object of another class is 0.5 or more.
- `duplicate`: none of these, and its IoU with an object of its class is 0.5 or more: a better result has taken it.
- `background`: none of these. What TIDE calls "both", 0.1 to 0.5 with an object of another class alone, is this, too:
  both are mended alike.

An object is `missed` if no result has taken it and no error of localisation, association or classification is about it:
of the objects a result covers most, among those of its class or of others, the one its error is about.

A kind is mended as in TIDE's oracle. Of all results whose error is about one object that is not found, the best one,
whatever its kind, is made right (of the object's class, its score kept), the others are removed; so are those about an
object that is found. Duplicates and background are removed, and missed objects leave the ground truth. A class without
any object left counts 1 if no false result of it is left, otherwise 0.

`find_errors` gives the `Verdicts` of one video, `split_errors` the `ErrorSplit` of all.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qcen_core.evaluation.average_precision import RESULT_CAPS, Outcome, mean_where_defined, precision_recall
from qcen_core.evaluation.tube_iou import frame_iou, tube_iou
from qcen_core.evaluation.video_comparison import MATCHING_IOU, VideoComparison
from qcen_core.records import BoolArray, Float64Array, IntArray

RIGHT, EXCUSED = "right", "excused"
ERRORS = ("classification", "localisation", "association", "duplicate", "background", "missed")
BACKGROUND_IOU = 0.1
NO_OBJECT = -1


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What became of D results and G tracks of ground truth of one video, in the order of `VideoComparison`.

    Attributes:
        kinds: (D,) str, `right`, `excused` or one of `ERRORS` but `missed`.
        objects: (D,) int64, index of the object that a right result has taken or an error is about, -1 for none.
        mends: (D,) bool, whether mending the error makes the result right; it removes the others.
        scores: (D,) float64.
        result_classes: (D,) int64.
        missed: (G,) bool, objects that nothing accounts for.
        truth_classes: (G,) int64.
        crowd: (G,) bool, tracks that are no objects.
    """

    kinds: NDArray[np.str_]
    objects: IntArray
    mends: BoolArray
    scores: Float64Array
    result_classes: IntArray
    missed: BoolArray
    truth_classes: IntArray
    crowd: BoolArray

    def counts(self) -> dict[str, int]:
        """Number of errors of each of `ERRORS`."""
        counts = {kind: int((self.kinds == kind).sum()) for kind in ERRORS}
        return counts | {"missed": int(self.missed.sum())}


@dataclass(frozen=True, slots=True)
class ErrorSplit:
    """What each kind of error costs.

    Attributes:
        AP50: as it is; `None` where there is no object.
        gains: each of `ERRORS` to AP50 with that kind alone mended minus `AP50`; `None` as there.
        counts: each of `ERRORS` to the number of its results, or of objects missed.
    """

    AP50: float | None
    gains: dict[str, float | None]
    counts: dict[str, int]


def find_errors(video: VideoComparison) -> Verdicts:
    """Name what is wrong with the results of one video; official quirks play no part."""
    same = video.result_classes[:, None] == video.truth_classes
    iou = np.where(video.crowd, 0.0, tube_iou(video.best))
    own, foreign = np.where(same, iou, 0.0), np.where(same, 0.0, iou)
    order = np.argsort(-video.scores, kind="stable")
    taken, excused = _match(video, order)
    right, most = taken != NO_OBJECT, own.max(axis=1, initial=0)
    near = (most >= BACKGROUND_IOU) & (most < MATCHING_IOU)
    steady = _steadiness(video, same) >= MATCHING_IOU
    conditions = {
        EXCUSED: excused,
        RIGHT: right,
        "association": near & steady,
        "localisation": near,
        "classification": foreign.max(axis=1, initial=0) >= MATCHING_IOU,
        "duplicate": most >= MATCHING_IOU,
    }
    kinds = np.select([*conditions.values()], [*conditions], "background")
    objects = np.where(kinds == "classification", _largest(foreign), _largest(own))
    objects = np.where(right, taken, objects)
    objects[np.isin(kinds, (EXCUSED, "background"))] = NO_OBJECT
    mends, missed = _account(kinds, objects, order, video.crowd)
    return Verdicts(kinds, objects, mends, video.scores, video.result_classes, missed, video.truth_classes, video.crowd)


def split_errors(videos: Sequence[Verdicts], classes: int) -> ErrorSplit:
    """What each kind of error costs over all videos.

    Args:
        videos: of each video, in the order that decides between results of equal score.
        classes: number of classes.
    """
    base = mended_precision(videos, classes, ())
    gains: dict[str, float | None] = dict.fromkeys(ERRORS)
    if base is not None:
        for kind in ERRORS:
            mended = mended_precision(videos, classes, (kind,))
            gains[kind] = None if mended is None else mended - base
    counts = [video.counts() for video in videos]
    return ErrorSplit(base, gains, {kind: sum(count[kind] for count in counts) for kind in ERRORS})


def mended_precision(videos: Sequence[Verdicts], classes: int, mended: Collection[str]) -> float | None:
    """AP50 with some of `ERRORS` mended, `None` where there is no object.

    Args:
        videos: as in `split_errors`.
        classes: number of classes.
        mended: those of `ERRORS` to mend.
    """
    truths, left = np.zeros(classes, np.int64), np.zeros(classes, np.int64)
    kept = [_mend(video, mended) for video in videos]
    for video in videos:
        truths += np.bincount(video.truth_classes[~video.crowd], minlength=classes)
        gone = video.missed if "missed" in mended else np.zeros_like(video.missed)
        left += np.bincount(video.truth_classes[~video.crowd & ~gone], minlength=classes)
    if not kept:
        return None
    kinds, scores, true = (np.concatenate(part) for part in zip(*kept, strict=True))
    outcome = Outcome(kinds, scores, np.ones(len(kinds), np.int64), true[None, None], ~true[None, None], left[:, None])
    precision = precision_recall(outcome).precision[0, :, :, 0].mean(axis=0)
    without_false = np.bincount(kinds[~true], minlength=classes) == 0
    emptied = (truths > 0) & (left == 0)
    precision[emptied] = without_false[emptied]
    return mean_where_defined(precision)


def _mend(video: Verdicts, mended: Collection[str]) -> tuple[IntArray, Float64Array, BoolArray]:
    """Class, score and truth of each result that is left."""
    touched = np.isin(video.kinds, [*mended])
    made_right = touched & video.mends
    kinds = video.result_classes.copy()
    kinds[made_right] = video.truth_classes[video.objects[made_right]]
    left = (video.kinds != EXCUSED) & (~touched | made_right)
    true = (video.kinds == RIGHT) | made_right
    return kinds[left], video.scores[left], true[left]


def _match(video: VideoComparison, order: IntArray) -> tuple[IntArray, BoolArray]:
    """The object that each result takes, or -1, and whether it is excused, both (D,)."""
    iou = tube_iou(video.best)
    taken, excused = np.full(len(order), NO_OBJECT), np.zeros(len(order), np.bool_)
    free, ranks = ~video.crowd, np.zeros(max(video.result_classes, default=0) + 1, np.int64)
    for result in order.tolist():
        kind = video.result_classes[result]
        ranks[kind] += 1
        near = (iou[result] >= MATCHING_IOU) & (video.truth_classes == kind)
        if ranks[kind] > RESULT_CAPS[-1]:
            excused[result] = True
        elif (near & free).any():
            # Among equals the last one, as for AP50.
            likeness = np.where(near & free, iou[result], -1.0)
            taken[result] = len(free) - 1 - likeness[::-1].argmax()
            free[taken[result]] = False
        else:
            excused[result] = (near & video.crowd).any()
    return taken, excused


def _steadiness(video: VideoComparison, same: BoolArray) -> Float64Array:
    """(D,) mean of the largest IoU with an object of the class over the frames that show such a one and the result."""
    overlap = video.best
    rivals = same & ~video.crowd
    shown = (overlap.result_areas > 0)[:, :, None] & (overlap.truth_areas > 0)[:, None] & rivals
    best = np.where(shown, frame_iou(overlap), 0.0).max(axis=2, initial=0)
    mean: Float64Array = best.sum(axis=0) / np.maximum(shown.any(axis=2).sum(axis=0), 1)
    return mean


def _account(
    kinds: NDArray[np.str_], objects: IntArray, order: IntArray, crowd: BoolArray
) -> tuple[BoolArray, BoolArray]:
    """Which results mending makes right, (D,), and which objects nothing accounts for, (G,)."""
    mends, open_objects = np.zeros(len(kinds), np.bool_), ~crowd
    open_objects[objects[kinds == RIGHT]] = False
    about = order[np.isin(kinds, ERRORS[:3])[order]]
    about = about[open_objects[objects[about]]]
    accounted, first = np.unique(objects[about], return_index=True)
    mends[about[first]] = True
    open_objects[accounted] = False
    return mends, open_objects


def _largest(iou: Float64Array) -> IntArray:
    """(D,) index of the object of the largest IoU, -1 where there are no objects."""
    return iou.argmax(axis=1) if iou.shape[1] else np.full(len(iou), NO_OBJECT)
