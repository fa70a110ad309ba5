"""Whether one set of results is better than another on the same videos, or only luckier in its videos.

Both are measured on the same ground truth. Then videos are drawn anew, with replacement, as many as there are, a
thousand times with one seed; the same videos for both. The interval holds the middle 95 % of the differences found, by
percentiles. Where it does not hold 0, the difference does not hang on which videos happened to be in the data set; it
says nothing of other causes of luck, such as the seed of a training. A few videos, drawn anew, are still the same few:
what has objects in fewer than five has no interval, and in few more than that it is too narrow.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from qcen_core.errors import InputError
from qcen_core.evaluation.evaluate import measure
from qcen_core.evaluation.measurement import GroundTruth, Measurement
from qcen_core.evaluation.resampling import (
    VideoOutcomes,
    draw_videos,
    mean_defined,
    resampled_hota,
    resampled_precision,
)
from qcen_core.records import Float64Array, IntArray, TrackDataset, TrackResult

SAMPLES, SEED = 1000, 0
FEWEST_VIDEOS = 5
_INTERVAL = (2.5, 97.5)
Results = Path | Sequence[TrackResult]


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure of two results, 0 to 1, `None` where it is undefined.

    Attributes:
        a: of the first.
        b: of the second.
        difference: b - a.
        low: lower end of the interval of the difference; `None` with objects in fewer than `FEWEST_VIDEOS`. Samples
            where the figure is undefined are left out.
        high: upper end.
        videos: number of videos with objects, of the class where it is about one.
    """

    a: float | None
    b: float | None
    difference: float | None
    low: float | None
    high: float | None
    videos: int


@dataclass(frozen=True, slots=True)
class VideoDifference:
    """Mean, over the objects of a video, of the IoU with the best result of their class; fields as in `Difference`."""

    a: float | None
    b: float | None
    difference: float | None


@dataclass(frozen=True, slots=True)
class PairedComparison:
    """Two results on the same videos.

    Attributes:
        names: of the two.
        videos: number of videos, V.
        samples: how often videos were drawn anew.
        seed: of the draws.
        measured_on: "mask", or "box" where the ground truth has no masks.
        figures: `AP`, `AP50` and `HOTA`, which is of results that are shown.
        per_class: class name to AP.
        per_video: video name to how well its objects are covered.
        notes: what is worth knowing, a line each.
    """

    names: tuple[str, str]
    videos: int
    samples: int
    seed: int
    measured_on: str
    figures: dict[str, Difference]
    per_class: dict[str, Difference]
    per_video: dict[str, VideoDifference]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, object]:
        """The comparison as one JSON object: the fields are the keys."""
        return dataclasses.asdict(self)


@dataclass(frozen=True, slots=True)
class _Side:
    """Figures of one of the results: (1 + S,) each, as it is and in each sample; of classes (1 + S, K).

    `truths` are the numbers of objects, (V, K).
    """

    name: str
    measured: Measurement
    truths: IntArray
    figures: dict[str, Float64Array]
    per_class: Float64Array


def compare(
    results: Sequence[Results],
    ground_truth: Path | TrackDataset,
    names: Sequence[str],
    *,
    samples: int = SAMPLES,
    seed: int = SEED,
    processes: int | None = None,
) -> list[PairedComparison]:
    """Compare all results but the first with the first.

    Args:
        results: two or more results files, or results.
        ground_truth: an annotation file, or its content.
        names: what to call each of them.
        samples: S, how often to draw videos anew.
        seed: of the draws.
        processes: as in `evaluate`.

    Raises:
        InputError: as in `evaluate`; or results have no video in common with the first.
    """
    if len(results) < 2:
        raise ValueError("one set of results cannot be compared")
    sides: list[_Side] = []
    for name, source in zip(names, results, strict=True):
        measured, truth = measure(source, ground_truth, processes=processes)
        if sides:
            _require_common_videos(sides[0], name, measured)
        sides.append(_side(name, measured, truth, samples, seed))
    classes = [category.name for category in truth.dataset.categories]
    return [_pair(sides[0], side, classes, samples, seed) for side in sides[1:]]


def _side(name: str, measured: Measurement, truth: GroundTruth, samples: int, seed: int) -> _Side:
    videos, kinds = len(measured.verdicts), len(truth.dataset.categories)
    truths = np.array([np.bincount(v.truth_classes[~v.crowd], minlength=kinds) for v in measured.verdicts])
    outcomes = VideoOutcomes(measured.tubes, _lengths(measured), truths)
    draws = np.concatenate([np.ones((1, videos), np.int64), draw_videos(videos, samples, seed)])
    precision = resampled_precision(outcomes, draws)
    figures = {
        "AP": mean_defined(precision),
        "AP50": mean_defined(precision[:, 0]),
        "HOTA": resampled_hota([video.together for video in measured.tracking], draws),
    }
    return _Side(name, measured, truths, figures, precision.mean(axis=1))


def _lengths(measured: Measurement) -> IntArray:
    return np.array([len(video.scores) for video in measured.verdicts], dtype=np.int64)


def _require_common_videos(first: _Side, name: str, measured: Measurement) -> None:
    found, others = _lengths(first.measured) > 0, _lengths(measured) > 0
    if found.any() and others.any() and not (found & others).any():
        raise InputError(
            f"has results in {others.sum()} videos, {first.name} in {found.sum()} others",
            place=name,
            hint="compare results of the same videos",
        )


def _pair(first: _Side, second: _Side, classes: Sequence[str], samples: int, seed: int) -> PairedComparison:
    a, b = first.measured.best_iou, second.measured.best_iou
    held, held_of_class = int(first.truths.any(axis=1).sum()), (first.truths > 0).sum(axis=0).tolist()
    return PairedComparison(
        names=(first.name, second.name),
        videos=len(first.measured.verdicts),
        samples=samples,
        seed=seed,
        measured_on="box" if first.measured.masks is None else "mask",
        figures={name: _difference(values, second.figures[name], held) for name, values in first.figures.items()},
        per_class={
            name: _difference(first.per_class[:, kind], second.per_class[:, kind], held_of_class[kind])
            for kind, name in enumerate(classes)
        },
        per_video={name: _video_difference(a[name], b[name]) for name in a},
        notes=tuple(_notes(first, second)),
    )


def _difference(a: Float64Array, b: Float64Array, videos: int) -> Difference:
    """Of values as they are, which come first, and in each sample."""
    drawn = (b - a)[1:]
    drawn = drawn[~np.isnan(drawn)]
    told = videos >= FEWEST_VIDEOS and drawn.size > 0
    low, high = np.percentile(drawn, _INTERVAL).tolist() if told else (None, None)
    first, second, difference = (None if np.isnan(value) else float(value) for value in (a[0], b[0], b[0] - a[0]))
    return Difference(first, second, difference, low, high, videos)


def _video_difference(a: float | None, b: float | None) -> VideoDifference:
    return VideoDifference(a, b, None if a is None or b is None else b - a)


def _notes(first: _Side, second: _Side) -> list[str]:
    """Videos that one of the two leaves empty: it may not have been asked about them."""
    notes = []
    for side, other in ((first, second), (second, first)):
        alone = int(((_lengths(side.measured) == 0) & (_lengths(other.measured) > 0)).sum())
        if alone:
            notes.append(f"{side.name} has no result in {alone} of the videos where {other.name} has some")
    return notes
