"""Means over seeds, and comparisons of rows seed by seed."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

BySeed = Mapping[int, float]


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure over seeds.

    Attributes:
        mean: its mean, or what is told in its place.
        spread: sample standard deviation, `None` for a single seed.
        seeds: how many.
    """

    mean: float
    spread: float | None
    seeds: int


def over_seeds(values: BySeed) -> Cell | None:
    """Mean and spread; `None` without a value."""
    return _cell(list(values.values()))


def difference(values: BySeed, reference: BySeed) -> Cell | None:
    """Mean difference from a reference over the seeds that both have, and its spread from seed to seed."""
    return _cell([values[seed] - reference[seed] for seed in _common(values, reference)])


def ratio(values: BySeed, reference: BySeed) -> Cell | None:
    """Ratio of the means over the seeds that both have.

    The spread is that of the ratios of equal seeds; `None` if the reference is 0 for any of them.
    """
    seeds = _common(values, reference)
    if not seeds or any(reference[seed] == 0 for seed in seeds):
        return None
    spread = _spread([values[seed] / reference[seed] for seed in seeds])
    return Cell(math.fsum(values[s] for s in seeds) / math.fsum(reference[s] for s in seeds), spread, len(seeds))


def _common(values: BySeed, reference: BySeed) -> list[int]:
    return sorted(set(values) & set(reference))


def _cell(values: Sequence[float]) -> Cell | None:
    return Cell(statistics.fmean(values), _spread(values), len(values)) if values else None


def _spread(values: Sequence[float]) -> float | None:
    return statistics.stdev(values) if len(values) > 1 else None
