"""The verb `infer`: videos in; a log of all that was found, an overlay and every wanted form of the tracks out."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import metadata
from pathlib import Path

import torch

from qcen_core.errors import InputError, QcenError
from qcen_core.inference.earlier_run import VideoFiles
from qcen_core.inference.inputs import InputSet, free_videos, prepared_split
from qcen_core.inference.options import InferOptions, check_devices, check_options, choose_device, tracker_config
from qcen_core.inference.outputs import OutputFigures, check_forms, write_forms, write_summary
from qcen_core.inference.run_files import (
    RunPlan,
    check_same_plan,
    clear_run,
    found_from_anywhere,
    kept_if_begun,
    read_plan,
    sha256_of,
    video_files,
    write_plan,
)
from qcen_core.inference.segment_inputs import Segmented, segment_inputs
from qcen_core.inference.workers import segment_in_processes
from qcen_core.model.checkpoint import Checkpoint
from qcen_core.model.published.hub import is_hub_name
from qcen_core.model.published.load import load_any_checkpoint as load_checkpoint
from qcen_core.ops.peak_memory import peak_of_process
from qcen_core.trackforms.frame_log import read_end
from qcen_core.video.media_file import shown_address
from qcen_core.video.reader import is_live_name
from qcen_core.video.writer import check_video_name

SUMMARY = "summary.json"
DEFAULT_OPTIONS = InferOptions()


@dataclass(frozen=True, slots=True)
class InferProgress:
    """How far a run is, reported after every frame.

    Attributes:
        video: name of the video at hand.
        video_index: which one, from 0.
        video_count: number of videos.
        frame: frames done of this video.
        frame_count: its number of frames, `None` where nothing is known.
    """

    video: str
    video_index: int
    video_count: int
    frame: int
    frame_count: int | None


@dataclass(frozen=True, slots=True)
class InferReport:
    """What a run did.

    Attributes:
        frames: frames of all videos.
        tracks: objects that reach the confidence in at least one frame.
        fps: frames segmented a second, everything included: decoding, model, tracking, drawing.
        outputs: kind -> path of the files and folders written.
        failed: name of a video that was left out -> what is wrong with it.
        notes: what a person should know, one line each.
    """

    frames: int
    tracks: int
    fps: float
    outputs: dict[str, Path]
    failed: dict[str, QcenError]
    notes: tuple[str, ...]


OnProgress = Callable[[InferProgress], None]


def infer_to_folder(
    source: str | Path | None = None,
    *,
    weights: str | Path,
    out: Path,
    data: Path | None = None,
    split: str = "holdout",
    overlay: Path | None = None,
    forms: Sequence[str] = (),
    options: InferOptions = DEFAULT_OPTIONS,
    devices: Sequence[str] = (),
    resume: bool = False,
    on_progress: OnProgress | None = None,
) -> InferReport:
    """Segment and track the objects of videos, and write what was found.

    Memory does not grow with the length of a video. What is found is logged frame by frame; a run that fails or is
    killed keeps its log and goes on with `resume`. All else appears when everything is done.

    Args:
        source: a video file, a folder or pattern of frames, a folder of videos, a camera's index or a URL; leave it
            out to use `data`.
        weights: a checkpoint, or published weights of any kind that `load_initial` reads, also `hf:owner/name`.
        out: folder for the log `frames.jsonl` (of several videos `frames/<name>.jsonl`), `results.json` (all tracks,
            for evaluation), `tracks.json` and `tracks.csv` (what reaches the confidence) and `summary.json`.
        data: folder of a prepared data set.
        split: its split.
        overlay: MP4 to draw into, several videos following one another; or a folder for one MP4 a video.
        forms: further forms to write, keys of `outputs.FORMS`, or `zip`.
        options: choices of the run.
        devices: where there are several, a process for each, which takes one video after the other; instead of the
            device of the options.
        resume: go on with what `out` holds, which must have been asked for the same.
        on_progress: called after every frame.

    Raises:
        InputError: wrong options, weights or input; the message names the file.
        QcenError: the disk takes no more.
    """
    if (source is None) == (data is None):
        raise InputError("one input is needed: a video or a prepared data set", hint="pass SOURCE or --data, not both")
    check_options(options)
    check_forms(forms)
    if overlay is not None and overlay.suffix:
        check_video_name(overlay)
    plan = RunPlan(
        weights=found_from_anywhere(weights),
        weights_sha256=sha256_of(str(weights)),
        source=None if source is None else found_from_anywhere(source),
        data=None if data is None else found_from_anywhere(data),
        split=split,
        overlay=None if overlay is None else str(overlay.absolute()),
        forms=tuple(forms),
        options=options,
    )
    if resume:
        check_same_plan(read_plan(out), plan, out)
    check_devices(devices)
    several = len(devices) > 1
    checkpoint = load_checkpoint(weights, choose_device("cpu" if several else (*devices, options.device)[0]))
    inputs = _inputs(plan, checkpoint)
    _check_sources_stay(inputs, overlay)
    devices = devices[: len(inputs.videos)]
    if len(devices) > 1 and overlay is not None and overlay.suffix and len(inputs.videos) > 1:
        raise InputError(
            "several processes cannot draw into one video", place=overlay, hint="give --out a folder: a video for each"
        )
    files = video_files(out, inputs.videos)
    is_live = any(is_live_name(video.frames) for video in inputs.videos)
    going_on = f"qcen convert makes other files of it: {out}" if is_live else f"go on with: qcen infer --resume {out}"
    with kept_if_begun(out, files, overlay, going_on):
        if not resume:
            clear_run(out)
            write_plan(plan, out)
        started = time.perf_counter()
        tell = None if on_progress is None else partial(_tell, on_progress, inputs)
        if len(devices) > 1:
            done = segment_in_processes(devices, str(weights), inputs, files, overlay, options, tell)
        else:
            done = segment_inputs(checkpoint, inputs, files, overlay, options, tell)
        seconds = time.perf_counter() - started
        if len(done.failed) == len(inputs.videos):
            raise next(iter(done.failed.values()))
        return _finish(plan, checkpoint, inputs, files, out, overlay, done, seconds)


def resume_infer(
    out: Path, *, device: str = "auto", devices: Sequence[str] = (), on_progress: OnProgress | None = None
) -> InferReport:
    """Go on with a run that was stopped or killed, as it was begun; only the device may be another.

    Args:
        out: folder of the run.
        device: as in `InferOptions`.
        devices: as in `infer_to_folder`.
        on_progress: as in `infer_to_folder`.

    Raises:
        InputError: there is no such run, or its weights changed.
    """
    plan = read_plan(out)
    return infer_to_folder(
        plan.source,
        weights=plan.weights,
        out=out,
        data=None if plan.data is None else Path(plan.data),
        split=plan.split,
        overlay=None if plan.overlay is None else Path(plan.overlay),
        forms=plan.forms,
        options=replace(plan.options, device=device),
        devices=devices,
        resume=True,
        on_progress=on_progress,
    )


def _check_sources_stay(inputs: InputSet, overlay: Path | None) -> None:
    """Refuse an overlay that would replace what it is drawn from.

    Raises:
        InputError: it would.
    """
    if overlay is None or inputs.data is not None:
        return
    targets = {overlay} if overlay.suffix else {overlay / f"{video.name}.mp4" for video in inputs.videos}
    sources = {Path(video.frames).resolve() for video in inputs.videos if not isinstance(video.frames, tuple)}
    if {target.resolve() for target in targets} & sources:
        raise InputError("would replace the video it is drawn from", place=overlay, hint="give --out another place")


def _inputs(plan: RunPlan, checkpoint: Checkpoint) -> InputSet:
    if plan.data is None:
        return free_videos(str(plan.source), checkpoint.categories, plan.options.classes)
    options = plan.options
    if (options.start, options.end, options.stride) != (0, None, 1):
        raise InputError("a data set is segmented as a whole", hint="leave out --start, --end and --stride")
    return prepared_split(Path(plan.data), plan.split, checkpoint.categories, options.classes)


def _tell(on_progress: OnProgress, inputs: InputSet, place: int, frame: int, frame_count: int | None) -> None:
    on_progress(InferProgress(inputs.videos[place].name, place, len(inputs.videos), frame, frame_count))


def _finish(
    plan: RunPlan,
    checkpoint: Checkpoint,
    inputs: InputSet,
    files: Sequence[VideoFiles],
    out: Path,
    overlay: Path | None,
    done: Segmented,
    seconds: float,
) -> InferReport:
    """Write what follows from the logs of all videos that could be read."""
    named = zip(inputs.videos, files, strict=True)
    logs = {video.name: place.log for video, place in named if video.name not in done.failed}
    confidence = tracker_config(checkpoint.config.tracker, plan.options).confidence
    outputs, figures, lost = write_forms(inputs.categories, tuple(logs.values()), out, plan.forms, confidence)
    notes = (*inputs.notes, *_video_notes(logs), *done.notes, *lost)
    write_summary(_summary(plan, checkpoint, inputs, done, figures, seconds, notes), out / SUMMARY)
    outputs["frames"] = files[0].log if len(files) == 1 else files[0].log.parent
    outputs["summary"] = out / SUMMARY
    if overlay is not None and done.overlays:
        outputs["overlay"] = overlay
    return InferReport(figures.frames, figures.tracks, done.times.frames / seconds, outputs, done.failed, notes)


def _video_notes(logs: dict[str, Path]) -> list[str]:
    ends = {name: read_end(log) for name, log in logs.items()}
    notes = [(name, note) for name, end in ends.items() if end is not None for note in end.notes]
    return [note if len(logs) == 1 else f"{name}: {note}" for name, note in notes]


def _summary(
    plan: RunPlan,
    checkpoint: Checkpoint,
    inputs: InputSet,
    done: Segmented,
    figures: OutputFigures,
    seconds: float,
    notes: Sequence[str],
) -> dict[str, object]:
    def full(path: str | Path | None) -> str | None:
        return None if path is None else str(Path(path).resolve())

    is_path = "://" not in inputs.source and not inputs.source.isdecimal()
    return {
        "source": full(inputs.source) if is_path else shown_address(inputs.source),
        "weights": plan.weights if is_hub_name(plan.weights) else full(plan.weights),
        "supervision": list(checkpoint.info.get("supervision", [])),
        "data": full(inputs.data),
        "split": inputs.split,
        "ground_truth": full(inputs.ground_truth),
        "frames_root": full(inputs.frames_root),
        "videos": len(inputs.videos) - len(done.failed),
        "failed": {name: error.line() for name, error in done.failed.items()},
        "frames": figures.frames,
        "seconds": round(seconds, 3),
        "fps": round(done.times.frames / seconds, 3),
        "segmented_frames": done.times.frames,
        "segmenting_seconds": round(done.times.segmenting, 3),
        "waiting_seconds": round(done.times.waiting, 3),
        "peak_memory_bytes": peak_of_process(),
        "tracks": figures.tracks,
        "tracks_by_class": figures.tracks_by_class,
        "versions": {"qcen": metadata.version("qcen"), "torch": torch.__version__},
        "notes": list(notes),
    }
