"""How fast the segmenter is on a GPU, beside transformers' Mask2Former of the same weights; under eight minutes.

    python benchmarks/gpu.py

ResNet-50, 80 classes, 384 x 640, bfloat16, as written and through `torch.compile`: a forward pass of one frame and of
eight, and a training step of eight clips of two frames. Each figure is printed as soon as it is there.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # also when it is not run as a module

from benchmarks import segmenter_sides as sides
from benchmarks.command_line import console, run_app
from qcen_core.errors import InputError

app = typer.Typer(add_completion=False, help=__doc__, rich_markup_mode="markdown")
CASES = (("forward", 1), ("forward", 8), ("train", 16))
REPEATS = {"forward": 20, "train": 5}
WARM_UP = 3


@app.command()
def main(
    device: Annotated[str, typer.Option(help="cpu only to try the script")] = "cuda",
    height: Annotated[int, typer.Option(help="of the frames")] = 384,
    width: Annotated[int, typer.Option(help="of the frames")] = 640,
    budget: Annotated[float, typer.Option(help="seconds after which no further case is begun")] = 400.0,
) -> None:
    """Compare the two sides."""
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("there is no GPU that PyTorch can use", hint="run it on a machine with one")
    place = torch.device(device)
    name = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    console.print(f"{name}, torch {torch.__version__}, bfloat16, {height} x {width}")
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as work:
        sides.write_folder(Path(work))
        for compiled in (False, True):
            for kind, count in CASES:
                if time.perf_counter() - started > budget:
                    console.print(f"{kind} {count}, compiled {compiled}: left out, the time is over")
                    continue
                inputs = sides.make_inputs(count, (height, width), place)
                ours, theirs = (
                    measure(side, kind, Path(work), inputs, place, compiled=compiled) for side in ("ours", "theirs")
                )
                console.print(
                    f"{kind}, {count} frame(s), {'compiled' if compiled else 'as written'}: "
                    f"ours {count / ours['seconds']:.1f} frames/s, {ours['peak_gib']:.2f} GiB; "
                    f"transformers {count / theirs['seconds']:.1f} frames/s, {theirs['peak_gib']:.2f} GiB: "
                    f"{theirs['seconds'] / ours['seconds']:.2f} times as fast"
                )
    console.print(f"{time.perf_counter() - started:.0f} s in all")


def measure(
    side: str, kind: str, folder: Path, inputs: sides.Inputs, device: torch.device, *, compiled: bool
) -> dict[str, float]:
    """Seconds a pass or step, and peak memory of the device."""
    model: nn.Module = sides.our_model(folder, device) if side == "ours" else sides.their_model(folder, device)
    run_model: Any = torch.compile(model, dynamic=False) if compiled else model
    make: Callable[..., Callable[[], object]]
    if kind == "forward":
        make = sides.our_forward if side == "ours" else sides.their_forward
    else:
        make = sides.our_step if side == "ours" else sides.their_step
    run = make(run_model, inputs, torch.bfloat16)
    for _ in range(WARM_UP):
        run()
    if device.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    started = time.perf_counter()
    for _ in range(REPEATS[kind]):
        run()
    if device.type == "cuda":
        torch.cuda.synchronize()
    seconds = (time.perf_counter() - started) / REPEATS[kind]
    peak = torch.cuda.max_memory_allocated() / 2**30 if device.type == "cuda" else float("nan")
    torch.compiler.reset()
    return {"seconds": seconds, "peak_gib": peak}


if __name__ == "__main__":
    sys.exit(run_app(app))
