"""What `qcen train --dry-run` finds out, and that it leaves nothing but a picture."""

import contextlib

import cv2
import pytest
import torch

from qcen_core.config import config_from_dict
from qcen_core.conversion.prepare import prepare
from qcen_core.errors import InputError, QcenError
from qcen_core.model.segmenter import FrameSegmenter
from qcen_core.ops import peak_memory
from qcen_core.ops.peak_memory import PeakMemory, memory_of
from qcen_core.training import plan as plan_module
from qcen_core.training.plan import plan

CPU = torch.device("cpu")
MEBIBYTE = 2**20


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    out = tmp_path_factory.mktemp("sets") / "shapes"
    prepare(
        out=out, dataset="shapes", clips=5, holdout_clips=1, size=(64, 96), length=4, keep_masks=True, keep_ids=True
    )
    return out


def tiny_config(root, **changes):
    values = {
        "data": {
            "root": str(root),
            "clips_per_step": 2,
            "frame_range": 2,
            "short_sides": [48, 64],
            "test_short_side": 64,
            "workers": 0,
        },
        "model": {
            "backbone": "resnet10t",
            "backbone_args": {"channels": [8, 16, 16, 16], "stem_width": 8},
            "pretrained": False,
            "backbone_norm": "group",
            "hidden_dim": 32,
            "contrast_dim": 16,
            "heads": 4,
            "queries": 7,
            "encoder_layers": 1,
            "encoder_feedforward": 48,
            "decoder_layers": 2,
            "decoder_feedforward": 48,
        },
        "loss": {"pairwise_warmup": 4, "exchange_start": 2},
        "optim": {"learning_rate": 1e-3, "warmup_steps": 2, "clip_norm": 1.0, "ema_decay": 0.9},
        "train": {"precision": "32-true", "steps": 6, "log_every": 2, "save_every": 3},
    }
    for section, fields in changes.items():
        values[section] = values[section] | fields
    return config_from_dict(values, "test")


def everything_below(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.fixture(scope="module")
def planned(prepared, tmp_path_factory):
    """A plan, what it told on the way, and the folder that it was made in."""
    folder = tmp_path_factory.mktemp("here")
    told = []
    before = everything_below(prepared)
    with contextlib.chdir(folder):
        found = plan(tiny_config(prepared), folder / "new" / "first.jpg", lambda *progress: told.append(progress))
    assert everything_below(prepared) == before
    return found, told, folder


def test_the_data_and_the_steps_are_counted(planned):
    found = planned[0]
    assert (found.videos, found.frames, found.categories) == (5, 20, 5)
    assert 20 <= found.boxes <= 200
    assert (found.processes, found.clips, found.parts, found.effective_batch) == (1, 2, 1, 2)
    assert found.steps == 6
    assert found.epochs == pytest.approx(6 * 2 / 5)


def test_time_follows_from_the_steps(planned):
    found = planned[0]
    assert 0 < found.step_seconds < 20
    assert found.total_seconds == pytest.approx(6 * found.step_seconds)
    assert 0 < found.data_wait < 1


def test_progress_is_told(planned):
    told = planned[1]
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)
    assert told[0][0] == 0
    assert told[-1][:2] == (4, 4)
    assert len({remark for _, _, remark in told}) > 2


def test_nothing_is_left_but_the_picture(planned):
    found, _, folder = planned
    assert [path for path in folder.rglob("*") if path.is_file()] == [folder / "new" / "first.jpg"]
    assert found.picture == folder / "new" / "first.jpg"
    assert cv2.imread(str(found.picture)).shape[1] > 400


def test_sizes_are_those_of_the_network(planned, prepared):
    found = planned[0]
    network = FrameSegmenter(tiny_config(prepared).model, 5)
    state = sum(tensor.nbytes for tensor in network.state_dict().values())
    parameters = [p.nbytes for p in network.parameters()]
    moments = 2 * sum(parameters) + 4 * len(parameters)  # two of each parameter, and its count of steps
    assert found.parameters == found.trainable == sum(parameters) // 4
    assert found.weights_bytes == state + moments + sum(parameters)
    assert found.state_bytes == state + moments + state
    assert found.run_bytes == 3 * found.state_bytes + 2 * state
    assert found.disk_free_bytes > 0


def test_memory_holds_the_network_at_least(planned):
    found = planned[0]
    assert found.weights_bytes <= found.memory_bytes < found.device_bytes
    assert found.device == "CPU"


def test_a_step_in_parts_on_several_processes(prepared):
    config = tiny_config(prepared, train={"effective_batch": 12, "processes": 2}, data={"clips_per_step": 3})
    found = plan(config, None)
    assert (found.processes, found.clips, found.parts, found.effective_batch) == (2, 3, 2, 12)
    assert found.epochs == pytest.approx(6 * 12 / 5)
    assert found.picture is None


def test_a_gpu_that_is_not_there_is_planned_for_on_the_cpu(prepared, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    found = plan(tiny_config(prepared, train={"devices": 4, "nodes": 2}, optim={"ema_decay": 0}), None)
    assert (found.device, found.processes, found.effective_batch) == ("CPU", 8, 16)
    assert found.state_bytes == found.weights_bytes


def test_processes_of_a_launcher_count(prepared, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    monkeypatch.setenv("RANK", "0")
    assert plan(tiny_config(prepared), None).processes == 3


def test_the_steps_are_taken_as_late_as_the_last_ones(prepared, monkeypatch):
    """Terms that begin late are what most steps cost."""
    steps, real = [], plan_module.train_step

    def step(**named):
        result = real(**named)
        steps.append((named["step"], "contrast" in result.terms))
        return result

    monkeypatch.setattr(plan_module, "train_step", step)
    plan(tiny_config(prepared, train={"steps": 500}, loss={"exchange_start": 400}), None)
    plan(tiny_config(prepared, train={"steps": 2}), None)
    assert steps == [(496, True), (497, True), (498, True), (499, True), (0, False), (0, False), (0, False), (1, False)]


@pytest.mark.parametrize(
    ("load", "busy", "workers", "expected"), [(0.5, 2.0, 0, 0.5), (0.5, 2.0, 2, 0.0), (5.0, 2.0, 2, 3.0)]
)
def test_loader_processes_make_wait_only_if_they_are_slower(load, busy, workers, expected):
    assert plan_module._wait(load, busy, workers) == expected


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory."), RuntimeError("DefaultCPUAllocator: not enough memory")]
)
def test_a_lack_of_memory_says_what_to_try(prepared, monkeypatch, error):
    def step(**_):
        raise error

    monkeypatch.setattr(plan_module, "train_step", step)
    with pytest.raises(QcenError, match=r"2 clips of 2 frames, .* more memory than there is") as raised:
        plan(tiny_config(prepared), None)
    assert raised.value.hint == "add --set train.checkpointing=true"


def test_other_errors_stay_what_they_are(prepared, monkeypatch):
    def step(**_):
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(plan_module, "train_step", step)
    with pytest.raises(RuntimeError, match="shapes differ"):
        plan(tiny_config(prepared), None)


def test_a_loss_that_is_not_finite_is_told(prepared, monkeypatch):
    def step(**_):
        raise FloatingPointError("class nan")

    monkeypatch.setattr(plan_module, "train_step", step)
    with pytest.raises(QcenError, match="class nan"):
        plan(tiny_config(prepared), None)


def test_data_that_cannot_be_used_is_told(prepared):
    with pytest.raises(InputError, match="no split 'test'"):
        plan(tiny_config(prepared, data={"split": "test"}), None)


def test_free_space_is_looked_up_where_runs_will_be(prepared, tmp_path, monkeypatch):
    asked = []
    usage = plan_module.shutil.disk_usage
    monkeypatch.setattr(plan_module.shutil, "disk_usage", lambda place: asked.append(place) or usage(place))
    (tmp_path / "there").mkdir()
    plan(tiny_config(prepared), None, runs=tmp_path / "there" / "runs" / "train")
    assert asked == [tmp_path / "there"]


def test_memory_that_was_held_and_given_back_is_seen():
    torch.zeros(64 * MEBIBYTE, dtype=torch.uint8).add_(1)
    memory = PeakMemory(CPU)
    assert memory.peak() < 48 * MEBIBYTE
    torch.zeros(128 * MEBIBYTE, dtype=torch.uint8).add_(1)
    assert 120 * MEBIBYTE < memory.peak() < 256 * MEBIBYTE
    assert memory.peak() < memory_of(CPU)


def test_where_the_system_tells_less_the_peak_of_the_process_is_compared(monkeypatch, tmp_path):
    monkeypatch.setattr(peak_memory, "_STATUS", tmp_path / "none")
    monkeypatch.setattr(peak_memory, "_CLEAR", tmp_path / "no" / "folder")
    memory = PeakMemory(CPU)
    assert memory.peak() == 0
    held = memory._before + 64 * MEBIBYTE
    monkeypatch.setattr(peak_memory, "_largest_since_start", lambda: held)
    assert memory.peak() == 64 * MEBIBYTE
