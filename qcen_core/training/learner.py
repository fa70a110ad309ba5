"""What learns in a run: the segmenter, its optimizer and its averaged weights, ready for the devices of the run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricModule
from torch import Tensor, nn

from qcen_core.config import QcenConfig
from qcen_core.errors import InputError
from qcen_core.model.recompute import recompute_activations
from qcen_core.model.segmenter import FrameSegmenter
from qcen_core.training.initial_weights import build_model
from qcen_core.training.optimizer import AveragedWeights, build_optimizer
from qcen_core.training.optimizer_state import fill_optimizer, optimizer_tensors
from qcen_core.training.train_state import TrainState


@dataclass(frozen=True, slots=True)
class Learner:
    """The parts of a run that change from step to step.

    Attributes:
        model: the segmenter.
        optimizer: its optimizer.
        average: its averaged weights, `None` where none are kept.
        wrapped: the segmenter as it is called in a step: compiled, cast, the same on all processes.
        wrapped_optimizer: the optimizer as it is called in a step.
    """

    model: FrameSegmenter
    optimizer: torch.optim.Optimizer
    average: AveragedWeights | None
    wrapped: _FabricModule
    wrapped_optimizer: torch.optim.Optimizer

    def tensors(self) -> dict[str, Mapping[str, Tensor]]:
        """The parts "model", "optimizer" and "average" of a `TrainState`."""
        average = {} if self.average is None else self.average.state_dict()
        return {
            "model": self.model.state_dict(),
            "optimizer": optimizer_tensors(self.model, self.optimizer),
            "average": average,
        }

    def weights(self) -> Mapping[str, Tensor]:
        """The weights that are to be used: the averages, where they are kept."""
        return self.model.state_dict() if self.average is None else self.average.state_dict()


def build_learner(
    config: QcenConfig,
    categories: Sequence[str],
    fabric: Fabric,
    *,
    state: TrainState | None = None,
    fresh: bool = True,
) -> Learner:
    """Build what learns.

    Args:
        config: of the run.
        categories: class names.
        fabric: devices and precision of the run.
        state: what to go on from.
        fresh: without a state, whether to start from the weights that the configuration names.

    Raises:
        QcenError: weights to start from could not be had.
        InputError: they, or the state, do not fit.
    """
    on_gpu = fabric.device.type == "cuda"
    model = build_model(config, categories, fresh=fresh and state is None)
    model.to(fabric.device)
    if on_gpu:
        model.to(memory_format=torch.channels_last)
    if config.train.checkpointing:
        recompute_activations(model)
    # At 16-mixed the scaler must look at the gradients before the optimizer does.
    optimizer = build_optimizer(model, config.optim, fused=on_gpu and config.train.precision != "16-mixed")
    average = None
    if state is not None:
        _fill(model, state)
        fill_optimizer(model, optimizer, state.tensors["optimizer"])
    if config.optim.ema_decay:
        average = AveragedWeights(model, config.optim.ema_decay)
        if state is not None and state.tensors["average"]:
            average.load_state_dict(dict(state.tensors["average"]))
    called: Any = torch.compile(model) if config.train.compile else model
    wrapped, wrapped_optimizer = fabric.setup(called, optimizer)
    return Learner(model, optimizer, average, wrapped, wrapped_optimizer)


def _fill(model: nn.Module, state: TrainState) -> None:
    try:
        model.load_state_dict(state.tensors["model"])
    except RuntimeError as error:
        cause = " ".join(str(error).split())
        raise InputError(
            f"the saved state is of another model: {cause}", hint="train anew, or from --weights"
        ) from None
