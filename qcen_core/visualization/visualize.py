"""The verb `visualize`: a data set, a training run or results become pictures and one page."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from qcen_core.boxfile import read_boxes
from qcen_core.errors import InputError
from qcen_core.prepared import read_prepared
from qcen_core.resultfile import read_results
from qcen_core.trackfile import read_annotations
from qcen_core.visualization.contact_sheet import contact_sheet
from qcen_core.visualization.curves import draw_chart
from qcen_core.visualization.dataset_sheet import class_counts, dataset_thumbnails
from qcen_core.visualization.evaluation_page import evaluation_sections, percent
from qcen_core.visualization.html_report import (
    Block,
    Charts,
    Page,
    Picture,
    Section,
    Table,
    Tile,
    Tiles,
    Video,
    picture,
    video,
    write,
)
from qcen_core.visualization.overlay import OverlayStyle
from qcen_core.visualization.result_strips import comparison_strip, measured_quality, track_strip, worst_first
from qcen_core.visualization.training_curves import ACCURACIES, METRICS_FILE, read_metrics, training_charts

DATA_FILE, RESULTS_FILE, TRACKS_FILE = "dataset.yaml", "results.json", "tracks.json"
SUMMARY_FILE, REPORT_FILE, OVERLAY_FILE = "summary.json", "report.json", "overlay.mp4"
PAGE_FILE = "report.html"


def visualize(
    target: Path,
    out: Path,
    *,
    ground_truth: Path | None = None,
    frames_root: Path | None = None,
    max_videos: int = 12,
) -> dict[str, Path]:
    """Draw what there is to see.

    Args:
        target: a prepared data set, the folder of a training or inference run, or a `results.json`.
        out: folder for the pictures and the page; made if missing.
        ground_truth: annotation file to draw beside results; by default what the run's `summary.json` names.
        frames_root: folder that the ground truth's frame files are relative to; by default as the summary says,
            else `JPEGImages` beside the ground truth, else its own folder.
        max_videos: most videos shown of a split or of results.

    Returns:
        Kind of output to file: always `report`, and the pictures by name.

    Raises:
        InputError: nothing there that can be drawn, or a file of it that cannot be used.
    """
    if target.is_dir() and (target / DATA_FILE).is_file():
        return _visualize_data(target, out, max_videos)
    if target.is_dir() and (target / RESULTS_FILE).is_file():
        return _visualize_results(target / RESULTS_FILE, out, ground_truth, frames_root, max_videos)
    if target.is_dir() and (target / METRICS_FILE).is_file():
        return _visualize_run(target, out)
    if target.is_file() and target.suffix == ".json":
        return _visualize_results(target, out, ground_truth, frames_root, max_videos)
    if target.is_file() and target.name == METRICS_FILE:
        return _visualize_run(target.parent, out)
    raise InputError(
        "nothing here to draw" if target.exists() else "no such file or folder",
        place=target,
        hint=f"give a folder with {DATA_FILE}, {METRICS_FILE} or {RESULTS_FILE} in it, or a results file",
    )


def _visualize_data(root: Path, out: Path, max_videos: int) -> dict[str, Path]:
    prepared = read_prepared(root)
    outputs: dict[str, Path] = {}
    sections: list[Section] = []
    for name, split in prepared.splits.items():
        dataset = read_boxes(split.boxes, prepared.frames_root)
        counts = class_counts(dataset)
        blocks: list[Block] = [
            Tiles(
                (
                    Tile("Videos", str(len(dataset.videos))),
                    Tile("Frames", str(sum(len(video.frame_files) for video in dataset.videos))),
                    Tile("Boxes", str(sum(boxes for boxes, _ in counts.values()))),
                    Tile("Classes", str(len(dataset.categories))),
                )
            )
        ]
        thumbnails = dataset_thumbnails(dataset, max_videos)
        if thumbnails:
            sheet = contact_sheet(thumbnails, style=OverlayStyle(ids=False))
            outputs[name] = _write_png(sheet, out / f"{name}.png")
            blocks.append(picture(sheet, f"One frame of each video, {len(thumbnails)} of {len(dataset.videos)} shown."))
        rows = tuple((label, str(boxes), str(videos)) for label, (boxes, videos) in counts.items())
        blocks.append(Table(("class", "boxes", "videos"), rows))
        sections.append(Section(name.capitalize(), tuple(blocks)))
    names = ", ".join(category.name for category in prepared.categories)
    page = Page(f"Data set {prepared.name}", names, tuple(sections))
    return {"report": _write_page(page, out), **outputs}


def _visualize_run(run: Path, out: Path) -> dict[str, Path]:
    metrics = read_metrics(run / METRICS_FILE)
    steps = [xs[-1] for xs, _ in metrics.values() if xs]
    tiles = [Tile("Steps", f"{max(steps):,.0f}")] if steps else []
    for name, label in ACCURACIES.items():
        values = metrics.get(name, ([], []))[1]
        if values:
            tiles.append(Tile(f"Best {label}", f"{100 * max(values):.1f}", "% on the hold-out"))
    for name, label in (("total", "Last loss"), ("frames_per_second", "Frames a second")):
        values = metrics.get(name, ([], []))[1]
        if values:
            tiles.append(Tile(label, f"{values[-1]:.3g}"))
    sections = [Section("", (Tiles(tuple(tiles)),))] if tiles else []
    for heading, charts in training_charts(metrics).items():
        sections.append(Section(heading, (Charts(tuple(draw_chart(chart) for chart in charts)),)))
    page = Page(f"Training run {run.resolve().name}", str(run), tuple(sections))
    return {"report": _write_page(page, out)}


def _visualize_results(
    results_file: Path, out: Path, ground_truth: Path | None, frames_root: Path | None, max_videos: int
) -> dict[str, Path]:
    folder = results_file.parent
    summary = _read_object(folder / SUMMARY_FILE)
    figures = _read_object(folder / REPORT_FILE)
    ground_truth = ground_truth or _path(summary, "ground_truth")
    frames_root = frames_root or _path(summary, "frames_root")
    outputs: dict[str, Path] = {}
    sections: list[Section] = list(evaluation_sections(figures))
    if (folder / OVERLAY_FILE).is_file():
        film: Video = video(folder / OVERLAY_FILE, out / PAGE_FILE, "Every frame, with the instances found.")
        sections.insert(0, Section("", (film,)))
    if ground_truth is not None:
        truth = read_annotations(ground_truth)
        results = read_results(results_file, truth)
        root = frames_root or _beside(ground_truth)
        strips: list[Picture] = []
        for record in worst_first(truth.videos, figures)[:max_videos]:
            strip = comparison_strip(record, truth, results, root)
            outputs[record.name] = _write_png(strip, out / "videos" / f"{record.name}.png")
            quality = measured_quality(record, figures)
            note = "" if quality is None else f": mean best IoU {percent(quality)} %"
            strips.append(picture(strip, record.name + note))
        sections.append(Section("Ground truth above, prediction below", tuple(strips)))
    elif (folder / TRACKS_FILE).is_file() and (source := _path(summary, "source")) is not None:
        strip = track_strip(read_annotations(folder / TRACKS_FILE), source)
        outputs["strip"] = _write_png(strip, out / "strip.png")
        sections.append(Section("Frames", (picture(strip, source.name),)))
    else:
        raise InputError(
            "no frames to draw these results on",
            place=results_file,
            hint="give the annotation file that the results belong to, or results in the folder of their run",
        )
    page = Page("Results", str(results_file), tuple(sections))
    return {"report": _write_page(page, out), **outputs}


def _beside(annotations: Path) -> Path:
    folder = annotations.parent / "JPEGImages"
    return folder if folder.is_dir() else annotations.parent


def _read_object(path: Path) -> Mapping[str, Any]:
    """A JSON object that may be missing."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"not JSON: {error}", place=path, hint="remove it, or make it again") from error
    return content if isinstance(content, dict) else {}


def _path(summary: Mapping[str, Any], key: str) -> Path | None:
    value = summary.get(key)
    return Path(value) if isinstance(value, str) else None


def _write_png(image: NDArray[np.uint8], path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    _, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(data.tobytes())
    return partial.replace(path)


def _write_page(page: Page, out: Path) -> Path:
    path = out / PAGE_FILE
    write(page, path)
    return path
