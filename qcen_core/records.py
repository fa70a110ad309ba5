"""What is known about a video set, as plain numpy data: no torch, no file formats.

Conventions: boxes are `x1 y1 x2 y2` in pixels, continuous and half-open, origin at the top-left corner of
the frame; classes count from 0 in the order of `categories`; frames count from 0; track ids start at 1.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict, overload

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
Float64Array = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

Box = tuple[float, float, float, float]


class Rle(TypedDict):
    """A mask in compressed COCO run-length form: `size` is (height, width), `counts` an ASCII string."""

    size: list[int]
    counts: str


@dataclass(frozen=True, slots=True)
class Category:
    """A class of objects. `source_id` is its id in the file it came from; it is used at file borders only."""

    source_id: int
    name: str


@dataclass(frozen=True, slots=True)
class FrameBoxes:
    """The labels of one frame: boxes and classes, and nothing that tells a mask or an identity.

    Attributes:
        boxes: (G, 4) float32, `x1 y1 x2 y2` pixels of the frame.
        class_ids: (G,) int64, 0..K-1.
        ignore: (G,) bool, regions that are neither object nor background (crowds).
        labelled: whether anybody looked at this frame; a labelled frame may hold no object.
    """

    boxes: FloatArray
    class_ids: IntArray
    ignore: BoolArray
    labelled: bool = True

    def __post_init__(self) -> None:
        count = len(self.boxes)
        if self.boxes.shape != (count, 4) or self.class_ids.shape != (count,) or self.ignore.shape != (count,):
            raise ValueError(
                f"boxes {self.boxes.shape}, class_ids {self.class_ids.shape} and ignore {self.ignore.shape} "
                "must be (G, 4), (G,) and (G,)"
            )


@dataclass(frozen=True, slots=True, eq=False)
class FrameTable(Sequence[FrameBoxes]):
    """The labels of F frames as flat arrays: a sequence of `FrameBoxes`, each a view.

    Attributes:
        starts: (F + 1,) int64; the labels of frame f are rows `starts[f]` to `starts[f + 1]`.
        boxes: (N, 4) float32, as in `FrameBoxes`.
        class_ids: (N,) int64.
        ignore: (N,) bool.
        labelled: (F,) bool.
    """

    starts: IntArray
    boxes: FloatArray
    class_ids: IntArray
    ignore: BoolArray
    labelled: BoolArray

    def __post_init__(self) -> None:
        rows, frames = len(self.boxes), len(self.labelled)
        if self.boxes.shape != (rows, 4) or self.class_ids.shape != (rows,) or self.ignore.shape != (rows,):
            raise ValueError("boxes, class_ids and ignore must be (N, 4), (N,) and (N,)")
        if self.starts.shape != (frames + 1,) or self.starts[0] != 0 or self.starts[-1] != rows:
            raise ValueError(f"starts must be ({frames + 1},), from 0 to {rows}")

    def __len__(self) -> int:
        return len(self.labelled)

    @overload
    def __getitem__(self, index: int) -> FrameBoxes: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[FrameBoxes, ...]: ...

    def __getitem__(self, index: int | slice) -> FrameBoxes | tuple[FrameBoxes, ...]:
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self))))
        frame = range(len(self))[index]
        rows = slice(int(self.starts[frame]), int(self.starts[frame + 1]))
        return FrameBoxes(self.boxes[rows], self.class_ids[rows], self.ignore[rows], bool(self.labelled[frame]))

    def __iter__(self) -> Iterator[FrameBoxes]:
        return (self[frame] for frame in range(len(self)))

    def part(self, first: int, last: int) -> "FrameTable":
        """The table of frames `first` to `last` (exclusive), on the same memory."""
        begin, end = int(self.starts[first]), int(self.starts[last])
        return FrameTable(
            self.starts[first : last + 1] - begin,
            self.boxes[begin:end],
            self.class_ids[begin:end],
            self.ignore[begin:end],
            self.labelled[first:last],
        )


def frame_table(labels: Sequence[FrameBoxes]) -> FrameTable:
    """The labels of frames, one after the other, as flat arrays."""
    if isinstance(labels, FrameTable):
        return labels
    return FrameTable(
        starts=np.cumsum([0, *(len(frame.boxes) for frame in labels)], dtype=np.int64),
        boxes=np.concatenate([np.zeros((0, 4), np.float32), *(frame.boxes for frame in labels)]),
        class_ids=np.concatenate([np.zeros(0, np.int64), *(frame.class_ids for frame in labels)]),
        ignore=np.concatenate([np.zeros(0, np.bool_), *(frame.ignore for frame in labels)]),
        labelled=np.array([frame.labelled for frame in labels], dtype=np.bool_),
    )


def unlabelled_frames(count: int) -> FrameTable:
    """A table of frames that nobody labelled."""
    nothing = np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, np.bool_)
    return FrameTable(np.zeros(count + 1, np.int64), *nothing, labelled=np.zeros(count, np.bool_))


@dataclass(frozen=True, slots=True)
class VideoRecord:
    """One video as a list of frame files, with its labels where it has any.

    Attributes:
        id: the id in the source file; unique in its data set.
        name: what a person calls the video; unique in its data set, usable as a file name.
        height: frame height in pixels.
        width: frame width in pixels.
        frame_files: one path a frame, relative to the data set's frames folder, in time order.
        labels: one `FrameBoxes` a frame, or `None` for a video without labels.
        unlabelled: where tracks are known instead, the frames that nobody labelled; at all others somebody looked.
    """

    id: int
    name: str
    height: int
    width: int
    frame_files: tuple[str, ...]
    labels: Sequence[FrameBoxes] | None = None
    unlabelled: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        if self.labels is not None and len(self.labels) != len(self.frame_files):
            raise ValueError(f"video {self.name}: {len(self.labels)} labels for {len(self.frame_files)} frames")


@dataclass(frozen=True, slots=True)
class BoxDataset:
    """A video set with per-frame boxes and categories: all that box supervision may know.

    Attributes:
        name: name of the set.
        frames_root: folder that the videos' `frame_files` are relative to.
        categories: the K classes, in class order.
        videos: the videos.
    """

    name: str
    frames_root: Path
    categories: tuple[Category, ...]
    videos: tuple[VideoRecord, ...]


@dataclass(frozen=True, slots=True)
class ObjectTrack:
    """One annotated object through one video: the ground truth of evaluation and of the stronger levels.

    Attributes:
        id: the annotation's id in its file.
        video_id: id of its video.
        class_id: 0..K-1.
        boxes: one `x1 y1 x2 y2` box a frame, `None` where the object is not visible.
        segmentations: one mask a frame, `None` where not visible; `None` as a whole where only boxes are known.
        is_crowd: a region to ignore.
        occlusion: how much of it others hide in each frame, 0 to 1, `None` where it is not visible; `None` as a whole
            where nobody said so, as all data sets but OVIS. It tells nothing about what the object is.
        areas: its pixels in each frame as the file states them, which the official evaluation believes.
    """

    id: int
    video_id: int
    class_id: int
    boxes: tuple[Box | None, ...]
    segmentations: tuple[Rle | None, ...] | None
    is_crowd: bool = False
    occlusion: tuple[float | None, ...] | None = field(default=None, compare=False)
    areas: tuple[float | None, ...] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class TrackDataset:
    """A video set with object tracks, as a YouTube-VIS annotation file holds it. `videos` carry no `labels`."""

    categories: tuple[Category, ...]
    videos: tuple[VideoRecord, ...]
    tracks: tuple[ObjectTrack, ...]


@dataclass(frozen=True, slots=True)
class TrackResult:
    """One predicted instance through one video.

    Attributes:
        video_id: id of the video.
        track_id: from 1, never reused within a video.
        class_id: 0..K-1.
        score: confidence, 0 to 1.
        segmentations: one mask a frame, `None` where the instance is absent.
    """

    video_id: int
    track_id: int
    class_id: int
    score: float
    segmentations: tuple[Rle | None, ...]
