"""How fast evaluation is on a stand-in of the validation split of YouTube-VIS 2021: 421 videos, 100 results each, 720p.

    python -m benchmarks.evaluation_speed [--videos 421] [--repeat 3] [--own-class 0.5] [--plain/--no-plain]

Prints seconds, processor seconds of all processes and their peak memory, reading the files included, of three sides:
the floor, which is parsing both files with orjson and one pass of pycocotools' area over every mask in two processes;
ours; and the official procedure done plainly in one process. Each run is a process of its own. The sides take turns,
since other programs on the machine slow down all of them. Memory has a run to itself: looking at it takes time.
"""

import contextlib
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.command_line import console, run_app
from benchmarks.standin import write_annotations
from benchmarks.standin_results import validation_set, write_results

SIDES = {
    "floor": "from benchmarks.evaluation_sides import read_and_count as run",
    "ours": "from qcen_core.evaluation.evaluate import evaluate as run",
    "plain": "from benchmarks.evaluation_sides import official_procedure as run",
}


def descendants(process: int) -> list[int]:
    """The process and all below it."""
    children = [int(c) for c in Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii").split()]
    return [process, *(below for child in children for below in descendants(child))]


def held_bytes(process: int) -> int:
    """Memory that a process and those below it hold, a page they share counted once."""
    total = 0
    for number in descendants(process):
        rows = Path(f"/proc/{number}/smaps_rollup").read_text(encoding="ascii").splitlines()
        total += 1024 * next(int(row.split()[1]) for row in rows if row.startswith("Pss:"))
    return total


def start(side: str, results: Path, truth: Path) -> subprocess.Popen[bytes]:
    code = f"import sys; from pathlib import Path; {SIDES[side]}; run(Path(sys.argv[1]), Path(sys.argv[2]))"
    return subprocess.Popen([sys.executable, "-c", code, str(results), str(truth)])  # noqa: S603  # it is us


def seconds_of(side: str, results: Path, truth: Path) -> tuple[float, float]:
    """Seconds by the clock and of processors."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    with start(side, results, truth) as process:
        status = process.wait()
        seconds = time.perf_counter() - begin
    if status:
        raise RuntimeError(f"{side} failed")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def peak_of(side: str, results: Path, truth: Path) -> int:
    """The largest memory seen while it ran."""
    peak = 0
    with start(side, results, truth) as process:
        while process.poll() is None:
            time.sleep(0.05)
            with contextlib.suppress(OSError, StopIteration):  # a process has just ended
                peak = max(peak, held_bytes(process.pid))
    return peak


def speed(
    videos: Annotated[int, typer.Option(help="how many videos", min=1)] = 421,
    repeat: Annotated[int, typer.Option(help="runs of a side; the official procedure runs once", min=1)] = 3,
    own_class: Annotated[float, typer.Option(help="share of results that have a class of their video")] = 0.5,
    plain: Annotated[bool, typer.Option(help="run the official procedure, too")] = True,
) -> None:
    standin = validation_set(videos)
    with tempfile.TemporaryDirectory() as folder:
        truth, results = Path(folder, "truth.json"), Path(folder, "results.json")
        write_annotations(truth, standin)
        write_results(truth, results, standin, own_class)
        size = results.stat().st_size
        console.print(f"{videos} videos, results {size / 1e6:.0f} MB, truth {truth.stat().st_size / 1e6:.0f} MB")
        runs: dict[str, list[tuple[float, float]]] = {side: [] for side in SIDES}
        for turn in range(repeat):
            for side in SIDES:
                if side != "plain" or (plain and turn == 0):
                    runs[side].append(seconds_of(side, results, truth))
        peaks = {side: peak_of(side, results, truth) for side, rows in runs.items() if rows}
    # The fastest run of each side is the one that other programs disturbed least.
    best = {side: tuple(map(min, zip(*rows, strict=True))) for side, rows in runs.items() if rows}
    for side, (seconds, processor) in best.items():
        every = ", ".join(f"{row[0]:.1f}" for row in runs[side])
        console.print(
            f"{side:6} {seconds:7.1f} s ({every}), processor {processor:7.1f} s, memory {peaks[side] / 1e6:6.0f} MB"
        )
    ours, floor = best["ours"], best["floor"]
    console.print(f"ours / floor: {ours[0] / floor[0]:.2f} by the clock, {ours[1] / floor[1]:.2f} by processor time")
    if "plain" in best:
        official = best["plain"]
        console.print(
            f"plain / ours: {official[0] / ours[0]:.1f} by the clock, {official[1] / ours[1]:.1f} by processor time"
        )
    console.print(
        f"memory: {peaks['ours'] / 1e6:.0f} MB, limit 3 x results + 500 MiB = {(3 * size + 500 * 2**20) / 1e6:.0f} MB"
    )


def main() -> int:
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(help=__doc__)(speed)
    return run_app(app)


if __name__ == "__main__":
    sys.exit(main())
