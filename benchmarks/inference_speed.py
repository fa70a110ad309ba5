"""What inference costs besides the model, and whether its memory grows with the length of a video.

    python -m benchmarks.inference_speed rest [--frames 300]
    python -m benchmarks.inference_speed share [--frames 12]
    python -m benchmarks.inference_speed memory [--frames 10000]

*rest*: frames a second of `qcen infer` at 720p with 10 instances, the overlay included, if the model cost nothing.
*share*: of the time of `r50` at 720p, the part that is not the model's own; the model's time is measured in the same
process on the same frames. *memory*: what the process holds at frame 500 and at the end.
"""

import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import torch
import typer
from numpy.typing import NDArray

from benchmarks.command_line import console, run_app
from benchmarks.known_objects import known_checkpoint
from qcen_core.config import load_config
from qcen_core.inference.inputs import free_videos
from qcen_core.inference.options import InferOptions
from qcen_core.inference.outputs import write_forms
from qcen_core.inference.preprocess import plan_geometry, to_input
from qcen_core.inference.run_files import video_files
from qcen_core.inference.segment_inputs import OnVideoFrame, Segmented, segment_inputs
from qcen_core.model.checkpoint import Checkpoint
from qcen_core.model.segmenter import FrameSegmenter
from qcen_core.video.reader import open_source
from qcen_core.video.writer import VideoWriter

app = typer.Typer(add_completion=False, help=__doc__, rich_markup_mode="markdown")
HD = (720, 1280)
FIRST_READING = 500  # frames after which memory is read for the first time


def write_video(path: Path, frames: int, size: tuple[int, int]) -> None:
    """A video in which everything moves a little, as in one from a hand."""
    height, width = size
    noise = np.random.default_rng(0).integers(0, 256, (height // 16, width // 16, 3), dtype=np.uint8)
    large: NDArray[np.uint8] = cv2.resize(noise, (width + 64, height + 64), interpolation=cv2.INTER_CUBIC).astype(
        np.uint8
    )
    with VideoWriter(path, height=height, width=width, frame_rate=Fraction(30)) as writer:
        for t in range(frames):
            x, y = round(32 + 30 * np.sin(0.05 * t)), round(32 + 30 * np.cos(0.031 * t))
            writer.write(_cut(large, y, x, size))


def _cut(image: NDArray[np.uint8], top: int, left: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(image[top : top + size[0], left : left + size[1]])


def run(
    checkpoint: Checkpoint, source: Path, out: Path, on_frame: OnVideoFrame | None = None
) -> tuple[Segmented, float]:
    """Segment a video with every output; returns also the seconds that it took in all."""
    started = time.perf_counter()
    inputs = free_videos(str(source), checkpoint.categories, None)
    files = video_files(out, inputs.videos)
    out.mkdir(parents=True, exist_ok=True)
    done = segment_inputs(checkpoint, inputs, files, out / "overlay.mp4", InferOptions(), on_frame)
    write_forms(checkpoint.categories, [place.log for place in files], out, (), confidence=0.3)
    return done, time.perf_counter() - started


@app.command()
def rest(frames: Annotated[int, typer.Option(min=10, help="length of the video")] = 300) -> None:
    """All but the model."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as work:
        source = Path(work) / "hd.mp4"
        write_video(source, frames, HD)
        for number in range(3):
            _, seconds = run(known_checkpoint(), source, Path(work) / str(number))
            console.print(f"{frames / seconds:.1f} frames a second with 10 instances at 720p, overlay and all files")


@app.command()
def share(frames: Annotated[int, typer.Option(min=2, help="length of the video")] = 12) -> None:
    """The part of the time that is not the model's."""
    torch.manual_seed(0)
    inner = FrameSegmenter(load_config("r50", []).model, 40).eval()
    checkpoint = known_checkpoint(inner=inner)
    with tempfile.TemporaryDirectory() as work, torch.inference_mode():
        source = Path(work) / "hd.mp4"
        write_video(source, frames, HD)
        with open_source(source) as opened:
            geometry = plan_geometry(*HD, short_side=checkpoint.config.data.test_short_side, max_side=1333)
            inputs = [to_input(frame.image, geometry, torch.device("cpu")) for frame in opened.frames()]
        inner.decode(inner.encode(*inputs[0]), every_layer=False)
        for number in range(3):
            started = time.perf_counter()
            for given in inputs:
                inner.decode(inner.encode(*given), every_layer=False)
            model = time.perf_counter() - started
            _, whole = run(checkpoint, source, Path(work) / str(number))
            console.print(
                f"model {model / frames:.3f} s a frame, whole run {whole / frames:.3f} s: "
                f"{(whole - model) / whole:.1%} is not the model's"
            )


@app.command()
def memory(frames: Annotated[int, typer.Option(min=1000, help="length of the video")] = 10_000) -> None:
    """Resident memory early and at the end, all files written."""
    torch.set_num_threads(1)
    readings: dict[int, int] = {}

    def read(_: int, done: int, __: int | None) -> None:
        if done % FIRST_READING == 0:
            readings[done] = resident_bytes()

    with tempfile.TemporaryDirectory() as work:
        source = Path(work) / "long.mp4"
        write_video(source, frames, (180, 320))
        run(known_checkpoint("tiny"), source, Path(work) / "out", read)
        end = resident_bytes()
    first = readings[FIRST_READING]
    for done, held in readings.items():
        console.print(f"frame {done:6d}: {held / 2**20:7.1f} MiB")
    console.print(
        f"all files written: {end / 2**20:7.1f} MiB, {end / first - 1:+.1%} of what was held at frame {FIRST_READING}"
    )


def resident_bytes() -> int:
    """Memory that this process holds now."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return 1024 * next(int(row.split()[1]) for row in status.splitlines() if row.startswith("VmRSS:"))


if __name__ == "__main__":
    raise SystemExit(run_app(app))
