"""The verb `infer`: a video, or a prepared split, in; masks with identities, classes and scores out."""

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from qcen_core.errors import InputError
from qcen_core.inference.inputs import InputSet, InputVideo, free_video, prepared_split
from qcen_core.inference.options import InferOptions, check_options, choose_device, tracker_config
from qcen_core.inference.outputs import OutputTables, all_or_nothing, write_summary
from qcen_core.inference.overlay_video import OverlayVideo
from qcen_core.inference.results import TrackCollector
from qcen_core.inference.segment_video import VideoSegmenter
from qcen_core.model.checkpoint import Checkpoint
from qcen_core.model.published.hub import is_hub_name
from qcen_core.model.published.load import load_any_checkpoint as load_checkpoint
from qcen_core.records import VideoRecord
from qcen_core.video.reader import FrameFolder, FrameSource
from qcen_core.video.writer import check_video_name
from qcen_core.visualization.overlay import OverlayStyle

# kind -> file name; these are the keys of `InferReport.outputs`, joined by "overlay" where one was asked for.
OUTPUT_FILES = {
    "results": "results.json",
    "tracks": "tracks.json",
    "csv": "tracks.csv",
    "summary": "summary.json",
}


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
        frames: frames segmented.
        tracks: objects that reach the confidence in at least one frame.
        fps: frames a second, everything included: decoding, model, tracking, drawing.
        outputs: kind -> path of the files written.
    """

    frames: int
    tracks: int
    fps: float
    outputs: dict[str, Path]


OnProgress = Callable[[InferProgress], None]


def infer(
    source: Path | None = None,
    *,
    weights: str | Path,
    out: Path,
    data: Path | None = None,
    split: str = "holdout",
    overlay: Path | None = None,
    options: InferOptions = DEFAULT_OPTIONS,
    on_progress: OnProgress | None = None,
) -> InferReport:
    """Segment and track the objects of a video, or of every video of a prepared split.

    Memory does not grow with the length of a video, but for the run lengths of the masks found. The outputs
    appear when all is done; a run that fails leaves nothing.

    Args:
        source: a video file or a folder of frames; leave it out to use `data`.
        weights: a checkpoint, or published weights of any kind that `load_initial` reads, also `hf:owner/name`.
        out: folder for `results.json` (all tracks, for evaluation; a free video has id 1), `tracks.json` and
            `tracks.csv` (what reaches the confidence) and `summary.json`.
        data: folder of a prepared data set.
        split: its split.
        overlay: MP4 to draw into; the videos of a split follow one another.
        options: choices of the run.
        on_progress: called after every frame.

    Raises:
        InputError: wrong options, weights or input; the message names the file.
    """
    if (source is None) == (data is None):
        raise InputError("one input is needed: a video or a prepared data set", hint="pass SOURCE or --data, not both")
    check_options(options)
    if overlay is not None:
        check_video_name(overlay)
    checkpoint = load_checkpoint(weights, choose_device(options.device))
    if data is not None:
        inputs = prepared_split(data, split, checkpoint.categories, options.classes)
    else:
        inputs = free_video(Path(source or ""), checkpoint.categories, options.classes)
    targets = {kind: out / name for kind, name in OUTPUT_FILES.items()}
    if overlay is not None:
        targets["overlay"] = overlay
    with all_or_nothing(tuple(targets.values())) as places:
        place = dict(zip(targets, places, strict=True))
        started = time.perf_counter()
        tables, notes = segment_inputs(checkpoint, inputs, options, place.get("overlay"), on_progress)
        seconds = time.perf_counter() - started
        tables.write_results(place["results"])
        tables.write_tracks(place["tracks"])
        tables.write_csv(place["csv"])
        supervision = checkpoint.info.get("supervision", [])
        write_summary(_summary(weights, supervision, inputs, tables, seconds, notes), place["summary"])
    outputs = {kind: target for kind, target in targets.items() if target.exists()}
    return InferReport(tables.frame_count, tables.track_count, tables.frame_count / seconds, outputs)


def segment_inputs(
    checkpoint: Checkpoint,
    inputs: InputSet,
    options: InferOptions,
    overlay: Path | None,
    on_progress: OnProgress | None,
) -> tuple[OutputTables, list[str]]:
    """Segment every video of a run, drawing along the way.

    Args:
        checkpoint: the model.
        inputs: what to read.
        options: choices of the run.
        overlay: MP4 to draw into, if any.
        on_progress: called after every frame.

    Returns:
        What was found, and notes for a person.
    """
    config = tracker_config(checkpoint.config.tracker, options)
    tables = OutputTables(inputs.categories, inputs.class_of, config.confidence)
    notes = list(inputs.notes)
    drawing = None
    if overlay is not None:
        drawing = OverlayVideo(
            overlay,
            names=[category.name for category in checkpoint.categories],
            class_of=inputs.class_of,
            confidence=config.confidence,
            style=OverlayStyle(boxes=options.boxes),
        )
    with drawing or nullcontext():
        for number, video in enumerate(inputs.videos):
            segmenter = VideoSegmenter(checkpoint, config, short_side=options.short_side)
            collector = TrackCollector()
            with video.open() as source:
                for frame in source.frames():
                    tracked = segmenter.step(frame)
                    collector.add(tracked)
                    if drawing is not None:
                        drawing.write(source, frame, tracked)
                    if on_progress is not None:
                        done = collector.frame_count
                        total = len(inputs.videos)
                        on_progress(InferProgress(source.name, number, total, done, source.frame_count))
                tables.add(_record(video, source, collector.frame_count), collector.tracks())
                notes += source.notes
    return tables, notes + (drawing.notes if drawing is not None else [])


def _record(video: InputVideo, source: FrameSource, frame_count: int) -> VideoRecord:
    """The video as the outputs list it; the frames of a video file get names in the order of decoding."""
    name = video.name or source.name
    files = video.frame_files
    if files is None and isinstance(source, FrameFolder):
        files = tuple(file.name for file in source.files)
    if files is None:
        files = tuple(f"{name}/{index:05d}.jpg" for index in range(frame_count))
    return VideoRecord(video.id, name, source.height, source.width, files)


def _summary(
    weights: str | Path,
    supervision: Sequence[str],
    inputs: InputSet,
    tables: OutputTables,
    seconds: float,
    notes: list[str],
) -> dict[str, object]:
    def full(path: Path | None) -> str | None:
        return None if path is None else str(path.resolve())

    return {
        "source": full(inputs.source),
        "weights": str(weights) if is_hub_name(weights) else full(Path(weights)),
        "supervision": list(supervision),
        "data": full(inputs.data),
        "split": inputs.split,
        "ground_truth": full(inputs.ground_truth),
        "frames_root": full(inputs.frames_root),
        "videos": len(inputs.videos),
        "frames": tables.frame_count,
        "seconds": round(seconds, 3),
        "fps": round(tables.frame_count / seconds, 3),
        "tracks": tables.track_count,
        "tracks_by_class": tables.class_counts(),
        "notes": notes,
    }
