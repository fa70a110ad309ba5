"""Accuracy of a checkpoint on a split with ground truth, by the same two verbs that a user calls."""

from collections.abc import Callable
from pathlib import Path

from qcen_core.evaluation.evaluate import evaluate
from qcen_core.inference.infer import InferProgress, infer_to_folder
from qcen_core.inference.options import InferOptions
from qcen_core.prepared import PreparedData


def validate(
    weights: Path,
    prepared: PreparedData,
    split: str,
    out: Path,
    device: str,
    on_progress: Callable[[InferProgress], None] | None = None,
) -> dict[str, float]:
    """Segment a split and compare it with its ground truth.

    Args:
        weights: the checkpoint.
        prepared: the data set.
        split: name of the split.
        out: folder for the results; those of an earlier call are replaced.
        device: name of the device to run on.
        on_progress: called after every frame.

    Returns:
        `AP` and `AP50` of masks, `box_AP` of box tubes and `association` accuracy, 0 to 1; what the split cannot tell
        is missing.
    """
    if split not in prepared.splits:
        return {}
    ground_truth = prepared.splits[split].ground_truth
    if ground_truth is None:
        return {}
    report = infer_to_folder(
        weights=weights,
        out=out,
        data=prepared.root,
        split=split,
        options=InferOptions(device=device),
        on_progress=on_progress,
    )
    measured = evaluate(report.outputs["results"], ground_truth)
    figures = {
        "AP": measured.AP,
        "AP50": measured.AP50,
        "box_AP": measured.box["tube_AP"],
        "association": measured.association.accuracy,
    }
    return {name: value for name, value in figures.items() if value is not None}
