"""Trained weights for other programs: as ONNX, and as a program of `torch.export`."""

import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from qcen_core.config import QcenConfig
from qcen_core.errors import InputError, QcenError
from qcen_core.model.checkpoint import Checkpoint, load_checkpoint
from qcen_core.model.segmenter import FrameSegmenter
from qcen_core.ops.sizes import SIZE_DIVISOR, fitted_size, padded_length

FORMAT = "qcen-segmenter"
VERSION = 1
METADATA_FILE = "qcen.json"  # in a program of torch.export
INPUTS = ("frames", "valid")
OUTPUTS = ("class_logits", "mask_logits", "contrast_embeddings", "boxes")
EXAMPLE_FRAMES = 2  # a single frame would fix the number: export takes a side of 1 for a constant
PACKAGES = ("onnx", "onnxscript")
OPSET = 18
MOST_FRAMES = 1024
LONGEST_SIDE = 8192


@dataclass(frozen=True, slots=True)
class Exported:
    """A written model.

    Attributes:
        path: the file.
        size: height and width of the frames it takes, in pixels, or `None` if it takes any.
        outputs: what it gives for frames (N, 3, H, W) uint8 RGB and valid (N, H, W) bool, in order; see `ForExport`.
    """

    path: Path
    size: tuple[int, int] | None
    outputs: tuple[str, ...]


class ForExport(nn.Module):
    """A segmenter without what only training and guests need.

    Its outputs, all float32:
        class_logits (N, Q, K + 1), the last one "no object"; mask_logits (N, Q, H / 4, W / 4) of the last layer;
        contrast_embeddings (N, Q, E), not yet of unit length; and where queries have a place boxes (N, Q, 4),
        `x1 y1 x2 y2` pixels of the input.
    """

    def __init__(self, segmenter: FrameSegmenter) -> None:
        super().__init__()
        self.segmenter = segmenter
        self.outputs = OUTPUTS if segmenter.decoder.located else OUTPUTS[:-1]

    def forward(self, frames: Tensor, valid: Tensor) -> tuple[Tensor, ...]:
        """Segment frames, arguments as `FrameSegmenter.forward`."""
        output = self.segmenter(frames, valid, every_layer=False)
        given = (*output.final[:2], output.contrast_embeddings, output.final.boxes)
        return tuple(tensor for tensor in given if tensor is not None)


def export_onnx(
    checkpoint_path: Path,
    out: Path,
    *,
    size: tuple[int, int] | None = None,
    any_size: bool = False,
    on_tracing: Callable[[], None] | None = None,
) -> Exported:
    """Write a checkpoint's segmenter as an ONNX model, whole or not at all.

    It takes any number of frames. Categories and configuration stand in its `metadata_props`, see `describe`.

    Args:
        checkpoint_path: a checkpoint.
        out: the file to write.
        size: height and width in pixels, multiples of 32; by default those of a 16:9 frame at inference.
        any_size: take frames of any height and width that are multiples of 32, from 64 on; `size` is then an example.
        on_tracing: called when all is checked, before the long part.

    Raises:
        InputError: no such checkpoint, a size that will not do, or a package is missing.
        QcenError: the model cannot be written so.
    """
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise InputError(
            f"to write ONNX needs the package {' and '.join(missing)}",
            hint='pip install "qcen[export]", or write a .pt2 file, which needs nothing more',
        )
    checkpoint = load_checkpoint(checkpoint_path, torch.device("cpu"))
    module, sides = ForExport(checkpoint.model), input_size(checkpoint.config, size)
    if on_tracing is not None:
        on_tracing()
    with _told(any_size), _quiet("onnxscript"):  # which warns of every node that it leaves as it is
        model = torch.onnx.export(
            _traced(module, sides, any_size),
            input_names=list(INPUTS),
            output_names=list(module.outputs),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    assert model is not None  # noqa: S101  # it is None only for the old way of exporting
    model.model.metadata_props.update(describe(checkpoint))
    _write(out, lambda beside: model.save(beside, external_data=False))
    return Exported(out, None if any_size else sides, module.outputs)


def export_program(
    checkpoint_path: Path,
    out: Path,
    *,
    size: tuple[int, int] | None = None,
    any_size: bool = False,
    on_tracing: Callable[[], None] | None = None,
) -> Exported:
    """Write a checkpoint's segmenter as a program that `torch.export.load` reads; otherwise as `export_onnx`.

    Categories and configuration stand in the extra file `METADATA_FILE`, as a JSON object.

    Raises:
        InputError: no such checkpoint, or a size that will not do.
        QcenError: the model cannot be written so.
    """
    checkpoint = load_checkpoint(checkpoint_path, torch.device("cpu"))
    module, sides = ForExport(checkpoint.model), input_size(checkpoint.config, size)
    if on_tracing is not None:
        on_tracing()
    with _told(any_size):
        program = _traced(module, sides, any_size)
    metadata = {METADATA_FILE: json.dumps(describe(checkpoint))}
    _write(out, lambda beside: torch.export.save(program, beside, extra_files=metadata))
    return Exported(out, None if any_size else sides, module.outputs)


def describe(checkpoint: Checkpoint) -> dict[str, str]:
    """What whoever runs the model must know; `categories`, `config` and `info` are JSON."""
    return {
        "format": FORMAT,
        "version": str(VERSION),
        "categories": json.dumps([{"id": c.source_id, "name": c.name} for c in checkpoint.categories]),
        "config": json.dumps(checkpoint.config.model_dump(mode="json")),
        "info": json.dumps(dict(checkpoint.info)),
        "frames": "uint8 RGB (N, 3, H, W), H and W multiples of 32, padded at the right and at the bottom",
        "valid": "bool (N, H, W), false on padding",
    }


def input_size(config: QcenConfig, size: tuple[int, int] | None) -> tuple[int, int]:
    """Height and width to export for: those wished, or where there are none those of a 16:9 frame at inference.

    Raises:
        InputError: they are not multiples of 32.
    """
    if size is None:
        data = config.data
        height, width = fitted_size(9, 16, short_side=data.test_short_side, max_side=data.max_side)
        return padded_length(height), padded_length(width)
    if any(side < SIZE_DIVISOR or side % SIZE_DIVISOR for side in size):
        near = " x ".join(str(max(SIZE_DIVISOR, padded_length(side))) for side in size)
        raise InputError(
            f"a size of {size[0]} x {size[1]} pixels, not multiples of {SIZE_DIVISOR}",
            hint=f"give {near} and pad frames at the right and at the bottom",
        )
    return size


def _traced(module: ForExport, size: tuple[int, int], any_size: bool) -> torch.export.ExportedProgram:
    frames = torch.zeros((EXAMPLE_FRAMES, 3, *size), dtype=torch.uint8)
    valid = torch.ones((EXAMPLE_FRAMES, *size), dtype=torch.bool)
    count: Any = torch.export.Dim("count", min=1, max=MOST_FRAMES)
    rows: Any = torch.export.Dim("rows", min=2, max=LONGEST_SIDE // SIZE_DIVISOR)
    columns: Any = torch.export.Dim("columns", min=2, max=LONGEST_SIDE // SIZE_DIVISOR)
    sides = (SIZE_DIVISOR * rows, SIZE_DIVISOR * columns) if any_size else ()
    shapes = ({0: count} | dict(enumerate(sides, start=2)), {0: count} | dict(enumerate(sides, start=1)))
    with torch.no_grad():
        return torch.export.export(module.eval(), (frames, valid), dynamic_shapes=shapes, strict=False)


@contextmanager
def _told(any_size: bool) -> Iterator[None]:
    """What PyTorch says of a network that it cannot export, as an error of ours."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        root: BaseException = error
        while root.__cause__ is not None:
            root = root.__cause__
        reason = next((line.strip() for line in str(root).splitlines() if line.strip()), type(root).__name__)
        raise QcenError(
            f"the model cannot be exported: {reason}",
            hint="export it for one size only" if any_size else "the backbone may hold what cannot be exported",
        ) from error


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Only errors are logged under that name."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _write(out: Path, save: Callable[[Path], object]) -> None:
    """Save beside the file and put it in its place once it is whole."""
    out.parent.mkdir(parents=True, exist_ok=True)
    beside = out.with_name(f".{os.getpid()}.part.{out.name}")
    try:
        save(beside)
        beside.replace(out)
    finally:
        beside.unlink(missing_ok=True)
