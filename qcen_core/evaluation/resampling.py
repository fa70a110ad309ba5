"""Figures of videos drawn anew, with replacement: how far a figure depends on which videos it was measured on.

Nothing is matched anew: matches know one video only, and a video that is drawn twice counts twice. Letters: S samples,
V videos, K classes, T thresholds, N results.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qcen_core.evaluation.average_precision import RECALL_POINTS, RESULT_CAPS, Outcome
from qcen_core.evaluation.tracking import ALPHAS, HotaCounts
from qcen_core.records import BoolArray, Float64Array, IntArray

# Numbers of one array of a block of samples, for memory.
_BLOCK_NUMBERS = 5_000_000
# Row of `HotaCounts.sums`: frames where a couple matches, over frames with either.
_ASSOCIATION = 1


@dataclass(frozen=True, slots=True)
class VideoOutcomes:
    """What became of the N results of V videos, one video after the other.

    Attributes:
        outcome: of all; its first band holds objects of any size.
        lengths: (V,) int64, number of results of each video.
        truths: (V, K) int64, number of objects.
    """

    outcome: Outcome
    lengths: IntArray
    truths: IntArray


def draw_videos(videos: int, samples: int, seed: int) -> IntArray:
    """(S, V) how often each video is drawn, if in each sample as many are drawn as there are."""
    return np.random.default_rng(seed).multinomial(videos, np.full(videos, 1 / videos), size=samples)


def resampled_precision(videos: VideoOutcomes, draws: IntArray) -> Float64Array:
    """(S, T, K) average precision, NaN where a sample has no object of the class.

    Copies of a result follow each other, so that the copies of two results of equal score do not take turns.

    Args:
        videos: the results.
        draws: (S, V) int64, how often each video counts.
    """
    block = max(1, _BLOCK_NUMBERS // max(len(videos.outcome.scores), 1))
    blocks = range(0, len(draws), block)
    return np.concatenate([_block_precision(videos, draws[start : start + block]) for start in blocks])


def _block_precision(videos: VideoOutcomes, draws: IntArray) -> Float64Array:
    outcome = videos.outcome
    totals = draws @ videos.truths
    thresholds, kinds = outcome.true.shape[1], totals.shape[1]
    video_of = np.repeat(np.arange(len(videos.lengths)), videos.lengths)
    found = np.full((len(draws), thresholds, kinds), np.nan)
    order = np.lexsort((-outcome.scores, outcome.classes))
    order = order[outcome.ranks[order] <= RESULT_CAPS[-1]]
    borders = np.searchsorted(outcome.classes[order], np.arange(kinds + 1))
    for kind in np.flatnonzero(videos.truths.any(axis=0)).tolist():
        here = order[borders[kind] : borders[kind + 1]]
        true, false = outcome.true[0][:, here], outcome.false[0][:, here]
        weights = draws[:, video_of[here]]
        found[:, :, kind] = _class_precision(weights, true, true | false, totals[:, kind])
    return found


def _class_precision(weights: IntArray, true: BoolArray, counted: BoolArray, totals: IntArray) -> Float64Array:
    """(S, T) average precision of one class.

    Args:
        weights: (S, N), how often each result counts, by descending score.
        true: (T, N).
        counted: (T, N), which are true or false.
        totals: (S,), number of objects.
    """
    found = np.zeros((len(weights), len(true)))
    for place in range(len(true)):
        if not place or (counted[place] != counted[place - 1]).any():  # they differ where there are crowds
            seen = np.cumsum(weights * counted[place], axis=1)
        hit = np.flatnonzero(true[place])
        if hit.size:
            found[:, place] = _area_below(np.cumsum(weights[:, hit], axis=1), seen[:, hit], totals)
    found[totals == 0] = np.nan
    return found


def _area_below(hits: IntArray, seen: IntArray, totals: IntArray) -> Float64Array:
    """(S,) mean of the best precision at or beyond 101 points of recall.

    Args:
        hits: (S, M) number of true results down to each result that may be true.
        seen: (S, M) number of results down to there.
        totals: (S,) number of objects.
    """
    precision = hits / np.maximum(seen, 1)
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    # Each counts for the points that recall reaches there first.
    reached = np.searchsorted(RECALL_POINTS, hits / np.maximum(totals, 1)[:, None], side="right")
    area: Float64Array = (np.diff(reached, axis=1, prepend=0) * best).sum(axis=1) / len(RECALL_POINTS)
    return area


def resampled_hota(videos: Sequence[HotaCounts], draws: IntArray) -> Float64Array:
    """(S,) HOTA, NaN where a sample has neither objects nor results.

    Args:
        videos: counts of each.
        draws: (S, V) int64, how often each video counts.
    """
    objects, results = (draws @ np.array([getattr(c, name) for c in videos]) for name in ("objects", "results"))
    matches = draws @ np.array([count.matches for count in videos]).reshape(len(videos), len(ALPHAS))
    sums = draws @ np.array([count.sums[_ASSOCIATION] for count in videos]).reshape(len(videos), len(ALPHAS))
    detection = matches / np.maximum((objects + results)[:, None] - matches, 1)
    hota: Float64Array = np.sqrt(detection * sums / np.maximum(matches, 1)).mean(axis=1)
    return np.where(objects + results > 0, hota, np.nan)


def mean_defined(values: Float64Array) -> Float64Array:
    """(S,) mean of (S, ...) over all but NaN, NaN where there is nothing else."""
    values = values.reshape(len(values), -1)
    known = ~np.isnan(values)
    count = known.sum(axis=1)
    mean: Float64Array = np.where(known, values, 0.0).sum(axis=1) / np.where(count > 0, count, np.nan)
    return mean
