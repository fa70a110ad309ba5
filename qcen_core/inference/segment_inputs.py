"""All videos of a run, one after the other."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from qcen_core.errors import InputError, QcenError
from qcen_core.inference.earlier_run import VideoFiles
from qcen_core.inference.inputs import InputSet
from qcen_core.inference.options import InferOptions, tracker_config
from qcen_core.inference.overlay_video import OverlayVideo
from qcen_core.inference.segment_video import VideoSegmenter
from qcen_core.inference.video_run import STATE_SECONDS, RunTimes, VideoRun
from qcen_core.model.checkpoint import Checkpoint

OnVideoFrame = Callable[[int, int, int | None], None]


@dataclass(slots=True)
class Segmented:
    """What came of the videos of a run besides their logs.

    Attributes:
        failed: name of a video that was left out -> what is wrong with it.
        notes: of the overlays, one line each.
        overlays: the files written.
        times: where the time went, summed up over processes.
    """

    failed: dict[str, QcenError] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    overlays: list[Path] = field(default_factory=list)
    times: RunTimes = field(default_factory=RunTimes)

    def add_overlay(self, overlay: OverlayVideo) -> None:
        """Take note of an overlay that is complete."""
        if overlay.is_written:
            self.overlays.append(overlay.path)
        self.notes += overlay.notes

    def take(self, other: "Segmented") -> None:
        """Add what another process did."""
        self.failed |= other.failed
        self.notes += other.notes
        self.overlays += other.overlays
        self.times.segmenting += other.times.segmenting
        self.times.waiting += other.times.waiting
        self.times.frames += other.times.frames


def segment_inputs(
    checkpoint: Checkpoint,
    inputs: InputSet,
    files: Sequence[VideoFiles],
    overlay: Path | None,
    options: InferOptions,
    on_frame: OnVideoFrame | None = None,
) -> Segmented:
    """Segment every video into its log, one after the other.

    Args:
        checkpoint: the model.
        inputs: what to read.
        files: where each video's log goes.
        overlay: an MP4 in which all follow one another, or a folder for an MP4 a video; `None` for none.
        options: choices of the run.
        on_frame: called after every frame with the video's place in `inputs`, the frames done and their total.

    Raises:
        InputError: a video cannot be read, and the others are nothing without it.
        QcenError: the disk takes no more.
    """
    config = tracker_config(checkpoint.config.tracker, options)
    classes = tuple(checkpoint.categories[index].name for index in inputs.class_of)
    run = VideoRun(
        new_segmenter=partial(VideoSegmenter, checkpoint, config, short_side=options.short_side, half=options.half),
        options=options,
        names=tuple(category.name for category in checkpoint.categories),
        categories=inputs.categories,
        classes=classes,
        confidence=config.confidence,
        state_seconds=STATE_SECONDS,
    )
    done = Segmented(times=run.times)

    def new_overlay(path: Path) -> OverlayVideo:
        return OverlayVideo(
            path,
            names=classes,
            confidence=config.confidence,
            style=options.style,
            side_by_side=options.side_by_side,
            several=bool(path.suffix) and len(inputs.videos) > 1,
        )

    with ExitStack() as opened:
        shared = opened.enter_context(new_overlay(overlay)) if overlay is not None and overlay.suffix else None
        for place, video in enumerate(inputs.videos):
            on_own_frame = None if on_frame is None else partial(on_frame, place)
            try:
                if shared is not None or overlay is None:
                    run.run(video, files[place], shared, on_own_frame)
                    continue
                with new_overlay(overlay / f"{video.name}.mp4") as own:
                    run.run(video, files[place], own, on_own_frame)
                done.add_overlay(own)
            except InputError as error:
                if not inputs.independent:
                    raise
                done.failed[video.name] = error
    if shared is not None:
        done.add_overlay(shared)
    return done
