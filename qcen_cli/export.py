"""`qcen export`: a checkpoint becomes a model that other programs run."""

from pathlib import Path
from typing import Annotated

import typer

from qcen_cli import console, options
from qcen_core.errors import InputError

TRACING = "tracing the segmenter; this takes about a minute"


def announce() -> None:
    """Tells what takes so long."""
    console.note(TRACING)


def export(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="A checkpoint of a training run.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="File to write: .onnx, or .pt2 for torch.export.load.")],
    height: Annotated[
        int | None,
        typer.Option(help="Height of the frames it takes, a multiple of 32.", show_default="that of a 16:9 frame"),
    ] = None,
    width: Annotated[
        int | None,
        typer.Option(help="Width of the frames it takes, a multiple of 32.", show_default="that of a 16:9 frame"),
    ] = None,
    any_size: Annotated[
        bool, typer.Option("--any-size", help="Take frames of any size from 64 pixels on, in multiples of 32.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Write the segmenter of a checkpoint as ONNX or for PyTorch.

    It takes frames (N, 3, H, W) uint8 RGB and valid (N, H, W) bool, false on padding. It sees every
    frame on its own: identities are not in it.
    """
    kind = out.suffix.lower()
    if kind not in (".onnx", ".pt2"):
        raise InputError(f"'{out.name}' is neither .onnx nor .pt2", hint="the ending says what to write")
    if out.is_dir():
        raise InputError("this is a folder", place=out, hint="give the file to write")
    if (height is None) != (width is None):
        raise InputError("only one of --height and --width", hint="give both or none")
    from qcen_core.model.export import export_onnx, export_program

    size = None if height is None or width is None else (height, width)
    write = export_onnx if kind == ".onnx" else export_program
    written = write(checkpoint, out, size=size, any_size=any_size, on_tracing=announce)
    if as_json:
        console.json_object(
            {
                "file": written.path,
                "bytes": written.path.stat().st_size,
                "height": written.size and written.size[0],
                "width": written.size and written.size[1],
                "outputs": written.outputs,
            }
        )
        return
    frames = "any size" if written.size is None else f"{written.size[1]} x {written.size[0]} pixels"
    console.result(f"{kind[1:]}: {written.path}")
    console.result(f"frames: {frames}")
    console.result(f"outputs: {', '.join(written.outputs)}")
