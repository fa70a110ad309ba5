"""The averaged weights as teacher: what they predict, when they are asked, and that they are no more than a target."""

import copy

import pytest
import torch
from test_train_step import Run, moving_squares, tiny_config

from qcen_core.config import config_from_dict
from qcen_core.errors import InputError
from qcen_core.training.optimizer import AveragedWeights
from qcen_core.training.train_step import train_step


def teaching_config(**loss):
    trusting = {"teacher_weight": 3.0, "teacher_agreement": 0.0, "teacher_confidence": 0.0}
    config = tiny_config(ema_decay=0.9).model_dump()
    return config_from_dict(config | {"loss": config["loss"] | trusting | loss}, "test")


class TeachingRun(Run):
    def __init__(self, config):
        super().__init__(config)
        self.average = AveragedWeights(self.raw, 0.9)

    def step(self, batch, step):
        arguments = (self.model, self.optimizer, self.criterion, batch, self.config, step, self.average)
        return train_step(self.fabric, *arguments).terms


def drifted_average(net, seed=1):
    """Averages that are not the parameters."""
    average = AveragedWeights(net, 0.9)
    generator = torch.Generator().manual_seed(seed)
    kept = [p.detach().clone() for p in net.parameters()]
    with torch.no_grad():
        for parameter in net.parameters():
            parameter += 0.2 * torch.randn(parameter.shape, generator=generator)
        average.update(5)
        for parameter, value in zip(net.parameters(), kept, strict=True):
            parameter.copy_(value)
    return average


def test_the_average_predicts_what_a_model_with_its_weights_predicts():
    run, batch = Run(tiny_config()), moving_squares("box")
    average = drifted_average(run.raw)
    before = {name: p.detach().clone() for name, p in run.raw.named_parameters()}
    predicted = average.predict(batch.frames(), batch.frame_valid())
    other = copy.deepcopy(run.raw)
    other.load_state_dict(average.state_dict())
    with torch.no_grad():
        expected = other(batch.frames(), batch.frame_valid())
        own = run.raw(batch.frames(), batch.frame_valid())
    assert torch.equal(predicted.final.mask_logits, expected.final.mask_logits)
    assert not torch.allclose(predicted.final.mask_logits, own.final.mask_logits)
    assert not predicted.final.mask_logits.requires_grad
    assert all(torch.equal(p, before[name]) for name, p in run.raw.named_parameters())
    assert all(p.requires_grad for p in run.raw.parameters())


def test_a_step_with_a_teacher_learns_from_it_and_leaves_it_as_it_is():
    run, batch = TeachingRun(teaching_config()), moving_squares("box")
    run.average = drifted_average(run.raw)
    before = {name: value.clone() for name, value in run.average.state_dict().items()}
    terms = run.step(batch, 0)
    assert torch.isfinite(terms["teacher"])
    assert terms["teacher"] > 0
    assert all(torch.equal(value, before[name]) for name, value in run.average.state_dict().items())


@pytest.mark.parametrize(("level", "loss", "asked"), [
    ("box", {}, True),
    ("box+id", {}, True),
    ("mask", {}, False),
    ("mask+id", {}, False),
    ("box", {"teacher_weight": 0.0}, False),
    ("box", {"teacher_start": 2}, False),
])  # fmt: skip
def test_the_teacher_is_asked_only_where_its_masks_count(level, loss, asked, monkeypatch):
    run, calls = TeachingRun(teaching_config(**loss)), []
    predict = AveragedWeights.predict

    def counted(average, frames, valid):
        calls.append(1)
        return predict(average, frames, valid)

    monkeypatch.setattr(AveragedWeights, "predict", counted)
    assert ("teacher" in run.step(moving_squares(level), 1)) == asked == bool(calls)


def test_the_same_run_gives_the_same_numbers_to_the_last_bit():
    batch, totals = moving_squares("box"), []
    for _ in range(2):
        run = TeachingRun(teaching_config())
        for step in range(3):
            totals.append(run.step(batch, step)["total"])
            run.average.update(step)
    assert all(torch.equal(a, b) for a, b in zip(totals[:3], totals[3:], strict=True))


def test_a_teacher_needs_averaged_weights():
    with pytest.raises(InputError, match=r"^test: loss\.teacher_weight needs averaged weights"):
        config_from_dict({"loss": {"teacher_weight": 1.0}}, "test")
