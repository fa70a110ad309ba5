"""How well boxes alone teach the outlines of real video: trains on the boxes of DAVIS sequences, measures their masks.

    python -m benchmarks.davis_boxes --davis DAVIS_FOLDER --work runs/davis

The folder holds `instances.json`, in YouTube-VIS form with masks, and `JPEGImages`. All sequences are trained on, their
boxes and categories only, from scratch; the masks are read when the training has ended. An interrupted run goes on.
"""

import sys
import time
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from benchmarks.command_line import console, run_app
from benchmarks.davis_comparison import compare_once
from benchmarks.davis_measure import BestTrack, best_tracks
from benchmarks.davis_result import DavisResult, markdown, read_results, summary, terminal, write_result
from benchmarks.davis_strip import small_png, strip, write_bytes
from benchmarks.learning import DOCS, INTERRUPTED, RESULTS, write_text
from benchmarks.learning_data import content_hash
from benchmarks.learning_result import chosen_keys, flat_config, training_seconds
from benchmarks.learning_table import put_between
from benchmarks.learning_worker import ORIGIN, alone, can_resume, machine, note_origin, revision
from qcen_core.config import QcenConfig, load_config
from qcen_core.conversion.prepare import prepare
from qcen_core.errors import InputError
from qcen_core.inference.infer import infer_to_folder
from qcen_core.inference.options import InferOptions
from qcen_core.jsonfile import load_json, write_json
from qcen_core.model.checkpoint import load_checkpoint
from qcen_core.prepared import PREPARED_FILE, read_prepared
from qcen_core.records import TrackDataset, TrackResult
from qcen_core.resultfile import read_results as read_tracks
from qcen_core.stored_config import load_stored_config
from qcen_core.trackfile import read_annotations
from qcen_core.training.run_files import CONFIG, LAST, METRICS
from qcen_core.training.train_report import TrainProgress
from qcen_core.training.train_state import STATE
from qcen_core.training.trainer import train

TABLE = "davis"
MACHINE = "machine.json"  # what the run was trained on


def davis_boxes(
    davis: Annotated[Path, typer.Option(help="folder with instances.json and JPEGImages")],
    work: Annotated[Path, typer.Option(help="folder for the data set and the runs")] = Path("runs/davis"),
    recipe: Annotated[str, typer.Option(help="name of a recipe, or a YAML file")] = "tiny",
    set_: Annotated[list[str] | None, typer.Option("--set", help="section.key=value")] = None,
    seed: Annotated[int, typer.Option(help="of the initial weights and the order of clips")] = 0,
    steps: Annotated[int | None, typer.Option(help="of training; by default the recipe's", min=1)] = None,
    measure_only: Annotated[bool, typer.Option("--measure-only", help="measure a run that is there")] = False,
    redo: Annotated[bool, typer.Option("--redo", help="train anew what was made with other settings")] = False,
    results: Annotated[Path, typer.Option(help="folder of the result files")] = RESULTS,
    docs: Annotated[Path, typer.Option(help="folder with results.md, and images beside it")] = DOCS,
) -> None:
    """Train on the boxes of DAVIS sequences, and measure the masks."""
    data = prepare_boxes(davis, (work / "data").resolve())
    name = Path(recipe).stem
    run = (work / f"{name}-seed{seed}").resolve()
    overrides = [*(set_ or ()), *([f"train.steps={steps}"] if steps else [])]
    hashes = {"training": content_hash(data)}
    if not measure_only:
        config = load_config(recipe, [*overrides, f"train.seed={seed}", f"data.root={data}"])
        require_boxes_from_scratch(config)
        try:
            learn(config, run, hashes, redo=redo)
        except KeyboardInterrupt:
            say("interrupted; the same command goes on")
            raise typer.Exit(INTERRUPTED) from None
    config, done = stored_run(run)
    started = time.perf_counter()
    infer_to_folder(weights=run / LAST, out=run / "all", data=data, split="train", options=InferOptions())
    seconds = {
        "training": training_seconds(run / METRICS, config.data.clips_per_step * config.data.clip_frames),
        "inference": time.perf_counter() - started,
    }
    annotations, frames = davis / "instances.json", davis / "JPEGImages"
    truth = read_annotations(annotations)
    found = read_tracks(run / "all" / "results.json", truth)
    best = measure(truth, found)
    comparison = compare_once(annotations, truth, frames, work / "comparison.json", say_compared)
    result = DavisResult(
        recipe=name,
        seed=config.train.seed,
        overrides=differences(load_config(recipe), config),
        steps=done,
        **summary(best, comparison),
        configuration=flat_config(config),
        chosen=chosen_keys(config),
        data=hashes,
        revisions=list(read_object(run / ORIGIN).get("revisions", [])),
        measured_at=revision(),
        machine=read_object(run / MACHINE),
        seconds={kind: round(value, 1) for kind, value in seconds.items()},
    )
    console.print(terminal([result]))
    if done < config.train.steps:
        say(f"the run has done {done} of {config.train.steps} steps: no result is written")
        return
    say(f"{write_result(result, results)}")
    document = docs / "results.md"
    text = document.read_text(encoding="utf-8") if document.is_file() else "# Results\n"
    write_text(document, put_between(text, TABLE, markdown(read_results(results))))
    write_bytes(docs / "images" / "davis_boxes.png", small_png(strip(best, truth, found, frames)))


def prepare_boxes(davis: Path, out: Path) -> Path:
    """Make the box-only data set of all sequences, unless it is there.

    Raises:
        InputError: it cannot be made, or was made from something else or with more than boxes.
    """
    annotations = davis / "instances.json"
    if not (out / PREPARED_FILE).is_file():
        prepare(out=out, annotations=annotations, frames=davis / "JPEGImages", name="davis", holdout=0.0)
    prepared = read_prepared(out)
    if not prepared.source.endswith(str(annotations.resolve())):
        raise InputError(f"made from {prepared.source}", place=out, hint="remove it, or choose another --work")
    if set(prepared.splits) != {"train"} or prepared.splits["train"].strong is not None:
        raise InputError("holds more than boxes to train on", place=out, hint="remove it, it is made again")
    return out


def require_boxes_from_scratch(config: QcenConfig) -> None:
    """Refuse a configuration that learns from more than boxes.

    Raises:
        InputError: it does.
    """
    if config.train.supervision != "box":
        raise InputError(f"train.supervision is {config.train.supervision}", hint="this figure is of boxes alone")
    if config.model.pretrained or config.train.init_weights:
        raise InputError(
            "the model would not start from scratch", hint="--set model.pretrained=false, without train.init_weights"
        )


def learn(config: QcenConfig, run: Path, hashes: dict[str, str], *, redo: bool) -> None:
    """Train, or go on with a training that was interrupted; a run that is done is left as it is.

    Raises:
        InputError: the folder holds a run of other settings or data.
        KeyboardInterrupt: stopped between two steps; the next call goes on.
    """
    run.mkdir(parents=True, exist_ok=True)
    with alone(run):
        resume = can_resume(run, config, hashes)
        if resume and (run / LAST).is_file() and stored_run(run)[1] == config.train.steps:
            return
        if not resume and not redo and any((run / name).exists() for name in (STATE, LAST)):
            raise InputError(
                "holds a run of other settings or data",
                place=run,
                hint="--measure-only measures it, --redo trains anew; or choose another --work",
            )
        note_origin(run, hashes, fresh=not resume)
        write_json(machine("cuda" if config.train.devices else "cpu"), run / MACHINE)
        train(config, run, resume=resume, on_progress=say_trained)


def stored_run(run: Path) -> tuple[QcenConfig, int]:
    """Configuration of a run, and how many steps its last weights have learned.

    Raises:
        InputError: there is no such run.
    """
    if not (run / LAST).is_file():
        raise InputError("there is no run to measure", place=run, hint="leave --measure-only away")
    info = load_checkpoint(run / LAST, torch.device("cpu")).info
    return load_stored_config(run / CONFIG), int(info["step"])


def measure(truth: TrackDataset, found: tuple[TrackResult, ...]) -> list[BestTrack]:
    """The best track of every object of every video."""
    best = []
    for video in truth.videos:
        objects = [track for track in truth.tracks if track.video_id == video.id]
        best += best_tracks(video.name, objects, [result for result in found if result.video_id == video.id])
    return best


def differences(recipe: QcenConfig, config: QcenConfig) -> list[str]:
    """What a configuration has otherwise than its recipe, but for the seed: `section.key=value` texts."""
    usual = flat_config(recipe)
    return [
        f"{key}={value}" for key, value in flat_config(config).items() if value != usual[key] and key != "train.seed"
    ]


def read_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file, empty where there is no file."""
    content = load_json(path) if path.is_file() else {}
    return content if isinstance(content, dict) else {}


def say(text: str) -> None:
    console.print(f"{time.strftime('%H:%M:%S')}  {text}", highlight=False)


def say_trained(progress: TrainProgress) -> None:
    if progress.evaluating is None:
        say(f"step {progress.step} of {progress.steps}, loss {progress.total:.2f}")


def say_compared(video: str) -> None:
    say(f"boxes and GrabCut: {video}")


def main() -> int:
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(help=__doc__)(davis_boxes)
    return run_app(app)


if __name__ == "__main__":
    sys.exit(main())
