"""The page of a training run: its curves, and what the model saw in the same videos as it learned."""

import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

from qcen_core.video.frame_folder import list_frames, read_image
from qcen_core.visualization.contact_sheet import Thumbnail, contact_sheet
from qcen_core.visualization.curves import draw_chart
from qcen_core.visualization.dataset_sheet import spread, write_sheet
from qcen_core.visualization.html_report import Charts, Drawing, Page, Section, Text, Tile, Tiles, picture, write
from qcen_core.visualization.training_curves import ACCURACIES, METRICS_FILE, Metrics, read_metrics, training_charts

SAMPLES_FOLDER = "samples"
SAMPLES_SHOWN = 6
_WIDEST = 1200  # pixels of a sample inside the page
_WORDS = (
    "The same frames of the same held-out videos after more and more steps: ground truth in the upper row of each "
    "video, prediction below. The slider goes through training."
)


def write_run_page(run: Path, page: Path) -> dict[str, Path]:
    """Draw the course of a training run.

    Args:
        run: its folder, with `metrics.csv`, and with `samples` where it drew any.
        page: the page to write; pictures lie beside it.

    Returns:
        `report`, and `samples`, a picture of all the samples shown, where there are any.

    Raises:
        InputError: the metrics or a sample cannot be read.
    """
    metrics = read_metrics(run / METRICS_FILE)
    tiles = _tiles(metrics)
    sections = [Section("", (Tiles(tuple(tiles)),))] if tiles else []
    outputs: dict[str, Path] = {}
    shown = spread(list_frames(run / SAMPLES_FOLDER) if (run / SAMPLES_FOLDER).is_dir() else [], SAMPLES_SHOWN)
    charts = training_charts(metrics)
    for heading, group in charts.items():
        sections.append(Section(heading, (Charts(tuple(draw_chart(chart) for chart in group)),)))
    if shown:
        outputs["samples"] = page.parent / "samples.png"
        thumbnails = [Thumbnail(read_image(file), _step(file)) for file in shown]
        write_sheet(contact_sheet(thumbnails, cell_width=800), outputs["samples"])
        # After the first charts: loss and accuracy tell most, then the pictures.
        sections.insert(min(2, len(sections)), Section("Samples over training", (Text(_WORDS), _flip_book(shown))))
    write(Page(f"Training run {run.resolve().name}", str(run), tuple(sections)), page)
    return {"report": page, **outputs}


def _tiles(metrics: Metrics) -> list[Tile]:
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
    return tiles


def _flip_book(files: Sequence[Path]) -> Drawing:
    """Samples and a slider that shows one of them; without a script they follow each other."""
    figures = []
    for file in files:
        shown = picture(read_image(file), _step(file), _WIDEST)
        told = escape(shown.caption, quote=True)
        figures.append(f"<figure><figcaption>{told}</figcaption><img src='{shown.source}' alt='{told}'></figure>")
    last = len(files) - 1
    slider = f"<input class='seek' type='range' min='0' max='{last}' value='{last}' aria-label='Step of training'>"
    return Drawing(f"<div class='flip'>{slider if last else ''}{''.join(figures)}</div>")


def _step(file: Path) -> str:
    """What stands under a sample: the step in its name, or the name."""
    number = re.search(r"\d+", file.stem)
    return file.stem if number is None else f"step {int(number[0]):,}"
