"""What one run of the learning benchmark leaves: a small JSON file, and whether it is still the run that is wanted."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from qcen_core.config import QcenConfig
from qcen_core.errors import InputError
from qcen_core.jsonfile import load_json, write_json

# Columns of metrics.csv that are kept; those that a revision does not write are simply missing.
ACCURACIES = ("AP", "AP50", "box_AP", "association")
DIAGNOSTICS = ("pair_precision", "exchanged_iou", "exchanged_mass")
CURVES = ("total", *ACCURACIES, *DIAGNOSTICS)
CURVE_POINTS = 50
# They change neither what is learned nor what is measured at the end.
WITHOUT_EFFECT = frozenset(
    {
        "data.root",
        "data.workers",
        "train.devices",
        "train.log_every",
        "train.save_every",
        "train.evaluate_every",
        "train.evaluate_split",
    }
)

Curve = dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class Result:
    """A finished run.

    Attributes:
        benchmark: its name.
        row: its name.
        seed: of the run.
        figures: on the test clips, accuracies 0 to 1: `AP`, `AP50`, `AP75`, `mask_iou`, `association`, `matched`,
            `switches`, `box_AP`; `None` where undefined.
        per_class: AP of each category.
        test: `clips` and `frames` of the test set.
        seconds: `training` (waiting for data and learning) and `evaluation`.
        recipe: name of the recipe.
        overrides: of the benchmark and the row.
        configuration: all keys, dotted.
        chosen: those that are not at their default.
        data: name of the data set to SHA-256.
        revisions: git revisions that the run was started and resumed at, a plus for local changes.
        machine: processor, threads, versions; the GPU that was used, or "none".
        curves: column of metrics.csv to its `step` and `value`, thinned.
    """

    benchmark: str
    row: str
    seed: int
    figures: dict[str, float | None]
    per_class: dict[str, float | None]
    test: dict[str, int]
    seconds: dict[str, float]
    recipe: str
    overrides: list[str]
    configuration: dict[str, Any]
    chosen: list[str]
    data: dict[str, str]
    revisions: list[str]
    machine: dict[str, str]
    curves: dict[str, Curve]


def result_path(results: Path, benchmark: str, row: str, seed: int) -> Path:
    """Place of a result file."""
    return results / benchmark / f"{row}-seed{seed}.json"


def write_result(result: Result, path: Path) -> None:
    """Write a result, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(asdict(result), path)


def read_result(path: Path) -> Result:
    """Read a result.

    Raises:
        InputError: the file cannot be used.
    """
    content = load_json(path)
    try:
        return Result(**content)  # type: ignore[arg-type]  # a wrong one raises here
    except TypeError as error:
        raise InputError(f"not a result: {error}", place=path, hint="remove it, and run again") from None


def flat_config(config: QcenConfig) -> dict[str, Any]:
    """All keys of a configuration, dotted; those without effect are left out."""
    return _without_effectless(_flat(config.model_dump(mode="json")))


def chosen_keys(config: QcenConfig) -> list[str]:
    """Dotted keys that are not at their default."""
    default = _flat(QcenConfig().model_dump(mode="json"))
    return [key for key, value in flat_config(config).items() if value != default.get(key)]


def changed(stored: Mapping[str, Any], chosen: Sequence[str], config: QcenConfig) -> list[str]:
    """How a configuration differs from the one that a result was made with.

    A key that only one of them knows, because the code has moved on, makes no difference as long as it stands at its
    default where it is known.

    Args:
        stored: configuration of the result.
        chosen: its keys that were not at their default.
        config: what is wanted now.

    Returns:
        One text for each difference, such as `optim.learning_rate: 0.0008 -> 0.0004`.
    """
    now, now_chosen = flat_config(config), chosen_keys(config)
    both = [key for key in stored if key in now and stored[key] != now[key]]
    gone = [key for key in chosen if key not in now]
    new = [key for key in now_chosen if key not in stored]
    return [f"{key}: {stored.get(key, 'unknown')} -> {now.get(key, 'unknown')}" for key in (*both, *gone, *new)]


def read_curves(metrics: Path) -> dict[str, Curve]:
    """The columns `CURVES` of a run's metrics.csv, thinned; those without a value are left out."""
    with metrics.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    curves = {}
    for column in CURVES:
        points = [(float(row["step"]), float(row[column])) for row in rows if row.get(column)]
        points = [point for point in points if math.isfinite(point[1])]
        if points:
            curves[column] = thin(points, CURVE_POINTS)
    return curves


def thin(points: Sequence[tuple[float, float]], most: int) -> Curve:
    """Average neighbours so that at most `most` points are left.

    Returns:
        `step`, the last of each group, and `value`, its mean to four digits.
    """
    size = math.ceil(len(points) / most)
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return {
        "step": [group[-1][0] for group in groups],
        "value": [float(f"{sum(value for _, value in group) / len(group):.4g}") for group in groups],
    }


def training_seconds(metrics: Path, frames_a_step: int) -> float:
    """Seconds that a run, however often interrupted, waited for data and learned, from its frames a second."""
    seconds = before = 0.0
    with metrics.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            step = float(row["step"])
            seconds += (step - before) * frames_a_step / float(row["frames_per_second"])
            before = step
    return seconds


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{section}.{key}": value for section, part in values.items() for key, value in part.items()}


def _without_effectless(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in WITHOUT_EFFECT}
