"""One run of the learning benchmark in a process of its own: train, segment the test clips, evaluate, write the result.

Started by `learning_queue` with the path of a job file. Everything is imported before the training begins, so that
code that is edited meanwhile changes nothing.
"""

import fcntl
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from benchmarks.learning_queue import Job, read_job
from benchmarks.learning_result import (
    Result,
    changed,
    chosen_keys,
    flat_config,
    read_curves,
    training_seconds,
    write_result,
)
from qcen_core.config import QcenConfig, load_config
from qcen_core.errors import InputError, QcenError
from qcen_core.evaluation.evaluate import evaluate
from qcen_core.evaluation.report import EvaluationReport
from qcen_core.inference.infer import infer_to_folder
from qcen_core.inference.options import InferOptions
from qcen_core.jsonfile import load_json, write_json
from qcen_core.prepared import PreparedData, read_prepared
from qcen_core.stored_config import load_stored_config
from qcen_core.trackfile import read_annotations
from qcen_core.training.run_files import CONFIG, LAST, METRICS, environment
from qcen_core.training.train_state import STATE
from qcen_core.training.trainer import train

INTERRUPTED = 130
ORIGIN = "origin.json"  # what the state in a run's folder was learned from, and by which code
TEST_SPLIT = "holdout"


def run_job(job: Job) -> None:
    """Train, or go on with a training that was interrupted, and write the result.

    Raises:
        KeyboardInterrupt: stopped between two steps; the next call goes on.
        QcenError: what the four verbs raise.
    """
    run = Path(job.run)
    run.mkdir(parents=True, exist_ok=True)
    with alone(run):
        config = load_config(job.recipe, [*job.overrides, f"data.root={job.training}"])
        resume = can_resume(run, config, job.hashes)
        revisions = note_origin(run, job.hashes, fresh=not resume)
        train(config, run, resume=resume)
        started = time.perf_counter()
        test = read_prepared(Path(job.test))
        truth = test.splits[TEST_SPLIT].ground_truth
        assert truth is not None  # noqa: S101  # a hold-out split always has one
        report = evaluate(segment(run, test, "test", InferOptions(device=job.device)), truth)
        by_queries = evaluate(
            segment(run, test, "test-queries", InferOptions(device=job.device, overlap_weight=0.0)), truth
        )
        seconds = {
            "training": training_seconds(run / METRICS, config.data.clips_per_step * config.data.clip_frames),
            "evaluation": time.perf_counter() - started,
        }
        videos = read_annotations(truth).videos
        result = Result(
            benchmark=job.benchmark,
            row=job.row,
            seed=job.seed,
            figures=figures(report)
            | {"AP_queries": by_queries.AP, "association_queries": by_queries.association.accuracy},
            per_class=report.per_class,
            test={"clips": len(videos), "frames": sum(len(video.frame_files) for video in videos)},
            seconds={name: round(value, 1) for name, value in seconds.items()},
            recipe=job.recipe,
            overrides=job.overrides,
            configuration=flat_config(config),
            chosen=chosen_keys(config),
            data=job.hashes,
            revisions=revisions,
            machine=machine(job.device),
            curves=read_curves(run / METRICS),
        )
        write_result(result, Path(job.result))


def segment(run: Path, test: PreparedData, name: str, options: InferOptions) -> Path:
    """Segment the test clips with a run's last averaged weights; returns the results."""
    found = infer_to_folder(weights=run / LAST, out=run / name, data=test.root, split=TEST_SPLIT, options=options)
    return found.outputs["results"]


def figures(report: EvaluationReport) -> dict[str, float | None]:
    """The figures of the table, and those that go with them."""
    return {
        "AP": report.AP,
        "AP50": report.AP50,
        "AP75": report.AP75,
        "mask_iou": report.association.mean_iou,
        "association": report.association.accuracy,
        "matched": report.association.matched,
        "switches": report.association.switches,
        "box_AP": report.box["tube_AP"],
        "frame_box_AP": report.box["frame_AP"],
    }


def can_resume(run: Path, config: QcenConfig, hashes: dict[str, str]) -> bool:
    """Whether a run's folder holds a state of the same configuration and the same clips to go on from."""
    if not (run / STATE).is_dir() or not (run / CONFIG).is_file() or _origin(run).get("data") != hashes:
        return False
    try:
        stored = load_stored_config(run / CONFIG)
    except InputError:
        return False
    return not changed(flat_config(stored), chosen_keys(stored), config)


def machine(device: str) -> dict[str, str]:
    """Processor, threads, versions, and the GPU that was used, or "none"."""
    cpu = platform.processor()
    information = Path("/proc/cpuinfo")
    if information.is_file():
        names = [line.partition(":")[2] for line in information.read_text().splitlines() if "model name" in line]
        cpu = names[0].strip() if names else cpu
    versions = {name: version for name, version in environment().items() if name != "machine"}
    if device == "cpu":
        versions["gpu"] = "none"
    return {"cpu": cpu, "threads": str(torch.get_num_threads()), **versions}


def revision() -> str:
    """The git revision of this code, with a plus if files of it were changed."""
    root = Path(__file__).resolve().parents[1]

    def git(*words: str) -> str:
        return subprocess.run(  # noqa: S603
            ["git", "-C", str(root), *words],  # noqa: S607
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    try:
        changes = git("status", "--porcelain", "--untracked-files=no", "--", "qcen_core", "benchmarks/*.py")
        return git("rev-parse", "HEAD") + ("+" if changes else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _origin(run: Path) -> dict[str, Any]:
    content = load_json(run / ORIGIN) if (run / ORIGIN).is_file() else {}
    return content if isinstance(content, dict) else {}


def note_origin(run: Path, hashes: dict[str, str], *, fresh: bool) -> list[str]:
    """Note in the run's folder what it learns from; returns the revisions it was started and resumed at."""
    before = [] if fresh else list(_origin(run).get("revisions", []))
    revisions = list(dict.fromkeys([*before, revision()]))
    write_json({"data": hashes, "revisions": revisions}, run / ORIGIN)
    return revisions


@contextmanager
def alone(run: Path) -> Iterator[None]:
    """Hold the run's folder: two processes in it would overwrite each other's state."""
    with (run / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError("another process works on this run", place=run, hint="wait for it, or stop it") from None
        yield


def main() -> int:
    job = read_job(Path(sys.argv[1]))
    try:
        run_job(job)
    except KeyboardInterrupt:
        return INTERRUPTED
    except QcenError as error:
        print(error.line(), error.hint or "", sep="\n", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
