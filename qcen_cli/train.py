"""`qcen train`: a prepared data set and a recipe become a trained model."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qcen_cli import console, options, runs
from qcen_core.errors import InputError

if TYPE_CHECKING:
    from qcen_core.config import QcenConfig
    from qcen_core.training.trainer import TrainReport


def train(
    run: Annotated[
        Path | None,
        typer.Argument(
            metavar="RUN", help="With --resume: the run to go on with, or its number.", show_default="the latest"
        ),
    ] = None,
    data: options.Data = None,
    recipe: Annotated[
        str | None,
        typer.Option(help="shapes_tiny, tiny, r50, or a YAML file.", show_default="the one that fits the data"),
    ] = None,
    gpus: Annotated[int | None, typer.Option(help="0 is the CPU.", min=0, show_default="the recipe's")] = None,
    supervision: Annotated[
        options.Supervision | None, typer.Option(help="Labels to learn from.", show_default="the recipe's")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Steps in all.", min=1, show_default="the recipe's")] = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of everything random.", min=0, show_default="the recipe's")
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="Checkpoint, or published weights, to start from; hf:owner/name.", show_default="the recipe's"
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run, exactly.")] = False,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Set anything, e.g. optim.learning_rate=3e-4; repeatable."),
    ] = None,
    out: Annotated[Path | None, options.out_option("runs/train/<n>")] = None,
    overwrite: options.Overwrite = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show counts and configuration; write nothing.")] = False,
    as_json: options.Json = False,
) -> None:
    """Train a model on a prepared data set."""
    from qcen_core.config import load_config, load_stored_config

    changes: dict[str, object] = {
        "train.devices": gpus,
        "train.supervision": supervision,
        "train.steps": steps,
        "train.seed": seed,
        "train.init_weights": weights,
    }
    if resume:
        _refuse({"--data": data, "--recipe": recipe, "--supervision": supervision, "--seed": seed, "--out": out})
        _refuse({"--weights": weights, "--dry-run": dry_run or None})
        latest = runs.latest_file("train", "config.yaml").parent if run is None else runs.find_run("train", run)
        runs.tell_choice("run", latest, "last written", latest / "config.yaml")
        config = load_stored_config(latest / "config.yaml", overrides(changes, settings or ()))
        _train(config, latest, resume=True, as_json=as_json)
        return
    if run is not None:
        raise InputError(f"'{run}' names a run to go on with", hint="add --resume")
    folder = runs.choose_data(data)
    changes["data.root"] = folder.resolve()
    runs.tell_choice("data", folder, "prepared", folder / "dataset.yaml")
    recipe = recipe or fitting_recipe(folder, gpus)
    console.note(f"recipe: {recipe}")
    config = load_config(recipe, overrides(changes, settings or ()))
    if dry_run:
        _show_plan(config, as_json)
        return
    with runs.run_folder("train", out, overwrite) as new_run:
        _train(config, new_run, resume=False, as_json=as_json)


def overrides(changes: Mapping[str, object], settings: Sequence[str] = ()) -> list[str]:
    """The flags that were given as overrides of the recipe, --set last."""
    # A JSON text is YAML, whatever the value holds.
    given = {key: value for key, value in changes.items() if value is not None}
    return [f"{key}={json.dumps(value, default=str)}" for key, value in given.items()] + [*settings]


def _refuse(options_given: dict[str, object]) -> None:
    for option, value in options_given.items():
        if value is not None:
            raise InputError(f"{option} does not go with --resume", hint="a run goes on as it began; leave it out")


def fitting_recipe(data: Path, gpus: int | None) -> str:
    """The recipe for a prepared data set on this machine; with `gpus` 0 it is one for the CPU."""
    from qcen_core.prepared import read_prepared

    if read_prepared(data).source.startswith("shapes, level "):
        return "shapes_tiny"
    from torch import cuda

    return "r50" if gpus != 0 and cuda.is_available() else "tiny"


def _show_plan(config: "QcenConfig", as_json: bool) -> None:
    """Tells what a run would train on and how."""
    from qcen_core.boxfile import read_boxes
    from qcen_core.config import dump_config
    from qcen_core.training.training_data import load_training_data

    prepared = load_training_data(config).prepared  # also finds labels missing that the level needs
    boxes = read_boxes(prepared.splits[config.data.split].boxes, prepared.frames_root)
    labels = [frame for video in boxes.videos for frame in video.labels or ()]
    counts = {
        "videos": len(boxes.videos),
        "frames": len(labels),
        "boxes": sum(len(frame.boxes) for frame in labels),
        "categories": len(boxes.categories),
    }
    if as_json:
        console.json_object({**counts, "config": config.model_dump(mode="json")})
        return
    console.result(dump_config(config))
    console.table([list(counts), [str(count) for count in counts.values()]])


def _train(config: "QcenConfig", run: Path, *, resume: bool, as_json: bool) -> None:
    try:
        report = train_with_progress(config, run, resume=resume)
    except KeyboardInterrupt:
        if (run / "state").is_dir():
            console.note(f"the state is saved: 'qcen train --resume {run}' goes on")
        raise
    if as_json:
        console.json_object(asdict(report))
        return
    if report.first == report.steps:
        console.result(f"all {report.steps} steps are done already; --steps sets more")
    else:
        console.result(f"trained {report.steps - report.first} steps in {console.duration(report.seconds)}")
    measured = {"AP": "AP", "AP50": "AP50", "box_AP": "box AP", "association": "linked right"}
    figures = [
        f"{label} {console.percent(report.best[name])}" for name, label in measured.items() if name in report.best
    ]
    if figures:
        console.result(f"best: {', '.join(figures)} at step {report.best['step']:.0f}")
    console.result(f"learned from: {', '.join(report.supervision)}")
    console.result(f"run: {report.run}")


def train_with_progress(config: "QcenConfig", run: Path, *, resume: bool) -> "TrainReport":
    """Trains and shows the progress.

    Raises:
        InputError: more GPUs are asked for than there are, or what the trainer raises.
    """
    from torch import cuda

    from qcen_core.training.trainer import TrainProgress, train

    if config.train.devices > cuda.device_count():
        raise InputError(
            f"{config.train.devices} GPU(s) are asked for, this machine has {cuda.device_count()}",
            hint="--gpus 0 trains on the CPU",
        )
    with console.progress("train", "steps") as update:

        def show(state: TrainProgress) -> None:
            remark = f"evaluating {state.evaluating}" if state.evaluating else f"loss {state.total:.3f}"
            update(state.step, state.steps, remark)

        return train(config, run, resume=resume, on_progress=show)
