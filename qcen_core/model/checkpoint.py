"""Checkpoints: safetensors with the configuration as JSON in the header; nothing in them is ever executed."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from qcen_core.config import QcenConfig, config_from_dict
from qcen_core.errors import InputError
from qcen_core.model.segmenter import FrameSegmenter
from qcen_core.records import Category
from qcen_core.stored_config import without_dropped_keys

FORMAT = "qcen-checkpoint"
VERSION = 1


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A segmenter with all that is needed to use it.

    Attributes:
        model: in evaluation mode.
        config: the configuration it was trained with.
        categories: its K classes.
        info: step, supervision it ever saw, metrics.
    """

    model: FrameSegmenter
    config: QcenConfig
    categories: tuple[Category, ...]
    info: Mapping[str, Any]


def save_checkpoint(
    path: Path,
    weights: Mapping[str, Tensor],
    config: QcenConfig,
    categories: tuple[Category, ...],
    info: Mapping[str, Any],
) -> None:
    """Write a checkpoint, whole or not at all.

    Args:
        path: a `.safetensors` file.
        weights: the segmenter's state.
        config: its configuration.
        categories: its classes.
        info: JSON values: step, supervision, metrics.
    """
    header = {
        "format": FORMAT,
        "version": VERSION,
        "config": config.model_dump(mode="json"),
        "categories": [{"id": category.source_id, "name": category.name} for category in categories],
        "info": dict(info),
    }
    write_tensors(path, weights, {"qcen": json.dumps(header)})


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file, whole or not at all."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        beside.touch()
        mode = beside.stat().st_mode
        on_host = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        save_file(on_host, beside, metadata=metadata)
        beside.chmod(mode)  # safetensors leaves a file that nobody but its owner can read
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def read_header(path: Path) -> dict[str, Any]:
    """The JSON header of a checkpoint: `format`, `version`, `config`, `categories`, `info`.

    Raises:
        InputError: no such file, not a safetensors file, or not a checkpoint of this program.
    """
    if not path.is_file():
        raise InputError(
            "there is no such checkpoint",
            place=path,
            hint="a training run leaves best.safetensors and last.safetensors in its folder",
        )
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError):
        raise InputError(
            "this is not a safetensors file, or it is damaged",
            place=path,
            hint="pass best.safetensors or last.safetensors of a training run",
        ) from None
    try:
        header: dict[str, Any] = json.loads(metadata["qcen"])
    except (KeyError, json.JSONDecodeError):
        header = {}
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise InputError(
            "these weights are not a checkpoint of qcen",
            place=path,
            hint="pass best.safetensors or last.safetensors of a training run",
        )
    if header.get("version") != VERSION:
        raise InputError(
            f"the checkpoint has version {header.get('version')}, this program reads version {VERSION}",
            place=path,
            hint="update qcen, or train again",
        )
    for key, kind in (("config", dict), ("categories", list), ("info", dict)):
        if not isinstance(header.get(key), kind):
            raise InputError(f"the checkpoint's header has no '{key}'", place=path, hint="train again")
    return header


def read_weights(path: Path) -> dict[str, Tensor]:
    """All tensors of a checkpoint, on the CPU.

    Raises:
        InputError: as `read_header`.
    """
    read_header(path)
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a mapping


def load_checkpoint(path: Path, device: torch.device) -> Checkpoint:
    """Build the segmenter a checkpoint describes and fill it.

    Raises:
        InputError: as `read_header`, or the weights do not fit the model that the header describes.
    """
    header = read_header(path)
    config = config_from_dict(without_dropped_keys(header["config"], str(path), to_train=False), str(path))
    categories = tuple(Category(record["id"], record["name"]) for record in header["categories"])
    model = FrameSegmenter(config.model, len(categories))
    fill_model(model, read_weights(path), path)
    return Checkpoint(model.to(device).eval(), config, categories, header["info"])


def fill_model(model: FrameSegmenter, weights: Mapping[str, Tensor], path: str | Path) -> None:
    """Load weights that must fit exactly.

    Raises:
        InputError: a tensor is missing, unknown, or of another shape; the first one is named.
    """
    expected = model.state_dict()
    for name in sorted(set(expected) | set(weights)):
        if name not in weights:
            problem = f"has no tensor '{name}'"
        elif name not in expected:
            problem = f"has a tensor '{name}' that this model lacks"
        elif weights[name].shape != expected[name].shape:
            problem = f"'{name}' is {tuple(weights[name].shape)}, this model needs {tuple(expected[name].shape)}"
        else:
            continue
        raise InputError(
            f"the checkpoint is of another model: {problem}",
            place=path,
            hint="use the recipe and categories it was trained with (see qcen info CHECKPOINT)",
        )
    model.load_state_dict(dict(weights))


def describe(path: Path) -> dict[str, Any]:
    """What a checkpoint holds, as plain values for printing.

    Raises:
        InputError: as `read_header`.
    """
    header = read_header(path)
    weights = read_weights(path)
    return {
        "file": str(path),
        "bytes": path.stat().st_size,
        "parameters": sum(tensor.numel() for tensor in weights.values()),
        "backbone": header["config"]["model"]["backbone"],
        "categories": [record["name"] for record in header["categories"]],
        **header["info"],
    }
