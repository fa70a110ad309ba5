"""Measure the videos of a results file in parts, each of which any process can do by itself.

Each process maps the whole file, which costs no memory of its own, and looks through all records for those of its
videos; only their masks are read. So records may come in any order, and nothing large goes between processes but
what was measured.
"""

import mmap
from collections import defaultdict
from pathlib import Path

import msgspec
import numpy as np

from qcen_core.evaluation.measurement import GroundTruth, Measurement, join_measurements, measure_video
from qcen_core.evaluation.video_comparison import FoundTrack
from qcen_core.records import VideoRecord


class _Record(msgspec.Struct, gc=False):
    """A record of a results file, whose masks stay text."""

    video_id: int
    category_id: int
    score: float
    segmentations: msgspec.Raw


class _Mask(msgspec.Struct, gc=False):
    """A mask: (height, width), and compressed run lengths."""

    size: tuple[int, int]
    counts: str


class UnusualResultsError(Exception):
    """The file holds what the quick way does not know; the slow one reads it or tells what is wrong."""


def measure_part(path: Path, truth: GroundTruth, part: int = 0, parts: int = 1) -> Measurement | None:
    """Measure the videos of one part.

    Args:
        path: a results file.
        truth: what to compare with.
        part: which one, from 0.
        parts: how many there are.

    Returns:
        `None` for a part without videos.

    Raises:
        UnusualResultsError: this way cannot do it: records are wrong, or their masks are written in another form.
    """
    try:
        with path.open("rb") as file:
            # It is not closed by hand: as long as records hold on to it, it cannot be.
            text = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        records = _records_of_videos(text, truth)
        videos = _videos_of_part(records, truth, part, parts)
        measured = [_measure(video, records.get(video.id, []), truth) for video in videos]
    except (OSError, ValueError, RecursionError) as error:
        raise UnusualResultsError from error
    return join_measurements(measured) if measured else None


def _records_of_videos(text: mmap.mmap, truth: GroundTruth) -> dict[int, list[_Record]]:
    known = {video.id for video in truth.dataset.videos}
    records = defaultdict(list)
    for record in msgspec.json.decode(text, type=list[_Record]):
        records[record.video_id].append(record)
    if not records.keys() <= known:
        raise ValueError("an unknown video")
    if any(video.unlabelled for video in truth.dataset.videos):
        raise ValueError("frames that are not judged")
    return records


def _videos_of_part(records: dict[int, list[_Record]], truth: GroundTruth, part: int, parts: int) -> list[VideoRecord]:
    """Videos that follow each other, such that all parts have about as much text."""
    videos = truth.videos()
    sizes = np.array([1 + sum(len(record.segmentations) for record in records.get(v.id, [])) for v in videos], float)
    middles = np.cumsum(sizes) - sizes / 2
    return [video for video, place in zip(videos, middles * parts / sizes.sum(), strict=True) if int(place) == part]


def _measure(video: VideoRecord, records: list[_Record], truth: GroundTruth) -> Measurement:
    class_of = {category.source_id: index for index, category in enumerate(truth.dataset.categories)}
    size = (video.height, video.width)
    decoder = msgspec.json.Decoder(list[_Mask | None])
    results = []
    for number, record in enumerate(records, start=1):
        if record.category_id not in class_of:
            raise ValueError("an unknown category")
        masks = decoder.decode(record.segmentations)
        if {mask.size for mask in masks if mask is not None} - {size}:
            raise ValueError("a mask of another size")
        counts = [None if mask is None else mask.counts for mask in masks]
        results.append(FoundTrack(class_of[record.category_id], record.score, counts, number))
    return measure_video(video, results, truth)
