"""AdamW, its learning rate as a pure function of the step, and averaged weights."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from qcen_core.config import OptimConfig
from qcen_core.model.segmenter import FrameSegmenter, parameter_groups


def build_optimizer(model: FrameSegmenter, config: OptimConfig, *, fused: bool = False) -> torch.optim.AdamW:
    """AdamW over the model's groups, `fused` in one kernel; each group keeps its full rate as `initial_lr`."""
    groups: list[dict[str, Any]] = parameter_groups(
        model,
        learning_rate=config.learning_rate,
        backbone_factor=config.backbone_factor,
        weight_decay=config.weight_decay,
    )
    for group in groups:
        group["initial_lr"] = group["lr"]
    return torch.optim.AdamW(groups, fused=True) if fused else torch.optim.AdamW(groups, foreach=True)


def learning_rate_factor(step: int, config: OptimConfig, steps: int) -> float:
    """Share of the full learning rate at a step.

    Args:
        step: steps done so far.
        config: warm-up and kind of schedule.
        steps: steps of the whole run.
    """
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    match config.schedule:
        case "step":
            return 0.1 if step >= config.drop_at * steps else 1.0
        case "cosine":
            done = (step - config.warmup_steps) / max(1, steps - config.warmup_steps)
            return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


class AveragedWeights:
    """Exponential moving average of a model's parameters; early on the average reaches back less far."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._decay = decay
        self._model = model
        self._parameters: list[Tensor] = [p for p in model.parameters() if p.requires_grad]
        self._averages = [p.detach().clone() for p in self._parameters]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after `step` (from 0)."""
        decay = min(self._decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self._averages, self._parameters, 1 - decay)

    def state_dict(self) -> dict[str, Tensor]:
        """The model's state with averages in place of its parameters."""
        average = {id(p): a for p, a in zip(self._parameters, self._averages, strict=True)}
        own = dict(self._model.named_parameters())
        return {
            name: average.get(id(own[name]), value) if name in own else value
            for name, value in self._model.state_dict().items()
        }

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on from a state returned by `state_dict`."""
        own = {id(p): name for name, p in self._model.named_parameters()}
        for parameter, average in zip(self._parameters, self._averages, strict=True):
            average.copy_(state[own[id(parameter)]])
