"""Every box of a video set as rows of flat arrays: what all formats come to before anything is written."""

from array import array
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from qcen_core.conversion.annotations import Annotations
from qcen_core.conversion.problems import Problem
from qcen_core.records import BoolArray, Float64Array, IntArray


@dataclass(frozen=True, slots=True)
class BoxRows:
    """N boxes of a video set, in the order of the source.

    Attributes:
        boxes: (N, 4) float64, `x1 y1 x2 y2` pixels.
        class_ids: (N,) int64; 0 for regions to ignore that are of no class.
        ignore: (N,) bool.
        videos: (N,) int64, indices of videos.
        frames: (N,) int64, frame indices in their videos.
        objects: (N,) int64, which object of the source a row belongs to; an index into `places`.
        places: file and record of each object.
        identified: whether the source says of each object which one of its video it is; regions to ignore need not be.
    """

    boxes: Float64Array
    class_ids: IntArray
    ignore: BoolArray
    videos: IntArray
    frames: IntArray
    objects: IntArray
    places: tuple[str, ...]
    identified: bool

    def __len__(self) -> int:
        return len(self.boxes)

    def select(self, kept: BoolArray) -> "BoxRows":
        """The rows of a (N,) mask."""
        return replace(
            self,
            boxes=self.boxes[kept],
            class_ids=self.class_ids[kept],
            ignore=self.ignore[kept],
            videos=self.videos[kept],
            frames=self.frames[kept],
            objects=self.objects[kept],
        )

    def place(self, row: int) -> str:
        """File, record and frame of a row."""
        return f"{self.places[self.objects[row]]}, frame {self.frames[row]}"


def collect_rows(annotations: Annotations) -> tuple[BoxRows, list[Problem]]:
    """Reads all boxes of a source.

    Returns:
        The boxes as stated, and what was wrong on the way.
    """
    numbers, identified = array("d"), True
    places: list[str] = []
    problems: list[Problem] = []
    ends, frames, columns = array("q"), array("q"), array("q")
    for item in annotations.objects():
        if isinstance(item, Problem):
            problems.append(item)
            continue
        places.append(item.place)
        identified = identified and (item.ignore or item.track is not None)
        numbers.extend(chain.from_iterable(item.boxes))
        frames.extend(item.frames)
        ends.append(len(frames))
        columns.extend((item.video, item.class_id, item.ignore))
    stops = np.array([0, *ends], dtype=np.int64)
    counts = stops[1:] - stops[:-1]
    videos, class_ids, ignore = np.repeat(np.array(columns, dtype=np.int64).reshape(-1, 3), counts, axis=0).T
    rows = BoxRows(
        boxes=np.array(numbers, dtype=np.float64).reshape(-1, 4),
        class_ids=np.maximum(class_ids, 0),
        ignore=ignore.astype(np.bool_),
        videos=videos,
        frames=np.array(frames, dtype=np.int64),
        objects=np.repeat(np.arange(len(places)), counts),
        places=tuple(places),
        identified=identified,
    )
    return rows, problems
