"""Sums between two rows of the metrics."""

from collections.abc import Mapping

from torch import Tensor

from qcen_core.method.diagnostics import Ratio


class LogWindow:
    """Sums up loss terms, figures and times of the steps since the last row; tensors stay on the device until then.

    Time counts while the loop waits for data or learns, not while it saves or evaluates.

    Attributes:
        waited: seconds spent waiting for data.
        busy: seconds spent learning.
    """

    def __init__(self) -> None:
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
            if name in self._figures:
                sums = self._figures[name]
                figure = Ratio(sums.numerator + figure.numerator, sums.denominator + figure.denominator)
            self._figures[name] = figure

    def close(self) -> tuple[dict[str, float], dict[str, float]]:
        """Mean of each term since the last call, and the figures with those of speed; starts over.

        A figure whose denominator is 0 says nothing and is left out.
        """
        losses = {name: float(total) / self._counts[name] for name, total in self._sums.items()}
        seconds = max(self.waited + self.busy, 1e-9)
        figures = {"frames_per_second": self._frames / seconds, "data_wait": self.waited / seconds}
        for name, (numerator, denominator) in self._figures.items():
            if float(denominator) > 0:
                figures[name] = float(numerator) / float(denominator)
        self._clear()
        return losses, figures
