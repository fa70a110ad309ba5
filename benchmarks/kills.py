"""A run that is killed again and again ends as one left alone: `kill -9` at random moments, and while it saves.

    python -m benchmarks.kills [--kills 50]

A short training is killed, resumed, killed again; at the end weights, optimizer, averages and every row of the
metrics are compared, bit for bit, with those of a run in one go. Every other kill waits for a state to be half
written. After each, the newest state must be whole, and no more than one interval may be lost.
"""

import csv
import os
import random
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Annotated

import torch
import typer
from safetensors.torch import load_file

from benchmarks.command_line import console, run_app
from qcen_core.training.train_state import PARTS, load_newest_state, saved_states

app = typer.Typer(add_completion=False, help=__doc__, rich_markup_mode="markdown")
QCEN = [sys.executable, "-m", "qcen_cli"]
INTERVAL = 5  # steps between two states
TIMES = {"frames_per_second", "data_wait", "memory_mb"}
SETTINGS = (
    *("train.log_every=1", f"train.save_every={INTERVAL}", "train.evaluate_split=none", "data.short_sides=[64]"),
    *("loss.exchange_start=20", "data.clips_per_step=2", "model.hidden_dim=32", "model.decoder_layers=2"),
)


@app.command()
def main(
    kills: Annotated[int, typer.Option(min=1, help="how often the run is killed")] = 50,
    steps_a_life: Annotated[int, typer.Option(min=6, help="steps between two kills, about")] = 12,
    seed: Annotated[int, typer.Option(help="of the moments")] = 0,
) -> None:
    """Kill, resume, compare."""
    rng = random.Random(seed)  # noqa: S311  # moments, not secrets
    warnings.simplefilter("error")  # a state that is not whole warns
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        data, alone, killed = folder / "shapes", folder / "alone", folder / "killed"
        steps = kills * steps_a_life
        finish([*QCEN, "prepare", "--dataset", "shapes", "--clips", "20", "--out", str(data)])
        first = ["train", "--data", str(data), "--gpus", "0", "--steps", str(steps)]
        first += [word for setting in SETTINGS for word in ("--set", setting)]
        finish([*QCEN, *first, "--out", str(alone)])
        lost: list[int] = []
        while_saving = 0
        for number in range(kills):
            words = [*first, "--out", str(killed), "--overwrite"]
            if saved_states(killed):
                words = ["train", "--resume", str(killed)]
            saving = number % 2 == 1
            while_saving += kill([*QCEN, *words], killed, rng, saving=saving, steps=steps_a_life)
            if saved_states(killed):
                lost.append(last_row(killed) - load_newest_state(killed).step)
        finish([*QCEN, "train", "--resume", str(killed)])
        same = same_states(alone, killed) and rows(alone) == rows(killed)
        console.print(
            f"{kills} kills in {steps} steps, {while_saving} of them while a state was being written: most steps lost "
            f"{max(lost)} of an interval of {INTERVAL}; unreadable states 0; "
            f"weights, moments, averages and {len(rows(alone))} rows {'are the same' if same else 'DIFFER'}"
        )
        if not same or max(lost) > INTERVAL:
            sys.exit(1)


ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def finish(command: list[str]) -> None:
    subprocess.run(command, check=True, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603  # ours


def kill(command: list[str], run: Path, rng: random.Random, *, saving: bool, steps: int) -> bool:
    """Start a run, let it take some steps and kill it; whether it was writing a state then."""
    before = last_row(run)
    goal, pause = before + rng.randint(1, steps), rng.random() * 0.1
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:  # noqa: S603
        while process.poll() is None and last_row(run) < goal:
            time.sleep(0.005)
        if saving:
            while process.poll() is None and not list((run / "state").glob(".step-*.new")):
                pass
        else:
            time.sleep(pause)
        process.kill()
    return bool(list((run / "state").glob(".step-*.new")))


def last_row(run: Path) -> int:
    """Step of the last whole row of the metrics."""
    try:
        lines = (run / "metrics.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    except OSError:
        return 0
    whole = [line for line in lines[1:] if line.endswith("\n")]
    return int(whole[-1].split(",")[0]) if whole else 0


def rows(run: Path) -> list[dict[str, str]]:
    """The metrics, but for times."""
    with (run / "metrics.csv").open(newline="", encoding="utf-8") as file:
        return [{name: cell for name, cell in row.items() if name not in TIMES} for row in csv.DictReader(file)]


def same_states(one: Path, other: Path) -> bool:
    """Whether the newest states hold the same bits."""
    first, second = saved_states(one)[0], saved_states(other)[0]
    if first.name != second.name:
        return False
    for part in PARTS:
        a, b = (load_file(folder / f"{part}.safetensors") for folder in (first, second))
        if a.keys() != b.keys() or not all(torch.equal(a[name], b[name]) for name in a):
            return False
    return True


if __name__ == "__main__":
    sys.exit(run_app(app))
