"""The worst videos, and when in them which object is seen and found."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qcen_core.evaluation.association import UNMATCHED
from qcen_core.records import BoolArray, Float64Array, IntArray

MOST_LISTED = 10


@dataclass(frozen=True, slots=True)
class VideoTimeline:
    """What happens in one video: S results that are shown and N objects, crowds left out, in F frames.

    Attributes:
        video: its name.
        quality: mean over the objects of the IoU with the best result of their class, `None` without objects.
        errors: kind of error to how many of that kind there are.
        object_ids: (N,) int64, as in the annotation file.
        object_classes: (N,) int64.
        visible: (F, N) bool.
        matches: (F, N) int64, index among the S results of the one that is matched to the object, or -1.
        result_ids: (S,) int64, place among all results of the video, from 1.
        result_classes: (S,) int64.
        scores: (S,) float64.
        seen: (F, S) bool.
        verdicts: S texts, `right` or a kind of error.
    """

    video: str
    quality: float | None
    errors: dict[str, int]
    object_ids: IntArray
    object_classes: IntArray
    visible: BoolArray
    matches: IntArray
    result_ids: IntArray
    result_classes: IntArray
    scores: Float64Array
    seen: BoolArray
    verdicts: tuple[str, ...]


def worst_videos(timelines: Sequence[VideoTimeline]) -> tuple[VideoTimeline, ...]:
    """The ten of the lowest quality, the worst first; of equal ones those with more errors, then in their order.

    Videos without objects come last.
    """

    def rank(timeline: VideoTimeline) -> tuple[bool, float, int]:
        quality = timeline.quality
        return quality is None, 0.0 if quality is None else quality, -sum(timeline.errors.values())

    return tuple(sorted(timelines, key=rank)[:MOST_LISTED])


def timeline_dict(timeline: VideoTimeline, names: Sequence[str]) -> dict[str, object]:
    """A timeline as it is reported: frames from 0, as spans of first and last one.

    Args:
        timeline: of one video.
        names: of the K classes.
    """
    objects = [
        {
            "id": number,
            "class": names[kind],
            "visible": spans(timeline.visible[:, place]),
            "matched": tuple(
                (first, last, int(timeline.result_ids[result]))
                for first, last, result in runs(timeline.matches[:, place])
                if result != UNMATCHED
            ),
        }
        for place, (number, kind) in enumerate(
            zip(timeline.object_ids.tolist(), timeline.object_classes.tolist(), strict=True)
        )
    ]
    results = [
        {
            "id": int(timeline.result_ids[place]),
            "class": names[timeline.result_classes[place]],
            "score": float(timeline.scores[place]),
            "seen": spans(timeline.seen[:, place]),
            "verdict": verdict,
        }
        for place, verdict in enumerate(timeline.verdicts)
    ]
    return {
        "video": timeline.video,
        "frames": len(timeline.visible),
        "quality": timeline.quality,
        "errors": timeline.errors,
        "objects": tuple(objects),
        "results": tuple(results),
    }


def runs(values: IntArray) -> tuple[tuple[int, int, int], ...]:
    """First frame, last frame and value of each stretch of equal values.

    Args:
        values: (F,) int64.
    """
    if not len(values):
        return ()
    starts = np.flatnonzero(np.append(True, values[1:] != values[:-1]))
    ends = np.append(starts[1:], len(values)) - 1
    return tuple(zip(starts.tolist(), ends.tolist(), values[starts].tolist(), strict=True))


def spans(there: BoolArray) -> tuple[tuple[int, int], ...]:
    """First and last frame of each stretch of (F,) bool that is true."""
    return tuple((first, last) for first, last, value in runs(there.astype(np.int64)) if value)
