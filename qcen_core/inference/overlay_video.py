"""The overlay of a run as one video file, written while frames come in."""

from collections.abc import Collection
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from qcen_core.inference.found_frame import FoundFrame
from qcen_core.inference.pipeline import WriteBehind
from qcen_core.video.frames import FrameSource
from qcen_core.video.writer import VideoWriter
from qcen_core.visualization.overlay import DrawnInstance, OverlayStyle
from qcen_core.visualization.overlay_painter import OverlayPainter
from qcen_core.visualization.side_by_side import side_by_side

_COMMON_CLOCK = Fraction(1, 90_000)  # seconds; all usual frame rates are near multiples of it


class OverlayVideo:
    """Draws found frames into one MP4, encoding in a thread of its own; several videos follow one another in it.

    The first video sets size, frame rate, time stamps and sound. Frames of other videos are scaled into that
    size with black borders, and their clocks go on where the video before ended. The file appears when the
    `with` block ends well, and not at all if no frame was written.

    Args:
        path: the file to write.
        names: classes that are drawn.
        confidence: least score of this frame of an instance that is drawn.
        style: how instances are drawn.
        side_by_side: draw the frame as it was at the left.
        several: videos whose clocks differ will follow one another.
    """

    def __init__(
        self,
        path: Path,
        *,
        names: Collection[str],
        confidence: float,
        style: OverlayStyle,
        side_by_side: bool = False,
        several: bool = False,
    ) -> None:
        self.path = path
        self.notes: list[str] = []
        self._names = frozenset(names)
        self._confidence = confidence
        self._style = style
        self._side_by_side = side_by_side
        self._several = several
        self._open = ExitStack()
        self._writer: VideoWriter | None = None
        self._encoding: WriteBehind[tuple[NDArray[np.uint8], Fraction]]
        self._source: FrameSource | None = None
        self._painter = OverlayPainter(style)
        self._offset = Fraction(0)
        self._end = Fraction(0)

    def __enter__(self) -> Self:
        return self

    @property
    def is_written(self) -> bool:
        """Whether there was a frame; without one there is no file."""
        return self._writer is not None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)
        if self._writer is not None:
            self.notes += self._writer.notes

    def write(self, source: FrameSource, found: FoundFrame) -> None:
        """Draw the next frame.

        Args:
            source: the video that the frame is from; another one than before starts the next part.
            found: picture and instances.
        """
        if self._source is not None and source is not self._source:
            self._painter = OverlayPainter(self._style)
            self._offset = self._end - found.frame.time
        self._source = source
        image = self._drawn(found)
        if self._writer is None:
            self._writer = self._open.enter_context(_writer_for(self.path, source, image, self._several))
            self._encoding = self._open.enter_context(WriteBehind(self._encode, depth=2))
        time = self._offset + found.frame.time
        self._end = time + 1 / source.frame_rate
        self._encoding.put((letterbox(image, self._writer.height, self._writer.width), time))

    def _encode(self, drawn: tuple[NDArray[np.uint8], Fraction]) -> None:
        if self._writer is not None:
            self._writer.write(*drawn)

    def _drawn(self, found: FoundFrame) -> NDArray[np.uint8]:
        shown = [
            DrawnInstance(track_id=i.track_id, name=i.name, score=i.score, mask=i.mask)
            for i in found.instances
            if i.name in self._names and i.score >= self._confidence
        ]
        image = self._painter.draw(found.frame.image, shown)
        if not self._side_by_side:
            return image
        plain = letterbox(found.frame.image, image.shape[0], image.shape[1])
        return side_by_side(plain, image, ("input", "instances"))


def _writer_for(path: Path, source: FrameSource, image: NDArray[np.uint8], several: bool) -> VideoWriter:
    return VideoWriter(
        path,
        height=image.shape[0],
        width=image.shape[1],
        frame_rate=source.frame_rate,
        time_base=_COMMON_CLOCK if several else source.time_base,
        audio_source=source.audio_source,
        audio_start=source.audio_start,
        audio_end=source.audio_end,
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
