"""`qcen infer`: a video, or a split of a data set, becomes tracked instances."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qcen_cli import console, options, runs
from qcen_core.errors import InputError

if TYPE_CHECKING:
    from qcen_core.inference.infer import InferProgress

CHECKPOINT = "the checkpoint's"


def infer(
    source: Annotated[
        Path | None,
        typer.Argument(metavar="SOURCE", help="Video file or folder of frames.", show_default="a split of --data"),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="Checkpoint, or published weights; hf:owner/name.", show_default="the best one of the latest train run"
        ),
    ] = None,
    data: options.Data = None,
    split: Annotated[str, typer.Option(help="Split of --data.")] = "holdout",
    out: Annotated[
        Path | None, typer.Option(help="Also draw the instances into this video file, e.g. overlay.mp4.")
    ] = None,
    run: Annotated[
        Path | None, typer.Option(help="Folder for results and tracks.", show_default="runs/infer/<n>")
    ] = None,
    confidence: Annotated[
        float | None,
        typer.Option("--conf", help="Least score of what is drawn.", min=0, max=1, show_default=CHECKPOINT),
    ] = None,
    max_instances: Annotated[
        int | None, typer.Option(help="Most instances of a frame.", min=1, show_default=CHECKPOINT)
    ] = None,
    tracker: Annotated[
        options.Tracker | None, typer.Option(help="How identities are kept.", show_default=CHECKPOINT)
    ] = None,
    short_side: Annotated[
        int | None, typer.Option(help="Short side of the model's input.", min=32, show_default=CHECKPOINT)
    ] = None,
    classes: Annotated[
        str | None, typer.Option(help="Only these classes, e.g. person,dog.", show_default="all")
    ] = None,
    boxes: Annotated[bool, typer.Option("--boxes", help="Draw boxes, too.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace --out, allow a --run in use.")] = False,
    as_json: options.Json = False,
) -> None:
    """Find and follow the instances of a video or a data set."""
    if source is None:
        data = runs.choose_data(data)
        runs.tell_choice("data", data, "prepared", data / "dataset.yaml")
    elif data is not None:
        raise InputError("give either a source or --data, not both", hint="a source is segmented on its own")
    elif not source.exists():
        raise InputError("no such file or folder", place=source, hint="give a video file or a folder of frames")
    if weights is None:
        latest = runs.latest_file("train", "best.safetensors", "last.safetensors")
        runs.tell_choice("weights", latest, "trained", latest)
        weights = str(latest)
    if out is not None and out.exists() and not overwrite:
        raise InputError("exists already", place=out, hint="give --out another name, or add --overwrite")
    from qcen_core.inference.infer import infer as segment
    from qcen_core.inference.options import InferOptions

    chosen = InferOptions(
        confidence=confidence,
        max_instances=max_instances,
        tracker=tracker,
        device=device,
        short_side=short_side,
        boxes=boxes,
        classes=None if classes is None else tuple(name.strip() for name in classes.split(",")),
    )
    with runs.run_folder("infer", run, overwrite) as folder, console.progress("infer", "frames") as update:
        report = segment(
            source,
            weights=weights,
            out=folder,
            data=data,
            split=split,
            overlay=out,
            options=chosen,
            on_progress=frame_progress(update),
        )
    for remark in json.loads(report.outputs["summary"].read_text(encoding="utf-8"))["notes"]:
        console.note(f"note: {remark}")
    outputs = dict(report.outputs)
    if as_json:
        console.json_object({"frames": report.frames, "tracks": report.tracks, "fps": report.fps, "outputs": outputs})
        return
    frames, tracks = console.counted(report.frames, "frame"), console.counted(report.tracks, "track")
    console.result(f"{frames}, {tracks}, {report.fps:.1f} frames a second")
    for kind, path in outputs.items():
        console.result(f"{kind}: {path}")


def frame_progress(update: console.Update) -> "Callable[[InferProgress], None]":
    """Counts the frames of all videos, and names the video at hand where there are several."""
    frames_done = itertools.count(1)

    def show(state: "InferProgress") -> None:
        several = state.video_count > 1
        remark = f"video {state.video_index + 1} of {state.video_count}" if several else ""
        update(next(frames_done), None if several else state.frame_count, remark)

    return show
