"""What `qcen train --dry-run` prints of a plan."""

import json
from pathlib import Path

import pytest
import yaml

from qcen_cli.train_plan import show_plan
from qcen_core.config import QcenConfig, config_from_dict
from qcen_core.training import plan as plan_module
from qcen_core.training.plan import TrainPlan

PICTURE = Path("first.jpg")
PLAN = TrainPlan(
    videos=40,
    frames=900,
    boxes=2345,
    categories=5,
    parameters=44_000_000,
    trainable=43_000_000,
    processes=1,
    clips=4,
    parts=1,
    effective_batch=4,
    steps=6000,
    epochs=600.0,
    device="NVIDIA H200",
    step_seconds=0.4567,
    data_wait=0.123,
    total_seconds=2740.0,
    memory_bytes=14_200_000_000,
    device_bytes=150_000_000_000,
    weights_bytes=700_000_000,
    state_bytes=530_000_000,
    run_bytes=1_900_000_000,
    disk_free_bytes=80_000_000_000,
    picture=PICTURE,
)


def shown(monkeypatch, capsys, config: QcenConfig, as_json: bool = False, **changes) -> str:
    fields = {name: getattr(PLAN, name) for name in PLAN.__slots__}
    monkeypatch.setattr(plan_module, "plan", lambda *_, **__: TrainPlan(**fields | changes))
    show_plan(config, PICTURE, as_json)
    return capsys.readouterr().out


def test_a_summary_in_lines_and_then_the_configuration(monkeypatch, capsys):
    config = config_from_dict({"train": {"devices": 1}}, "test")
    summary, _, below = shown(monkeypatch, capsys, config).partition("\n\n")
    assert summary.splitlines() == [
        "data         40 videos, 900 frames, 2345 boxes, 5 categories",
        "network      resnet50, 44.0 million parameters, 43.0 million of them learned",
        "batch        4 clips of 2 frames",
        "steps        6000; each video comes 600 times",
        "time         about 46 min, 0.457 s a step on NVIDIA H200, 12 % of it waiting for data; evaluation not counted",
        "memory       about 14.2 GB of 150.0 GB, 700 MB of it weights and moments",
        "disk         530 MB a saved state, 1.9 GB the run at most; 80.0 GB are free",
        "first batch  first.jpg",
    ]
    assert config_from_dict(yaml.safe_load(below), "printed") == config


@pytest.mark.parametrize(
    ("devices", "processes", "parts", "line"),
    [
        (1, 1, 4, "16 clips of 2 frames, 4 at a time"),
        (4, 4, 1, "16 clips of 2 frames on 4 GPUs, 4 at a time on each"),
        (0, 2, 2, "16 clips of 2 frames on 2 processes, 4 at a time on each"),
    ],
)
def test_how_a_batch_is_split(monkeypatch, capsys, devices, processes, parts, line):
    config = config_from_dict({"train": {"devices": devices}}, "test")
    printed = shown(monkeypatch, capsys, config, processes=processes, parts=parts, effective_batch=16)
    assert f"batch        {line}\n" in printed


def test_what_does_not_fit_is_said(monkeypatch, capsys):
    config = config_from_dict({"train": {"devices": 8}, "optim": {"ema_decay": 0.9}}, "test")
    printed = shown(monkeypatch, capsys, config, device="CPU", disk_free_bytes=1_000_000_000)
    assert "on the CPU, since this machine has no GPU," in printed
    assert "1.0 GB are free, not enough" in printed
    assert "weights, moments and averages" in printed


def test_one_json_object(monkeypatch, capsys):
    config = config_from_dict({"train": {"steps": 77}}, "test")
    found = json.loads(shown(monkeypatch, capsys, config, as_json=True))
    assert (found["videos"], found["frames"], found["boxes"], found["categories"]) == (40, 900, 2345, 5)
    assert found["config"]["train"]["steps"] == 77
    assert (found["step_seconds"], found["picture"]) == (0.4567, "first.jpg")


def test_other_processes_of_a_run_neither_try_nor_print(monkeypatch, capsys):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr(plan_module, "plan", lambda *_, **__: pytest.fail("the first process does it alone"))
    show_plan(QcenConfig(), PICTURE, True)
    assert capsys.readouterr() == ("", "")
