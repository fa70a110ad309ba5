"""Noticing numbers that are not finite without making a GPU wait."""

from typing import NamedTuple

import torch
from torch import Tensor

from qcen_core.structures import ClipBatch


class _Step(NamedTuple):
    step: int
    parts: tuple[ClipBatch, ...]
    finite: Tensor


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
        answer = finite
        if finite.device.type == "cuda":
            answer = torch.empty((), dtype=torch.bool, pin_memory=True)
            answer.copy_(finite, non_blocking=True)
        self._look()
        self._last = _Step(step, parts, answer)

    def settle(self) -> None:
        """Wait for the last step: what comes next keeps or shows its weights.

        Raises:
            NotFiniteError: it was not finite.
        """
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self._look()

    def _look(self) -> None:
        last, self._last = self._last, None
        if last is not None and not last.finite:
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
