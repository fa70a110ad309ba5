"""What a run needs to go on exactly: weights, optimizer moments, averaged weights and the step.

Learning rate, loss schedules, the choice of clips and all that is random in a step are functions of the step, so
there is no generator state to keep. (Only at precision `16-mixed` the scaler of the gradients starts anew, so there
a resumed run is not exact.) A state is a folder of safetensors files; it appears whole or not at all.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from qcen_core.errors import InputError
from qcen_core.model.checkpoint import write_tensors

STATE = "state"
_PARTS = ("model", "optimizer", "average")


def save_state(
    run: Path,
    *,
    step: int,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: Mapping[str, Tensor] | None,
    best: Mapping[str, Any] | None,
) -> None:
    """Replace the run's state by that after `step` steps.

    Args:
        run: folder of the run.
        step: steps done.
        model: the segmenter.
        optimizer: its optimizer.
        average: averaged weights, or `None`.
        best: step and metric of the best checkpoint so far, or `None`.
    """
    new, old = run / f"{STATE}.new", run / f"{STATE}.old"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    parts = {"model": model.state_dict(), "optimizer": _optimizer_tensors(model, optimizer), "average": average or {}}
    for name, tensors in parts.items():
        write_tensors(new / f"{name}.safetensors", tensors)
    (new / "state.json").write_text(json.dumps({"step": step, "best": best}), encoding="utf-8")
    if (run / STATE).exists():
        shutil.rmtree(old, ignore_errors=True)
        (run / STATE).rename(old)
    new.rename(run / STATE)
    shutil.rmtree(old, ignore_errors=True)


def load_state(run: Path, *, model: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[int, dict[str, Tensor], Any]:
    """Restore model and optimizer.

    Args:
        run: folder of the run.
        model: a segmenter of the same configuration.
        optimizer: its optimizer.

    Returns:
        Steps done, the averaged weights (empty if there are none), and what is known of the best checkpoint.

    Raises:
        InputError: the run has no state, or it is damaged or of another model.
    """
    folder = run / STATE
    if not folder.is_dir() and (run / f"{STATE}.old").is_dir():  # stopped between the two renames of save_state
        folder = run / f"{STATE}.old"
    if not folder.is_dir():
        raise InputError("the run has no saved state to go on from", place=run, hint="train without --resume")
    try:
        model_state, moments, average = (load_file(folder / f"{part}.safetensors") for part in _PARTS)
        record = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        model.load_state_dict(model_state)
        step, best = int(record["step"]), record["best"]
        _fill_optimizer(model, optimizer, moments, step)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"the saved state cannot be used: {reason}", place=folder, hint="train anew, or from --weights"
        ) from None
    return step, average, best


def _optimizer_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    tensors = {}
    for name, parameter in model.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"{key}:{name}"] = torch.as_tensor(value)
    return tensors


def _fill_optimizer(
    model: nn.Module, optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], step: int
) -> None:
    parameters = dict(model.named_parameters())
    for key, value in tensors.items():
        kind, _, name = key.partition(":")
        parameter = parameters[name]
        if kind != "step" and value.shape != parameter.shape:
            raise ValueError(f"optimizer state '{key}' is {tuple(value.shape)}, not {tuple(parameter.shape)}")
        moved = value if kind == "step" else value.to(parameter.device)
        optimizer.state[parameter][kind] = moved
    if step and not tensors:
        raise KeyError("optimizer state")
