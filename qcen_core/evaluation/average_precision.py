"""Average precision and recall as COCO and YouTube-VIS define them, for any measure of similarity.

Letters: K classes, A bands of size, T thresholds, R recall points, M caps on the number of results,
D results, G ground truths, U units. A unit is what ground truth is counted in: a whole video, or one frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qcen_core.records import BoolArray, Float64Array, IntArray

Band = tuple[float, float]

IOU_THRESHOLDS: Float64Array = np.linspace(0.5, 0.95, 10)
RECALL_POINTS: Float64Array = np.linspace(0.0, 1.0, 101)
RESULT_CAPS = (1, 10, 100)
ANY_SIZE: Band = (0.0, 1e10)
VIDEO_BANDS: tuple[Band, ...] = (ANY_SIZE, (0.0, 128.0**2), (128.0**2, 256.0**2), (256.0**2, 1e10))


@dataclass(frozen=True, slots=True)
class Comparison:
    """The results and the ground truths of one class in one video, compared in each of U units.

    Attributes:
        scores: (D,) float64.
        similarity: (U, D, G) float64, 0 to 1.
        result_sizes: (U, D) float64 areas, NaN where the unit does not hold the result.
        truth_sizes: (U, G) float64 areas, NaN where the unit does not hold the ground truth.
        crowd: (G,) bool; a crowd is no ground truth to find, but any number of results may lie on it.
    """

    scores: Float64Array
    similarity: Float64Array
    result_sizes: Float64Array
    truth_sizes: Float64Array
    crowd: BoolArray

    def __post_init__(self) -> None:
        units, results, truths = self.similarity.shape
        shapes = (self.scores.shape, self.result_sizes.shape, self.truth_sizes.shape, self.crowd.shape)
        if shapes != ((results,), (units, results), (units, truths), (truths,)):
            raise ValueError(f"similarity {self.similarity.shape} does not go with {shapes}")


@dataclass(frozen=True, slots=True)
class PrecisionRecall:
    """Precision and recall of every class; NaN where a class has no ground truth in the band.

    Attributes:
        precision: (T, R, K, A) float64, with the largest cap.
        recall: (T, K, A, M) float64.
    """

    precision: Float64Array
    recall: Float64Array


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of N = U * D results: true, false, or neither of the two; and how many truths there were.

    Attributes:
        scores: (N,) float64.
        ranks: (N,) int64, place of the result by score among those of its unit, from 1.
        true: (A, T, N) bool.
        false: (A, T, N) bool.
        truths: (A,) int64.
    """

    scores: Float64Array
    ranks: IntArray
    true: BoolArray
    false: BoolArray
    truths: IntArray


def precision_recall(
    comparisons: Sequence[Sequence[Comparison]],
    *,
    bands: Sequence[Band] = VIDEO_BANDS,
    caps: Sequence[int] = RESULT_CAPS,
    thresholds: Float64Array = IOU_THRESHOLDS,
) -> PrecisionRecall:
    """Precision at 101 recall points, and recall, for K classes.

    Args:
        comparisons: for each class its comparisons, in the order of videos: it decides between equal scores.
        bands: A pairs of smallest and largest size, both included.
        caps: M largest numbers of results, per class and unit, ascending.
        thresholds: (T,) least similarity of a match.
    """
    limits = np.minimum(thresholds, 1 - 1e-10)
    precision = np.full((len(limits), len(RECALL_POINTS), len(comparisons), len(bands)), np.nan)
    recall = np.full((len(limits), len(comparisons), len(bands), len(caps)), np.nan)
    for index, of_class in enumerate(comparisons):
        if not of_class:
            continue
        outcome = _join([_judge(comparison, bands, limits) for comparison in of_class])
        counted = np.flatnonzero(outcome.truths)
        for place, cap in enumerate(caps):
            found = outcome.true[..., outcome.ranks <= cap].sum(axis=-1)
            recall[:, index, counted, place] = (found[counted] / outcome.truths[counted, None]).T
        within = outcome.ranks <= caps[-1]
        for band in counted:
            true, false = outcome.true[band][:, within], outcome.false[band][:, within]
            precision[:, :, index, band] = interpolated_precision(true, false, int(outcome.truths[band]))
    return PrecisionRecall(precision, recall)


def match_results(
    similarity: Float64Array, ignored: BoolArray, crowd: BoolArray, limits: Float64Array
) -> tuple[BoolArray, BoolArray]:
    """Give each result, best score first, the most similar ground truth that is still free.

    An ignored ground truth is taken only where no other is similar enough; among equals the last one is taken;
    a crowd stays free.

    Args:
        similarity: (U, D, G) float64, results by descending score.
        ignored: (A, U, G) bool.
        crowd: (G,) bool.
        limits: (T,) least similarity of a match.

    Returns:
        matched: (A, T, U, D) bool, whether the result has a ground truth.
        excused: (A, T, U, D) bool, whether that ground truth is an ignored one.
    """
    units, results, truths = similarity.shape
    matched = np.zeros((len(ignored), len(limits), units, results), dtype=bool)
    excused = np.zeros_like(matched)
    free = np.ones((len(ignored), len(limits), units, truths), dtype=bool)
    regular = ~ignored[:, None]
    for index in np.flatnonzero(similarity.max(axis=(0, 2), initial=0) >= limits.min()):
        likeness = similarity[:, index]
        candidates = free & (likeness >= limits[:, None, None])
        preferred = candidates & regular
        eligible = np.where(preferred.any(axis=-1, keepdims=True), preferred, candidates)
        best = truths - 1 - np.where(eligible, likeness, -1)[..., ::-1].argmax(axis=-1)
        chosen = eligible & (np.arange(truths) == best[..., None])
        free &= ~chosen | crowd
        matched[..., index] = chosen.any(axis=-1)
        excused[..., index] = (chosen & ~regular).any(axis=-1)
    return matched, excused


def interpolated_precision(true: BoolArray, false: BoolArray, truths: int) -> Float64Array:
    """The best precision at or beyond each recall point, 0 beyond the largest recall reached.

    Args:
        true: (T, N) bool, results that found a ground truth, by descending score.
        false: (T, N) bool, results that found none; a result that is neither does not count.
        truths: number of ground truths, 1 or more.

    Returns:
        (T, R) float64.
    """
    hits, misses = np.cumsum(true, axis=1), np.cumsum(false, axis=1)
    recall = hits / truths
    precision = hits / np.maximum(hits + misses, 1)
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    envelope = np.concatenate([envelope, np.zeros((len(true), 1))], axis=1)
    places = [np.searchsorted(row, RECALL_POINTS, side="left") for row in recall]
    return np.take_along_axis(envelope, np.stack(places), axis=1)


def mean_where_defined(values: Float64Array) -> float | None:
    """The mean of all entries that are not NaN, or `None` where there is none."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else None


def _judge(comparison: Comparison, bands: Sequence[Band], limits: Float64Array) -> _Outcome:
    order = np.argsort(-comparison.scores, kind="stable")
    sizes = comparison.result_sizes[:, order]
    present = ~np.isnan(sizes)
    low, high = (np.array(side)[:, None, None] for side in zip(*bands, strict=True))
    counted = (comparison.truth_sizes >= low) & (comparison.truth_sizes <= high) & ~comparison.crowd
    in_band = (sizes >= low) & (sizes <= high)
    matched, excused = match_results(comparison.similarity[:, order], ~counted, comparison.crowd, limits)
    flat = (len(bands), len(limits), -1)
    return _Outcome(
        scores=np.broadcast_to(comparison.scores[order], sizes.shape).ravel(),
        ranks=np.cumsum(present, axis=1).ravel(),
        true=(matched & ~excused & present).reshape(flat),
        false=(~matched & in_band[:, None]).reshape(flat),
        truths=counted.sum(axis=(1, 2)),
    )


def _join(outcomes: Sequence[_Outcome]) -> _Outcome:
    scores = np.concatenate([outcome.scores for outcome in outcomes])
    order = np.argsort(-scores, kind="stable")
    return _Outcome(
        scores=scores[order],
        ranks=np.concatenate([outcome.ranks for outcome in outcomes])[order],
        true=np.concatenate([outcome.true for outcome in outcomes], axis=-1)[..., order],
        false=np.concatenate([outcome.false for outcome in outcomes], axis=-1)[..., order],
        truths=np.sum([outcome.truths for outcome in outcomes], axis=0),
    )
