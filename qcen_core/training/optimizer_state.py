"""An optimizer's state as named tensors."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from qcen_core.errors import InputError


def optimizer_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The state of each parameter, `<kind>:<name of the parameter>`."""
    tensors = {}
    for name, parameter in model.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"{key}:{name}"] = torch.as_tensor(value)
    return tensors


def fill_optimizer(model: nn.Module, optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Take over what `optimizer_tensors` gave; the steps of a fused optimizer lie beside its parameters.

    Raises:
        InputError: the tensors are of another model.
    """
    parameters = dict(model.named_parameters())
    fused = any(group.get("fused") for group in optimizer.param_groups)
    for key, value in tensors.items():
        kind, _, name = key.partition(":")
        parameter = parameters.get(name)
        if parameter is None or (kind != "step" and value.shape != parameter.shape):
            raise InputError(f"the saved optimizer state '{key}' does not fit the model", hint="train anew")
        if kind != "step":
            # In the layout of the parameter, perhaps channels last: fused optimizers take no other.
            value = torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)
        elif fused:
            value = value.to(parameter.device)
        optimizer.state[parameter][kind] = value
