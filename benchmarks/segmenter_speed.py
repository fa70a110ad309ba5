"""How fast the segmenter is on a CPU, beside transformers' Mask2Former of the same weights.

    python -m benchmarks.segmenter_speed [--threads 2] [--rounds 5]

ResNet-50, 80 classes, 384 x 640: a forward pass of one frame, and a training step of two. Both sides run in turn in one
process, and the medians count: what else the machine does meets both. Peak memory is that of a process with one side
only. Then, of ours: the share of convolutions and matrix products, and how long those alone take.
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
REPEATS = {"forward": 9, "train": 3}  # of either side, in turn, after a pass that does not count


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
            runs = [json.loads(child(f"{kind} both", Path(work), threads)) for _ in range(rounds)]
            ours, theirs = (statistics.median(run[side] for run in runs) for side in ("ours", "theirs"))
            peaks = [json.loads(child(f"{kind} {side}", Path(work), threads)) for side in ("ours", "theirs")]
            own_peak, their_peak = (peak["peak_bytes"] / 2**30 for peak in peaks)
            console.print(
                f"{kind}, {FRAMES[kind]} frame(s): ours {ours:.2f} s, transformers {theirs:.2f} s: "
                f"{theirs / ours:.2f} times as fast; peak memory {own_peak:.2f} GiB, {their_peak:.2f} GiB"
            )
            told = json.loads(child(f"{kind} floor", Path(work), threads))
            most = ", ".join(f"{name.removeprefix('aten::')} {share:.1%}" for name, share in told["rest"])
            console.print(
                f"  products alone {told['floor']:.2f} s, {told['share']:.0%} of the time of a pass; the rest: {most}"
            )


def child(part: str, folder: Path, threads: int) -> str:
    """What a part printed, run in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.segmenter_speed", "--part", part, "--folder", str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1"}
    command += ["--threads", str(threads)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)  # noqa: S603  # ours
    return done.stdout.splitlines()[-1]


def measure(part: str, folder: Path) -> dict[str, Any]:
    """One part: "same", or "both", "ours", "theirs" or "floor" of "forward" or "train"."""
    from benchmarks import segmenter_floor
    from benchmarks import segmenter_sides as sides

    cpu, single = torch.device("cpu"), torch.float32
    kind, _, side = part.partition(" ")
    inputs = sides.make_inputs(FRAMES.get(kind, 1), SIZE, cpu)

    def ours() -> Callable[[], Any]:
        return (sides.our_step if kind == "train" else sides.our_forward)(sides.our_model(folder, cpu), inputs, single)

    def theirs() -> Callable[[], Any]:
        model = sides.their_model(folder, cpu)
        return (sides.their_step if kind == "train" else sides.their_forward)(model, inputs, single)

    if kind == "same":
        return {"difference": max((a - b).abs().max().item() for a, b in zip(ours()(), theirs()(), strict=True))}
    if side == "both":
        return alternate({"ours": ours(), "theirs": theirs()}, REPEATS[kind])
    run = theirs() if side == "theirs" else ours()
    clear_peak()  # what loading took does not count
    run()
    run()
    if side == "floor":
        share, rest = segmenter_floor.shares(run)
        return {"floor": segmenter_floor.floor_seconds(run), "share": share, "rest": rest}
    return {"peak_bytes": peak_bytes()}


def alternate(runs: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median seconds of each run, in turn."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for repeat in range(repeats + 1):
        for name, run in runs.items():
            started = time.perf_counter()
            run()
            if repeat:  # the first one does not count
                seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(found) for name, found in seconds.items()}


if __name__ == "__main__":
    sys.exit(run_app(app))
