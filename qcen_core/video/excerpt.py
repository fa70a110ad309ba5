"""A part of a source of frames: from here to there, every n-th frame."""

import math
from collections.abc import Iterator
from fractions import Fraction

from qcen_core.errors import InputError
from qcen_core.video.frames import FrameSource, PendingFrame


class Excerpt(FrameSource):
    """Frames of another source, counted and timed anew from where the excerpt begins.

    Frames outside are passed over without their pictures being made, and nothing is decoded behind the end.

    Args:
        source: what to take from; closed with the excerpt.
        start: seconds after the first frame of the source; rounded up to a multiple of `time_base`.
        end: seconds after the first frame of the source, exclusive; `None` for its end.
        stride: 1 for every frame, 2 for every other one and so on, from the first one on.

    Raises:
        InputError: a negative start, an end that is not behind it, or a stride below 1.
    """

    def __init__(
        self, source: FrameSource, *, start: Fraction = Fraction(0), end: Fraction | None = None, stride: int = 1
    ) -> None:
        if start < 0:
            raise InputError(f"an excerpt cannot begin at {float(start):g} s", hint="count from 0, the first frame")
        if end is not None and end <= start:
            cause = f"an excerpt from {float(start):g} s to {float(end):g} s is empty"
            raise InputError(cause, hint="it must end later than it begins")
        if stride < 1:
            raise InputError(f"cannot take every {stride}th frame", hint="1 takes every frame, 2 every other one")
        self._source = source
        self._start = math.ceil(start / source.time_base) * source.time_base
        self._end = end
        self._stride = stride
        self.name = source.name
        self.height, self.width = source.height, source.width
        self.frame_rate = source.frame_rate / stride
        self.time_base = source.time_base
        self.frame_count = self._estimated_count()
        self.is_live = source.is_live
        self.audio_source = source.audio_source
        clock = source.audio_start + source.start_time
        self.audio_start = clock + self._start
        ends = [] if source.audio_end is None else [source.audio_end]
        self.audio_end = min(ends if end is None else [*ends, clock + end], default=None)
        self.notes = source.notes

    def pending_frames(self) -> Iterator[PendingFrame]:
        """Yield the frames of the excerpt.

        Raises:
            InputError: no frame lies in it.
        """
        found = 0
        first: Fraction | None = None
        length = Fraction(0)
        for frame in self._source.pending_frames():
            first = frame.time if first is None else first
            time = frame.time - first
            if self._end is not None and time >= self._end:
                break
            length = time + 1 / self._source.frame_rate
            if time < self._start:
                continue
            if found % self._stride == 0:
                yield PendingFrame(found // self._stride, time - self._start, frame.read, frame.file)
            found += 1
        if not found:
            last = "" if self._end is None else f" and before {float(self._end):g} s"
            cause = f"no frame from {float(self._start):g} s on{last}: the video is {float(length):.2f} s long"
            raise InputError(cause, place=self.name, hint="choose a part that lies within the video")

    def close(self) -> None:
        """Close the source."""
        self._source.close()

    def _estimated_count(self) -> int | None:
        rate, count = self._source.frame_rate, self._source.frame_count
        ends = [end for end in (self._end, None if count is None else count / rate) if end is not None]
        if not ends:
            return None
        return max(math.ceil((min(ends) - self._start) * rate / self._stride), 0)
