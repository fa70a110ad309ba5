"""The page of results: figures, the player, and film strips, the worst videos first."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qcen_core.errors import InputError
from qcen_core.records import TrackDataset
from qcen_core.resultfile import read_results
from qcen_core.trackfile import read_annotations
from qcen_core.visualization.dataset_sheet import write_sheet
from qcen_core.visualization.evaluation_page import evaluation_sections, percent
from qcen_core.visualization.frames_place import SUMMARY_FILE, frames_beside, path_in, read_object
from qcen_core.visualization.html_report import Page, Picture, Section, Video, picture, video, write
from qcen_core.visualization.player import SHOWN_SCORE, listed_videos
from qcen_core.visualization.player_data import player_data
from qcen_core.visualization.result_strips import comparison_strip, measured_quality, track_strip, worst_first

TRACKS_FILE, REPORT_FILE, OVERLAY_FILE = "tracks.json", "report.json", "overlay.mp4"
_WIDEST = 1200  # pixels of a film strip inside the page


def write_results_page(
    results_file: Path, page: Path, ground_truth: Path | None, frames_root: Path | None, max_videos: int
) -> dict[str, Path]:
    """Draw results beside their ground truth, or on the video they were found in.

    Args:
        results_file: the `results.json`; `summary.json`, `report.json` and `overlay.mp4` beside it are used.
        page: the page to write; pictures lie beside it.
        ground_truth: annotation file; by default what the summary names.
        frames_root: folder of its frames; by default as `frames_beside` finds it.
        max_videos: most videos shown.

    Returns:
        `report`, and the film strip of each video by its name, or `strip`.

    Raises:
        InputError: there is nothing to draw the results on, or a file cannot be read.
    """
    folder = results_file.parent
    summary, figures = read_object(folder / SUMMARY_FILE), read_object(folder / REPORT_FILE)
    ground_truth = ground_truth or path_in(summary, "ground_truth")
    source = path_in(summary, "source")
    player: dict[str, Any] | None = None
    if ground_truth is not None:
        truth = read_annotations(ground_truth)
        root = frames_root or frames_beside(ground_truth, results_file)
        player, outputs, strips = _compare(results_file, truth, root, page.parent, figures, max_videos)
        drawn = Section("Ground truth above, prediction below", tuple(strips))
    elif (folder / TRACKS_FILE).is_file() and source is not None:
        strip = track_strip(read_annotations(folder / TRACKS_FILE), source)
        outputs = {"strip": page.parent / "strip.png"}
        write_sheet(strip, outputs["strip"])
        drawn = Section("Frames", (picture(strip, source.name),))
    else:
        raise InputError(
            "no frames to draw these results on",
            place=results_file,
            hint="give the annotation file that the results belong to, or results in the folder of their run",
        )
    sections = [*evaluation_sections(figures, player), drawn]
    if (folder / OVERLAY_FILE).is_file():
        film: Video = video(folder / OVERLAY_FILE, page, "Every frame, with the instances found.")
        sections.insert(0, Section("", (film,)))
    write(Page("Results", str(results_file), tuple(sections), data=player), page)
    return {"report": page, **outputs}


def _compare(
    results_file: Path, truth: TrackDataset, root: Path, out: Path, figures: Mapping[str, Any], max_videos: int
) -> tuple[dict[str, Any], dict[str, Path], list[Picture]]:
    """The player's data, the files of the film strips, and the strips for the page."""
    results = read_results(results_file, truth)
    listed = listed_videos(truth.videos, figures, max_videos)
    player = player_data(listed, truth, results, root, figures, figures.get("shown_score", SHOWN_SCORE))
    outputs: dict[str, Path] = {}
    strips: list[Picture] = []
    for record in worst_first(truth.videos, figures)[:max_videos]:
        strip = comparison_strip(record, truth, results, root)
        outputs[record.name] = out / "videos" / f"{record.name}.png"
        write_sheet(strip, outputs[record.name])
        quality = measured_quality(record, figures)
        note = "" if quality is None else f": mean best IoU {percent(quality)} %"
        strips.append(picture(strip, record.name + note, _WIDEST))
    return player, outputs, strips
