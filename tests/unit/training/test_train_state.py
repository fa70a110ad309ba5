"""The state of a run: whole, exact, and refused where it is damaged."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from qcen_core.errors import InputError
from qcen_core.training.train_state import load_state, save_state


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


def save(run, model, optimizer, step=3, average=None, best=None):
    save_state(run, step=step, model=model, optimizer=optimizer, average=average, best=best)


def test_going_on_from_a_state_is_bitwise_the_same(tmp_path):
    model, optimizer = network(0)
    learn(model, optimizer, 3)
    average = {name: value + 1 for name, value in model.state_dict().items()}
    save(tmp_path, model, optimizer, average=average, best={"step": 2, "AP": 0.25})
    resumed, resumed_optimizer = network(1)
    step, averaged, best = load_state(tmp_path, model=resumed, optimizer=resumed_optimizer)
    assert (step, best) == (3, {"step": 2, "AP": 0.25})
    assert all(torch.equal(averaged[name], value) for name, value in average.items())
    learn(model, optimizer, 4, first=3)
    learn(resumed, resumed_optimizer, 4, first=3)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), resumed.parameters(), strict=True))


def test_a_newer_state_replaces_the_older_one(tmp_path):
    model, optimizer = network(0)
    learn(model, optimizer, 1)
    save(tmp_path, model, optimizer, step=1)
    learn(model, optimizer, 1, first=1)
    save(tmp_path, model, optimizer, step=2)
    assert [file.name for file in tmp_path.iterdir()] == ["state"]
    resumed, resumed_optimizer = network(1)
    step, averaged, best = load_state(tmp_path, model=resumed, optimizer=resumed_optimizer)
    assert (step, averaged, best) == (2, {}, None)


def test_a_write_that_was_interrupted_loses_nothing(tmp_path):
    model, optimizer = network(0)
    learn(model, optimizer, 1)
    save(tmp_path, model, optimizer, step=1)
    (tmp_path / "state").rename(tmp_path / "state.old")  # stopped between the two renames
    (tmp_path / "state.new").mkdir()
    assert load_state(tmp_path, model=network(1)[0], optimizer=optimizer)[0] == 1
    resumed, resumed_optimizer = network(1)
    load_state(tmp_path, model=resumed, optimizer=resumed_optimizer)
    save(tmp_path, resumed, resumed_optimizer, step=5)
    assert [file.name for file in tmp_path.iterdir()] == ["state"]
    assert load_state(tmp_path, model=resumed, optimizer=resumed_optimizer)[0] == 5


def damage(state, kind):
    match kind:
        case "model missing":
            (state / "model.safetensors").unlink()
        case "model cut off":
            path = state / "model.safetensors"
            path.write_bytes(path.read_bytes()[:-3])
        case "optimizer empty":
            (state / "optimizer.safetensors").write_bytes(b"")
        case "optimizer without tensors":
            save_file({}, state / "optimizer.safetensors")
        case "optimizer of another model":
            tensors = load_file(state / "optimizer.safetensors")
            renamed = {key.replace("0.weight", "9.weight"): tensor for key, tensor in tensors.items()}
            save_file(renamed, state / "optimizer.safetensors")
        case "moments of another shape":
            tensors = load_file(state / "optimizer.safetensors")
            tensors["exp_avg:0.weight"] = torch.zeros(2, 2)
            save_file(tensors, state / "optimizer.safetensors")
        case "record not JSON":
            (state / "state.json").write_text("{", encoding="utf-8")
        case "record not an object":
            (state / "state.json").write_text("[3]", encoding="utf-8")
        case "record without step":
            (state / "state.json").write_text('{"best": null}', encoding="utf-8")
        case "record without best":
            (state / "state.json").write_text('{"step": 3}', encoding="utf-8")


@pytest.mark.parametrize(
    "kind",
    [
        "model missing",
        "model cut off",
        "optimizer empty",
        "optimizer without tensors",
        "optimizer of another model",
        "moments of another shape",
        "record not JSON",
        "record not an object",
        "record without step",
        "record without best",
    ],
)
def test_a_damaged_state_is_a_one_line_error(tmp_path, kind):
    model, optimizer = network(0)
    learn(model, optimizer, 3)
    save(tmp_path, model, optimizer)
    damage(tmp_path / "state", kind)
    with pytest.raises(InputError, match="the saved state cannot be used") as caught:
        load_state(tmp_path, model=model, optimizer=network(0)[1])
    assert str(tmp_path / "state") in caught.value.line()
    assert "\n" not in caught.value.line()


def test_no_state_and_the_state_of_another_model(tmp_path):
    model, optimizer = network(0)
    with pytest.raises(InputError, match="no saved state"):
        load_state(tmp_path, model=model, optimizer=optimizer)
    save(tmp_path, model, optimizer, step=0)
    other, other_optimizer = network(0, width=7)
    with pytest.raises(InputError, match="cannot be used"):
        load_state(tmp_path, model=other, optimizer=other_optimizer)
