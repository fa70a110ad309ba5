"""Arrays and texts in memory that loader processes share: handed to another process they are not copied."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qcen_core.records import IntArray, VideoRecord


def shared(values: NDArray[np.generic]) -> Tensor:
    """The array as a tensor in shared memory; `.numpy()` gives a view of it in any process."""
    tensor: Tensor = torch.from_numpy(np.ascontiguousarray(values)).share_memory_()
    return tensor


class SharedTexts:
    """Texts, one after the other in one array of bytes."""

    def __init__(self, texts: Iterable[str]) -> None:
        encoded = [text.encode("utf-8", "surrogateescape") for text in texts]
        self._bytes = shared(np.frombuffer(b"".join(encoded), dtype=np.uint8).copy())
        self._starts = shared(np.cumsum([0, *map(len, encoded)], dtype=np.int64))

    def __len__(self) -> int:
        return len(self._starts) - 1

    def __getitem__(self, index: int) -> str:
        first, last = self._starts[index : index + 2].tolist()
        return self._bytes[first:last].numpy().tobytes().decode("utf-8", "surrogateescape")


class SharedVideos:
    """What the loader needs to know of the videos: names, sizes, frame files.

    Args:
        videos: the videos; their labels play no part.
    """

    def __init__(self, videos: Sequence[VideoRecord]) -> None:
        self._names = SharedTexts(video.name for video in videos)
        self._files = SharedTexts(file for video in videos for file in video.frame_files)
        self._sizes = shared(np.array([(v.height, v.width) for v in videos], dtype=np.int64).reshape(-1, 2))
        lengths = [len(video.frame_files) for video in videos]
        self._first_frames = shared(np.cumsum([0, *lengths], dtype=np.int64))

    def __len__(self) -> int:
        return len(self._names)

    def name(self, video: int) -> str:
        """What a person calls the video."""
        return self._names[video]

    def size(self, video: int) -> tuple[int, int]:
        """(height, width) of its frames in pixels."""
        height, width = self._sizes[video].tolist()
        return height, width

    def frames(self, video: int) -> range:
        """Its frames as numbered through the whole set."""
        first, last = self._first_frames[video : video + 2].tolist()
        return range(first, last)

    def frame_file(self, video: int, time: int) -> str:
        """Path of a frame, relative to the frames folder."""
        return self._files[self.frames(video)[time]]


class FrameRows:
    """Rows of labels, sorted by frame, with any number of columns.

    Args:
        frames: (N,) number of each row's frame in the whole set, in any order.
        count: number of frames.
        columns: name -> (N, ...) values.
    """

    def __init__(self, frames: IntArray, count: int, **columns: NDArray[np.generic]) -> None:
        order = np.argsort(frames, kind="stable")
        self._starts = shared(np.searchsorted(frames[order], np.arange(count + 1)).astype(np.int64))
        self._columns = {name: shared(values[order]) for name, values in columns.items()}

    def rows(self, frame: int) -> range:
        """The rows of a frame."""
        first, last = self._starts[frame : frame + 2].tolist()
        return range(first, last)

    def column(self, name: str, frame: int) -> NDArray[Any]:
        """The values of a frame's rows, a copy."""
        rows = self.rows(frame)
        return self._columns[name][rows.start : rows.stop].numpy().copy()
