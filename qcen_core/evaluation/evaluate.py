"""Evaluate results against ground truth: YouTube-VIS figures of masks, figures of boxes, association."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from qcen_core.errors import InputError
from qcen_core.evaluation.association import Association, association
from qcen_core.evaluation.average_precision import (
    ANY_SIZE,
    IOU_THRESHOLDS,
    RECALL_POINTS,
    VIDEO_BANDS,
    Band,
    Comparison,
    PrecisionRecall,
    mean_where_defined,
    precision_recall,
)
from qcen_core.evaluation.report import Curves, EvaluationReport
from qcen_core.evaluation.tube_iou import frame_iou
from qcen_core.evaluation.video_comparison import (
    VideoComparison,
    compare_frames,
    compare_tubes,
    compare_video,
    mean_best_iou,
)
from qcen_core.records import TrackDataset, TrackResult
from qcen_core.resultfile import read_results
from qcen_core.trackfile import read_annotations

OFFICIAL_FIGURES = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")


def evaluate(
    results: Path | Sequence[TrackResult], ground_truth: Path | TrackDataset, *, shown_score: float = 0.3
) -> EvaluationReport:
    """Evaluate results.

    The figures of masks are those of the official YouTube-VIS evaluation, with two differences: an annotation
    may have the id 0, and a track whose number of frames differs from its video's is an error.

    Args:
        results: a results file, or results.
        ground_truth: an annotation file, or its content.
        shown_score: association is measured on results with at least this score, those that a person would
            be shown. The precision figures rank all results and know no such limit.

    Raises:
        InputError: a file cannot be used, or the results do not fit the ground truth.
    """
    dataset = read_annotations(ground_truth) if isinstance(ground_truth, Path) else ground_truth
    found = read_results(results, dataset) if isinstance(results, Path) else results
    _require_fit(found, dataset)
    videos = _compare_videos(found, dataset)
    names = [category.name for category in dataset.categories]
    boxes = _measure([compare_tubes(video, video.boxes) for video in videos], len(names), (ANY_SIZE,))
    frames = _measure([compare_frames(video, video.boxes) for video in videos], len(names), (ANY_SIZE,))
    masks = None
    if all(video.masks is not None for video in videos):
        masks = _measure([compare_tubes(video, video.best) for video in videos], len(names), VIDEO_BANDS)
    return EvaluationReport(
        **official_figures(masks),
        measured_on="box" if masks is None else "mask",
        per_class=_per_class(masks, names),
        box_per_class=_per_class(boxes, names),
        box={
            "tube_AP": mean_where_defined(boxes.precision),
            "tube_AP50": mean_where_defined(boxes.precision[0]),
            "frame_AP": mean_where_defined(frames.precision),
            "frame_AP50": mean_where_defined(frames.precision[0]),
        },
        association=_associate(videos, shown_score),
        curves=_curves(masks or boxes),
        videos={video.name: mean_best_iou(video) for video in videos},
    )


def official_figures(measured: PrecisionRecall | None) -> dict[str, float | None]:
    """The twelve figures of YouTube-VIS.

    Args:
        measured: with the bands `VIDEO_BANDS` and the caps 1, 10 and 100; `None` where nothing can be measured.
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


def _require_fit(results: Sequence[TrackResult], dataset: TrackDataset) -> None:
    videos = {video.id: video for video in dataset.videos}
    hint = "evaluate results against the data that they were predicted for"
    for index, result in enumerate(results):
        place = f"result {index}"
        video = videos.get(result.video_id)
        if video is None:
            raise InputError(f"video {result.video_id} is not in the ground truth", place=place, hint=hint)
        if not 0 <= result.class_id < len(dataset.categories):
            raise InputError(f"class {result.class_id} is not in the ground truth", place=place, hint=hint)
        if len(result.segmentations) != len(video.frame_files):
            found, true = len(result.segmentations), len(video.frame_files)
            raise InputError(f"{found} frames, video {video.id} has {true}", place=place, hint=hint)
        sizes = {tuple(mask["size"]) for mask in result.segmentations if mask is not None}
        if sizes - {(video.height, video.width)}:
            size = f"{video.width} x {video.height}"
            raise InputError(f"its masks are not of the {size} pixels of video {video.id}", place=place, hint=hint)


def _compare_videos(results: Sequence[TrackResult], dataset: TrackDataset) -> list[VideoComparison]:
    with_masks = all(track.segmentations is not None for track in dataset.tracks)
    results_of: dict[int, list[TrackResult]] = {video.id: [] for video in dataset.videos}
    for result in results:
        results_of[result.video_id].append(result)
    # In the official order, by id, which decides between results of equal score.
    return [
        compare_video(
            video,
            results_of[video.id],
            [track for track in dataset.tracks if track.video_id == video.id],
            with_masks=with_masks,
        )
        for video in sorted(dataset.videos, key=lambda video: video.id)
    ]


def _measure(videos: Sequence[dict[int, Comparison]], classes: int, bands: Sequence[Band]) -> PrecisionRecall:
    of_class = [[video[class_id] for video in videos if class_id in video] for class_id in range(classes)]
    return precision_recall(of_class, bands=bands)


def _per_class(measured: PrecisionRecall | None, names: Sequence[str]) -> dict[str, float | None]:
    if measured is None:
        return dict.fromkeys(names)
    return {name: mean_where_defined(measured.precision[:, :, index, 0]) for index, name in enumerate(names)}


def _curves(measured: PrecisionRecall) -> Curves:
    precision = measured.precision[..., 0]
    defined = precision[:, :, ~np.isnan(precision).any(axis=(0, 1))]
    return Curves(
        iou_thresholds=tuple(IOU_THRESHOLDS.round(2).tolist()),
        AP=tuple(mean_where_defined(row) for row in precision),
        recall=tuple(RECALL_POINTS.round(2).tolist()),
        precision=tuple(tuple(row) for row in defined.mean(axis=2).tolist()) if defined.size else (),
    )


def _associate(videos: Sequence[VideoComparison], shown_score: float) -> Association:
    return association(
        (
            frame_iou(video.best)[:, video.scores >= shown_score][:, :, ~video.crowd],
            video.best.truth_areas[:, ~video.crowd],
        )
        for video in videos
    )
