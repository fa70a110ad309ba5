"""One optimisation step: the page to print out.

output = model(frames)                   every frame on its own, in the run's precision
                                         (with `loss.exchange=decoder` queries visit other frames, too)
terms  = criterion(output, batch).terms  float32; boxes and classes only at the level `box`
loss   = sum of weight * term            weights are pure functions of the step
backward, clip, step, average
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from qcen_core.config import QcenConfig
from qcen_core.method.criterion import CriterionResult, SetCriterion, exchange_is_taught, loss_weights, total_loss
from qcen_core.structures import ClipBatch, SegmenterOutput
from qcen_core.training.optimizer import learning_rate_factor


@dataclass(frozen=True, slots=True)
class StepResult:
    """What one step leaves behind.

    Attributes:
        terms: detached loss terms by name, and `total`.
        output: predictions of the batch before the step, for the log.
        found: what the criterion made of them.
    """

    terms: Mapping[str, Tensor]
    output: SegmenterOutput
    found: CriterionResult


def train_step(
    fabric: Fabric,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    criterion: SetCriterion,
    batch: ClipBatch,
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
        batch: on the device.
        config: schedules and weights.
        step: optimizer steps done so far.
        exchange_for_log: with `loss.exchange=decoder` let queries visit other frames also if no term asks for it.

    Raises:
        FloatingPointError: the loss or its gradient is not finite.
    """
    seed_step(config.train.seed, step, fabric.global_rank)
    factor = learning_rate_factor(step, config.optim, config.train.steps)
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] * factor
    weights = loss_weights(config.loss, step)
    visits = config.loss.exchange == "decoder" and (exchange_for_log or exchange_is_taught(weights))
    clip_frames = batch.images.shape[1] if visits else 1
    output: SegmenterOutput = model(batch.frames(), batch.frame_valid(), clip_frames).float()
    found = criterion(output, batch, weights)
    loss = total_loss(found.terms, weights)
    if not torch.isfinite(loss):
        raise FloatingPointError(", ".join(f"{name} {value.item():.3g}" for name, value in found.terms.items()))
    optimizer.zero_grad()
    fabric.backward(loss)
    norm = fabric.clip_gradients(model, optimizer, max_norm=config.optim.clip_norm, error_if_nonfinite=False)
    # In float16 the loss is scaled up, now and then too far: the scaler then skips the step and scales less.
    if config.train.precision != "16-mixed" and not torch.isfinite(torch.as_tensor(norm)):
        raise FloatingPointError(f"gradient norm {norm}")
    optimizer.step()
    terms = {name: value.detach() for name, value in found.terms.items()} | {"total": loss.detach()}
    return StepResult(terms, output, found)


def seed_step(seed: int, step: int, rank: int) -> None:
    """Make everything random in a step a function of it: a run that goes on has no generator to bring along."""
    torch.manual_seed(int(np.random.SeedSequence((seed, step, rank)).generate_state(1)[0]))
