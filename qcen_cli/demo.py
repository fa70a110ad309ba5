"""`qcen demo`: the whole chain on made-up clips, from nothing, on any machine."""

import time
from pathlib import Path
from typing import Annotated

import typer

from qcen_cli import console, options, runs
from qcen_cli.demo_page import write_demo_page
from qcen_cli.evaluate import known_supervision, show_figures
from qcen_cli.report import write_report

RECIPE = "shapes_tiny"
CLIPS, HELD_OUT = 160, 40


def demo(
    out: Annotated[Path | None, options.out_option("runs/demo/<n>")] = None,
    seed: options.Seed = 0,
    steps: Annotated[int | None, typer.Option(help="Training steps.", min=1, show_default="the recipe's")] = None,
    clips: Annotated[int, typer.Option(help="Clips to train on.", min=1)] = CLIPS,
    holdout_clips: Annotated[int, typer.Option(help="Clips held out.", min=1)] = HELD_OUT,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
) -> None:
    """Run the whole chain on a made-up data set.

    Makes clips, trains on their boxes alone, infers and evaluates; ends with AP, a video and a report.
    """
    start = time.monotonic()
    with runs.run_folder("demo", out, overwrite) as folder:
        data, train, results = folder / "data", folder / "train", folder / "infer"
        _prepare(data, clips, holdout_clips, seed)
        weights = _train(data, train, seed, steps)
        _infer(data, weights, results, folder / "overlay.mp4")
        ground_truth = data / "holdout_gt.json"
        from qcen_core.evaluation.evaluate import evaluate

        report = evaluate(results / "results.json", ground_truth)
        found = results / "results.json"
        write_report(report, found, ground_truth, results, known_supervision(found))
        page = write_demo_page(folder, report)
    seconds = round(time.monotonic() - start, 1)
    outputs = {"overlay": folder / "overlay.mp4", "film_strip": folder / "film_strip.png", "report": page}
    if as_json:
        console.json_object({"AP": report.AP, "AP50": report.AP50, "seconds": seconds, **outputs})
        return
    show_figures(report)
    console.result(f"trained on boxes alone, evaluated on {holdout_clips} held-out clips; {console.duration(seconds)}")
    for kind, path in outputs.items():
        console.result(f"{kind.replace('_', ' ')}: {path}")


def _prepare(data: Path, clips: int, holdout_clips: int, seed: int) -> None:
    from qcen_core.conversion.prepare import prepare

    with console.progress("prepare", "clips") as update:
        prepare(
            dataset="shapes",
            out=data,
            name="shapes",
            level="easy",
            clips=clips,
            holdout_clips=holdout_clips,
            seed=seed,
            overwrite=data.exists(),
            on_progress=update,
        )


def _train(data: Path, run: Path, seed: int, steps: int | None) -> Path:
    """Trains and returns the best checkpoint."""
    from qcen_cli.train import overrides, train_with_progress
    from qcen_core.config import load_config

    changes = {"data.root": data.resolve(), "train.seed": seed, "train.steps": steps}
    report = train_with_progress(load_config(RECIPE, overrides(changes)), run, resume=False)
    return report.run / "best.safetensors"


def _infer(data: Path, weights: Path, out: Path, overlay: Path) -> None:
    from qcen_cli.infer import frame_progress
    from qcen_core.inference.infer import infer_to_folder

    with console.progress("infer", "frames") as update:
        infer_to_folder(weights=weights, out=out, data=data, overlay=overlay, on_progress=frame_progress(update))
