"""What a DAVIS run leaves, a small JSON file, and the table over all of them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.table import Table as TerminalTable

from benchmarks.davis_comparison import METHODS, STEP, Comparison
from benchmarks.davis_measure import (
    BestTrack,
    ObjectScore,
    every_nth,
    mean_by_video,
    mean_over_frames,
    mean_over_objects,
)
from qcen_core.errors import InputError
from qcen_core.jsonfile import load_json, write_json

PREDICTION = "prediction"
TITLES = {"box": "true box", "grabcut": "GrabCut", "grabcut_half": "GrabCut, half size"}
NOTHING = "-"
Row = tuple[str, list[float | None]]


@dataclass(frozen=True, slots=True)
class DavisResult:
    """A measured run.

    Attributes:
        recipe: its name.
        seed: of the initial weights and the order of clips.
        overrides: what the configuration has otherwise than its recipe.
        steps: steps of training.
        figures: mask IoU of the best tracks, 0 to 1: `objects`, the mean over all objects; `frames`, over all frames.
        every_15th: the same two figures on every 15th frame, of `prediction`, `box`, `grabcut` and `grabcut_half`.
        sequences: name of the sequence to the mean over its objects: `prediction` in all frames; the methods and
            `prediction_15th` on every 15th.
        tracks: for every object its best track: `video`, `object_id`, `iou`, `track_id`, `rank`, `tracks`.
        configuration: all keys, dotted.
        chosen: those that are not at their default.
        data: SHA-256 of what was trained on.
        revisions: git revisions that the run was started and resumed at, a plus for local changes.
        measured_at: git revision of the measurement.
        machine: of the training: processor, threads, versions.
        seconds: `training` and `inference`.
    """

    recipe: str
    seed: int
    overrides: list[str]
    steps: int
    figures: dict[str, float | None]
    every_15th: dict[str, dict[str, float | None]]
    sequences: dict[str, dict[str, float | None]]
    tracks: list[dict[str, Any]]
    configuration: dict[str, Any]
    chosen: list[str]
    data: dict[str, str]
    revisions: list[str]
    measured_at: str
    machine: dict[str, str]
    seconds: dict[str, float]

    @property
    def name(self) -> str:
        """Recipe and seed."""
        return f"{self.recipe}, seed {self.seed}"


def result_file(results: Path, recipe: str, seed: int) -> Path:
    """Place of a result."""
    return results / f"davis_boxes-{recipe}-seed{seed}.json"


def write_result(result: DavisResult, results: Path) -> Path:
    """Write a result, whole or not at all."""
    results.mkdir(parents=True, exist_ok=True)
    path = result_file(results, result.recipe, result.seed)
    write_json(asdict(result), path)
    return path


def read_results(results: Path) -> list[DavisResult]:
    """All results of a folder, by recipe and seed.

    Raises:
        InputError: a file cannot be used.
    """
    found = []
    for path in results.glob("davis_boxes-*.json"):
        content = load_json(path)
        try:
            found.append(DavisResult(**content))  # type: ignore[arg-type]  # a wrong one raises here
        except TypeError as error:
            raise InputError(f"not a result: {error}", place=path, hint="remove it, and measure again") from None
    return sorted(found, key=lambda result: (result.recipe, result.seed))


def figures(scores: Sequence[ObjectScore]) -> dict[str, float | None]:
    """Mean over the objects, and over all their frames."""
    return {"objects": mean_over_objects(scores), "frames": mean_over_frames(scores)}


def summary(best: Sequence[BestTrack], comparison: Comparison) -> dict[str, Any]:
    """The measured fields of a `DavisResult`."""
    scores = [track.score for track in best]
    seen = [score for score in (every_nth(score, STEP) for score in scores) if score is not None]
    columns = {
        PREDICTION: mean_by_video(scores),
        f"{PREDICTION}_15th": mean_by_video(seen),
        **{method: mean_by_video(comparison[method]) for method in METHODS},
    }
    return {
        "figures": figures(scores),
        "every_15th": {PREDICTION: figures(seen), **{method: figures(comparison[method]) for method in METHODS}},
        "sequences": {
            video: {name: column.get(video) for name, column in columns.items()} for video in columns[PREDICTION]
        },
        "tracks": [
            {
                "video": track.score.video,
                "object_id": track.score.object_id,
                "iou": track.score.mean,
                "track_id": track.track_id,
                "rank": track.rank,
                "tracks": track.tracks,
            }
            for track in best
        ],
    }


def table_rows(results: Sequence[DavisResult]) -> tuple[list[str], list[Row]]:
    """Head and rows of the table: what needs no learning, then one column a run.

    Raises:
        InputError: two results were measured on different data.
    """
    first = results[0]
    if any(result.data != first.data for result in results):
        raise InputError("results of different data", hint="remove those that are out of date, and measure again")
    head = ["sequence", *(TITLES[method] for method in METHODS), *(result.name for result in results)]

    def row(name: str, compared: Sequence[float | None], predicted: Sequence[float | None]) -> Row:
        return name, [*compared, *predicted]

    rows = [
        row(video, [cells[method] for method in METHODS], [r.sequences[video][PREDICTION] for r in results])
        for video, cells in first.sequences.items()
    ]
    of_methods = {kind: [first.every_15th[method][kind] for method in METHODS] for kind in ("objects", "frames")}
    every = f"mean over objects, every {STEP}th frame"
    rows.append(row("mean over objects", [None] * len(METHODS), [r.figures["objects"] for r in results]))
    rows.append(row("mean over frames", [None] * len(METHODS), [r.figures["frames"] for r in results]))
    rows.append(row(every, of_methods["objects"], [r.every_15th[PREDICTION]["objects"] for r in results]))
    return head, rows


def markdown(results: Sequence[DavisResult]) -> str:
    """The table with what has to be known about it below."""
    if not results:
        return "No results yet."
    head, rows = table_rows(results)
    lines = [_line(head), _line(["---", *["---:"] * (len(head) - 1)])]
    lines += [_line([name, *(_cell(value) for value in values)]) for name, values in rows]
    return "\n".join([*lines, "", *(note(result) for result in results)])


def note(result: DavisResult) -> str:
    """How a run was made, and whether its tracks could be chosen without knowing the objects."""
    revisions = ", ".join(name[:8] + "+" * name.endswith("+") for name in result.revisions) or "unknown"
    first = sum(track["rank"] == 1 for track in result.tracks)
    more = f", {' '.join(result.overrides)}" if result.overrides else ""
    where = result.machine.get("gpu", "none")
    where = result.machine.get("cpu", "unknown processor") if where == "none" else where
    return (
        f"- {result.name}{more}: {result.steps} steps, {result.seconds['training'] / 60:.0f} minutes of training "
        f"({where}), revision {revisions}. The best track is the most confident one of its video for {first} of "
        f"{len(result.tracks)} objects."
    )


def terminal(results: Sequence[DavisResult]) -> TerminalTable:
    """The table for the terminal."""
    head, rows = table_rows(results)
    shown = TerminalTable(title="DAVIS: mask IoU of the best track, trained on boxes only")
    for name in head:
        shown.add_column(name, justify="left" if name == head[0] else "right")
    for name, values in rows:
        shown.add_row(name, *(_cell(value) for value in values))
    return shown


def _cell(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.3f}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
