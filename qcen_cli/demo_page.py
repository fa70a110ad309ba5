"""The page that `qcen demo` ends with, and its film strip."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qcen_core.evaluation.report import EvaluationReport
    from qcen_core.visualization.html_report import Picture

FRAMES_SHOWN = 5


def write_demo_page(folder: Path, report: "EvaluationReport") -> Path:
    """Draws the film strip of a typical clip and writes the page.

    Args:
        folder: of the demo; holds `data`, `train`, `infer` and `overlay.mp4`.
        report: the evaluation of its results.

    Returns:
        The page, `report.html` in the folder.
    """
    from qcen_core.visualization import html_report
    from qcen_core.visualization.curves import draw_chart
    from qcen_core.visualization.evaluation_page import evaluation_sections
    from qcen_core.visualization.training_curves import read_metrics, training_charts

    page = folder / "report.html"
    headline, *details = evaluation_sections(report.to_dict())
    charts = training_charts(read_metrics(folder / "train" / "metrics.csv"))
    sections = [
        headline,
        html_report.Section("Every held-out clip", (html_report.video(folder / "overlay.mp4", page),)),
        html_report.Section("Ground truth above, prediction below", _strips(folder, report)),
        *details,
    ]
    for title, group in charts.items():
        drawings = html_report.Charts(tuple(draw_chart(chart) for chart in group))
        sections.append(html_report.Section(f"Training: {title.lower()}", (drawings,)))
    subtitle = "Trained from nothing on boxes alone: no mask and no identity was ever read in training."
    html_report.write(html_report.Page("QCEN demo", subtitle, tuple(sections)), page)
    return page


def _strips(folder: Path, report: "EvaluationReport") -> "tuple[Picture, ...]":
    """Film strips of the best, a typical and the worst clip; the typical one is also written as a picture."""
    import cv2

    from qcen_core.prepared import read_prepared
    from qcen_core.resultfile import read_results
    from qcen_core.trackfile import read_annotations
    from qcen_core.visualization.html_report import picture
    from qcen_core.visualization.result_strips import comparison_strip

    prepared = read_prepared(folder / "data")
    truth = read_annotations(folder / "data" / "holdout_gt.json")
    results = read_results(folder / "infer" / "results.json", truth)
    quality = {name: value for name, value in report.videos.items() if value is not None}
    ranked = sorted((video for video in truth.videos if video.name in quality), key=lambda video: quality[video.name])
    pictures = []
    for place, index in (("Best", -1), ("Typical", len(ranked) // 2), ("Worst", 0)):
        video = ranked[index]
        strip = comparison_strip(video, truth, results, prepared.frames_root, frames=FRAMES_SHOWN)
        caption = f"{place} clip: mean IoU of its objects {100 * quality[video.name]:.0f} %"
        pictures.append(picture(strip, caption))
        if place == "Typical":
            cv2.imwrite(str(folder / "film_strip.png"), cv2.cvtColor(strip, cv2.COLOR_RGB2BGR))
    return tuple(pictures)
