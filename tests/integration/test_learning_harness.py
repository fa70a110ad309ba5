import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def harness(*arguments):
    command = [sys.executable, "-m", "benchmarks.learning", *map(str, arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_row_is_trained_once_and_drawn_up(tmp_path):
    options = ("--work", tmp_path / "work", "--results", tmp_path / "results", "--set", "train.steps=4")
    run = ("run", "--benchmark", "trial", "--rows", "box,qcen", "--seeds", "3", *options)
    first = harness(*run)
    assert first.returncode == 0, first.stdout + first.stderr
    assert "0 of 2 runs are done" in first.stdout
    files = sorted((tmp_path / "results" / "trial").iterdir())
    assert [path.name for path in files] == ["box-seed3.json", "qcen-seed3.json"]
    result = json.loads(files[1].read_text())
    assert result["test"] == {"clips": 3, "frames": 36}
    assert result["configuration"]["train.seed"] == 3
    assert result["machine"]["threads"] == "1"
    assert files[1].stat().st_size < 15_000
    assert str(tmp_path) not in files[1].read_text()

    before = [path.stat().st_mtime_ns for path in files]
    assert "2 of 2 runs are done" in harness(*run).stdout
    assert [path.stat().st_mtime_ns for path in files] == before
    changed = harness(*run, "--set", "optim.learning_rate=1e-4")
    assert changed.returncode == 2
    assert "--redo" in changed.stdout

    docs = tmp_path / "docs"
    table = harness("table", "--results", tmp_path / "results", "--docs", docs, "--set", "train.steps=4")
    assert table.returncode == 0, table.stdout + table.stderr
    assert "| `qcen` |" in (docs / "results.md").read_text()
    assert (docs / "images" / "learning_trial_ap.svg").is_file()
    assert json.loads((tmp_path / "results" / "trial.json").read_text())["rows"]["qcen"]["seeds"] == [3]
