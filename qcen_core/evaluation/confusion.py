"""Which classes results take objects for."""

from collections.abc import Sequence

import numpy as np

from qcen_core.evaluation.tube_iou import tube_iou
from qcen_core.evaluation.video_comparison import VideoComparison
from qcen_core.records import BoolArray, Float64Array, IntArray

_LEAST_IOU = 0.5
# In place of a class: no object, or no result.
NONE = -1


def confused_classes(video: VideoComparison, shown: IntArray) -> IntArray:
    """The true and the found class of each object and each result of a video.

    Results take objects, whatever their class, by descending score: each the one it covers best of those still free,
    with an IoU over the video of 0.5 or more. A result that takes none is left out if it covers a crowd as much.

    Args:
        video: the video.
        shown: (S,) int64, the results that count.

    Returns:
        (N, 2) int64; the true class is -1 where a result found nothing, the found class is -1 for a missed object.
    """
    iou = tube_iou(video.best)
    order = shown[np.argsort(-video.scores[shown], kind="stable")]
    near = np.where(iou >= _LEAST_IOU, iou, 0.0)
    on_crowd: BoolArray = np.where(video.crowd, near, 0.0).max(axis=1, initial=0.0) > 0
    free: Float64Array = (~video.crowd).astype(np.float64)
    pairs: list[tuple[int, int]] = []
    for result in order.tolist():
        found = int(video.result_classes[result])
        likeness = near[result] * free
        if likeness.any():
            best = int(likeness.argmax())
            free[best] = 0.0
            pairs.append((int(video.truth_classes[best]), found))
        elif not on_crowd[result]:
            pairs.append((NONE, found))
    pairs += [(int(kind), NONE) for kind in video.truth_classes[free > 0]]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def confusion(pairs: Sequence[IntArray], names: Sequence[str]) -> dict[str, object]:
    """How often each true class was found as each class.

    Args:
        pairs: true and found classes of each video.
        names: of the K classes.

    Returns:
        `names`, of the classes that occur, and `matrix`: a row each true one, the last row being nothing, a column
        each found one, the last column being missed.
    """
    kinds = len(names)
    counts = np.zeros((kinds + 1, kinds + 1), dtype=np.int64)
    for video in pairs:
        # -1 is the last row and the last column.
        np.add.at(counts, (video[:, 0], video[:, 1]), 1)
    occurring = np.flatnonzero((counts.sum(axis=0) + counts.sum(axis=1))[:kinds])
    places = np.append(occurring, kinds)
    return {
        "names": tuple(names[kind] for kind in occurring.tolist()),
        "matrix": tuple(tuple(row) for row in counts[np.ix_(places, places)].tolist()),
    }
