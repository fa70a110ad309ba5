"""The runs of the learning benchmark that are still to be done, in their order, several side by side."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from benchmarks.learning_result import changed, read_result
from benchmarks.learning_rows import Benchmark, Row, experiments
from qcen_core.config import QcenConfig
from qcen_core.errors import InputError
from qcen_core.jsonfile import write_json

ROOT = Path(__file__).resolve().parents[1]
# One thread a run, whatever runs beside it, so that times and sums are the same in every row.
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
LOG = "log.txt"


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker is to do; all paths are absolute texts.

    Attributes:
        benchmark: its name.
        row: its name.
        seed: of the run.
        recipe: name of the recipe.
        overrides: those of benchmark, seed and row; the place of the data is added.
        training: folder of the training set.
        test: folder of the test set.
        hashes: of the data sets.
        run: folder of the run.
        result: file to write.
        device: that it learns and is evaluated on, `cpu` or `cuda`.
    """

    benchmark: str
    row: str
    seed: int
    recipe: str
    overrides: list[str]
    training: str
    test: str
    hashes: dict[str, str]
    run: str
    result: str
    device: str = "cpu"

    @property
    def name(self) -> str:
        """What the run is called in messages and files."""
        return f"{self.row}-seed{self.seed}"


class Worker(Protocol):
    """A run at work, as `subprocess.Popen` has it."""

    def poll(self) -> int | None:
        """The exit code, or `None` while it works."""

    def terminate(self) -> None:
        """Ask it to save its state and stop."""

    def kill(self) -> None:
        """Stop it at once."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something to tell: `kind` is `start`, `done`, `failed`, `stopped` or `working`."""

    kind: str
    job: Job
    left: int


def ordered_runs(benchmark: Benchmark, rows: Sequence[Row], seeds: Sequence[int]) -> list[tuple[Row, int]]:
    """What to train, the important rows first, then by seed; rows that are one experiment once."""
    own = experiments(benchmark)
    trained = list(dict.fromkeys(own[row] for row in rows))
    # An experiment is as important as the most important row that it stands for.
    tiers = {first: min(row.tier for row in rows if own[row] == first) for first in trained}
    pairs = [(row, seed) for row in trained for seed in seeds]
    return sorted(pairs, key=lambda pair: (tiers[pair[0]], pair[1]))


def is_done(job: Job, config: QcenConfig, *, redo: bool = False) -> bool:
    """Whether a job has its result; with `redo` one that was made otherwise does not count.

    Raises:
        InputError: it has one, of another configuration or of other data.
    """
    path = Path(job.result)
    if not path.is_file():
        return False
    result = read_result(path)
    differences = changed(result.configuration, result.chosen, config)
    for name, content in job.hashes.items():
        if result.data.get(name) != content:
            differences.append(f"clips for {name}: {result.data.get(name, 'unknown')[:8]} -> {content[:8]}")
    if differences and not redo:
        raise InputError(
            f"made otherwise than it would be now: {'; '.join(differences)}",
            place=path,
            hint="--redo trains it again; to keep it, undo the change",
        )
    return not differences


def start_worker(job: Job) -> "subprocess.Popen[bytes]":
    """Start a run in a process of its own; what it says goes to `log.txt` in its folder."""
    run = Path(job.run)
    run.mkdir(parents=True, exist_ok=True)
    file = run / "job.json"
    write_json(asdict(job), file)
    with (run / LOG).open("wb") as log:
        return subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "benchmarks.learning_worker", str(file)],
            cwd=ROOT,
            env=os.environ | THREADS | ({"CUDA_VISIBLE_DEVICES": ""} if job.device == "cpu" else {}),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C reaches it through us, once: a second one would stop it without saving
        )


def read_job(path: Path) -> Job:
    """The job that a worker was started with."""
    return Job(**json.loads(path.read_text(encoding="utf-8")))


def work_off(
    jobs: Sequence[Job],
    side_by_side: int,
    start: Callable[[Job], Worker],
    tell: Callable[[Event], None],
    pause: Callable[[], None] = lambda: time.sleep(1),
) -> list[Job]:
    """Do all jobs, `side_by_side` at a time; one that fails does not keep the others from being done.

    Args:
        jobs: in the order in which they are started.
        side_by_side: how many run at a time.
        start: starts one.
        tell: hears of every start and end, and of every job at work after every pause.
        pause: waits a moment.

    Returns:
        Those that failed.

    Raises:
        KeyboardInterrupt: somebody stopped us; the jobs at work have saved their state. A second one kills them.
    """
    waiting, failed = list(jobs), []
    working: list[tuple[Job, Worker]] = []
    try:
        while waiting or working:
            while waiting and len(working) < side_by_side:
                job = waiting.pop(0)
                working.append((job, start(job)))
                tell(Event("start", job, len(waiting) + len(working)))
            pause()
            for job, worker in list(working):
                code = worker.poll()
                if code is not None:
                    working.remove((job, worker))
                if code:
                    failed.append(job)
                kind = "working" if code is None else "failed" if code else "done"
                tell(Event(kind, job, len(waiting) + len(working)))
    except KeyboardInterrupt:
        _stop(working, tell, pause)
        raise
    return failed


def _stop(working: Sequence[tuple[Job, Worker]], tell: Callable[[Event], None], pause: Callable[[], None]) -> None:
    for _, worker in working:
        worker.terminate()
    try:
        while any(worker.poll() is None for _, worker in working):
            pause()
    except KeyboardInterrupt:
        for _, worker in working:
            worker.kill()
    for job, _ in working:
        tell(Event("stopped", job, 0))
