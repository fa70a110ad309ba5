"""The course of a training run: its `metrics.csv` as charts."""

import csv
from collections.abc import Mapping
from pathlib import Path

from qcen_core.errors import InputError
from qcen_core.visualization.curves import LineChart, Series

METRICS_FILE = "metrics.csv"
_STEP, _TOTAL, _RATE = "step", "total", "lr"
_SPEEDS = ("frames_per_second", "data_wait")
ACCURACIES = {"AP": "AP", "AP50": "AP50", "box_AP": "box AP", "association": "association"}
_PAIRS = {"pair_precision": "true among the found", "pair_recall": "found among the true"}
_EXCHANGED = {"exchanged_iou": "IoU inside a video", "exchanged_mass": "mass across videos"}
_UNPLOTTED = frozenset({"seconds", "time", "epoch"})

Metrics = dict[str, tuple[list[float], list[float]]]


def read_metrics(path: Path) -> Metrics:
    """Read the measurements of a training run.

    Args:
        path: CSV with a head line, a column `step` and a column for each measurement; cells may be empty.

    Returns:
        For each column but `step`, in the file's order: the steps where it has a value, and the values. A last line
        that was cut off while the run was writing it is left out.

    Raises:
        InputError: no such file, no `step` column, or a cell that is not a number.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
    except OSError as error:
        raise InputError(f"cannot read the metrics: {error.strerror}", place=path) from error
    if not rows or _STEP not in rows[0]:
        raise InputError("no column named step", place=path, hint="give the metrics.csv of a training run")
    head = rows[0]
    step_column = head.index(_STEP)
    metrics: Metrics = {name: ([], []) for name in head if name != _STEP}
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(head):
            if number == len(rows):
                break
            raise InputError(f"{len(row)} cells under {len(head)} names", place=f"{path}: line {number}")
        step = _number(row[step_column], f"{path}: line {number}, column step")
        for name, cell in zip(head, row, strict=True):
            if name != _STEP and cell.strip():
                metrics[name][0].append(step)
                metrics[name][1].append(_number(cell, f"{path}: line {number}, column {name}"))
    return metrics


def training_charts(metrics: Metrics) -> dict[str, tuple[LineChart, ...]]:
    """The charts of a training run, by heading; headings without a chart are left out.

    Args:
        metrics: as `read_metrics` returns them. The columns of `ACCURACIES` and those of pairs are shares and drawn in
            percent; any that are not known by name are taken for loss terms.
    """
    filled = {name: values for name, values in metrics.items() if values[0] and name not in _UNPLOTTED}
    accuracies = {label: _in_percent(filled[name]) for name, label in ACCURACIES.items() if name in filled}
    known = {_TOTAL, _RATE, *_SPEEDS, *ACCURACIES, *_PAIRS, *_EXCHANGED}
    terms = [name for name in filled if name not in known]
    charts: dict[str, tuple[LineChart, ...]] = {}
    overview = []
    if _TOTAL in filled:
        overview.append(_chart("Total loss", filled, (_TOTAL,), smooth=True))
    if accuracies:
        overview.append(_chart("Accuracy on the hold-out, %", accuracies, tuple(accuracies), markers=True))
    charts["Progress"] = tuple(overview)
    pairs = {label: _in_percent(filled[name]) for name, label in _PAIRS.items() if name in filled}
    exchanged = {label: filled[name] for name, label in _EXCHANGED.items() if name in filled}
    told = (("Pseudo-identity pairs, %", pairs), ("Exchanged masks", exchanged))
    charts["Pairs and exchange"] = tuple(
        _chart(title, lines, tuple(lines), smooth=True) for title, lines in told if lines
    )
    charts["Loss terms"] = tuple(
        _chart(term.replace("_", " "), filled, (term,), smooth=True, color=1 + place)
        for place, term in enumerate(terms)
    )
    names = {
        _RATE: "Learning rate",
        "frames_per_second": "Frames a second",
        "data_wait": "Share of time waiting for data",
    }
    charts["Schedule and speed"] = tuple(
        _chart(title, filled, (name,)) for name, title in names.items() if name in filled
    )
    return {heading: group for heading, group in charts.items() if group}


def _chart(
    title: str,
    metrics: Mapping[str, tuple[list[float], list[float]]],
    names: tuple[str, ...],
    *,
    smooth: bool = False,
    markers: bool = False,
    color: int | None = None,
) -> LineChart:
    series = tuple(
        Series(name.replace("_", " "), *metrics[name], smooth=smooth, markers=markers, color=color) for name in names
    )
    return LineChart(title, series, x_label="step")


def _in_percent(values: tuple[list[float], list[float]]) -> tuple[list[float], list[float]]:
    steps, shares = values
    return steps, [100 * share for share in shares]


def _number(cell: str, place: str) -> float:
    try:
        return float(cell)
    except ValueError as error:
        raise InputError(f"{cell!r} is not a number", place=place) from error
