"""What every source of frames offers, whether it is a video file, a folder of pictures or a camera."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class SourceFrame:
    """One decoded frame.

    Attributes:
        image: (H, W, 3) uint8, RGB, upright.
        index: counts from 0 in the order of the source.
        time: seconds on the clock of the source, an exact multiple of its `time_base`.
        file: name of the picture that shows it, where the source is a folder or a list of pictures.
    """

    image: NDArray[np.uint8]
    index: int
    time: Fraction
    file: str | None = None


@dataclass(frozen=True, slots=True)
class PendingFrame:
    """A frame whose picture has not been made yet, which is most of the work; it can be passed over cheaply.

    Attributes:
        index: as in `SourceFrame`.
        time: as in `SourceFrame`.
        read: makes the picture, (H, W, 3) uint8 RGB; to be called before the next frame is asked for, or not at all.
        file: as in `SourceFrame`.
    """

    index: int
    time: Fraction
    read: Callable[[], NDArray[np.uint8]]
    file: str | None = None


class FrameSource(ABC):
    """Frames in time order, one at a time, so that memory does not grow with the length of the video.

    Use it as a context manager. `frames()` may be called again; it starts over each time.

    Attributes:
        name: what a person calls the source, usable as a file name.
        height: frame height in pixels, after rotation.
        width: frame width in pixels, after rotation.
        frame_count: number of frames as stated or estimated up front, `None` where nothing is known.
        frame_rate: frames a second, on average.
        time_base: seconds; every frame time is a multiple of it.
        start_time: seconds; what the clock of the source shows at its beginning, the time of a file's first frame.
        is_live: whether frames come when they happen, so that there may be no end and no second time.
        audio_source: the file that holds the sound, `None` where there is none.
        audio_start: what the clock of `audio_source`'s picture shows at time 0 of the frames, in seconds; the sound
            of the frames begins there.
        audio_end: where on the same clock it ends; `None` for the end of the file.
        notes: what went wrong without being worth a stop, one line each; complete once `frames()` has ended.
    """

    name: str
    height: int
    width: int
    frame_count: int | None
    frame_rate: Fraction
    time_base: Fraction
    start_time: Fraction = Fraction(0)
    is_live: bool = False
    audio_source: Path | None
    audio_start: Fraction = Fraction(0)
    audio_end: Fraction | None = None
    notes: list[str]

    @abstractmethod
    def pending_frames(self) -> Iterator[PendingFrame]:
        """Yield every frame, from the first one on, without its picture.

        Raises:
            InputError: a frame that a person must repair; the message names it. `PendingFrame.read` raises it, too.
        """

    def frames(self, skip: int = 0) -> Generator[SourceFrame, None, None]:
        """Yield every frame.

        Args:
            skip: frames to pass over at the beginning. Their pictures are not made; the frames that follow are the
                same as without.

        Raises:
            InputError: a frame that a person must repair; the message names it.
        """
        for frame in self.pending_frames():
            if frame.index >= skip:
                yield SourceFrame(frame.read(), frame.index, frame.time, frame.file)

    def close(self) -> None:  # noqa: B027  # a folder of frames has nothing to close
        """Release what is open. Closing twice is allowed."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
