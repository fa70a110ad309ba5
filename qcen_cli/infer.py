"""`qcen infer`: videos, or a split of a data set, become tracked instances."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qcen_cli import console, options, runs
from qcen_core.errors import InputError

if TYPE_CHECKING:
    from qcen_core.inference.infer import InferProgress, InferReport

CHECKPOINT = "the checkpoint's"
GOES_WITH_RESUME = {"source", "resume", "device", "gpus", "processes", "as_json"}
MODEL, DRAWING, OUTPUT = "Model and tracker", "Overlay", "Output"


def infer(
    context: typer.Context,
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="SOURCE",
            help="Video file, folder or quoted pattern of frames, folder of videos, camera index or URL; "
            "with --resume a run or its number.",
            show_default="a split of --data",
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="Checkpoint, or published weights; hf:owner/name.", show_default="the best one of the latest train run"
        ),
    ] = None,
    data: options.Data = None,
    split: Annotated[str, typer.Option(help="Split of --data.")] = "holdout",
    start: Annotated[str, typer.Option(help="Where to begin: seconds, mm:ss or hh:mm:ss.")] = "0",
    end: Annotated[str | None, typer.Option(help="Where to stop, likewise.", show_default="the end")] = None,
    stride: Annotated[int, typer.Option(help="Take every n-th frame only.", min=1)] = 1,
    frame_rate: Annotated[float, typer.Option(help="Frames a second of pictures.", min=0.001, max=1000)] = 10.0,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Also draw the instances into this video, e.g. overlay.mp4; of several videos a folder for one each.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(help="Folder for all other results.", show_default="runs/infer/<n>", rich_help_panel=OUTPUT),
    ] = None,
    save: Annotated[
        str | None,
        typer.Option(
            help="Further forms: davis (palette PNG), mots, mots-png, mot, coco-vid; with commas between.",
            show_default="none",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    zipped: Annotated[
        bool, typer.Option("--zip", help="Also pack the results as servers take them.", rich_help_panel=OUTPUT)
    ] = False,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with a run that was stopped or killed.", rich_help_panel=OUTPUT),
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace --out, allow a --run in use.", rich_help_panel=OUTPUT),
    ] = False,
    confidence: Annotated[
        float | None,
        typer.Option(
            "--conf", help="Least score of what is shown.", min=0, max=1, show_default=CHECKPOINT, rich_help_panel=MODEL
        ),
    ] = None,
    max_instances: Annotated[
        int | None,
        typer.Option(help="Most instances of a frame.", min=1, show_default=CHECKPOINT, rich_help_panel=MODEL),
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(help="Only these classes, e.g. person,dog.", show_default="all", rich_help_panel=MODEL),
    ] = None,
    tracker: Annotated[
        options.Tracker | None,
        typer.Option(help="How identities are kept.", show_default=CHECKPOINT, rich_help_panel=MODEL),
    ] = None,
    short_side: Annotated[
        int | None,
        typer.Option(
            "--imgsz",
            "--short-side",
            help="Short side of the model's input in pixels.",
            min=32,
            show_default=CHECKPOINT,
            rich_help_panel=MODEL,
        ),
    ] = None,
    half: Annotated[bool, typer.Option("--half", help="Compute in 16 bits.", rich_help_panel=MODEL)] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.", rich_help_panel=MODEL)] = "auto",
    gpus: Annotated[
        int | None,
        typer.Option(
            help="Spread several videos over so many GPUs; 0 is the CPU.",
            min=0,
            show_default="--device alone",
            rich_help_panel=MODEL,
        ),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(help="With --gpus 0: processes on the CPU.", min=1, show_default="1", rich_help_panel=MODEL),
    ] = None,
    masks: Annotated[bool, typer.Option(help="Fill the masks.", rich_help_panel=DRAWING)] = True,
    contours: Annotated[bool, typer.Option(help="Draw the outlines of masks.", rich_help_panel=DRAWING)] = True,
    boxes: Annotated[bool, typer.Option(help="Draw boxes.", rich_help_panel=DRAWING)] = False,
    labels: Annotated[bool, typer.Option(help="Write class, id and score.", rich_help_panel=DRAWING)] = True,
    scores: Annotated[bool, typer.Option(help="Write the score in the label.", rich_help_panel=DRAWING)] = True,
    trails: Annotated[bool, typer.Option(help="Draw where objects came from.", rich_help_panel=DRAWING)] = False,
    alpha: Annotated[float, typer.Option(help="Opacity of masks.", min=0, max=1, rich_help_panel=DRAWING)] = 0.4,
    side_by_side: Annotated[
        bool, typer.Option("--side-by-side", help="Show the frame as it was at the left.", rich_help_panel=DRAWING)
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Find and follow the instances of a video or a data set."""
    devices = choose_devices(gpus, processes)
    if resume:
        refuse_others(context)
        _resume(source, device, devices, as_json)
        return
    if source is None:
        data = runs.choose_data(data)
        runs.tell_choice("data", data, "prepared", data / "dataset.yaml")
    elif data is not None:
        raise InputError("give either a source or --data, not both", hint="a source is segmented on its own")
    else:
        check_source(source)
    if weights is None:
        latest = runs.latest_file("train", "best.safetensors", "last.safetensors")
        runs.tell_choice("weights", latest, "trained", latest)
        weights = str(latest)
    check_run(run, overwrite)
    check_overlay(out, overwrite)
    begin, stop = seconds(start, "--start"), None if end is None else seconds(end, "--end")
    from qcen_core.inference.infer import infer_to_folder
    from qcen_core.inference.options import InferOptions
    from qcen_core.visualization.overlay import OverlayStyle

    chosen = InferOptions(
        confidence=confidence,
        max_instances=max_instances,
        tracker=tracker,
        device=device,
        short_side=short_side,
        classes=None if classes is None else tuple(name.strip() for name in classes.split(",")),
        half=half,
        start=begin,
        end=stop,
        stride=stride,
        frame_rate=frame_rate,
        style=OverlayStyle(
            masks=masks, contours=contours, boxes=boxes, labels=labels, scores=scores, trails=trails, alpha=alpha
        ),
        side_by_side=side_by_side,
    )
    forms = tuple(name.strip() for name in save.split(",")) if save else ()
    with runs.run_folder("infer", run, overwrite) as folder, progress(folder) as show:
        report = infer_to_folder(
            source,
            weights=weights,
            out=folder,
            data=data,
            split=split,
            overlay=out,
            forms=(*forms, "zip") if zipped else forms,
            options=chosen,
            devices=devices,
            on_progress=show,
        )
    tell(report, as_json)


def _resume(run: str | None, device: str, devices: tuple[str, ...], as_json: bool) -> None:
    folder = runs.latest_file("infer", "run.json").parent if run is None else runs.find_run("infer", Path(run))
    runs.tell_choice("run", folder, "begun", folder)
    from qcen_core.inference.infer import resume_infer

    with progress(folder) as show:
        report = resume_infer(folder, device=device, devices=devices, on_progress=show)
    tell(report, as_json)


def refuse_others(context: typer.Context) -> None:
    """Refuses options that would make a run that goes on another one."""
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.name not in GOES_WITH_RESUME and source is not None and source.name == "COMMANDLINE":
            option = (*parameter.opts, "")[0]
            raise InputError(f"{option} does not go with --resume", hint="a run goes on as it began; leave it out")


def tell(report: "InferReport", as_json: bool) -> None:
    """Says what a run did; a video that could not be read makes the command fail once all others are done."""
    for remark in report.notes:
        console.note(f"note: {remark}")
    if as_json:
        console.json_object(
            {"frames": report.frames, "tracks": report.tracks, "fps": report.fps, "outputs": dict(report.outputs)}
        )
    else:
        frames, tracks = console.counted(report.frames, "frame"), console.counted(report.tracks, "track")
        console.result(f"{frames}, {tracks}, {report.fps:.1f} frames a second")
        for kind, path in report.outputs.items():
            console.result(f"{kind}: {path}")
    for error in report.failed.values():
        console.error(error.line(), error.hint)
    if report.failed:
        raise typer.Exit(1)


def choose_devices(gpus: int | None, processes: int | None) -> tuple[str, ...]:
    """The devices of `--gpus` and `--processes`, none where neither was given."""
    if processes is not None and gpus != 0:
        raise InputError("--processes goes with --gpus 0", hint="with GPUs there is a process for each of them")
    if gpus is None:
        return ()
    return ("cpu",) * (processes or 1) if gpus == 0 else tuple(f"cuda:{index}" for index in range(gpus))


def check_source(source: str) -> None:
    """Refuses a path that leads nowhere before anything slow begins; other kinds of source are opened later."""
    is_path = "://" not in source and not source.isdecimal() and not any(sign in source for sign in "*?[")
    if is_path and not Path(source).exists():
        raise InputError(
            "no such file or folder",
            place=source,
            hint="give a video file, a folder of frames or videos, a pattern, a camera's index or a URL",
        )


def check_run(run: Path | None, overwrite: bool) -> None:
    """Refuses a folder for results that holds something, or that cannot be one."""
    if run is None:
        return
    place = next(place for place in (run, *run.parents) if place.exists())
    if not place.is_dir():
        raise InputError("is a file, not a folder", place=place, hint="give --run another folder")
    if place == run and any(run.iterdir()) and not overwrite:
        begun = (run / "run.json").is_file()
        others = f"add --overwrite, or go on with it: qcen infer --resume {run}" if begun else "or add --overwrite"
        raise InputError("is not empty", place=run, hint=f"give --run another folder, {others}")


def check_overlay(out: Path | None, overwrite: bool) -> None:
    """Refuses to write over a video, or into a folder that holds something."""
    if out is not None and out.suffix and out.is_dir():
        raise InputError("this is a folder", place=out, hint="a folder for a video each has no ending")
    if out is None or overwrite or not out.exists():
        return
    if not out.is_dir():
        raise InputError("exists already", place=out, hint="give --out another name, or add --overwrite")
    runs.check_out(out, overwrite)


def seconds(text: str, option: str) -> float:
    """A time given as seconds, `mm:ss` or `hh:mm:ss`; seconds may have decimals."""
    total = 0.0
    try:
        for part in text.split(":"):
            total = 60 * total + float(part)
    except ValueError:
        raise InputError(f"{option} {text} is no time", hint="give seconds, mm:ss or hh:mm:ss") from None
    return total


@contextmanager
def progress(folder: Path) -> "Iterator[Callable[[InferProgress], None]]":
    """Shows how far a run is; when it is interrupted, tells how to go on with it."""
    try:
        with console.progress("infer", "frames") as update:
            yield frame_progress(update)
    except KeyboardInterrupt:
        if (folder / "run.json").is_file():
            console.note(f"what was done is kept: 'qcen infer --resume {folder}' goes on")
        raise


def frame_progress(update: console.Update) -> "Callable[[InferProgress], None]":
    """Counts the frames of all videos, and names the video at hand where there are several."""
    frames_done = itertools.count(1)

    def show(state: "InferProgress") -> None:
        several = state.video_count > 1
        remark = f"video {state.video_index + 1} of {state.video_count}" if several else ""
        done = next(frames_done) if several else state.frame  # a resumed run begins in the middle
        update(done, None if several else state.frame_count, remark)

    return show
