"""Named tensors from a file of any of the usual kinds, told apart by content."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from qcen_core.errors import InputError
from qcen_core.model.published.restricted_pickle import DAMAGED, HINT, read_pickle

WRAPPERS = ("model", "state_dict")  # keys under which training programs put the weights


def is_safetensors(path: Path) -> bool:
    """Whether a file begins as safetensors do: the length of a JSON object, and its brace."""
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The named tensors of a file, on the CPU.

    Args:
        path: safetensors, a pickle of arrays, or a PyTorch file; there the names may lie under "model" or "state_dict".

    Raises:
        InputError: the file is damaged, would run code, or holds no named tensors.
    """
    if is_safetensors(path):
        try:
            with safe_open(path, framework="pt") as file:
                return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a mapping
        except (SafetensorError, OSError):
            raise InputError(DAMAGED, place=path, hint=HINT) from None
    content = read_pickle(path)
    for key in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    tensors = _tensors(content) if isinstance(content, Mapping) else {}
    if not tensors:
        raise InputError("the file holds no named tensors", place=path, hint=HINT)
    return tensors


def _tensors(content: Mapping[object, object]) -> dict[str, Tensor]:
    """Arrays and tensors of a mapping by name, without the prefix of a model that was trained on several GPUs."""
    tensors = {}
    for name, value in content.items():
        if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
            value = torch.from_numpy(value.copy())
        if isinstance(value, Tensor):
            tensors[str(name).removeprefix("module.")] = value
    return tensors
