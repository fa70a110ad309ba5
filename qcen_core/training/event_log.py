"""The rows of `metrics.csv` as curves of TensorBoard, which users install as `qcen[tensorboard]`."""

from collections.abc import Mapping
from pathlib import Path

from qcen_core.errors import InputError
from qcen_core.method.criterion import TERM_NAMES
from qcen_core.method.diagnostics import FIGURE_NAMES

_LOSSES = frozenset(("total", *TERM_NAMES))
_ACCURACIES = frozenset(("AP", "AP50", "box_AP", "association"))
_PAIRS = frozenset(FIGURE_NAMES)


class EventLog:
    """Appends rows of metrics to an event file of TensorBoard, each value as a scalar named `group/name`.

    Args:
        folder: for the event file, one more for each call of a run that goes on; made if missing.
        first_step: steps that the run has done; what earlier files tell of later steps is hidden, as it will be
            written again. A new run removes the event files of an older one.

    Raises:
        InputError: TensorBoard is not installed.
    """

    def __init__(self, folder: Path, first_step: int = 0) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter  # an extra that few want
        except ImportError as error:
            raise InputError(
                f"to write for TensorBoard needs its package ({error})",
                hint="pip install 'qcen[tensorboard]'",
            ) from error
        if first_step == 0:
            # Hidden is not enough: TensorBoard's quick reader shows a curve until the new run writes one of its name.
            for file in folder.glob("events.out.tfevents.*"):
                file.unlink()
        self._writer = SummaryWriter(str(folder), purge_step=first_step + 1)

    def append(self, values: Mapping[str, float | int]) -> None:
        """Write one row, to be seen at once.

        Args:
            values: as `MetricsLog.append` takes them; `step` among them.
        """
        step = int(values["step"])
        for name, value in values.items():
            if name != "step":
                self._writer.add_scalar(f"{group_of(name)}/{name}", value, step)
        self._writer.flush()

    def close(self) -> None:
        """Close the event file; what is appended later begins another one."""
        self._writer.close()


def group_of(name: str) -> str:
    """The heading that TensorBoard shows a value of the metrics under."""
    if name in _LOSSES:
        return "loss"
    if name in _ACCURACIES:
        return "holdout"
    return "pairs" if name in _PAIRS else "run"
