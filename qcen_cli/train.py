"""`qcen train`: a prepared data set and a recipe become a trained model."""

import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qcen_cli import console, options, runs
from qcen_core.errors import InputError

if TYPE_CHECKING:
    from qcen_core.config import QcenConfig
    from qcen_core.training.train_report import TrainProgress, TrainReport

SHOWN_TERMS = ("class", "projection", "pairwise", "mask_bce", "mask_dice", "contrast", "intra_consistency", "inter")


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
        typer.Option(
            help="shapes_tiny, tiny, r50; ytvis2019_r50, ytvis2021_r50, ovis_r50, ytvis2019_swinl, "
            "ytvis2021_swinl, ovis_swinl; coco_pretrain; or a YAML file.",
            show_default="the one that fits the data",
        ),
    ] = None,
    gpus: Annotated[
        int | None, typer.Option(help="GPUs of this machine; 0 is the CPU.", min=0, show_default="the recipe's")
    ] = None,
    processes: Annotated[
        int | None, typer.Option(help="With --gpus 0: processes on the CPU.", min=1, show_default="1")
    ] = None,
    supervision: Annotated[
        options.Supervision | None, typer.Option(help="Labels to learn from.", show_default="the recipe's")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Steps in all.", min=1, show_default="the recipe's")] = None,
    epochs: Annotated[
        float | None, typer.Option(help="Instead of --steps: times that each video comes.", show_default="by steps")
    ] = None,
    effective_batch: Annotated[
        int | None,
        typer.Option(
            help="Clips a step on all devices together, in parts where they do not fit.",
            min=1,
            show_default="the recipe's",
        ),
    ] = None,
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
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Also write metrics for TensorBoard.")] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Try three steps, tell time and memory, draw the first batch; train nothing."),
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Train a model on a prepared data set."""
    from qcen_core.config import load_config

    changes: dict[str, object] = {
        "train.devices": gpus,
        "train.processes": processes,
        "train.supervision": supervision,
        "train.steps": steps,
        "train.effective_batch": effective_batch,
        "train.seed": seed,
        "train.init_weights": weights,
        "train.tensorboard": tensorboard or None,
    }
    if gpus and processes:
        raise InputError("--processes goes with --gpus 0", hint="with GPUs there is a process for each of them")
    if steps is not None and epochs is not None:
        raise InputError("--steps and --epochs exclude each other", hint="leave one of them out")
    if resume:
        _refuse({"--out": out, "--dry-run": dry_run or None})
        if data is not None:
            changes["data.root"] = runs.choose_data(data).resolve()
        latest = runs.latest_file("train", "config.yaml").parent if run is None else runs.find_run("train", run)
        runs.tell_choice("run", latest, "last written", latest / "config.yaml")
        config = config_to_go_on(latest, recipe, overrides(changes, settings or ()), epochs)
        _train(config, latest, resume=True, as_json=as_json)
        return
    if run is not None:
        raise InputError(f"'{run}' names a run to go on with", hint="add --resume")
    folder = runs.choose_data(data)
    changes["data.root"] = folder.resolve()
    runs.tell_choice("data", folder, "prepared", folder / "dataset.yaml")
    recipe = recipe or fitting_recipe(folder, gpus)
    console.note(f"recipe: {recipe}")
    config = with_epochs(load_config(recipe, overrides(changes, settings or ())), epochs)
    if dry_run:
        from qcen_cli.train_plan import show_plan

        show_plan(config, (out or Path(tempfile.mkdtemp(prefix="qcen-"))) / "first_batch.jpg", as_json)
        return
    with runs.run_folder("train", out, overwrite) as new_run:
        _train(config, new_run, resume=False, as_json=as_json)


def config_to_go_on(run: Path, recipe: str | None, changes: Sequence[str], epochs: float | None) -> "QcenConfig":
    """The configuration to go on with: the run's own, or a recipe that says the same, with changes.

    Raises:
        InputError: it would train in another way than the run began.
    """
    from qcen_core.config import load_config
    from qcen_core.stored_config import load_stored_config
    from qcen_core.training.resume import resumed_config

    stored = load_stored_config(run / "config.yaml")
    if recipe is None:
        asked = load_stored_config(run / "config.yaml", changes)
    else:
        asked = load_config(recipe, [f"data.root={json.dumps(stored.data.root)}", *changes])
    return resumed_config(run, stored, with_epochs(asked, epochs))


def with_epochs(config: "QcenConfig", epochs: float | None) -> "QcenConfig":
    """The configuration with as many steps as let each video come `epochs` times."""
    if epochs is None:
        return config
    if not 0 < epochs < float("inf"):
        raise InputError(f"--epochs {epochs} is not a number of passes", hint="give a number above 0")
    from qcen_core.training.training_data import steps_of_epochs

    steps = steps_of_epochs(config, epochs)
    return config.model_copy(update={"train": config.train.model_copy(update={"steps": steps})})


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


def _train(config: "QcenConfig", run: Path, *, resume: bool, as_json: bool) -> None:
    """Trains here, or starts the processes that do."""
    from qcen_core.training.devices import check_devices, launched_processes, local_processes

    check_devices(config)
    processes = local_processes(config)
    if processes == 1 or launched_processes() is not None:
        train_here(config, run, resume=resume, as_json=as_json)
        return
    from qcen_core.training.batch_split import split_batch
    from qcen_core.training.launch import launch

    split_batch(config, processes)  # what cannot be shared out is said before anything starts
    told = {"config": config.model_dump(mode="json"), "run": str(run), "resume": resume, "json": as_json}
    with tempfile.TemporaryDirectory() as folder:
        job = Path(folder) / "job.json"
        job.write_text(json.dumps({**told, "debug": "--debug" in sys.argv}), encoding="utf-8")
        launch(["-m", "qcen_cli.train_worker", str(job)], processes)


def train_here(config: "QcenConfig", run: Path, *, resume: bool, as_json: bool) -> None:
    """Trains in this process and prints what came out."""
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
    """Trains and shows the progress."""
    import warnings

    from qcen_core.training.trainer import train

    with console.progress("train", "steps") as update, warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: console.note(f"warning: {message}")

        def show(state: "TrainProgress") -> None:
            update(state.step, state.steps, describe_progress(state))

        return train(config, run, resume=resume, on_progress=show)


def describe_progress(state: "TrainProgress") -> str:
    """The remark beside the bar: losses, speed, share of waiting for data, memory."""
    if state.evaluating:
        return f"evaluating {state.evaluating}"
    terms = ", ".join(f"{name} {state.losses[name]:.3f}" for name in SHOWN_TERMS if name in state.losses)
    speed = f"{state.frames_per_second:.1f} frames/s, {100 * state.data_wait:.0f} % waiting for data"
    return f"loss {state.total:.3f} ({terms}); {speed}; {state.memory / 1e9:.1f} GB"
