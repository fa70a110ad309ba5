"""`report.json` and `report.html`: what an evaluation found, to read on and to look at."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qcen_core.evaluation.report import EvaluationReport


def write_report(
    report: "EvaluationReport", results: Path, ground_truth: Path, folder: Path, supervision: Sequence[str] | None
) -> Path:
    """Writes `report.json` and `report.html` into a folder; earlier ones there are replaced.

    `supervision` are the kinds of labels that went into the weights, where that is known.

    Returns:
        The page.
    """
    from qcen_core.visualization import html_report
    from qcen_core.visualization.evaluation_page import evaluation_sections

    folder.mkdir(parents=True, exist_ok=True)
    figures = report.to_dict() | {"supervision": supervision}
    partial = folder / ".report.json.partial"
    partial.write_text(json.dumps(figures, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    partial.replace(folder / "report.json")
    subtitle = f"{results} compared with {ground_truth}"
    if supervision is not None:
        subtitle += f"; the weights learned from {', '.join(supervision)}"
    page = folder / "report.html"
    html_report.write(html_report.Page("Evaluation", subtitle, evaluation_sections(figures)), page)
    return page
