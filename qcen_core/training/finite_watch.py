"""Noticing numbers that are not finite without making a GPU wait."""

from typing import NamedTuple

import torch
from torch import Tensor

from qcen_core.structures import ClipBatch


class _Step(NamedTuple):
    step: int
    parts: tuple[ClipBatch, ...]
    finite: Tensor
    arrived: torch.cuda.Event | None


class FiniteWatch:
    """Remembers the last step until it is known whether its loss and gradient were finite.

    The answer is copied to the host while the device goes on. By the end of the next step it has long arrived: to
    solve the matching of that step, the host has waited for everything before it.
    """

    def __init__(self) -> None:
        self._last: _Step | None = None

    def add(self, step: int, parts: tuple[ClipBatch, ...], finite: Tensor) -> None:
        """Remember a step, and look at the one before.

        Raises:
            NotFiniteError: that one was not finite.
        """
        answer, arrived = finite, None
        if finite.device.type == "cuda":
            answer = torch.empty((), dtype=torch.bool, pin_memory=True)
            answer.copy_(finite, non_blocking=True)
            arrived = torch.cuda.Event()
            arrived.record()
        self.settle()
        self._last = _Step(step, parts, answer, arrived)

    def settle(self) -> None:
        """Wait for the last step: what comes next keeps or shows its weights.

        Raises:
            NotFiniteError: it was not finite.
        """
        last, self._last = self._last, None
        if last is None:
            return
        if last.arrived is not None:
            last.arrived.synchronize()
        if not last.finite:
            raise NotFiniteError(last.step, last.parts)


class NotFiniteError(Exception):
    """The loss or the gradient of a step was not finite.

    Attributes:
        step: steps done before it.
        parts: what it should have learned from.
    """

    def __init__(self, step: int, parts: tuple[ClipBatch, ...], detail: str = "loss or gradient") -> None:
        super().__init__(detail)
        self.step = step
        self.parts = parts
