"""What an evaluation found."""

import dataclasses
from dataclasses import dataclass, field

from qcen_core.evaluation.association import Association
from qcen_core.evaluation.error_split import ErrorSplit


@dataclass(frozen=True, slots=True)
class Curves:
    """What there is to plot, for objects of any size.

    Attributes:
        iou_thresholds: T values.
        AP: at each threshold, `None` where no class has ground truth.
        recall: R recall points.
        precision: for each threshold the precision at each recall point, mean over classes; empty where no
            class has ground truth.
    """

    iou_thresholds: tuple[float, ...]
    AP: tuple[float | None, ...]
    recall: tuple[float, ...]
    precision: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """The twelve official figures of YouTube-VIS, 0 to 1, and what goes with them.

    A figure is `None` where it is undefined: no ground truth of that size, or ground truth that has no masks.

    Attributes:
        AP: mean over IoU thresholds 0.50 to 0.95 and classes.
        AP50: at 0.50.
        AP75: at 0.75.
        APs: of small objects, mean area below 128 x 128 pixels.
        APm: of medium objects.
        APl: of large objects, mean area above 256 x 256 pixels.
        AR1: mean over thresholds of the recall with the best result a video and class.
        AR10: with the ten best.
        AR100: with the hundred best.
        ARs: AR100 of small objects.
        ARm: AR100 of medium objects.
        ARl: AR100 of large objects.
        measured_on: "mask", or "box" where the ground truth has no masks: what `curves`, `association` and
            `videos` are about.
        per_class: class name to AP of masks.
        box_per_class: class name to tube AP of boxes.
        box: figures of boxes, a result's box being the one around its mask. `tube_AP` and `tube_AP50`: of whole
            tracks, by the IoU of their boxes over the video. `frame_AP` and `frame_AP50`: of single frames,
            whatever the identities, as COCO defines them for images.
        association: whether tracks stay on their objects.
        curves: precision at each recall and threshold.
        videos: video name to the mean, over its objects, of the IoU with the best result of their class;
            `None` for a video without objects.
        occlusion: `AP_light`, `AP_medium` and `AP_heavy` of objects that others hide little, more, or much of, and
            `AR_light` and so on, as OVIS defines them; `None` each where the ground truth does not tell occlusion.
        per_class_at: class name to AP of masks at each threshold of `curves`; `None` as for the class.
        per_class_recall: class name to the recall of masks with a hundred results, mean over thresholds.
        official_quirks: whether the figures of masks follow the official program where it is odd.
        shown_score: what is said to be of results that are shown is of those with at least this score.
        notes: what is worth knowing about the results, a line each.
        errors: what each kind of error costs.
        hota: HOTA and what it is made of, IDF1 and identity switches, of results that are shown; classes play no part.
            Its keys are those of `tracking_figures`.
        per_class_hota: class name to HOTA between results and objects of the class; `None` without objects.
        breakdown: figures by `length`, `size`, `occlusion` and `twins` of objects, a row a band; see `breakdown.py`.
            Occlusion is that of the ground truth where all of it tells it, otherwise from the overlap of its boxes.
        calibration: `bins` of the score of all results, with how many of them are right, and `ece`.
        confusion: `names` of classes, and `matrix`: true classes by found ones, of results that are shown.
        worst: the worst ten videos, with timelines of their objects and of the results that are shown.
    """

    AP: float | None
    AP50: float | None
    AP75: float | None
    APs: float | None
    APm: float | None
    APl: float | None
    AR1: float | None
    AR10: float | None
    AR100: float | None
    ARs: float | None
    ARm: float | None
    ARl: float | None
    measured_on: str
    per_class: dict[str, float | None]
    box_per_class: dict[str, float | None]
    box: dict[str, float | None]
    association: Association
    curves: Curves
    videos: dict[str, float | None]
    occlusion: dict[str, float | None] = field(default_factory=dict)
    per_class_at: dict[str, tuple[float, ...] | None] = field(default_factory=dict)
    per_class_recall: dict[str, float | None] = field(default_factory=dict)
    official_quirks: bool = False
    shown_score: float = 0.3
    notes: tuple[str, ...] = ()
    errors: ErrorSplit | None = None
    hota: dict[str, object] = field(default_factory=dict)
    per_class_hota: dict[str, float | None] = field(default_factory=dict)
    breakdown: dict[str, tuple[dict[str, object], ...]] = field(default_factory=dict)
    calibration: dict[str, object] = field(default_factory=dict)
    confusion: dict[str, object] = field(default_factory=dict)
    worst: tuple[dict[str, object], ...] = ()

    def to_dict(self) -> dict[str, object]:
        """The report as one JSON object: the fields are the keys."""
        return dataclasses.asdict(self)
