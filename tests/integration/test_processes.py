"""Runs of several processes as a user starts them: by themselves, under torchrun, under srun; stopped, and failing."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_training import losses, tiny_config

from qcen_core.config import dump_config
from qcen_core.conversion.prepare import prepare
from qcen_core.training.train_state import load_newest_state, saved_states

QCEN = [sys.executable, "-m", "qcen_cli"]
TIME_LIMIT = 120  # seconds; a run that hangs fails
NOT_OURS = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@pytest.fixture
def prepared(tmp_path):
    out = tmp_path / "shapes"
    prepare(out=out, dataset="shapes", clips=8, holdout_clips=1, size=(64, 96), length=4)
    return out


def environment(**changes):
    kept = {name: value for name, value in os.environ.items() if name not in NOT_OURS}
    return {**kept, "OMP_NUM_THREADS": "1", **changes}


def recipe(tmp_path, prepared, **train):
    settings = {"steps": 6, "log_every": 2, "save_every": 3, "evaluate_split": "none", **train}
    path = tmp_path / "recipe.yaml"
    path.write_text(dump_config(tiny_config(prepared, train=settings)), encoding="utf-8")
    return path


def arguments(tmp_path, prepared, run, **train):
    return ["train", "--data", str(prepared), "--recipe", str(recipe(tmp_path, prepared, **train)), "--out", str(run)]


def finished(command, **changes):
    return subprocess.run(command, env=environment(**changes), capture_output=True, text=True, timeout=TIME_LIMIT)


def children(pid):
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True)
    return [int(line) for line in listed.stdout.split()]


def wait_for(condition, process=None):
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < TIME_LIMIT
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(0.05)


def test_two_processes_share_a_run_and_its_batch(tmp_path, prepared):
    run = tmp_path / "run"
    words = arguments(tmp_path, prepared, run)
    done = finished([*QCEN, *words, "--gpus", "0", "--processes", "2", "--effective-batch", "4", "--json"])
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["steps"], told["run"]) == (6, str(run))
    assert [row["step"] for row in losses(run)] == ["2", "4", "6"]
    assert load_newest_state(run).record["clips"] == 4
    alone = tmp_path / "alone"
    words[-1] = str(alone)
    assert finished([*QCEN, *words, "--effective-batch", "4", "--set", "data.clips_per_step=4"]).returncode == 0
    for one, two in zip(losses(alone), losses(run), strict=True):
        assert float(two["total"]) == pytest.approx(float(one["total"]), rel=0.02)


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def test_the_same_command_joins_torchrun(tmp_path, prepared):
    run = tmp_path / "run"
    words = arguments(tmp_path, prepared, run)
    engine = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend", "c10d"]
    engine += ["--rdzv-endpoint", f"127.0.0.1:{free_port()}", "-m", "qcen_cli"]
    done = finished([*engine, *words])
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("trained 6 steps") == 1
    assert load_newest_state(run).record["clips"] == 4


def test_the_same_command_joins_srun(tmp_path, prepared):
    """Two tasks with the variables that srun gives them."""
    run = tmp_path / "run"
    words = arguments(tmp_path, prepared, run)
    common = {"SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_NUM_NODES": "1", "SLURM_NTASKS": "2", "SLURM_NNODES": "1"}
    common["SLURM_NTASKS_PER_NODE"] = "2"
    common |= {"SLURM_JOB_ID": "4711", "SLURM_NODEID": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    tasks = [
        subprocess.Popen(
            [*QCEN, *words],
            env=environment(**common) | {"SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)} | common,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    told = [task.communicate(timeout=TIME_LIMIT) for task in tasks]
    assert [task.returncode for task in tasks] == [0, 0], told
    assert "trained 6 steps" in told[0][0]
    assert told[1][0] == ""
    assert load_newest_state(run).record["clips"] == 4


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_to_the_command_saves_in_all_processes_and_leaves(tmp_path, prepared, number):
    run = tmp_path / "run"
    words = arguments(tmp_path, prepared, run, steps=5000, save_every=5000)
    command = [*QCEN, *words, "--processes", "2", "--set", "data.workers=1"]
    process = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: (run / "metrics.csv").is_file() and len(losses(run)) >= 1, process)
    process.send_signal(number)
    told = process.communicate(timeout=TIME_LIMIT)
    assert process.returncode == 130, told
    assert "goes on" in told[1]
    assert "Traceback" not in told[1]
    state = load_newest_state(run)
    assert len(saved_states(run)) == 1
    done = finished([*QCEN, "train", "--resume", str(run), "--steps", str(state.step + 2), "--processes", "2"])
    assert done.returncode == 0, done.stderr
    assert f"trained {2} steps" in done.stdout


def test_a_process_that_is_killed_stops_all_with_its_cause(tmp_path, prepared):
    run = tmp_path / "run"
    words = arguments(tmp_path, prepared, run, steps=5000)
    command = [*QCEN, *words, "--processes", "2"]
    process = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: len(saved_states(run)) >= 1, process)
    workers = [pid for pid in children(process.pid) if "train_worker" in Path(f"/proc/{pid}/cmdline").read_text()]
    assert len(workers) == 2
    os.kill(workers[1], signal.SIGKILL)
    _, told = process.communicate(timeout=TIME_LIMIT)
    assert process.returncode == 1
    assert told.count("error:") == 1, told
    assert "of 2 was ended by SIGKILL" in told
    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]
    assert load_newest_state(run).step >= 3


def test_an_error_of_one_process_is_told_once_and_as_its_own(tmp_path, prepared):
    frames = sorted(prepared.rglob("*.jpg"))
    for frame in frames[: len(frames) // 2]:
        frame.write_bytes(b"not a picture")
    words = arguments(tmp_path, prepared, tmp_path / "run", steps=50)
    done = finished([*QCEN, *words, "--processes", "2"])
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("error:") == 1, done.stderr
    assert "process " in done.stderr
    assert ".jpg" in done.stderr


def test_a_port_that_is_taken_is_named(tmp_path, prepared):
    words = arguments(tmp_path, prepared, tmp_path / "run")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        world = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
        done = finished([*QCEN, *words], MASTER_ADDR="127.0.0.1", MASTER_PORT=port, **world)
    assert done.returncode == 1, done.stderr
    assert "the processes do not find each other" in done.stderr
    assert port in done.stderr
    assert "MASTER_PORT" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "cause", "hint"),
    [
        (["--gpus", "64"], "64 GPUs are asked for", "--gpus 0"),
        (["--processes", "3", "--effective-batch", "4"], "4 clips a step cannot be shared out evenly", "3 or 6"),
        (["--processes", "2", "--effective-batch", "1"], "1 clips a step cannot be shared", "--effective-batch 2"),
        (["--effective-batch", "1"], "at least two clips at once", "loss.inter_weight=0"),
    ],
)
def test_what_cannot_be_shared_out_is_said_before_anything_starts(tmp_path, prepared, words, cause, hint):
    run = tmp_path / "run"
    done = finished([*QCEN, *arguments(tmp_path, prepared, run), *words])
    assert done.returncode == 2
    assert cause in done.stderr
    assert hint in done.stderr
    assert not run.exists()
