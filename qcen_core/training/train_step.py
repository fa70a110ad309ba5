"""One optimisation step: the page to print out.

for each part of the batch               one part, unless `train.effective_batch` asks for more
    output = model(frames)               every frame on its own, in the run's precision
                                         (with `loss.exchange=decoder` queries visit other frames, too)
    terms  = criterion(output, part)     float32; boxes and classes only at the level `box`
    loss   = sum of weight * term        weights are pure functions of the step
    backward                             gradients are averaged over parts and processes
clip, step
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricModule
from torch import Tensor, nn

from qcen_core.config import QcenConfig
from qcen_core.method.criterion import CriterionResult, SetCriterion, exchange_is_taught, loss_weights, total_loss
from qcen_core.structures import ClipBatch, SegmenterOutput
from qcen_core.training.optimizer import learning_rate_factor


@dataclass(frozen=True, slots=True)
class StepResult:
    """What one step leaves behind.

    Attributes:
        terms: detached loss terms by name, and `total`; means over the parts.
        output: predictions of the last part before the step, for the log.
        found: what the criterion made of them.
        finite: scalar bool on the device, whether loss and gradient were finite.
    """

    terms: Mapping[str, Tensor]
    output: SegmenterOutput
    found: CriterionResult
    finite: Tensor


def train_step(
    fabric: Fabric,
    model: _FabricModule,
    optimizer: torch.optim.Optimizer,
    criterion: SetCriterion,
    parts: Sequence[ClipBatch],
    config: QcenConfig,
    step: int,
    *,
    exchange_for_log: bool = False,
) -> StepResult:
    """Learn from one batch.

    Args:
        fabric: devices and precision.
        model: the segmenter.
        optimizer: with groups that hold their full rate as `initial_lr`.
        criterion: the loss terms.
        parts: the batch in parts, on the device.
        config: schedules and weights.
        step: optimizer steps done so far.
        exchange_for_log: with `loss.exchange=decoder` let queries visit other frames also if no term asks for it.

    Raises:
        FloatingPointError: on the CPU: the loss or its gradient is not finite; no weight has changed. To ask a GPU
            would make it wait: there `StepResult.finite` tells.
    """
    factor = learning_rate_factor(step, config.optim, config.train.steps)
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] * factor
    weights = loss_weights(config.loss, step)
    visits = config.loss.exchange == "decoder" and (exchange_for_log or exchange_is_taught(weights))
    on_host = fabric.device.type == "cpu"
    sums: dict[str, Tensor] = {}
    optimizer.zero_grad()
    for index, part in enumerate(parts):
        seed_step(config.train.seed, step * len(parts) + index, fabric.global_rank)
        last = index == len(parts) - 1
        with fabric.no_backward_sync(model, enabled=not last):
            clip_frames = part.images.shape[1] if visits else 1
            output: SegmenterOutput = model(part.frames(), part.frame_valid(), clip_frames, criterion.ranks).float()
            found = criterion(output, part, weights)
            loss = total_loss(found.terms, weights) / len(parts)
            if on_host and not torch.isfinite(loss):
                raise FloatingPointError(", ".join(f"{name} {value.item():.3g}" for name, value in found.terms.items()))
            fabric.backward(reaching_all(loss, model) if fabric.world_size > 1 else loss)
        for name, value in {**found.terms, "total": loss * len(parts)}.items():
            sums[name] = sums.get(name, 0) + value.detach() / len(parts)
        if not last:
            del output, found, loss  # the next part needs the memory
    fill_gradients(model)
    norm = torch.as_tensor(
        fabric.clip_gradients(model, optimizer, max_norm=config.optim.clip_norm, error_if_nonfinite=False)
    )
    finite = torch.isfinite(sums["total"])
    # In float16 the loss is scaled up, now and then too far: the scaler then skips the step and scales less.
    if config.train.precision != "16-mixed":
        finite = finite & torch.isfinite(norm)
    if on_host and not finite:
        raise FloatingPointError(f"gradient norm {norm}")
    optimizer.step()
    return StepResult(sums, output, found, finite)


class _Reaching(torch.autograd.Function):
    """Hands a loss through; its backward pass also visits all parameters, without a gradient for them."""

    @staticmethod
    def forward(ctx: Any, loss: Tensor, *_: Tensor) -> Tensor:  # noqa: ANN401
        ctx.count = len(_)
        return loss.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        return grad, *(None,) * ctx.count


def reaching_all(loss: Tensor, model: nn.Module) -> Tensor:
    """The same loss, whose backward pass reaches every parameter, also those that no term of this step depends on.

    Processes that average gradients wait for each other's; to search the graph for what will not come takes a tenth of
    a step.
    """
    reached: Tensor = _Reaching.apply(loss, *(p for p in model.parameters() if p.requires_grad))
    return reached


def fill_gradients(model: nn.Module) -> None:
    """Give parameters that no term depends on a gradient of zero: one process then steps as several do."""
    for parameter in model.parameters():
        if parameter.requires_grad and parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)


def seed_step(seed: int, step: int, rank: int) -> None:
    """Make everything random in a step a function of it: a run that goes on has no generator to bring along."""
    torch.manual_seed(int(np.random.SeedSequence((seed, step, rank)).generate_state(1)[0]))
