"""Whether scores are as large as the share of results that are right."""

from dataclasses import dataclass

import numpy as np

from qcen_core.evaluation.average_precision import RESULT_CAPS, Outcome

_BINS = 10
# Places in `Outcome`: objects of any size, and an IoU of 0.5.
_ANY, _HALF = 0, 0


@dataclass(frozen=True, slots=True)
class ScoreBin:
    """Results of about the same score.

    Attributes:
        low: least score.
        high: largest score, which is the least of the next bin; the last bin includes it.
        count: number of results.
        score: their mean score, `None` without any.
        right: share of them that found an object of their class with an IoU of 0.5 or more, `None` without any.
    """

    low: float
    high: float
    count: int
    score: float | None
    right: float | None


def reliability(outcome: Outcome) -> tuple[ScoreBin, ...]:
    """Ten bins of equal width.

    A result counts as right if it is a true one of AP50: of several on one object only the best. Left out are results
    that lie on a crowd or beyond the hundred best of their class and video, and scores that are not between 0 and 1.
    """
    true, false = outcome.true[_ANY, _HALF], outcome.false[_ANY, _HALF]
    counted = (true | false) & (outcome.scores >= 0) & (outcome.scores <= 1) & (outcome.ranks <= RESULT_CAPS[-1])
    scores, true = outcome.scores[counted], true[counted]
    edges = np.arange(_BINS + 1) / _BINS
    places = np.searchsorted(edges[1:-1], scores, side="right")
    counts = np.bincount(places, minlength=_BINS).tolist()
    sums = np.bincount(places, weights=scores, minlength=_BINS).tolist()
    right = np.bincount(places[true], minlength=_BINS).tolist()
    return tuple(
        ScoreBin(low, high, count, total / count if count else None, hits / count if count else None)
        for low, high, count, total, hits in zip(
            edges[:-1].tolist(), edges[1:].tolist(), counts, sums, right, strict=True
        )
    )


def expected_error(bins: tuple[ScoreBin, ...]) -> float | None:
    """ECE: the mean, over results, of how far mean score and share of right ones of their bin are from each other.

    `None` without results.
    """
    total = sum(part.count for part in bins)
    gaps = [
        part.count * abs(part.score - part.right) for part in bins if part.score is not None and part.right is not None
    ]
    return sum(gaps) / total if total else None


def calibration(outcome: Outcome) -> dict[str, object]:
    """The bins and `ece`, as they are reported."""
    bins = reliability(outcome)
    rows = tuple(
        {"from": part.low, "to": part.high, "count": part.count, "score": part.score, "right": part.right}
        for part in bins
    )
    return {"bins": rows, "ece": expected_error(bins)}
