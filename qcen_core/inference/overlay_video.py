"""The overlay of a run as one video file, written while frames come in."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from qcen_core.inference.segment_video import TrackedFrame, TrackedInstance
from qcen_core.video.frames import FrameSource, SourceFrame
from qcen_core.video.writer import VideoWriter
from qcen_core.visualization.overlay import DrawnInstance, OverlayStyle, draw_overlay


class OverlayVideo:
    """Draws tracked frames into one MP4; several videos follow one another in it.

    The first video sets size, frame rate, time stamps and sound. Frames of other videos are scaled into that
    size with black borders, and their clocks go on where the video before ended. The file appears when the
    `with` block ends well, and not at all if no frame was written.

    Args:
        path: the file to write.
        names: class names of the model.
        class_of: model classes that are drawn (the keys).
        confidence: least score of this frame of an instance that is drawn.
        style: how instances are drawn.
    """

    def __init__(
        self,
        path: Path,
        *,
        names: Sequence[str],
        class_of: Mapping[int, int],
        confidence: float,
        style: OverlayStyle,
    ) -> None:
        self.notes: list[str] = []
        self._path = path
        self._names = names
        self._class_of = class_of
        self._confidence = confidence
        self._style = style
        self._open = ExitStack()
        self._writer: VideoWriter | None = None
        self._source: FrameSource | None = None
        self._offset = Fraction(0)
        self._end = Fraction(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)
        if self._writer is not None:
            self.notes += self._writer.notes

    def write(self, source: FrameSource, frame: SourceFrame, tracked: TrackedFrame) -> None:
        """Draw the next frame.

        Args:
            source: the video that the frame is from; another one than before starts the next part.
            frame: the picture.
            tracked: its instances.
        """
        drawn = [
            self._drawn(instance)
            for instance in tracked.instances
            if instance.class_id in self._class_of and instance.score >= self._confidence
        ]
        image = draw_overlay(frame.image, drawn, self._style)
        if self._writer is None:
            self._writer = self._open.enter_context(_writer_for(self._path, source, image))
        elif source is not self._source:
            self._offset = self._end - frame.time
        self._source = source
        time = self._offset + frame.time
        self._end = time + 1 / source.frame_rate
        self._writer.write(letterbox(image, self._writer.height, self._writer.width), time)

    def _drawn(self, instance: TrackedInstance) -> DrawnInstance:
        return DrawnInstance(
            track_id=instance.track_id,
            name=self._names[instance.class_id],
            score=instance.score,
            mask=instance.mask,
        )


def _writer_for(path: Path, source: FrameSource, image: NDArray[np.uint8]) -> VideoWriter:
    return VideoWriter(
        path,
        height=image.shape[0],
        width=image.shape[1],
        frame_rate=source.frame_rate,
        time_base=source.time_base,
        audio_source=source.audio_source,
    )


def letterbox(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """An image scaled, without distortion, into the middle of a black one; one of the right size comes back as it is.

    Args:
        image: (h, w, 3) uint8.
        height: wanted height in pixels.
        width: wanted width in pixels.

    Returns:
        (height, width, 3) uint8.
    """
    if image.shape[:2] == (height, width):
        return image
    scale = min(height / image.shape[0], width / image.shape[1])
    inner = max(1, round(image.shape[0] * scale)), max(1, round(image.shape[1] * scale))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    canvas = np.zeros((height, width, 3), dtype=np.uint8)
    top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
    canvas[top : top + inner[0], left : left + inner[1]] = cv2.resize(image, inner[::-1], interpolation=way)
    return canvas
