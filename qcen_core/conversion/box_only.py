"""The box-only form of a data set: masks and identities are gone, and nothing in its order brings them back."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from qcen_core.conversion.survey import Survey
from qcen_core.records import BoxDataset, Category, FrameTable, VideoRecord


def box_only(surveyed: Survey, chosen: Sequence[int], name: str, frames_root: Path, seed: int) -> BoxDataset:
    """Boxes and classes of each frame of some videos.

    The boxes of a frame are put into an order that depends on their own values alone and are then shuffled: the order
    of the source cannot be found again, even by who knows the seed.

    Args:
        surveyed: the boxes of all videos, within their frames.
        chosen: indices of the videos that are wanted, in the wanted order.
        name: name of the new set.
        frames_root: folder that frame files are relative to.
        seed: of the shuffling.
    """
    source = surveyed.annotations
    videos = source.videos
    lengths = np.array([len(videos[index].frame_files) for index in chosen], dtype=np.int64)
    ends = np.cumsum(lengths)
    first_frame = np.full(len(videos), -1, dtype=np.int64)
    first_frame[list(chosen)] = ends - lengths
    rows = surveyed.rows.select(first_frame[surveyed.rows.videos] >= 0)
    frames = first_frame[rows.videos] + rows.frames
    boxes = rows.boxes.astype(np.float32)
    by_value = np.lexsort((rows.ignore, rows.class_ids, *boxes.T, frames))
    drawn = np.empty(len(rows))
    drawn[by_value] = np.random.default_rng(seed).random(len(rows))
    order = np.lexsort((drawn, frames))
    total = int(lengths.sum())
    table = FrameTable(
        starts=np.searchsorted(frames[order], np.arange(total + 1)),
        boxes=boxes[order],
        class_ids=rows.class_ids[order],
        ignore=rows.ignore[order],
        labelled=np.ones(total, dtype=np.bool_),
    )
    for index in chosen:
        table.labelled[first_frame[index] + np.array(sorted(surveyed.unlabelled.get(index, ())), dtype=np.int64)] = (
            False
        )
    labelled = tuple(
        replace(videos[index], labels=table.part(int(end - length), int(end)))
        for index, length, end in zip(chosen, lengths, ends, strict=True)
    )
    return BoxDataset(name, frames_root, source.categories, labelled)


def without_labels(
    videos: Sequence[VideoRecord], categories: tuple[Category, ...], name: str, frames_root: Path
) -> BoxDataset:
    """Videos to run a model on; nobody labelled them."""
    return BoxDataset(name, frames_root, categories, tuple(videos))
