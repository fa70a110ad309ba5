"""The states of a run: whole, exact, the newest few kept, and passed over where they are damaged."""

import json
import resource
import shutil
import subprocess
import sys
from collections import namedtuple

import pytest
import torch
from torch import nn

from qcen_core.errors import InputError, QcenError
from qcen_core.training import train_state
from qcen_core.training.optimizer_state import fill_optimizer, optimizer_tensors
from qcen_core.training.train_state import (
    DamagedStateWarning,
    TrainState,
    load_newest_state,
    save_state,
    saved_states,
)


def network(seed, width=5):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(3, width), nn.ReLU(), nn.Linear(width, 2))
    groups = [{"params": [p], "lr": 0.1} for p in model.parameters()]
    return model, torch.optim.AdamW(groups, weight_decay=0.1)


def learn(model, optimizer, steps, first=0):
    for step in range(first, first + steps):
        torch.manual_seed(step)
        optimizer.zero_grad()
        model(torch.randn(7, 3)).square().sum().backward()
        optimizer.step()


def state_of(model, optimizer, step=3, best=None):
    average = {name: value + 1 for name, value in model.state_dict().items()}
    window = {"losses": torch.tensor([[0.1, 0.0], [2.0, 0.0]], dtype=torch.float64)}
    tensors = {
        "model": model.state_dict(),
        "optimizer": optimizer_tensors(model, optimizer),
        "average": average,
        "window": window,
    }
    return TrainState(step, tensors, {"best": best, "clips": 4, "categories": ["cat"]})


@pytest.fixture
def run(tmp_path):
    """A run with states after 1, 2 and 3 steps, of which two are kept."""
    model, optimizer = network(0)
    for step in (1, 2, 3):
        learn(model, optimizer, 1, first=step - 1)
        save_state(tmp_path, state_of(model, optimizer, step), keep=2)
    return tmp_path


def test_going_on_from_a_state_is_bitwise_the_same(tmp_path):
    model, optimizer = network(0)
    learn(model, optimizer, 3)
    save_state(tmp_path, state_of(model, optimizer, best={"step": 2, "AP": 0.25}), keep=1)
    resumed, resumed_optimizer = network(1)
    state = load_newest_state(tmp_path)
    assert state.step == 3
    assert state.record == {"best": {"step": 2, "AP": 0.25}, "clips": 4, "categories": ["cat"]}
    assert state.tensors["window"]["losses"].tolist() == [[0.1, 0.0], [2.0, 0.0]]
    resumed.load_state_dict(state.tensors["model"])
    fill_optimizer(resumed, resumed_optimizer, state.tensors["optimizer"])
    assert all(torch.equal(state.tensors["average"][name], value + 1) for name, value in model.state_dict().items())
    learn(model, optimizer, 4, first=3)
    learn(resumed, resumed_optimizer, 4, first=3)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), resumed.parameters(), strict=True))


def test_the_newest_are_kept_and_nothing_else_stays(run):
    assert [folder.name for folder in saved_states(run)] == ["step-000003", "step-000002"]
    assert sorted(file.name for file in (run / "state").iterdir()) == ["step-000002", "step-000003"]
    assert load_newest_state(run).step == 3


def test_states_are_ordered_by_number_and_not_by_name(run):
    model, optimizer = network(0)
    save_state(run, state_of(model, optimizer, 1_000_000), keep=3)
    assert [folder.name for folder in saved_states(run)] == ["step-1000000", "step-000003", "step-000002"]


def test_what_an_interrupted_write_left_is_never_taken_for_a_state_and_goes_away(run):
    shutil.copytree(run / "state" / "step-000003", run / "state" / ".step-000004.new")
    shutil.copytree(run / "state" / "step-000003", run / "state" / ".step-000001.gone")
    assert load_newest_state(run).step == 3
    model, optimizer = network(0)
    save_state(run, state_of(model, optimizer, 5), keep=2)
    assert sorted(file.name for file in (run / "state").iterdir()) == ["step-000003", "step-000005"]


def flip(path, place=-3):
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


DAMAGES = {
    "a weight is another": lambda state: flip(state / "model.safetensors"),
    "a moment is another": lambda state: flip(state / "optimizer.safetensors"),
    "an average is another": lambda state: flip(state / "average.safetensors"),
    "model missing": lambda state: (state / "model.safetensors").unlink(),
    "model cut off": lambda state: (state / "model.safetensors").write_bytes(b"abc"),
    "optimizer empty": lambda state: (state / "optimizer.safetensors").write_bytes(b""),
    "no record": lambda state: (state / "state.json").unlink(),
    "record not JSON": lambda state: (state / "state.json").write_text("{"),
    "record not an object": lambda state: (state / "state.json").write_text("[3]"),
    "record without step": lambda state: (state / "state.json").write_text('{"checksums": {}}'),
    "record without checksums": lambda state: (state / "state.json").write_text('{"step": 3}'),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_newest_state_falls_back_to_the_one_before_with_a_warning(run, kind):
    DAMAGES[kind](run / "state" / "step-000003")
    with pytest.warns(DamagedStateWarning, match="step-000003 is damaged and is passed over"):
        assert load_newest_state(run).step == 2
    model, optimizer = network(0)
    save_state(run, state_of(model, optimizer, 3), keep=2)  # the steps are done again, and their state is whole
    assert load_newest_state(run).step == 3


def test_a_later_state_that_is_damaged_does_not_push_out_a_good_one(run):
    """Gone on from step 2, stopped before step 3 was reached again."""
    flip(run / "state" / "step-000003" / "model.safetensors")
    (run / "state" / "step-000003").rename(run / "state" / "step-000009")
    model, optimizer = network(0)
    save_state(run, state_of(model, optimizer, 4), keep=1)
    assert [folder.name for folder in saved_states(run)] == ["step-000004"]
    assert load_newest_state(run).step == 4


def test_moments_take_the_layout_of_their_parameters(tmp_path):
    """Fused optimizers take no other."""
    found = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Conv2d(3, 5, 3)).to(memory_format=torch.channels_last)
        found.append((model, torch.optim.AdamW(model.parameters())))
    model, optimizer = found[0]
    model(torch.randn(2, 3, 7, 7)).sum().backward()
    optimizer.step()
    save_state(tmp_path, state_of(model, optimizer, 1), keep=1)
    fill_optimizer(*found[1], load_newest_state(tmp_path).tensors["optimizer"])
    weight = next(found[1][0].parameters())
    moments = found[1][1].state[weight]["exp_avg"]
    assert moments.stride() == weight.stride()
    assert torch.equal(moments, optimizer.state[next(model.parameters())]["exp_avg"])


def test_where_all_are_damaged_there_is_one_line(run):
    for folder in saved_states(run):
        flip(folder / "model.safetensors")
    with (
        pytest.warns(DamagedStateWarning),
        pytest.raises(InputError, match=r"no saved state can be used: model\.safetensors does not match its checksum"),
    ):
        load_newest_state(run)


def test_without_a_state_there_is_nothing_to_go_on_from(tmp_path):
    with pytest.raises(InputError, match="no saved state to go on from"):
        load_newest_state(tmp_path)


@pytest.mark.parametrize("key", ["exp_avg:9.weight", "exp_avg:0.weight"])
def test_moments_of_another_model_are_refused(key):
    model, optimizer = network(0)
    learn(model, optimizer, 1)
    tensors = optimizer_tensors(model, optimizer) | {key: torch.zeros(2, 2)}
    with pytest.raises(InputError, match=f"'{key}' does not fit"):
        fill_optimizer(*network(0), tensors)


def test_a_full_disk_is_told_before_anything_is_written(run, monkeypatch):
    model, optimizer = network(0)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(train_state.shutil, "disk_usage", lambda _: usage(10, 9, 1))
    with pytest.raises(QcenError, match="MB are needed for the states") as caught:
        save_state(run, state_of(model, optimizer, 4), keep=2)
    assert "goes on from step-000003" in caught.value.hint
    assert load_newest_state(run).step == 3
    assert sorted(file.name for file in (run / "state").iterdir()) == ["step-000002", "step-000003"]


WRITER = """
import resource, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_train_state import network, state_of
from qcen_core.errors import QcenError
from qcen_core.training.train_state import save_state
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
try:
    save_state(Path({run!r}), state_of(*network(0), 4), keep=2)
except QcenError as error:
    print(error.line())
    sys.exit(7)
"""


@pytest.mark.parametrize("limit", [0, 100, 300])
def test_a_write_that_the_system_refuses_loses_no_state(run, limit):
    """The system lets no file of the process grow beyond a few bytes, as a full disk would not."""
    script = WRITER.format(tests=str(__file__).rpartition("/")[0], limit=limit, run=str(run))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 7, done.stderr
    assert "the state after step 4 cannot be saved" in done.stdout
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    assert sorted(file.name for file in (run / "state").iterdir()) == ["step-000002", "step-000003"]
    assert load_newest_state(run).step == 3


def test_the_record_can_be_read_by_a_person(run):
    record = json.loads((run / "state" / "step-000003" / "state.json").read_text(encoding="utf-8"))
    assert record["step"] == 3
    assert set(record["checksums"]) == {"model", "optimizer", "average", "window"}
