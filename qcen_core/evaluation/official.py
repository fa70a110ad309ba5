"""The twelve figures of YouTube-VIS, the six more of OVIS, and where we differ from the official evaluation.

Both official programs share one definition, that of `average_precision.py`. We differ where it does not do what it
says. With `official_quirks` each of these is as in the official YouTube-VIS program, to compare with its figures:

1. A ground truth of id 0. Here it is one like all others; there who finds it counts as having found nothing, since
   the program takes the id for a yes or no.
2. A result with more or fewer masks than its video has frames. Here it is an error; there the surplus on either side
   is not compared at all, though it counts for the result's size.
3. The size of a ground truth. Here it is that of its masks; there that stated as `areas`.

In both modes some files are refused that the official program takes, with figures that mean nothing: unknown videos
and categories, masks of another size than the frames, damaged masks, and scores that are not finite. In both modes no
results at all are results, with an AP of 0; there the program stops.
"""

from qcen_core.evaluation.average_precision import VIDEO_BANDS, Band, PrecisionRecall, mean_where_defined
from qcen_core.records import Float64Array

OFFICIAL_FIGURES = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")
# The bands of OVIS, which share their ends. An object's occlusion is the mean over its more hidden half of frames.
OCCLUSION_BANDS: dict[str, Band] = {"light": (0.0, 0.25), "medium": (0.25, 0.5), "heavy": (0.5, 1.0)}


def official_figures(measured: PrecisionRecall | None) -> dict[str, float | None]:
    """The twelve figures of YouTube-VIS.

    Args:
        measured: with the bands `VIDEO_BANDS` first and the caps 1, 10 and 100; `None` where nothing can be measured.
    """
    if measured is None:
        return dict.fromkeys(OFFICIAL_FIGURES)
    precision, recall = measured.precision, measured.recall
    half, three_quarters = 0, 5
    values = [precision[..., 0], precision[half, ..., 0], precision[three_quarters, ..., 0]]
    values += [precision[..., band] for band in (1, 2, 3)]
    values += [recall[:, :, 0, cap] for cap in (0, 1, 2)]
    values += [recall[:, :, band, -1] for band in (1, 2, 3)]
    return {name: mean_where_defined(value) for name, value in zip(OFFICIAL_FIGURES, values, strict=True)}


def occlusion_figures(measured: PrecisionRecall | None) -> dict[str, float | None]:
    """`AP_light`, `AP_medium`, `AP_heavy`, and `AR_light` and so on, the recall with a hundred results.

    Args:
        measured: with `OCCLUSION_BANDS` after `VIDEO_BANDS`; `None` where the occlusion of no object is known.
    """
    figures: dict[str, float | None] = {}
    for part in ("AP", "AR"):
        for place, name in enumerate(OCCLUSION_BANDS, start=len(VIDEO_BANDS)):
            values: Float64Array | None = None
            if measured is not None:
                values = measured.precision[..., place] if part == "AP" else measured.recall[:, :, place, -1]
            figures[f"{part}_{name}"] = None if values is None else mean_where_defined(values)
    return figures


def occlusion_score(frames: tuple[float | None, ...]) -> float:
    """The mean over the more hidden half, rounded up, of the frames that are told about."""
    told = sorted(value for value in frames if value is not None)
    worst = told[-((len(told) + 1) // 2) :]
    return sum(worst) / len(worst)
