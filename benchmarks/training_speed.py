"""What several processes bring, what waiting for data and saving cost, with the recipe `shapes_tiny` on a CPU.

    python -m benchmarks.training_speed [--rounds 3] [--steps 80]

One process and two, with one thread each and the same clips on each process, take turns; medians count. Waiting for
data is what the runs themselves report. Saving is timed alone, beside the time of 500 steps.
"""

import csv
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.command_line import console, run_app

app = typer.Typer(add_completion=False, help=__doc__, rich_markup_mode="markdown")
QCEN = [sys.executable, "-m", "qcen_cli"]
INTERVAL = 500  # steps between two saved states
SETTINGS = {
    "loss.exchange_start": "0",  # every term, from the first step on
    "train.log_every": "20",
    "train.save_every": "100000",
    "train.evaluate_split": "none",
}


@app.command()
def main(
    rounds: Annotated[int, typer.Option(min=1, help="runs of either side; the median counts")] = 3,
    steps: Annotated[int, typer.Option(min=60, help="of a run; the first 20 do not count")] = 80,
) -> None:
    """Measure."""
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        data = folder / "shapes"
        call([*QCEN, "prepare", "--dataset", "shapes", "--clips", "60", "--out", str(data)])
        speeds: dict[int, list[float]] = {1: [], 2: []}
        waits: list[float] = []
        for number in range(rounds):
            for processes, found in speeds.items():
                rows = run(data, folder / f"{processes}-{number}", processes, steps)
                found.append(statistics.median(float(row["frames_per_second"]) for row in rows))
                waits += [float(row["data_wait"]) for row in rows]
        one, two = (statistics.median(found) for found in speeds.values())
        console.print(f"one process {one:.1f} frames/s, two {two:.1f} frames/s: {two / one:.2f} times as many")
        console.print(f"share of the time spent waiting for data: {statistics.median(waits):.1%}")
        seconds, size = save_seconds(data, folder / "saved")
        step = 8 / one  # four clips of two frames
        console.print(
            f"saving a state and a checkpoint ({size / 1e6:.1f} MB) {seconds:.3f} s, {INTERVAL} steps "
            f"{INTERVAL * step:.0f} s: {seconds / (INTERVAL * step):.2%}"
        )


def run(data: Path, out: Path, processes: int, steps: int) -> list[dict[str, str]]:
    """The rows of a short run, but for the first."""
    words = ["train", "--data", str(data), "--gpus", "0", "--processes", str(processes)]
    settings = [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}")]
    call([*QCEN, *words, "--steps", str(steps), "--out", str(out), *settings])
    with (out / "metrics.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))[1:]


def save_seconds(data: Path, out: Path) -> tuple[float, int]:
    """Median time of five saves of a run that has taken a step, and the bytes of a state."""
    from qcen_core.config import load_config
    from qcen_core.training.devices import build_fabric
    from qcen_core.training.learner import build_learner
    from qcen_core.training.log_window import LogWindow
    from qcen_core.training.run_keeper import RunKeeper
    from qcen_core.training.train_state import saved_states
    from qcen_core.training.trainer import train
    from qcen_core.training.training_data import load_training_data

    settings = [f"{key}={value}" for key, value in SETTINGS.items()]
    config = load_config("shapes_tiny", [f"data.root={data}", "train.steps=1", *settings])
    train(config, out)
    prepared, fabric = load_training_data(config).prepared, build_fabric(config)
    learner = build_learner(config, [category.name for category in prepared.categories], fabric)
    for parameter in learner.model.parameters():
        parameter.grad = parameter.detach().clone()
    learner.optimizer.step()
    keeper = RunKeeper(out, config, prepared, learner, ["box"], 4)
    seconds = []
    for step in range(2, 7):
        begun = time.perf_counter()
        keeper.save(step, LogWindow().tensors())
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds), sum(file.stat().st_size for file in saved_states(out)[0].iterdir())


def call(command: list[str]) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603  # ours


if __name__ == "__main__":
    sys.exit(run_app(app))
