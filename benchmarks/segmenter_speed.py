"""How fast the segmenter is on a CPU, beside transformers' Mask2Former of the same weights.

    python -m benchmarks.segmenter_speed [--threads 2] [--rounds 5]

ResNet-50, 80 classes, 384 x 640: a forward pass of one frame, and a training step of two. Every measurement runs in a
process of its own, ours and theirs in turn; the medians count. Then, of our side: the share of convolutions and matrix
products, and how long those alone take.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from benchmarks.command_line import console, run_app
from benchmarks.peak_memory import clear_peak, peak_bytes

app = typer.Typer(add_completion=False, help=__doc__, rich_markup_mode="markdown")
SIZE = (384, 640)
FRAMES = {"forward": 1, "train": 2}
REPEATS = {"forward": 5, "train": 2}  # in one process, after one that does not count


@app.command()
def main(
    threads: Annotated[int, typer.Option(min=1, help="of either side")] = 2,
    rounds: Annotated[int, typer.Option(min=1, help="processes of either side; the median counts")] = 3,
    folder: Annotated[Path | None, typer.Option(hidden=True)] = None,
    part: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Compare the two sides."""
    if folder is not None and part is not None:
        torch.set_num_threads(threads)
        print(json.dumps(measure(part, folder)))
        return
    from benchmarks.segmenter_sides import write_folder

    with tempfile.TemporaryDirectory() as work:
        write_folder(Path(work))
        told = json.loads(child("same", Path(work), threads))
        console.print(f"largest difference of the logits: {told['difference']:.1e}")
        for kind in ("forward", "train"):
            runs: dict[str, list[dict[str, float]]] = {"ours": [], "theirs": []}
            for _ in range(rounds):
                for side, found in runs.items():
                    found.append(json.loads(child(f"{kind} {side}", Path(work), threads)))
            console.print(line(kind, runs))
            told = json.loads(child(f"{kind} floor", Path(work), threads))
            most = ", ".join(f"{name.removeprefix('aten::')} {share:.1%}" for name, share in told["rest"])
            console.print(
                f"  products alone {told['floor']:.2f} s, {told['share']:.0%} of the time of a pass; the rest: {most}"
            )


def line(kind: str, runs: dict[str, list[dict[str, float]]]) -> str:
    """What was found of a forward pass or a training step."""
    seconds = {side: statistics.median(run["seconds"] for run in found) for side, found in runs.items()}
    peak = {side: max(run["peak_bytes"] for run in found) / 2**30 for side, found in runs.items()}
    return (
        f"{kind}, {FRAMES[kind]} frame(s): ours {seconds['ours']:.2f} s, transformers {seconds['theirs']:.2f} s: "
        f"{seconds['theirs'] / seconds['ours']:.2f} times as fast; "
        f"peak memory {peak['ours']:.2f} GiB, {peak['theirs']:.2f} GiB"
    )


def child(part: str, folder: Path, threads: int) -> str:
    """What a part printed, run in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.segmenter_speed", "--part", part, "--folder", str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1"}
    command += ["--threads", str(threads)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)  # noqa: S603  # ours
    return done.stdout.splitlines()[-1]


def measure(part: str, folder: Path) -> dict[str, Any]:
    """One part: "same", "forward ours", "forward theirs", "forward floor", and the same of "train"."""
    from benchmarks import segmenter_floor
    from benchmarks import segmenter_sides as sides

    cpu, single = torch.device("cpu"), torch.float32
    if part == "same":
        inputs = sides.make_inputs(1, SIZE, cpu)
        passes = (
            sides.our_forward(sides.our_model(folder, cpu), inputs, single),
            sides.their_forward(sides.their_model(folder, cpu), inputs, single),
        )
        return {"difference": max((a - b).abs().max().item() for a, b in zip(*(run() for run in passes), strict=True))}
    kind, side = part.split()
    inputs = sides.make_inputs(FRAMES[kind], SIZE, cpu)
    run: Callable[[], object]
    if side == "theirs":
        model = sides.their_model(folder, cpu)
        run = (
            sides.their_forward(model, inputs, single) if kind == "forward" else sides.their_step(model, inputs, single)
        )
    else:
        own = sides.our_model(folder, cpu)
        run = sides.our_forward(own, inputs, single) if kind == "forward" else sides.our_step(own, inputs, single)
    clear_peak()  # what loading took does not count
    run()
    if side == "floor":
        share, rest = segmenter_floor.shares(run)
        return {"floor": segmenter_floor.floor_seconds(run), "share": share, "rest": rest}
    seconds = []
    for _ in range(REPEATS[kind]):
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    return {"seconds": statistics.median(seconds), "peak_bytes": peak_bytes()}


if __name__ == "__main__":
    sys.exit(run_app(app))
