"""The verb `visualize`: a data set, a training run or results become pictures and one page."""

from pathlib import Path

from qcen_core.errors import InputError
from qcen_core.prepared import PREPARED_FILE
from qcen_core.visualization.data_page import write_data_page
from qcen_core.visualization.results_page import write_results_page
from qcen_core.visualization.run_page import write_run_page
from qcen_core.visualization.training_curves import METRICS_FILE

RESULTS_FILE = "results.json"
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
            else as the prepared data set says that the ground truth is part of, else `JPEGImages` beside it, else its
            own folder.
        max_videos: most videos shown of a split or of results.

    Returns:
        Kind of output to file: always `report`, and the pictures by name.

    Raises:
        InputError: nothing there that can be drawn, or a file of it that cannot be used.
    """
    page = out / PAGE_FILE
    if target.is_dir() and (target / PREPARED_FILE).is_file():
        return write_data_page(target, page, max_videos)
    if target.is_dir() and (target / RESULTS_FILE).is_file():
        return write_results_page(target / RESULTS_FILE, page, ground_truth, frames_root, max_videos)
    if target.is_dir() and (target / METRICS_FILE).is_file():
        return write_run_page(target, page)
    if target.is_file() and target.suffix == ".json":
        return write_results_page(target, page, ground_truth, frames_root, max_videos)
    if target.is_file() and target.name == METRICS_FILE:
        return write_run_page(target.parent, page)
    raise InputError(
        "nothing here to draw" if target.exists() else "no such file or folder",
        place=target,
        hint=f"give a folder with {PREPARED_FILE}, {METRICS_FILE} or {RESULTS_FILE} in it, or a results file",
    )
