"""Tracks of boxes to evaluate, with masks that fill them, or without any mask in the ground truth."""

from dataclasses import replace

import numpy as np

from qcen_core.evaluation.evaluate import evaluate
from qcen_core.ops import rle
from qcen_core.records import Category, ObjectTrack, TrackDataset, TrackResult, VideoRecord

HEIGHT, WIDTH = 331, 431
NAMES = ("cat", "dog", "fox")


def filled(box):
    if box is None:
        return None
    x1, y1, x2, y2 = map(int, box)
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[y1:y2, x1:x2] = True
    return rle.encode(mask)


def truth_track(number, boxes, class_id=0, video=1, crowd=False):
    return ObjectTrack(number, video, class_id, tuple(boxes), tuple(filled(box) for box in boxes), crowd)


def found_track(number, boxes, class_id=0, score=0.9, video=1):
    return TrackResult(video, number, class_id, score, tuple(filled(box) for box in boxes))


def report_of(results, tracks, mode, frames=(3,), **options):
    """The report on videos 1, 2, ... of so many frames, measured on `mode`."""
    if mode == "box":
        tracks = [replace(track, segmentations=None) for track in tracks]
    videos = tuple(
        VideoRecord(number, f"v{number}", HEIGHT, WIDTH, tuple(f"{frame}.jpg" for frame in range(count)))
        for number, count in enumerate(frames, start=1)
    )
    categories = tuple(Category(7 + 2 * place, name) for place, name in enumerate(NAMES))
    report = evaluate(results, TrackDataset(categories, videos, tuple(tracks)), **options)
    assert report.measured_on == mode
    return report
