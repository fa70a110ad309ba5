"""`report.json` and `report.html`: what an evaluation found, to read on and to look at."""

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from qcen_core.errors import InputError

if TYPE_CHECKING:
    from qcen_core.evaluation.report import EvaluationReport


def write_report(
    report: "EvaluationReport",
    results: Path,
    ground_truth: Path,
    folder: Path,
    supervision: Sequence[str] | None,
    frames_root: Path | None = None,
) -> Path:
    """Writes `report.json` and `report.html` into a folder; earlier ones there are replaced.

    Args:
        report: what was found.
        results: the results file.
        ground_truth: the annotation file.
        folder: where to write.
        supervision: the kinds of labels that went into the weights, where that is known.
        frames_root: folder of the ground truth's frames, for the player; by default as `qcen visualize` finds it. Where
            there are none, masks stand on grey.

    Returns:
        The page.
    """
    from qcen_core.jsonfile import write_whole
    from qcen_core.visualization import html_report
    from qcen_core.visualization.evaluation_page import evaluation_page
    from qcen_core.visualization.frames_place import frames_beside
    from qcen_core.visualization.player import read_player

    folder.mkdir(parents=True, exist_ok=True)
    figures = report.to_dict() | {"supervision": supervision}
    write_whole(json.dumps(figures, indent=2, allow_nan=False).encode() + b"\n", folder / "report.json")
    subtitle = f"{results} compared with {ground_truth}"
    if supervision is not None:
        subtitle += f"; the weights learned from {', '.join(supervision)}"
    # Figures need no frames: where these cannot be found, masks stand on grey.
    with suppress(InputError):
        frames_root = frames_root or frames_beside(ground_truth, results)
    player = read_player(results, ground_truth, frames_root, figures)
    page = folder / "report.html"
    html_report.write(evaluation_page(figures, subtitle, player), page)
    return page
