"""Pictures of how far a run is: a few hold-out videos with what was found in them, drawn at every evaluation."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qcen_core.prepared import PreparedData
from qcen_core.resultfile import read_results
from qcen_core.trackfile import read_annotations
from qcen_core.training.batch_picture import write_jpeg
from qcen_core.visualization.result_strips import comparison_strip


def draw_samples(results: Path, prepared: PreparedData, split: str, count: int, out: Path) -> Path | None:
    """Draw the first videos of a split, always the same: ground truth above, prediction below.

    Args:
        results: `results.json` of the split.
        prepared: the data set.
        split: name of the split.
        count: most videos drawn.
        out: JPEG file, written whole or not at all; its folder is made.

    Returns:
        The file, `None` if the split has no ground truth or no videos.

    Raises:
        InputError: results, ground truth or a frame that cannot be read.
    """
    ground_truth = prepared.splits[split].ground_truth
    if ground_truth is None:
        return None
    truth = read_annotations(ground_truth)
    found = read_results(results, truth)
    strips = [comparison_strip(video, truth, found, prepared.frames_root) for video in truth.videos[:count]]
    if not strips:
        return None
    out.parent.mkdir(parents=True, exist_ok=True)
    write_jpeg(_stacked(strips), out)
    return out


def _stacked(pictures: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Pictures below each other, narrower ones with their last column's colour beside them."""
    width = max(picture.shape[1] for picture in pictures)
    return np.concatenate([np.pad(p, ((0, 0), (0, width - p.shape[1]), (0, 0)), mode="edge") for p in pictures])
