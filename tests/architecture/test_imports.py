"""What an import may cost and do: rooms without torch stay without it, and importing changes nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TORCH_FREE = ("conversion", "evaluation", "trackforms", "visualization", "video")
TORCH_FREE_FILES = (
    "__init__", "boxfile", "config", "errors", "jsonfile", "ops/rle", "ops/rle_measure", "prepared", "records",
    "resultfile", "stored_config", "trackfile",
)  # fmt: skip
PROBE = """
import importlib, json, random, sys, threading, warnings
import numpy
names = json.loads(sys.argv[1])
before = (random.getstate(), str(numpy.random.get_state()), sys.excepthook, list(warnings.filters), sys.stdout)
for name in names:
    importlib.import_module(name)
after = (random.getstate(), str(numpy.random.get_state()), sys.excepthook, list(warnings.filters), sys.stdout)
print(json.dumps({
    "loaded": sorted(sys.modules),
    "state": [old == new for old, new in zip(before, after)],
    "threads": threading.active_count(),
}))
"""


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def python(folder: Path, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def probe(names: list[str], folder: Path) -> dict:
    run = python(folder, PROBE, json.dumps(names))
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("\n") == 1, "an import printed something"
    return json.loads(run.stdout)


@pytest.mark.parametrize("room", [*TORCH_FREE, "single files"])
def test_torch_free(room, tmp_path):
    if room == "single files":
        paths = [ROOT / "qcen_core" / f"{name}.py" for name in TORCH_FREE_FILES]
    else:
        paths = sorted((ROOT / "qcen_core" / room).rglob("*.py"))
    names = [module_name(path) for path in paths]
    loaded = probe(names, tmp_path)["loaded"]
    assert set(names) <= set(loaded)
    assert [name for name in loaded if name.split(".")[0] in {"torch", "torchvision", "timm"}] == []


def test_the_package_itself_is_light(tmp_path):
    run = python(tmp_path, "import sys, qcen_core; print(*sys.modules)")
    assert run.returncode == 0
    assert {"torch", "numpy", "cv2", "pydantic"}.isdisjoint(run.stdout.split())


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["no-such-command"]])
def test_help_imports_nothing_heavy(arguments, tmp_path):
    code = (
        "import atexit, sys; sys.argv[0] = 'qcen'\n"
        "atexit.register(lambda: print('LOADED', *sys.modules, file=sys.stderr))\n"
        "from qcen_cli.main import run; run()"
    )
    run = python(tmp_path, code, *arguments)
    loaded = run.stderr.splitlines()[-1].split()
    assert loaded[0] == "LOADED"
    assert {"torch", "numpy", "cv2", "rich", "yaml"}.isdisjoint(loaded)


def test_importing_everything_has_no_side_effect(tmp_path):
    """No file is written, no thread started, no random state, warning filter or hook changed."""
    names = [module_name(path) for room in ("qcen_core", "qcen_cli") for path in sorted((ROOT / room).rglob("*.py"))]
    seen = probe(names, tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert seen["threads"] == 1
    random_state, numpy_state, hook, _, stdout = seen["state"]
    assert (random_state, numpy_state, hook, stdout) == (True, True, True, True)
