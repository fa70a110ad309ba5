"""What every source of frames offers, whether it is a video file or a folder of pictures."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
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
    """

    image: NDArray[np.uint8]
    index: int
    time: Fraction


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
        audio_source: the file that holds the sound, `None` where there is none.
        notes: what went wrong without being worth a stop, one line each; complete once `frames()` has ended.
    """

    name: str
    height: int
    width: int
    frame_count: int | None
    frame_rate: Fraction
    time_base: Fraction
    audio_source: Path | None
    notes: list[str]

    @abstractmethod
    def frames(self) -> Iterator[SourceFrame]:
        """Yield every frame, from the first one on.

        Raises:
            InputError: a frame that a person must repair; the message names it.
        """

    def close(self) -> None:  # noqa: B027  # a folder of frames has nothing to close
        """Release what is open. Closing twice is allowed."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
