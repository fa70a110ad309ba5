"""The five verbs from Python, on made-up clips: prepare, train, infer, evaluate, visualize.

    python examples/five_verbs.py [FOLDER]

Two minutes of training are far too few for good masks; `qcen demo` does the same at full length.
"""

import sys
from pathlib import Path

import qcen_core
from qcen_core.config import load_config
from qcen_core.training.trainer import TrainProgress
from qcen_core.visualization.evaluation_page import percent


def show(progress: TrainProgress) -> None:
    """Print the loss; while a checkpoint is evaluated there is nothing new to tell."""
    if progress.evaluating is None:
        print(f"step {progress.step}: loss {progress.total:.2f}")


def main(folder: Path) -> None:
    """Run the chain, writing everything below `folder`."""
    data, run, results = folder / "data", folder / "train", folder / "infer"

    prepared = qcen_core.prepare(dataset="shapes", out=data, level="easy", clips=40, holdout_clips=8)
    print(f"{prepared.boxes} boxes of {', '.join(prepared.categories)} in {prepared.frames} frames")

    config = load_config("shapes_tiny", [f"data.root={data}", "train.steps=400"])
    trained = qcen_core.train(config, run, on_progress=show)
    print("on the hold-out split:", {name: round(value, 3) for name, value in trained.best.items()})

    found = qcen_core.infer_to_folder(
        weights=run / "best.safetensors", data=data, out=results, overlay=folder / "overlay.mp4"
    )
    print(f"{found.tracks} tracks in {found.frames} frames, {found.fps:.1f} frames a second")

    report = qcen_core.evaluate(found.outputs["results"], data / "holdout_gt.json")
    print(f"AP {percent(report.AP)}, AP50 {percent(report.AP50)}")

    pages = qcen_core.visualize(run, folder / "report")
    print("look at", pages["report"], "and", found.outputs["overlay"])


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "five_verbs"))
