"""Learning rate by hand, averaged weights against a loop, and the groups of AdamW."""

import math

import pytest
import torch
from torch import nn

from qcen_core.config import ModelConfig, OptimConfig
from qcen_core.model.segmenter import FrameSegmenter
from qcen_core.training.optimizer import AveragedWeights, build_optimizer, learning_rate_factor


@pytest.mark.parametrize(
    ("step", "factor"), [(0, 0.1), (4, 0.5), (9, 1.0), (10, 1.0), (69, 1.0), (70, 0.1), (99, 0.1), (1000, 0.1)]
)
def test_step_schedule(step, factor):
    config = OptimConfig(schedule="step", warmup_steps=10, drop_at=0.7)
    assert learning_rate_factor(step, config, 100) == pytest.approx(factor)


@pytest.mark.parametrize(
    ("step", "factor"),
    [
        (0, 0.2),
        (4, 1.0),
        (5, 1.0),
        (30, 0.5 + 0.5 * math.cos(math.pi / 3)),
        (42, 0.5 + 0.5 * math.cos(37 * math.pi / 75)),
    ],
)
def test_cosine_schedule(step, factor):
    config = OptimConfig(schedule="cosine", warmup_steps=5)
    assert learning_rate_factor(step, config, 80) == pytest.approx(factor)


def test_cosine_ends_at_zero_and_stays_there():
    config = OptimConfig(schedule="cosine", warmup_steps=5)
    assert learning_rate_factor(80, config, 80) == pytest.approx(0, abs=1e-12)
    assert learning_rate_factor(200, config, 80) == pytest.approx(0, abs=1e-12)
    rates = [learning_rate_factor(step, config, 80) for step in range(4, 81)]
    assert rates == sorted(rates, reverse=True)


@pytest.mark.parametrize("schedule", ["step", "cosine"])
def test_a_warm_up_of_nothing_or_longer_than_the_run(schedule):
    assert learning_rate_factor(0, OptimConfig(schedule=schedule, warmup_steps=0), 7) == 1.0
    assert learning_rate_factor(6, OptimConfig(schedule=schedule, warmup_steps=14), 7) == 0.5


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 5)
        self.frozen = nn.Parameter(torch.full((2,), 7.0), requires_grad=False)
        self.register_buffer("count", torch.tensor(0.0))


def test_averaged_weights_equal_the_loop():
    torch.manual_seed(0)
    net = Net()
    average = AveragedWeights(net, 0.9)
    expected = {name: p.detach().double() for name, p in net.a.named_parameters()}
    for step in range(200):
        with torch.no_grad():
            for parameter in net.a.parameters():
                parameter += torch.randn_like(parameter)
            net.count += 1
        average.update(step)
        decay = min(0.9, (1 + step) / (10 + step))
        for name, parameter in net.a.named_parameters():
            expected[name] = decay * expected[name] + (1 - decay) * parameter.detach().double()
            now = average.state_dict()[f"a.{name}"].double()
            torch.testing.assert_close(now, expected[name], rtol=1e-5, atol=1e-5)
    state = average.state_dict()
    assert state.keys() == net.state_dict().keys()
    assert state["frozen"].tolist() == [7.0, 7.0]
    assert state["count"].item() == 200
    assert not torch.equal(state["a.weight"], net.a.weight)


def test_averaged_weights_go_on_from_their_state():
    torch.manual_seed(0)
    net = Net()
    whole = AveragedWeights(net, 0.5)
    net.a.weight.data.add_(1)
    whole.update(20)
    kept = {name: value.clone() for name, value in whole.state_dict().items()}
    other = AveragedWeights(net, 0.5)
    other.load_state_dict(kept)
    net.a.weight.data.mul_(3)
    whole.update(21)
    other.update(21)
    assert all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), other.state_dict().values(), strict=True))


def test_optimizer_groups_remember_their_full_rate():
    args = {"channels": [8, 8, 8, 8], "stem_width": 8}
    config = ModelConfig(
        backbone="resnet10t", backbone_args=args, backbone_norm="group", hidden_dim=8, heads=1, encoder_layers=1
    )
    model = FrameSegmenter(config, 2)
    optimizer = build_optimizer(model, OptimConfig(learning_rate=0.02, backbone_factor=0.5, weight_decay=0.3))
    rates = {(group["initial_lr"], group["lr"], group["weight_decay"]) for group in optimizer.param_groups}
    assert rates == {(0.02, 0.02, 0.3), (0.02, 0.02, 0.0), (0.01, 0.01, 0.3), (0.01, 0.01, 0.0)}
    held = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in model.parameters())
