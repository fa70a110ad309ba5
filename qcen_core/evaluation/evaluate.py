"""Evaluate results against ground truth: YouTube-VIS figures of masks, figures of boxes, association."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from qcen_core.errors import InputError
from qcen_core.evaluation.association import association
from qcen_core.evaluation.average_precision import (
    IOU_THRESHOLDS,
    RECALL_POINTS,
    PrecisionRecall,
    mean_where_defined,
    precision_recall,
)
from qcen_core.evaluation.breakdown import breakdown
from qcen_core.evaluation.calibration import calibration
from qcen_core.evaluation.confusion import confusion
from qcen_core.evaluation.error_split import split_errors
from qcen_core.evaluation.measurement import (
    GroundTruth,
    Measurement,
    ground_truth_of,
    join_measurements,
    measure_video,
)
from qcen_core.evaluation.official import OFFICIAL_FIGURES, occlusion_figures, official_figures
from qcen_core.evaluation.processes import helpers, measure_file
from qcen_core.evaluation.report import Curves, EvaluationReport
from qcen_core.evaluation.result_parts import UnusualResultsError
from qcen_core.evaluation.timeline import timeline_dict
from qcen_core.evaluation.tracking import class_hota, tracking_figures
from qcen_core.evaluation.tube_iou import counts_of
from qcen_core.evaluation.video_comparison import FoundTrack
from qcen_core.records import TrackDataset, TrackResult
from qcen_core.resultfile import judged_result, read_results, result_notes
from qcen_core.trackfile import read_annotations

__all__ = ["OFFICIAL_FIGURES", "evaluate", "measure"]


def evaluate(
    results: Path | Sequence[TrackResult],
    ground_truth: Path | TrackDataset,
    *,
    shown_score: float = 0.3,
    official_quirks: bool = False,
    processes: int | None = None,
) -> EvaluationReport:
    """Evaluate results.

    The figures of masks are those of the official YouTube-VIS evaluation but where `official.py` tells a difference.

    Args:
        results: a results file, or results.
        ground_truth: an annotation file, or its content.
        shown_score: association and confusion are measured on results with at least this score, those that a
            person would be shown. The precision figures rank all results and know no such limit.
        official_quirks: have no differences.
        processes: how many processes share a results file; by default one a processor, and one for a small file.

    Raises:
        InputError: a file cannot be used, or the results do not fit the ground truth; a `ResultsError` tells all that
            is wrong with a results file.
    """
    return _report(*measure(results, ground_truth, shown_score, official_quirks=official_quirks, processes=processes))


def measure(
    results: Path | Sequence[TrackResult],
    ground_truth: Path | TrackDataset,
    shown_score: float = 0.3,
    *,
    official_quirks: bool = False,
    processes: int | None = None,
) -> tuple[Measurement, GroundTruth]:
    """What there is to know of each video, before figures are made of it; arguments and errors are as of `evaluate`."""
    if not isinstance(results, Path):
        truth = _ground_truth(ground_truth, shown_score, official_quirks=official_quirks)
        _require_fit(results, truth)
        video_of = {video.id: video for video in truth.dataset.videos}
        judged = (judged_result(result, video_of[result.video_id], result.track_id) for result in results)
        return _measure_results([result for result in judged if result is not None], truth), truth
    with helpers(results, processes) as started:
        truth = _ground_truth(ground_truth, shown_score, official_quirks=official_quirks)
        try:
            measured = measure_file(results, truth, started)
        except UnusualResultsError:
            found = read_results(results, truth.dataset, any_length=official_quirks)
            measured = _measure_results(found, truth, numbered=True)
    return measured, truth


def _ground_truth(source: Path | TrackDataset, shown_score: float, *, official_quirks: bool) -> GroundTruth:
    dataset = read_annotations(source) if isinstance(source, Path) else source
    if not dataset.videos:
        place = source if isinstance(source, Path) else None
        raise InputError(
            "there is no video", place=place, hint="pass the annotation file of the data that was predicted"
        )
    return ground_truth_of(dataset, shown_score, official_quirks=official_quirks)


def _measure_results(results: Sequence[TrackResult], truth: GroundTruth, *, numbered: bool = False) -> Measurement:
    """`numbered` results have their place in the file as track id; others are numbered here."""
    _require_fit(results, truth)
    results_of: dict[int, list[FoundTrack]] = {video.id: [] for video in truth.dataset.videos}
    for result, masks in zip(results, counts_of([result.segmentations for result in results]), strict=True):
        found = results_of[result.video_id]
        number = result.track_id if numbered else len(found) + 1
        found.append(FoundTrack(result.class_id, result.score, masks, number))
    measured = []
    for video in truth.videos():
        try:
            measured.append(measure_video(video, results_of[video.id], truth))
        except ValueError as error:
            raise InputError(f"video {video.id}: {error}", hint="write the masks again") from None
    return join_measurements(measured)


def _require_fit(results: Sequence[TrackResult], truth: GroundTruth) -> None:
    videos = {video.id: video for video in truth.dataset.videos}
    hint = "evaluate results against the data that they were predicted for"
    for index, result in enumerate(results):
        place = f"result {index}"
        video = videos.get(result.video_id)
        if video is None:
            raise InputError(f"video {result.video_id} is not in the ground truth", place=place, hint=hint)
        if not 0 <= result.class_id < len(truth.dataset.categories):
            raise InputError(f"class {result.class_id} is not in the ground truth", place=place, hint=hint)
        found, true = len(result.segmentations), len(video.frame_files)
        if found != true and not truth.official_quirks:
            raise InputError(f"{found} frames, video {video.id} has {true}", place=place, hint=hint)
        sizes = {tuple(mask["size"]) for mask in result.segmentations if mask is not None}
        if sizes - {(video.height, video.width)}:
            size = f"{video.width} x {video.height}"
            raise InputError(f"its masks are not of the {size} pixels of video {video.id}", place=place, hint=hint)


def _report(measured: Measurement, truth: GroundTruth) -> EvaluationReport:
    names = [category.name for category in truth.dataset.categories]
    masks = None if measured.masks is None else precision_recall(measured.masks)
    boxes, frames = precision_recall(measured.box_tubes), precision_recall(measured.box_frames)
    return EvaluationReport(
        **official_figures(masks),
        measured_on="box" if masks is None else "mask",
        per_class=_per_class(masks, names),
        box_per_class=_per_class(boxes, names),
        box={
            "tube_AP": mean_where_defined(boxes.precision[..., 0]),
            "tube_AP50": mean_where_defined(boxes.precision[0, ..., 0]),
            "frame_AP": mean_where_defined(frames.precision),
            "frame_AP50": mean_where_defined(frames.precision[0]),
        },
        association=association(measured.links),
        curves=_curves(masks or boxes),
        videos=measured.best_iou,
        occlusion=occlusion_figures(masks if truth.with_occlusion else None),
        per_class_at=_per_class_at(masks, names),
        per_class_recall=_per_class_recall(masks, names),
        official_quirks=truth.official_quirks,
        shown_score=truth.shown_score,
        notes=(
            *result_notes(measured.results, measured.odd_scores),
            *_without_results(measured),
            *_without_masks(truth.dataset),
            *_without_objects(truth.dataset),
        ),
        errors=split_errors(measured.verdicts, len(names)),
        hota=tracking_figures(measured.tracking),
        per_class_hota=class_hota(measured.tracking, names),
        breakdown=breakdown(masks or boxes, measured.tubes),
        calibration=calibration(measured.tubes),
        confusion=confusion(measured.confused, names),
        worst=tuple(timeline_dict(timeline, names) for timeline in measured.worst),
    )


def _without_results(measured: Measurement) -> tuple[str, ...]:
    count = sum(bool((~video.crowd).any()) and not len(video.kinds) for video in measured.verdicts)
    if not count or not measured.results:
        return ()
    what = "1 video with objects has" if count == 1 else f"{count} videos with objects have"
    return (f"{what} no result: all their objects count as missed",)


def _without_masks(dataset: TrackDataset) -> tuple[str, ...]:
    count, total = sum(track.segmentations is None for track in dataset.tracks), len(dataset.tracks)
    return (f"{count} of {total} objects have no masks: only boxes are measured",) if 0 < count < total else ()


def _without_objects(dataset: TrackDataset) -> tuple[str, ...]:
    return () if dataset.tracks else ("the ground truth has no object: there is nothing to measure",)


def _per_class(measured: PrecisionRecall | None, names: Sequence[str]) -> dict[str, float | None]:
    if measured is None:
        return dict.fromkeys(names)
    return {name: mean_where_defined(measured.precision[:, :, index, 0]) for index, name in enumerate(names)}


def _per_class_at(measured: PrecisionRecall | None, names: Sequence[str]) -> dict[str, tuple[float, ...] | None]:
    if measured is None:
        return dict.fromkeys(names)
    means = measured.precision[..., 0].mean(axis=1).T.tolist()
    return {name: None if np.isnan(row).any() else tuple(row) for name, row in zip(names, means, strict=True)}


def _per_class_recall(measured: PrecisionRecall | None, names: Sequence[str]) -> dict[str, float | None]:
    if measured is None:
        return dict.fromkeys(names)
    return {name: mean_where_defined(measured.recall[:, index, 0, -1]) for index, name in enumerate(names)}


def _curves(measured: PrecisionRecall) -> Curves:
    precision = measured.precision[..., 0]
    defined = precision[:, :, ~np.isnan(precision).any(axis=(0, 1))]
    return Curves(
        iou_thresholds=tuple(IOU_THRESHOLDS.round(2).tolist()),
        AP=tuple(mean_where_defined(row) for row in precision),
        recall=tuple(RECALL_POINTS.round(2).tolist()),
        precision=tuple(tuple(row) for row in defined.mean(axis=2).tolist()) if defined.size else (),
    )
