"""A few videos of the hold-out split as a model sees them, on one picture to look at after each evaluation."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qcen_core.prepared import PreparedData
from qcen_core.resultfile import read_results
from qcen_core.trackfile import read_annotations
from qcen_core.training.batch_picture import write_jpeg
from qcen_core.visualization.overlay import OverlayStyle
from qcen_core.visualization.result_strips import comparison_strip

FRAME_WIDTH = 320
FRAMES_SHOWN = 4
_STYLE = OverlayStyle(boxes=True)


def draw_samples(results: Path, prepared: PreparedData, split: str, count: int, out: Path) -> Path | None:
    """Draw the first videos of a split, ground truth above predictions, a column for each of a few frames.

    They are the same videos and frames at every call, so that pictures of two evaluations can be compared.

    Args:
        results: the `results.json` of the split.
        prepared: the data set.
        split: name of the split.
        count: most videos drawn.
        out: the JPEG file to write, whole or not at all; its folder is made if missing.

    Returns:
        `out`, or `None` where there is nothing to draw: no videos, or no ground truth to draw beside them.

    Raises:
        InputError: results, ground truth or a frame that cannot be read.
    """
    ground_truth = prepared.splits[split].ground_truth if split in prepared.splits else None
    if ground_truth is None or count < 1:
        return None
    truth = read_annotations(ground_truth)
    videos = truth.videos[:count]
    if not videos:
        return None
    found = read_results(results, truth)
    strips = [
        comparison_strip(
            video, truth, found, prepared.frames_root, frames=FRAMES_SHOWN, cell_width=FRAME_WIDTH, style=_STYLE
        )
        for video in videos
    ]
    out.parent.mkdir(parents=True, exist_ok=True)
    write_jpeg(_stacked(strips), out)
    return out


def _stacked(strips: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Pictures (H, W, 3) below each other; beside the narrower ones their own ground goes on."""
    width = max(strip.shape[1] for strip in strips)
    return np.concatenate([np.pad(strip, ((0, 0), (0, width - strip.shape[1]), (0, 0)), "edge") for strip in strips])
