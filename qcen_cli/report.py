"""`report.json` and `report.html`: what an evaluation found, to read on and to look at."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from qcen_cli import console

if TYPE_CHECKING:
    from qcen_core.evaluation.report import EvaluationReport
    from qcen_core.visualization.html_report import Section

SHOWN_THRESHOLDS = (0.5, 0.75, 0.9)
SHOWN_VIDEOS = 10


def write_report(report: "EvaluationReport", results: Path, ground_truth: Path, folder: Path) -> Path:
    """Writes `report.json` and `report.html` into a folder; earlier ones there are replaced.

    Returns:
        The page.
    """
    from qcen_core.visualization import html_report

    folder.mkdir(parents=True, exist_ok=True)
    whole = folder / "report.json"
    partial = folder / ".report.json.partial"
    partial.write_text(json.dumps(report.to_dict(), indent=2, allow_nan=False) + "\n", encoding="utf-8")
    partial.replace(whole)
    subtitle = f"{results} compared with {ground_truth}"
    page = folder / "report.html"
    html_report.write(html_report.Page("Evaluation", subtitle, evaluation_sections(report)), page)
    return page


def evaluation_sections(report: "EvaluationReport") -> "tuple[Section, ...]":
    """Key figures, precision and recall, classes, and the videos that went worst."""
    from qcen_core.visualization.curves import draw_chart, precision_recall_chart
    from qcen_core.visualization.html_report import Charts, Section, Table, Text, Tile, Tiles

    percent = console.percent
    with_masks = report.measured_on == "mask"
    measured = "masks" if with_masks else "boxes"
    whole, half = (report.AP, report.AP50) if with_masks else (report.box["tube_AP"], report.box["tube_AP50"])
    tiles = (
        Tile("AP", percent(whole), f"of {measured}, percent"),
        Tile("AP50", percent(half), "at IoU 0.5"),
        Tile("Frame AP", percent(report.box["frame_AP"]), "boxes, whatever the identity"),
        Tile("Linked right", percent(report.association.accuracy), "from frame to frame, percent"),
        Tile("Matched IoU", percent(report.association.mean_iou), f"mean over {measured}, percent"),
    )
    classes = report.per_class if with_masks else report.box_per_class
    rows = tuple((name, percent(value)) for name, value in classes.items())
    sizes = tuple((name, percent(getattr(report, name))) for name in ("AP75", "APs", "APm", "APl", "AR1", "AR10"))
    blocks = [Table(("class", "AP"), rows, "By class, percent")]
    if with_masks:
        blocks.append(Table(("figure", "percent"), sizes, "By size of the object and number of results"))
    scored = sorted((value, name) for name, value in report.videos.items() if value is not None)
    worst = tuple((name, percent(value)) for value, name in scored[:SHOWN_VIDEOS])
    sections = [Section("", (Tiles(tiles),)), Section("Figures", tuple(blocks))]
    if report.curves.precision:
        lines = dict(zip(report.curves.iou_thresholds, report.curves.precision, strict=True))
        shown = [threshold for threshold in SHOWN_THRESHOLDS if threshold in lines]
        chart = precision_recall_chart(report.curves.recall, [lines[threshold] for threshold in shown], shown)
        sections.append(Section("Precision and recall", (Charts((draw_chart(chart),)),)))
    if worst:
        note = Text("Mean over the objects of a video of the IoU with the best result of their class.")
        sections.append(Section("Hardest videos", (note, Table(("video", "IoU"), worst, "In percent"))))
    return tuple(sections)
