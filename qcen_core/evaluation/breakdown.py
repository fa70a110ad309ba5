"""Average precision of some of the objects: by how long they are seen, how large, how hidden, and how alike others.

An object outside of a band is neither to be found nor an error for who finds it. A result that finds nothing is false
in the bands of size and of length that hold its own size and length, and in all bands of occlusion and of twins, which
a result does not have.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qcen_core.evaluation.average_precision import (
    VIDEO_BANDS,
    Outcome,
    PrecisionRecall,
    mean_where_defined,
)
from qcen_core.evaluation.official import OCCLUSION_BANDS, occlusion_score
from qcen_core.evaluation.tube_iou import box_overlap, box_table
from qcen_core.evaluation.video_comparison import Groups, VideoComparison
from qcen_core.records import BoolArray, Box, Float64Array

_NO_END = float("inf")


@dataclass(frozen=True, slots=True)
class BandOf:
    """A named range of a quality of objects, both ends included; the last one may have no end."""

    label: str
    low: float
    high: float


SIZES = tuple(
    BandOf(label, low, _NO_END if label == "large" else high)
    for label, (low, high) in zip(("small", "medium", "large"), VIDEO_BANDS[1:], strict=True)
)
# Numbers of frames that show the object.
LENGTHS = (
    BandOf("1 to 10 frames", 1, 10),
    BandOf("11 to 20", 11, 20),
    BandOf("21 to 40", 21, 40),
    BandOf("41 to 100", 41, 100),
    BandOf("more than 100", 101, _NO_END),
)
OCCLUSIONS = tuple(BandOf(label, low, high) for label, (low, high) in OCCLUSION_BANDS.items())
# Numbers of other objects of the same class in the video.
TWINS = (BandOf("alone", 0, 0), BandOf("1 twin", 1, 1), BandOf("2 or 3", 2, 3), BandOf("4 or more", 4, _NO_END))
GROUPS = len(LENGTHS) + len(OCCLUSIONS) + len(TWINS)


def groups_of(video: VideoComparison, boxes: Sequence[Sequence[Box | None]], *, occlusion_known: bool) -> Groups:
    """Which bands of length, of occlusion and of twins, in this order, results and objects belong to.

    Args:
        video: the video.
        boxes: of its G tracks, `None` where not visible.
        occlusion_known: whether the ground truth tells how much of its objects is hidden. Otherwise an object counts
            as hidden as far as the box of another one covers its own, of several the one that covers most.
    """
    overlap = video.best
    lengths = (overlap.truth_areas > 0).sum(axis=0).astype(np.float64)
    table = box_table(boxes, len(overlap.truth_areas))
    occlusion = video.occlusion if occlusion_known else covered_shares(table, video.crowd)
    same = (video.truth_classes[:, None] == video.truth_classes) & ~video.crowd
    twins = same.sum(axis=1) - ~video.crowd
    found_lengths = (overlap.result_areas > 0).sum(axis=0).astype(np.float64)
    anywhere = np.ones((len(OCCLUSIONS) + len(TWINS), len(found_lengths)), dtype=np.bool_)
    return Groups(
        results=np.concatenate([_held(LENGTHS, found_lengths), anywhere]),
        truths=np.concatenate([_held(LENGTHS, lengths), _held(OCCLUSIONS, occlusion), _held(TWINS, twins)]),
    )


def covered_shares(boxes: Float64Array, crowd: BoolArray) -> Float64Array:
    """How much of each object the boxes of others cover, over the more hidden half of its frames, as for occlusion.

    Args:
        boxes: (F, G, 4) float64 `x1 y1 x2 y2` in pixels, 0 where not visible.
        crowd: (G,) bool; a crowd covers nothing.

    Returns:
        (G,) float64, NaN for crowds and for objects that are never visible.
    """
    shares = np.full(len(crowd), np.nan)
    overlap = box_overlap(boxes, boxes)
    others = ~np.eye(len(crowd), dtype=np.bool_) & ~crowd
    covered = np.where(others, overlap.intersections, 0.0).max(axis=2, initial=0.0)
    for place in np.flatnonzero(~crowd).tolist():
        visible = overlap.truth_areas[:, place] > 0
        if visible.any():
            parts = covered[visible, place] / overlap.truth_areas[visible, place]
            shares[place] = occlusion_score(tuple(parts.tolist()))
    return shares


def breakdown(measured: PrecisionRecall, outcome: Outcome) -> dict[str, tuple[dict[str, object], ...]]:
    """Figures of each band.

    Args:
        measured: with the bands `VIDEO_BANDS` first and those of `groups_of` last.
        outcome: what it was made of.

    Returns:
        `length`, `size`, `occlusion` and `twins`, each a row a band: `label`, `from` and `to`, `None` for no end;
        number of `objects`; `AP`, `AP50` and `AR100`, `None` without objects.
    """
    bands = measured.recall.shape[2]

    def rows(kinds: tuple[BandOf, ...], first: int) -> tuple[dict[str, object], ...]:
        return tuple(_row(band, first + place, measured, outcome) for place, band in enumerate(kinds))

    first = bands - GROUPS
    return {
        "length": rows(LENGTHS, first),
        "size": rows(SIZES, 1),
        "occlusion": rows(OCCLUSIONS, first + len(LENGTHS)),
        "twins": rows(TWINS, bands - len(TWINS)),
    }


def _row(band: BandOf, place: int, measured: PrecisionRecall, outcome: Outcome) -> dict[str, object]:
    precision = measured.precision[..., place]
    return {
        "label": band.label,
        "from": band.low,
        "to": None if band.high == _NO_END else band.high,
        "objects": int(outcome.truths[:, place].sum()),
        "AP": mean_where_defined(precision),
        "AP50": mean_where_defined(precision[0]),
        "AR100": mean_where_defined(measured.recall[:, :, place, -1]),
    }


def _held(bands: tuple[BandOf, ...], values: Float64Array) -> BoolArray:
    """(B, N) bool, whether each band holds (N,) values; NaN is held by none."""
    low, high = (np.array([[getattr(band, end)] for band in bands]) for end in ("low", "high"))
    held: BoolArray = (values >= low) & (values <= high)
    return held
