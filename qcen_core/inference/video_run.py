"""One video from its frames to its log and its overlay: decoded ahead, segmented, logged and drawn behind."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from qcen_core.errors import InputError
from qcen_core.inference.earlier_run import EarlierRun, VideoFiles, earlier_run, save_state
from qcen_core.inference.found_frame import FoundFrame, FoundInstance
from qcen_core.inference.inputs import InputVideo
from qcen_core.inference.options import InferOptions
from qcen_core.inference.overlay_video import OverlayVideo
from qcen_core.inference.pipeline import WriteBehind, read_ahead
from qcen_core.inference.segment_video import VideoSegmenter
from qcen_core.ops.mask_window import decode_window, encode_window
from qcen_core.records import Category
from qcen_core.trackforms.frame_log import (
    SCORE_DIGITS,
    FrameLogWriter,
    LoggedFrame,
    LoggedInstance,
    LogHead,
    logged_frame_count,
    logged_frames,
    read_end,
)
from qcen_core.trackforms.store import StoredVideo
from qcen_core.video.frames import FrameSource, SourceFrame
from qcen_core.video.reader import is_live_name

OnFrame = Callable[[int, int | None], None]
STATE_SECONDS = 2.0
READ_AHEAD = 4  # frames; of a live source one, so that the newest picture is segmented


@dataclass(slots=True)
class RunTimes:
    """Where the time of the thread went that runs the model, in seconds.

    Attributes:
        segmenting: from decoded frames to tracked instances.
        waiting: for decoding, and for logging, drawing and encoding to keep up.
        frames: number of frames that were segmented.
    """

    segmenting: float = 0.0
    waiting: float = 0.0
    frames: int = 0


@dataclass(frozen=True, slots=True)
class VideoRun:
    """How the videos of a run are segmented, one after the other.

    Attributes:
        new_segmenter: makes the segmenter of a video.
        options: choices of the run.
        names: of the model's classes.
        categories: of the outputs.
        classes: names of the classes that the outputs hold.
        confidence: least score in a frame of what is shown.
        state_seconds: how often the tracker's memory is saved.
        times: where the time went so far.
    """

    new_segmenter: Callable[[], VideoSegmenter]
    options: InferOptions
    names: tuple[str, ...]
    categories: tuple[Category, ...]
    classes: tuple[str, ...]
    confidence: float
    state_seconds: float
    times: RunTimes = field(default_factory=RunTimes)

    def run(
        self, video: InputVideo, files: VideoFiles, overlay: OverlayVideo | None = None, on_frame: OnFrame | None = None
    ) -> None:
        """Segment a video into its log, going on where an earlier run left it.

        What the log holds already is drawn, but not segmented again. Interrupting a live source ends it.

        Args:
            video: what to read.
            files: where to write.
            overlay: the video to draw into, if any.
            on_frame: called after every frame with the number of frames done and their total, if it is known.

        Raises:
            InputError: the video cannot be read, or the log is that of another one; the log keeps what was done.
            QcenError: the disk takes no more; likewise.
        """
        logged_count = logged_frame_count(files.log)
        if logged_count and read_end(files.log) is not None and (overlay is None or is_live_name(video.frames)):
            files.state.unlink(missing_ok=True)
            return
        with video.open(self.options) as source, ExitStack() as stack:
            stored = StoredVideo(video.id, video.name, source.height, source.width, source.frame_rate, source.time_base)
            head = LogHead(stored, self.categories, self.confidence, self.classes)
            earlier = earlier_run(files, head)
            if source.is_live and logged_count:
                raise InputError(
                    "a live source has moved on since", place=files.log, hint="qcen convert makes all other files of it"
                )
            log = None
            if not earlier.complete:
                log = stack.enter_context(FrameLogWriter(files.log, head, going_on_at=earlier.log_position))
            sink = _Sink(video, source, files.state, log, overlay, earlier.frame_count)
            with WriteBehind(sink.take) as behind, suppress(*((KeyboardInterrupt,) if source.is_live else ())):
                logged = logged_frames(files.log, head)
                skip, depth = 0 if overlay else earlier.frame_count, 1 if source.is_live else READ_AHEAD
                with read_ahead(source.frames(skip), depth) as frames:
                    self._feed(frames, earlier, logged, behind.put, source, on_frame)
            if log is not None:
                log.finish(sink.frame_count, source.notes)
        files.state.unlink(missing_ok=True)

    def _feed(
        self,
        frames: Iterator[SourceFrame],
        earlier: EarlierRun,
        logged: Iterator[LoggedFrame],
        put: Callable[[FoundFrame], None],
        source: FrameSource,
        on_frame: OnFrame | None,
    ) -> None:
        segmenter = self.new_segmenter()
        if earlier.tracker is not None:
            segmenter.restore(earlier.tracker)
        saved = before = time.perf_counter()
        for frame in frames:
            begun = time.perf_counter()
            if earlier.complete and frame.index >= earlier.frame_count:
                return
            if frame.index < earlier.frame_count:
                found = FoundFrame(frame, _as_found(next(logged)), is_new=False)
            else:
                due = begun - saved > self.state_seconds
                found = self._segment(segmenter, frame, due)
                saved = begun if due else saved
            done = time.perf_counter()
            put(found)
            self.times.waiting += begun - before
            before = time.perf_counter()
            self.times.segmenting += done - begun
            self.times.waiting += before - done
            self.times.frames += found.is_new
            if on_frame is not None:
                on_frame(frame.index + 1, source.frame_count)

    def _segment(self, segmenter: VideoSegmenter, frame: SourceFrame, due: bool) -> FoundFrame:
        tracked = segmenter.step(frame)
        instances = tuple(
            FoundInstance(i.track_id, self.names[i.class_id], round(i.score, SCORE_DIGITS), i.window)
            for i in tracked.instances
        )
        return FoundFrame(frame, instances, is_new=True, tracker=segmenter.state() if due else None)


class _Sink:
    """Where found frames go; used by one thread only."""

    def __init__(
        self,
        video: InputVideo,
        source: FrameSource,
        state: Path,
        log: FrameLogWriter | None,
        overlay: OverlayVideo | None,
        frame_count: int,
    ) -> None:
        self.frame_count = frame_count
        self._video = video
        self._source = source
        self._state = state
        self._log = log
        self._overlay = overlay

    def take(self, found: FoundFrame) -> None:
        """Log a new frame, draw it, and save the tracker's memory if it is there."""
        frame = found.frame
        self.frame_count = max(self.frame_count, frame.index + 1)
        if self._log is not None and found.is_new:
            ticks = round(frame.time / self._source.time_base)
            instances = tuple(
                LoggedInstance(i.track_id, i.name, i.score, encode_window(i.mask)) for i in found.instances
            )
            self._log.write(LoggedFrame(frame.index, ticks, self._video.file_of(frame), instances))
            if found.tracker is not None:
                save_state(EarlierRun(self.frame_count, self._log.position, found.tracker), self._state)
        if self._overlay is not None:
            self._overlay.write(self._source, found)


def _as_found(logged: LoggedFrame) -> tuple[FoundInstance, ...]:
    windows = ((instance, decode_window(instance.mask)) for instance in logged.instances)
    return tuple(FoundInstance(i.track_id, i.name, i.score, window) for i, window in windows if window is not None)
