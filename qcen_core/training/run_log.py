"""The metrics of a run, wherever they are wanted."""

from collections.abc import Mapping
from pathlib import Path

from qcen_core.training.event_log import EventLog
from qcen_core.training.metrics_log import MetricsLog
from qcen_core.training.run_files import EVENTS, METRICS


class RunLog:
    """Writes rows to `metrics.csv`, and to TensorBoard's files where they are asked for.

    Args:
        run: folder of the run.
        first_step: steps that the run has done; later rows are dropped, as they will be written again.
        tensorboard: whether to write for TensorBoard.

    Raises:
        InputError: TensorBoard is asked for and not installed.
    """

    def __init__(self, run: Path, first_step: int, *, tensorboard: bool) -> None:
        self._events = EventLog(run / EVENTS, first_step) if tensorboard else None
        self._metrics = MetricsLog(run / METRICS, first_step)

    def append(self, values: Mapping[str, float | int]) -> None:
        """Write one row."""
        self._metrics.append(values)
        if self._events is not None:
            self._events.append(values)

    def close(self) -> None:
        """Finish TensorBoard's file."""
        if self._events is not None:
            self._events.close()
