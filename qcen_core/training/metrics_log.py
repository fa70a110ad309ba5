"""`metrics.csv`: one row every few steps, appended, so that a resumed run goes on in the same file."""

import csv
import os
from collections.abc import Mapping
from pathlib import Path

from qcen_core.method.criterion import TERM_NAMES
from qcen_core.method.diagnostics import FIGURE_NAMES

COLUMNS = (
    *("step", "lr", "total"),
    *TERM_NAMES,
    *FIGURE_NAMES,
    *("frames_per_second", "data_wait", "memory_mb"),
    *("AP", "AP50", "box_AP", "association"),
)


class MetricsLog:
    """Appends rows to a CSV file with the fixed `COLUMNS`; cells without a value are empty.

    Args:
        path: the file; made with a header if it is missing.
        first_step: steps that the run has done; rows of later steps are dropped, as they will be written again.
    """

    def __init__(self, path: Path, first_step: int = 0) -> None:
        self._path = path
        rows = read_metrics(path) if path.is_file() else []
        # The last row may be half written; it is of a later step then, or says no step at all.
        whole = [row for row in rows if None not in row.values() and (row["step"] or "").isdecimal()]
        kept = [row for row in whole if int(row["step"]) <= first_step] if first_step else []
        beside = path.with_name(f".{path.name}.{os.getpid()}.part")
        with beside.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(kept)
        beside.replace(path)

    def append(self, values: Mapping[str, float | int]) -> None:
        """Write one row."""
        with self._path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, COLUMNS).writerow(
                {name: f"{value:.6g}" if isinstance(value, float) else value for name, value in values.items()}
            )


def read_metrics(path: Path) -> list[dict[str, str]]:
    """All rows of a metrics file, as text by column."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
