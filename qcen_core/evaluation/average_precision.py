"""Average precision and recall as COCO and YouTube-VIS define them, for any measure of similarity.

Letters: K classes, A bands of size, T thresholds, R recall points, M caps on the number of results,
D results, G ground truths, U units. A unit is what ground truth is counted in: a whole video, or one frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qcen_core.records import BoolArray, Float64Array, IntArray

# The smallest and the largest value, both included.
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
        occlusion: (G,) float64, 0 to 1, NaN where unknown; `None` where of none it is known.
        thankless: (G,) bool; such a ground truth can be found, but whoever finds it counts as having found none.
            `None` where there is no such thing.
        result_groups: (B, D) bool, of which of `Bands.groups` a result is; `None` where there are none.
        truth_groups: (B, G) bool, likewise.
    """

    scores: Float64Array
    similarity: Float64Array
    result_sizes: Float64Array
    truth_sizes: Float64Array
    crowd: BoolArray
    occlusion: Float64Array | None = None
    thankless: BoolArray | None = None
    result_groups: BoolArray | None = None
    truth_groups: BoolArray | None = None

    def __post_init__(self) -> None:
        units, results, truths = self.similarity.shape
        shapes = (self.scores.shape, self.result_sizes.shape, self.truth_sizes.shape, self.crowd.shape)
        if shapes != ((results,), (units, results), (units, truths), (truths,)):
            raise ValueError(f"similarity {self.similarity.shape} does not go with {shapes}")


@dataclass(frozen=True, slots=True)
class Bands:
    """What ground truth is grouped by: A bands, those of size first, further ones last.

    Attributes:
        sizes: bands of the area.
        occlusions: bands of the occlusion; they hold objects of any size.
        groups: number of further bands, whose members whoever compares must know.
    """

    sizes: tuple[Band, ...]
    occlusions: tuple[Band, ...] = ()
    groups: int = 0

    def __len__(self) -> int:
        return len(self.sizes) + len(self.occlusions) + self.groups

    def hold(self, sizes: Float64Array, members: BoolArray | None = None) -> BoolArray:
        """(A, U, N) bool, whether each band holds areas (U, N); one of occlusion holds all but NaN.

        A further band holds its `members`, (B, N), but NaN.
        """
        ranges = (*self.sizes, *[ANY_SIZE] * (len(self.occlusions) + self.groups))
        held = np.stack([(sizes >= low) & (sizes <= high) for low, high in ranges])
        if self.groups and members is not None:
            held[-self.groups :] &= members[:, None]
        return held

    def count(self, comparison: Comparison) -> BoolArray:
        """(A, U, G) bool, whether each band holds the ground truths, leaving out crowds."""
        held = self.hold(comparison.truth_sizes, comparison.truth_groups) & ~comparison.crowd
        known = np.full(len(comparison.crowd), np.nan) if comparison.occlusion is None else comparison.occlusion
        for place, (low, high) in enumerate(self.occlusions, start=len(self.sizes)):
            held[place] &= (known >= low) & (known <= high)
        return held


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of N results of any classes: true, false, or neither of the two; and how many truths there were.

    Attributes:
        classes: (N,) int64.
        scores: (N,) float64.
        ranks: (N,) int64, place of the result by score among those of its class and unit, from 1.
        true: (A, T, N) bool.
        false: (A, T, N) bool.
        truths: (K, A) int64.
    """

    classes: IntArray
    scores: Float64Array
    ranks: IntArray
    true: BoolArray
    false: BoolArray
    truths: IntArray


@dataclass(frozen=True, slots=True)
class PrecisionRecall:
    """Precision and recall of every class; NaN where a class has no ground truth in the band.

    Attributes:
        precision: (T, R, K, A) float64, with the largest cap.
        recall: (T, K, A, M) float64.
    """

    precision: Float64Array
    recall: Float64Array


def precision_recall(outcome: Outcome, *, caps: Sequence[int] = RESULT_CAPS) -> PrecisionRecall:
    """Precision at 101 recall points, and recall, for K classes.

    Args:
        outcome: of all videos, in their order: it decides between equal scores.
        caps: M largest numbers of results, per class and unit, ascending.
    """
    (kinds, bands), thresholds = outcome.truths.shape, outcome.true.shape[1]
    precision = np.full((thresholds, len(RECALL_POINTS), kinds, bands), np.nan)
    recall = np.full((thresholds, kinds, bands, len(caps)), np.nan)
    order = np.lexsort((-outcome.scores, outcome.classes))
    borders = np.searchsorted(outcome.classes[order], np.arange(kinds + 1))
    for kind in np.flatnonzero(outcome.truths.any(axis=1)):
        here = order[borders[kind] : borders[kind + 1]]
        here = here[outcome.ranks[here] <= caps[-1]]
        ranks, truths = outcome.ranks[here], outcome.truths[kind]
        for band in np.flatnonzero(truths):
            true, false = outcome.true[band][:, here], outcome.false[band][:, here]
            precision[:, :, kind, band] = interpolated_precision(true, false, int(truths[band]))
            for place, cap in enumerate(caps):
                recall[:, kind, band, place] = true[:, ranks <= cap].sum(axis=1) / truths[band]
    return PrecisionRecall(precision, recall)


def judge(
    comparison: Comparison, kind: int, kinds: int, bands: Bands, thresholds: Float64Array = IOU_THRESHOLDS
) -> Outcome:
    """Judge the results of one class in one video by their ground truths.

    Args:
        comparison: the two.
        kind: the class.
        kinds: K.
        bands: A bands of the ground truth; a result that finds nothing is false in bands that hold it.
        thresholds: (T,) least similarity of a match.
    """
    order = np.argsort(-comparison.scores, kind="stable")
    sizes = comparison.result_sizes[:, order]
    present = ~np.isnan(sizes)
    counted = bands.count(comparison)
    limits = np.minimum(thresholds, 1 - 1e-10)
    matched, excused = match_results(
        comparison.similarity[:, order], ~counted, comparison.crowd, limits, comparison.thankless
    )
    members = None if comparison.result_groups is None else comparison.result_groups[:, order]
    truths = np.zeros((kinds, len(bands)), dtype=np.int64)
    truths[kind] = counted.sum(axis=(1, 2))
    return Outcome(
        classes=np.full(present.sum(), kind),
        scores=np.broadcast_to(comparison.scores[order], sizes.shape)[present],
        ranks=np.cumsum(present, axis=1)[present],
        true=(matched & ~excused)[:, :, present],
        false=(~matched & ~excused & bands.hold(sizes, members)[:, None])[:, :, present],
        truths=truths,
    )


def judge_unopposed(
    scores: Float64Array,
    classes: IntArray,
    sizes: Float64Array,
    kinds: int,
    bands: Bands,
    members: BoolArray | None = None,
    thresholds: int = 10,
) -> Outcome:
    """Judge results of classes that have no ground truth in their video: they find nothing.

    Args:
        scores: (D,) float64.
        classes: (D,) int64.
        sizes: (U, D) float64 areas, NaN where the unit does not hold the result.
        kinds: K.
        bands: A bands.
        members: (B, D) bool, of which of the further bands the results are.
        thresholds: T.
    """
    order = np.lexsort((-scores, classes))
    classes, sizes = classes[order], sizes[:, order]
    present = ~np.isnan(sizes)
    before = np.cumsum(present, axis=1) - present
    ranks = before - before[:, np.searchsorted(classes, classes)] + 1
    false = bands.hold(sizes, None if members is None else members[:, order])[:, present]
    shape = (len(bands), thresholds, false.shape[1])
    return Outcome(
        classes=np.broadcast_to(classes, sizes.shape)[present],
        scores=np.broadcast_to(scores[order], sizes.shape)[present],
        ranks=ranks[present],
        true=np.zeros(shape, dtype=np.bool_),
        false=np.broadcast_to(false[:, None], shape),
        truths=np.zeros((kinds, len(bands)), dtype=np.int64),
    )


def join(outcomes: Sequence[Outcome]) -> Outcome:
    """One outcome of all, in their order."""
    return Outcome(
        classes=np.concatenate([outcome.classes for outcome in outcomes]),
        scores=np.concatenate([outcome.scores for outcome in outcomes]),
        ranks=np.concatenate([outcome.ranks for outcome in outcomes]),
        true=np.concatenate([outcome.true for outcome in outcomes], axis=-1),
        false=np.concatenate([outcome.false for outcome in outcomes], axis=-1),
        truths=np.sum([outcome.truths for outcome in outcomes], axis=0),
    )


def match_results(
    similarity: Float64Array,
    ignored: BoolArray,
    crowd: BoolArray,
    limits: Float64Array,
    thankless: BoolArray | None = None,
) -> tuple[BoolArray, BoolArray]:
    """Give each result, best score first, the most similar ground truth that is still free.

    An ignored ground truth is taken only where no other is similar enough; among equals the last one is taken;
    a crowd stays free.

    Args:
        similarity: (U, D, G) float64, results by descending score.
        ignored: (A, U, G) bool.
        crowd: (G,) bool.
        limits: (T,) least similarity of a match.
        thankless: (G,) bool, ground truths that are taken without the result being matched.

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
        matched[..., index] = (chosen if thankless is None else chosen & ~thankless).any(axis=-1)
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
    # Recall grows, and precision is best, where a result finds something: nothing else need be looked at.
    rows, columns = np.nonzero(true)
    found = true.sum(axis=1)
    hits = np.arange(1, len(rows) + 1) - np.repeat(np.cumsum(found) - found, found)
    misses = np.cumsum(false, axis=1, dtype=np.int32)[rows, columns]
    precision = np.zeros((len(true), max(truths, found.max(initial=0)) + 1))
    precision[rows, hits - 1] = hits / (hits + misses)
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    recall = np.arange(1, precision.shape[1]) / truths
    interpolated: Float64Array = envelope[:, np.searchsorted(recall, RECALL_POINTS, side="left")]
    return interpolated


def mean_where_defined(values: Float64Array) -> float | None:
    """The mean of all entries that are not NaN, or `None` where there is none."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else None
