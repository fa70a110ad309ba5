"""Sums between two rows of the metrics."""

from collections.abc import Mapping

import torch
from torch import Tensor

from qcen_core.method.criterion import TERM_NAMES
from qcen_core.method.diagnostics import FIGURE_NAMES, Ratio
from qcen_core.ops.ranks import Ranks

LOSS_NAMES = (*TERM_NAMES, "total")


class LogWindow:
    """Sums up loss terms, figures and times of the steps since the last row; tensors stay on the device until then.

    Time counts while the loop waits for data or learns, not while it saves or evaluates.

    Attributes:
        waited: seconds spent waiting for data.
        busy: seconds spent learning.
    """

    def __init__(self, device: torch.device | None = None, ranks: Ranks | None = None) -> None:
        self._device = device or torch.device("cpu")
        self._ranks = ranks or Ranks()
        self._clear()

    def _clear(self) -> None:
        self.waited = 0.0
        self.busy = 0.0
        self._frames = 0
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}
        self._figures: dict[str, Ratio] = {}

    def add(self, terms: Mapping[str, Tensor], figures: Mapping[str, Ratio], frames: int) -> None:
        """Take in one step's terms and figures."""
        self._frames += frames
        for name, value in terms.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value
            self._counts[name] = self._counts.get(name, 0) + 1
        for name, figure in figures.items():
            numerator, denominator = figure.numerator.double(), figure.denominator.double()
            sums = self._figures.get(name)
            self._figures[name] = (
                Ratio(numerator, denominator)
                if sums is None
                else Ratio(sums.numerator + numerator, sums.denominator + denominator)
            )

    def tensors(self) -> dict[str, Tensor]:
        """What was summed up, over all processes, to be saved: "losses" (2, terms) and "figures" (2, figures)."""
        zero = torch.zeros((), device=self._device)
        sums = [self._sums.get(name, zero) for name in LOSS_NAMES]
        counts = [zero + self._counts.get(name, 0) for name in LOSS_NAMES]
        figures = [self._figures.get(name, Ratio(zero, zero)) for name in FIGURE_NAMES]
        parts = [figure.numerator for figure in figures], [figure.denominator for figure in figures]
        losses = torch.stack([value.double() for value in sums + counts]).view(2, -1)
        ratios = torch.stack([value.double() for part in parts for value in part]).view(2, -1)
        return {name: self._ranks.mean(value).cpu() for name, value in (("losses", losses), ("figures", ratios))}

    def fill(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on with what `tensors` gave."""
        losses = tensors["losses"].to(self._device)
        for name, total, count in zip(LOSS_NAMES, losses[0], losses[1].tolist(), strict=True):
            if count:
                self._sums[name], self._counts[name] = total.float(), round(count)
        for name, *ratio in zip(FIGURE_NAMES, *tensors["figures"].to(self._device), strict=True):
            self._figures[name] = Ratio(*ratio)

    def close(self) -> tuple[dict[str, float], dict[str, float]]:
        """Mean of each term since the last call, over all processes, and the figures with those of speed; starts over.

        A figure whose denominator is 0 says nothing and is left out.
        """
        found = self.tensors()
        losses = {
            name: total / count
            for name, total, count in zip(LOSS_NAMES, *found["losses"].tolist(), strict=True)
            if count
        }
        seconds = max(self.waited + self.busy, 1e-9)
        figures = {"frames_per_second": self._frames / seconds, "data_wait": self.waited / seconds}
        for name, numerator, denominator in zip(FIGURE_NAMES, *found["figures"].tolist(), strict=True):
            if denominator > 0:
                figures[name] = numerator / denominator
        self._clear()
        return losses, figures
