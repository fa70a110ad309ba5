"""What tracks and scores a trained model: the same weights segmented several ways, AP over the clips of a split.

    python -m benchmarks.inference_choices --data runs/learning/shapes_standard/test WEIGHTS [WEIGHTS ...]

For models that learned neither contrast nor exchange, whose embedding is the query itself:

- *default*: `qcen infer`'s choices; likeness of queries and mask overlap.
- *queries*: instances are matched by the likeness of queries alone.
- *queries, place*: by queries and by where they look, both as unit vectors. It is what the contrast embedding reads,
  without anything learned for it.
- *default, no box in the score*: scores are not multiplied by the fit of mask and box.
"""

import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import Annotated, cast

import torch
import torch.nn.functional as F
import typer
from rich.table import Table
from torch import Tensor, nn

from benchmarks.command_line import console, run_app
from qcen_core.errors import InputError
from qcen_core.evaluation.evaluate import evaluate
from qcen_core.evaluation.report import EvaluationReport
from qcen_core.inference.inputs import prepared_split
from qcen_core.inference.options import InferOptions
from qcen_core.inference.outputs import write_forms
from qcen_core.inference.run_files import video_files
from qcen_core.inference.segment_inputs import segment_inputs
from qcen_core.inference.segment_video import contrast_was_learned, exchange_was_learned
from qcen_core.model.checkpoint import Checkpoint, load_checkpoint
from qcen_core.model.pixel_decoder import PixelFeatures
from qcen_core.model.segmenter import FrameSegmenter
from qcen_core.prepared import read_prepared
from qcen_core.structures import SegmenterOutput

Change = Callable[[SegmenterOutput], SegmenterOutput]


class Changed(nn.Module):
    """A segmenter whose predictions are changed before they are scored and tracked."""

    def __init__(self, model: FrameSegmenter, change: Change) -> None:
        super().__init__()
        self.model = model
        self.change = change

    def encode(self, frames: Tensor, valid: Tensor) -> PixelFeatures:
        """As the segmenter does."""
        features: PixelFeatures = self.model.encode(frames, valid)
        return features

    def decode(self, features: PixelFeatures) -> SegmenterOutput:
        """The segmenter's predictions, changed."""
        return self.change(self.model.decode(features))


def unchanged(output: SegmenterOutput) -> SegmenterOutput:
    """The predictions as they are."""
    return output


def with_place(output: SegmenterOutput) -> SegmenterOutput:
    """Queries (N, Q, D) with their positions beside them, both of unit length: (N, Q, 2 D)."""
    both = torch.cat((F.normalize(output.queries, dim=-1), F.normalize(output.positions, dim=-1)), dim=-1)
    return output._replace(queries=both)


def without_boxes(output: SegmenterOutput) -> SegmenterOutput:
    """Predictions that have no boxes to measure masks by."""
    return output._replace(layers=tuple(layer._replace(boxes=None) for layer in output.layers))


CHOICES: dict[str, tuple[Change, float | None]] = {
    "default": (unchanged, None),
    "queries": (unchanged, 0.0),
    "queries, place": (with_place, 0.0),
    "default, no box in the score": (without_boxes, None),
}


def measure(checkpoint: Checkpoint, data: Path, split: str, change: Change, overlap: float | None) -> EvaluationReport:
    """Segment and evaluate a split of a prepared data set in one way."""
    truth = read_prepared(data).splits[split].ground_truth
    if truth is None:
        raise InputError(f"split '{split}' has no ground truth", place=data, hint="name a hold-out split")
    model = cast("FrameSegmenter", Changed(checkpoint.model, change).eval())  # it has all that inference asks for
    changed = replace(checkpoint, model=model)
    inputs = prepared_split(data, split, checkpoint.categories, None)
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        files = video_files(folder, inputs.videos)
        files[0].log.parent.mkdir(exist_ok=True)
        segment_inputs(changed, inputs, files, None, InferOptions(overlap_weight=overlap))
        outputs, *_ = write_forms(inputs.categories, [place.log for place in files], folder, (), confidence=0.0)
        return evaluate(outputs["results"], truth)


def inference_choices(
    weights: Annotated[list[Path], typer.Argument(help="checkpoints of one kind, one a seed")],
    data: Annotated[Path, typer.Option(help="prepared data set")],
    split: Annotated[str, typer.Option(help="its split")] = "holdout",
) -> None:
    """Segment a split with each checkpoint in every way."""
    table = Table("", "AP", "AP50", "linked right, %")
    for name, (change, overlap) in CHOICES.items():
        reports = []
        for file in weights:
            checkpoint = load_checkpoint(file, torch.device("cpu"))
            if contrast_was_learned(checkpoint) or exchange_was_learned(checkpoint):
                raise InputError("learned by contrast or exchange", place=file, hint="pass those of the row `box`")
            reports.append(measure(checkpoint, data, split, change, overlap))
        columns = [
            [report.AP or 0.0 for report in reports],
            [report.AP50 or 0.0 for report in reports],
            [report.association.accuracy or 0.0 for report in reports],
        ]
        table.add_row(name, *(spread(column) for column in columns))
    console.print(table)


def spread(shares: list[float]) -> str:
    """Mean and standard deviation in percent."""
    deviation = f" ± {100 * stdev(shares):.1f}" if len(shares) > 1 else ""
    return f"{100 * mean(shares):.1f}{deviation}"


def main() -> int:
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(help=__doc__)(inference_choices)
    return run_app(app)


if __name__ == "__main__":
    sys.exit(main())
