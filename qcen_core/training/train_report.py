"""What a run tells: how far it is, and in the end what it did."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class TrainProgress:
    """How far a run is, reported every `log_every` steps and after every evaluated frame.

    Attributes:
        step: steps done.
        steps: steps of the whole run.
        losses: mean of each loss term since the last report, over all processes, and of the `total`.
        frames_per_second: training speed of all processes since the last report.
        data_wait: share of the time that was spent waiting for data.
        memory: bytes that the first process held at most.
        evaluating: what is being evaluated at the moment, e.g. "video 3 of 40"; `None` while training.
    """

    step: int
    steps: int
    losses: Mapping[str, float]
    frames_per_second: float
    data_wait: float
    memory: int
    evaluating: str | None = None

    @property
    def total(self) -> float:
        """Mean of the weighted loss since the last report."""
        return self.losses["total"]


@dataclass(frozen=True, slots=True)
class TrainReport:
    """What a run did.

    Attributes:
        steps: steps done in all.
        first: steps that had been done before this call.
        seconds: wall time of this call.
        run: folder of the run.
        best: `step` of the best checkpoint, and its `AP`, `AP50` of masks, `box_AP` of box tubes and `association` on
            the hold-out split, as far as the split tells them.
        losses: mean of each loss term over the last report.
        supervision: every kind of label that went into the weights, from those they began as.
    """

    steps: int
    first: int
    seconds: float
    run: Path
    best: dict[str, float]
    losses: dict[str, float]
    supervision: tuple[str, ...] = ()
