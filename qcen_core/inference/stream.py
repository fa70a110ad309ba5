"""Inference from Python: the objects of a video, frame by frame, as they are found."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qcen_core.inference.inputs import InputVideo, free_videos
from qcen_core.inference.options import InferOptions, check_options, choose_device, tracker_config
from qcen_core.inference.pipeline import read_ahead
from qcen_core.inference.segment_video import VideoSegmenter
from qcen_core.inference.video_run import READ_AHEAD
from qcen_core.model.checkpoint import Checkpoint
from qcen_core.model.published.load import load_any_checkpoint
from qcen_core.ops.mask_window import MaskWindow
from qcen_core.records import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class FrameObjects:
    """One frame and the objects in it, best first; D of them reach the confidence.

    Attributes:
        video: name of the video.
        index: of the frame, from 0.
        time: seconds on the clock of the video.
        image: (H, W, 3) uint8, RGB.
        track_ids: (D,) int64, from 1, each the same for one object throughout its video.
        class_ids: (D,) int64, index into `class_names`, by all frames of the track so far.
        class_names: of the model, in its order.
        scores: (D,) float32, of this frame, 0 to 1.
        boxes: (D, 4) float32, `x1 y1 x2 y2` pixels of the frame, tight around the masks.
        windows: the D masks, each cut to its box.
    """

    video: str
    index: int
    time: Fraction
    image: NDArray[np.uint8]
    track_ids: IntArray
    class_ids: IntArray
    class_names: tuple[str, ...]
    scores: FloatArray
    boxes: FloatArray
    windows: tuple[MaskWindow, ...]

    def __len__(self) -> int:
        return len(self.track_ids)

    @property
    def masks(self) -> BoolArray:
        """(D, H, W) bool."""
        empty = np.zeros((0, *self.image.shape[:2]), dtype=np.bool_)
        return np.stack([window.full() for window in self.windows]) if self.windows else empty

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each object's class."""
        return tuple(self.class_names[index] for index in self.class_ids)


DEFAULT_OPTIONS = InferOptions()


def infer(
    source: str | Path, weights: str | Path | Checkpoint, *, options: InferOptions = DEFAULT_OPTIONS
) -> Iterator[FrameObjects]:
    """Segment and track the objects of a video; of a folder of videos, one video after the other.

    Memory does not grow with the length of a video: at most a few frames are read ahead.

    Args:
        source: a video file, a folder or pattern of frames, a folder of videos, a camera's index or a URL.
        weights: a checkpoint's file, published weights such as `hf:owner/name`, or what `load_checkpoint` returned.
        options: choices of the run.

    Yields:
        One `FrameObjects` a frame, before the next frame is asked of the model.

    Raises:
        InputError: wrong options, weights or input; the message names the file.
    """
    check_options(options)
    if isinstance(weights, str | Path):
        weights = load_any_checkpoint(weights, choose_device(options.device))
    inputs = free_videos(str(source), weights.categories, options.classes)
    for video in inputs.videos:
        yield from _video_frames(video, weights, options, frozenset(inputs.class_of))


def _video_frames(
    video: InputVideo, checkpoint: Checkpoint, options: InferOptions, classes: frozenset[int]
) -> Iterator[FrameObjects]:
    config = tracker_config(checkpoint.config.tracker, options)
    segmenter = VideoSegmenter(checkpoint, config, short_side=options.short_side, half=options.half)
    names = tuple(category.name for category in checkpoint.categories)
    with video.open(options) as source, read_ahead(source.frames(), 1 if source.is_live else READ_AHEAD) as frames:
        for frame in frames:
            tracked = segmenter.step(frame)
            shown = [i for i in tracked.instances if i.class_id in classes and i.score >= config.confidence]
            yield FrameObjects(
                video=video.name,
                index=frame.index,
                time=frame.time,
                image=frame.image,
                track_ids=np.array([i.track_id for i in shown], dtype=np.int64),
                class_ids=np.array([i.class_id for i in shown], dtype=np.int64),
                class_names=names,
                scores=np.array([i.score for i in shown], dtype=np.float32),
                boxes=np.array([i.window.box for i in shown], dtype=np.float32).reshape(-1, 4),
                windows=tuple(i.window for i in shown),
            )
