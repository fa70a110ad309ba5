"""One optimisation step: it learns, it repeats exactly, and it stops where numbers are not finite."""

import pytest
import torch
from lightning_fabric import Fabric

from qcen_core.config import QcenConfig, config_from_dict
from qcen_core.method.criterion import SetCriterion
from qcen_core.model.segmenter import FrameSegmenter
from qcen_core.structures import BoxTarget, ClipBatch, StrongLabels
from qcen_core.training.optimizer import build_optimizer
from qcen_core.training.train_step import fill_gradients, reaching_all, train_step

HEIGHT, WIDTH = 64, 96
SQUARES = {0: (12, 8, 44, 40), 1: (52, 16, 84, 56)}  # class: x1 y1 x2 y2 in the first frame


def tiny_config(**optim) -> QcenConfig:
    return config_from_dict(
        {
            "model": {
                "backbone": "resnet10t",
                "backbone_args": {"channels": [8, 16, 16, 16], "stem_width": 8},
                "pretrained": False,
                "backbone_norm": "group",
                "hidden_dim": 32,
                "contrast_dim": 16,
                "heads": 4,
                "queries": 5,
                "encoder_layers": 1,
                "encoder_feedforward": 48,
                "decoder_layers": 2,
                "decoder_feedforward": 48,
            },
            "loss": {"pairwise_warmup": 0},
            "optim": {"learning_rate": 2e-3, "backbone_factor": 1.0, "warmup_steps": 0, "clip_norm": 1.0} | optim,
            "train": {"precision": "32-true", "steps": 100},
        },
        "test",
    )


def moving_squares(level: str) -> ClipBatch:
    """Two clips of two frames, each with a red and a green square that move two pixels to the right."""
    images = torch.full((2, 2, 3, HEIGHT, WIDTH), 60, dtype=torch.uint8)
    targets, masks, ids = [], [], []
    for clip in range(2):
        for time in range(2):
            boxes = []
            drawn = torch.zeros(2, HEIGHT, WIDTH, dtype=torch.bool)
            for class_id, (x1, y1, x2, y2) in SQUARES.items():
                shift = 2 * time - 4 * clip
                images[clip, time, class_id, y1:y2, x1 + shift : x2 + shift] = 240
                drawn[class_id, y1:y2, x1 + shift : x2 + shift] = True
                boxes.append([x1 + shift, y1, x2 + shift, y2])
            targets.append(BoxTarget(torch.tensor(boxes, dtype=torch.float32), torch.arange(2)))
            masks.append(drawn)
            ids.append(torch.arange(2) + 1)
    strong = None
    if level != "box":
        strong = StrongLabels(
            tuple(masks) if level.startswith("mask") else None, tuple(ids) if level.endswith("+id") else None
        )
    valid = torch.ones(2, HEIGHT, WIDTH, dtype=torch.bool)
    times = torch.tensor([[0, 1], [0, 1]])
    return ClipBatch(images, valid, times, tuple(targets), strong, ("pond", "road"))


class Run:
    """What `train_step` needs, without files."""

    def __init__(self, config: QcenConfig, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.config = config
        self.raw = FrameSegmenter(config.model, 2)
        self.fabric = Fabric(accelerator="cpu", devices=1, precision="32-true")
        self.model, self.optimizer = self.fabric.setup(self.raw, build_optimizer(self.raw, config.optim))
        self.criterion = SetCriterion(config.loss, config.matching, config.pairs)

    def step(self, batch: ClipBatch, step: int):
        return train_step(self.fabric, self.model, self.optimizer, self.criterion, [batch], self.config, step).terms


@pytest.mark.parametrize("level", ["box", "box+id", "mask", "mask+id"])
def test_every_level_takes_a_step_that_changes_every_weight_it_should(level):
    run = Run(tiny_config())
    before = {name: p.detach().clone() for name, p in run.raw.named_parameters()}
    terms = run.step(moving_squares(level), 0)
    assert all(torch.isfinite(value) for value in terms.values())
    assert not any(value.requires_grad for value in terms.values())
    assert {"class", "contrast", "inter", "total"} <= terms.keys()
    assert ("mask_dice" in terms) == level.startswith("mask")
    assert ("projection" in terms) == level.startswith("box")
    changed = [name for name, p in run.raw.named_parameters() if not torch.equal(p, before[name])]
    for part in ("backbone.", "pixel_decoder.", "decoder.class_embed", "decoder.mask_embed", "decoder.contrast_embed"):
        assert any(name.startswith(part) for name in changed), part
    assert all(p.grad is not None for p in run.raw.parameters())


@pytest.mark.parametrize("level", ["box", "mask+id"])
def test_a_few_dozen_steps_on_one_batch_bring_the_loss_down(level):
    run = Run(tiny_config())
    batch = moving_squares(level)
    totals = [run.step(batch, step)["total"].item() for step in range(40)]
    assert sum(totals[-5:]) < 0.7 * sum(totals[:5])


def test_the_same_seed_gives_the_same_numbers_to_the_last_bit():
    batch = moving_squares("box")
    first, second, other = (Run(tiny_config(), seed) for seed in (3, 3, 4))
    losses = [[run.step(batch, step)["total"] for step in range(4)] for run in (first, second, other)]
    assert all(torch.equal(a, b) for a, b in zip(losses[0], losses[1], strict=True))
    assert not torch.equal(losses[0][0], losses[2][0])
    assert all(torch.equal(a, b) for a, b in zip(first.raw.parameters(), second.raw.parameters(), strict=True))


def test_the_rate_of_every_group_follows_the_schedule():
    run = Run(tiny_config(schedule="step", warmup_steps=4, drop_at=0.5, backbone_factor=0.25))
    batch = moving_squares("box")
    for step, factor in [(0, 0.25), (3, 1.0), (50, 0.1)]:
        run.step(batch, step)
        rates = sorted({group["lr"] for group in run.optimizer.param_groups})
        assert rates == pytest.approx([5e-4 * factor, 2e-3 * factor])


def test_a_batch_without_any_label_still_teaches_and_touches_every_parameter():
    run = Run(tiny_config())
    batch = moving_squares("box")
    empty = BoxTarget(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))
    bare = ClipBatch(batch.images, batch.valid, batch.frame_times, (empty,) * 4, None, batch.sources)
    assert torch.isfinite(run.step(bare, 0)["total"])


@torch.no_grad()
def poison(run: Run, value: float) -> dict[str, torch.Tensor]:
    run.raw.decoder.class_embed.bias[0] = value
    return {name: p.clone() for name, p in run.raw.named_parameters()}


def test_a_loss_that_is_not_finite_stops_before_the_weights_change():
    run = Run(tiny_config())
    before = poison(run, float("nan"))
    with pytest.raises(FloatingPointError, match="class nan"):
        run.step(moving_squares("box"), 0)
    assert all(torch.equal(p.nan_to_num(), before[name].nan_to_num()) for name, p in run.raw.named_parameters())


def test_a_gradient_that_is_not_finite_stops_before_the_weights_change():
    run = Run(tiny_config())
    before = {name: p.detach().clone() for name, p in run.raw.named_parameters()}
    run.raw.decoder.mask_embed.layers[0].weight.register_hook(lambda gradient: gradient * float("inf"))
    with pytest.raises(FloatingPointError, match="gradient norm"):
        run.step(moving_squares("box"), 0)
    assert all(torch.equal(p, before[name]) for name, p in run.raw.named_parameters())


def test_a_loss_reaches_all_parameters_and_changes_no_gradient():
    model = torch.nn.ModuleDict({"used": torch.nn.Linear(3, 2), "unused": torch.nn.Linear(2, 5)})
    loss = model["used"](torch.ones(7, 3)).square().sum()
    expected = torch.autograd.grad(loss, list(model["used"].parameters()), retain_graph=True)
    reaching_all(loss, model).backward()
    fill_gradients(model)
    for parameter, gradient in zip(model["used"].parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=0, atol=0)
    assert all((parameter.grad == 0).all() for parameter in model["unused"].parameters())
