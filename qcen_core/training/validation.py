"""Average precision of a checkpoint on a split with ground truth, by the same two verbs that a user calls."""

from collections.abc import Callable
from pathlib import Path

from qcen_core.boxfile import PreparedData
from qcen_core.evaluation.evaluate import evaluate
from qcen_core.inference.infer import InferProgress, infer
from qcen_core.inference.options import InferOptions


def validate(
    weights: Path,
    prepared: PreparedData,
    split: str,
    out: Path,
    device: str,
    on_progress: Callable[[InferProgress], None] | None = None,
) -> dict[str, float] | None:
    """Segment a split and compare it with its ground truth.

    Args:
        weights: the checkpoint.
        prepared: the data set.
        split: name of the split.
        out: folder for the results; those of an earlier call are replaced.
        device: name of the device to run on.
        on_progress: called after every frame.

    Returns:
        `AP` and `AP50` (0 to 1) of masks, or of box tubes where the ground truth has no masks; `None` where the
        split is missing, has no ground truth, or nothing in it can be scored.
    """
    if split not in prepared.splits:
        return None
    ground_truth = prepared.splits[split].ground_truth
    if ground_truth is None:
        return None
    report = infer(
        weights=weights,
        out=out,
        data=prepared.root,
        split=split,
        options=InferOptions(device=device),
        on_progress=on_progress,
    )
    figures = evaluate(report.outputs["results"], ground_truth).to_dict()
    box = figures["box"]
    assert isinstance(box, dict)  # noqa: S101  # the report's own promise, told to the type checker
    pairs = ((figures["AP"], figures["AP50"]), (box.get("tube_AP"), box.get("tube_AP50")))
    for average, at_half in pairs:
        if isinstance(average, float) and isinstance(at_half, float):
            return {"AP": average, "AP50": at_half}
    return None
