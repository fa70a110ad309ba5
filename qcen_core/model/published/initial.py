"""What a source of weights holds, under our names, whatever it was called there."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from qcen_core.config import QcenConfig
from qcen_core.records import Category

PUBLISHED_LACKS = r"decoder\.contrast_embed\..+"
NOTHING = r"(?!)"


@dataclass(frozen=True, slots=True)
class InitialWeights:
    """Weights to start from, or to use.

    Attributes:
        kind: what the source is, in a few words.
        place: where it lies.
        weights: tensors under our names.
        origins: our name -> the names it had there.
        unused: names there that nothing here needs.
        lacks: pattern of our names that such a source has no tensors for; those start afresh.
        config: the configuration, `None` for a backbone alone.
        categories: the classes; names that nobody told are "class 1", "class 2", ...; none for a backbone alone.
        supervision: every kind of label that went into the weights.
        info: what else a checkpoint of ours remembers.
    """

    kind: str
    place: str
    weights: Mapping[str, Tensor]
    origins: Mapping[str, tuple[str, ...]]
    unused: tuple[str, ...]
    lacks: str
    config: QcenConfig | None
    categories: tuple[Category, ...]
    supervision: tuple[str, ...]
    info: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WeightsReport:
    """What became of every tensor.

    Attributes:
        kept: our names that were the same there.
        mapped: our name -> the other name it had there, or the names where several became one.
        new: our names that the source has no tensor for.
        unused: names there that nothing here needs.
    """

    kept: tuple[str, ...]
    mapped: Mapping[str, tuple[str, ...]]
    new: tuple[str, ...]
    unused: tuple[str, ...]


def report(initial: InitialWeights, state: Mapping[str, Tensor]) -> WeightsReport:
    """Sort the tensors of a source, and those of the model that it fills, by what became of them."""
    kept = tuple(name for name, origin in initial.origins.items() if origin == (name,))
    return WeightsReport(
        kept=kept,
        mapped={name: origin for name, origin in initial.origins.items() if origin != (name,)},
        new=tuple(name for name in state if name not in initial.weights),
        unused=initial.unused,
    )


def completed(initial: InitialWeights, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a source, and from a fresh model those that such a source lacks."""
    fresh = {name: tensor for name, tensor in state.items() if re.fullmatch(initial.lacks, name)}
    return fresh | dict(initial.weights)
