"""What a box-only data set is made of: sizes of boxes, lengths of videos, boxes a frame, classes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qcen_core.records import BoxDataset, Float64Array, IntArray
from qcen_core.visualization.bar_rows import BarRow, draw_bar_rows
from qcen_core.visualization.curves import nice_ticks
from qcen_core.visualization.html_report import Block, Card, Columns, Drawing

_SIZE_EDGES = (0, 16, 32, 64, 128, 256, 512)  # pixels; the last group has no end
_COUNT_EDGES = (0, 1, 2, 3, 4, 5, 10, 20, 50)  # boxes of a frame
_MOST_CLASSES = 20
_WORDS = {
    "sizes": "Side of a square as large as the box, in pixels of the frame. Small boxes want large frames in training.",
    "lengths": "Frames of a video. Training draws clips of a few frames from each.",
    "counts": "Boxes in a frame that somebody labelled. Crowded frames are the ones where objects are mixed up.",
    "classes": "The most frequent ones. Classes with few boxes are learned worst.",
}


@dataclass(frozen=True, slots=True)
class DatasetStatistics:
    """Measurements of a box-only data set; regions to ignore are no boxes.

    Attributes:
        sizes: (N,) float64, for each box the square root of its area in pixels.
        lengths: (V,) int64, frames of each video.
        counts: (F,) int64, boxes of each labelled frame.
        unlabelled: number of frames that nobody labelled.
    """

    sizes: Float64Array
    lengths: IntArray
    counts: IntArray
    unlabelled: int


def measure(dataset: BoxDataset) -> DatasetStatistics:
    """Measure a data set."""
    sizes: list[Float64Array] = [np.zeros(0)]
    counts: list[int] = []
    unlabelled = 0
    for video in dataset.videos:
        if video.labels is None:
            unlabelled += len(video.frame_files)
            continue
        for frame in video.labels:
            boxes = frame.boxes[~frame.ignore].astype(np.float64)
            sizes.append(np.sqrt(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)))
            if frame.labelled:
                counts.append(len(boxes))
            else:
                unlabelled += 1
    lengths = np.array([len(video.frame_files) for video in dataset.videos], dtype=np.int64)
    return DatasetStatistics(np.concatenate(sizes), lengths, np.array(counts, dtype=np.int64), unlabelled)


def groups(values: Sequence[float] | Float64Array | IntArray, edges: Sequence[float]) -> list[int]:
    """How many values are in each group from an edge up to the next one; the last group has no end.

    Args:
        values: none below the first edge.
        edges: ascending.
    """
    places = np.searchsorted(np.asarray(edges, dtype=np.float64), np.asarray(values), side="right") - 1
    return [int(count) for count in np.bincount(places, minlength=len(edges))]


def statistics_blocks(statistics: DatasetStatistics, classes: dict[str, tuple[int, int]]) -> Columns:
    """Four figures in words and bars; those without values are left out.

    Args:
        statistics: of the data set.
        classes: class name to its number of boxes and of videos, the most frequent first.
    """
    length_edges = _length_edges(statistics.lengths)
    shown = list(classes.items())[:_MOST_CLASSES]
    cards: list[Block] = []
    if statistics.sizes.size:
        rows = _histogram(groups(statistics.sizes, _SIZE_EDGES), _SIZE_EDGES, 0)
        cards.append(_card("Sizes of boxes", "sizes", rows))
    if statistics.lengths.size:
        rows = _histogram(groups(statistics.lengths, length_edges), length_edges, 2, whole=True)
        cards.append(_card("Lengths of videos", "lengths", rows))
    if statistics.counts.size:
        rows = _histogram(groups(statistics.counts, _COUNT_EDGES), _COUNT_EDGES, 1, whole=True)
        cards.append(_card("Boxes a frame", "counts", rows))
    if any(boxes for boxes, _ in classes.values()):
        bars = [
            BarRow(name, boxes, f"{boxes:,}", f"in {videos:,} video{'s' * (videos != 1)}", color=3)
            for name, (boxes, videos) in shown
        ]
        cards.append(_card("Classes", "classes", bars))
    return Columns(tuple(cards))


def _card(title: str, words: str, rows: Sequence[BarRow]) -> Card:
    return Card(title, (_WORDS[words],), (Drawing(draw_bar_rows(rows)),))


def _length_edges(lengths: IntArray) -> list[float]:
    if not lengths.size:
        return [0]
    low, high = float(lengths.min()), float(lengths.max())
    if low == high:
        return [low]
    return sorted({float(np.ceil(edge)) for edge in nice_ticks(low, high, 8) if edge <= high})


def _histogram(counts: Sequence[int], edges: Sequence[float], color: int, *, whole: bool = False) -> list[BarRow]:
    """Rows from the first group that has members to the last one."""
    filled = [place for place, count in enumerate(counts) if count]
    total = sum(counts)
    return [
        BarRow(
            _label(edges, place, whole), counts[place], f"{counts[place]:,}", _share(counts[place], total), color=color
        )
        for place in range(filled[0], filled[-1] + 1)
    ]


def _share(count: int, total: int) -> str:
    return f"{100 * count / total:.1f} %"


def _label(edges: Sequence[float], place: int, whole: bool) -> str:
    """Of whole numbers the last one of a group, of others the end that is no longer in it."""
    first = edges[place]
    if place == len(edges) - 1:
        return f"{first:g}" if len(edges) == 1 else f"{first:g} and more"
    last = edges[place + 1] - (1 if whole else 0)
    return f"{first:g}" if first == last else f"{first:g} to {last:g}"
