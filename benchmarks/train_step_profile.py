"""Where the time of a training step goes.

The step is cut at the segmenter's output: the losses run on detached copies, and their gradients are then handed to
the segmenter, so that its own backward pass is timed apart from that of the losses. The sum is the ordinary step.

    python benchmarks/train_step_profile.py [--recipe shapes_tiny] [--steps 60] [--threads 2]
"""

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map_only

from qcen_core.config import QcenConfig, load_config
from qcen_core.conversion.prepare import prepare
from qcen_core.data.loader import batches
from qcen_core.method.criterion import SetCriterion, loss_weights, total_loss
from qcen_core.structures import SegmenterOutput
from qcen_core.training.initial_weights import build_model
from qcen_core.training.optimizer import AveragedWeights, build_optimizer
from qcen_core.training.training_data import load_training_data

WARM_UP_STEPS = 5
MODEL_PARTS = ("model forward", "model backward")


class Stopwatch:
    """Seconds by part of the step."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        """Add the time spent inside to a part."""
        started = time.perf_counter()
        yield
        self.seconds[part] += time.perf_counter() - started


def tensors_of(output: SegmenterOutput) -> list[Tensor]:
    """Every tensor of an output, in an order that depends on its shape alone."""
    leaves, _ = tree_flatten(output)
    return [leaf for leaf in leaves if isinstance(leaf, Tensor)]


def cut(output: SegmenterOutput) -> SegmenterOutput:
    """The same output as leaves of a new graph."""
    leaves: SegmenterOutput = tree_map_only(Tensor, lambda tensor: tensor.detach().requires_grad_(), output)
    return leaves


def profile(config: QcenConfig, steps: int) -> dict[str, float]:
    """Mean seconds a step by part, at a step where every term is on."""
    data = load_training_data(config)
    model = build_model(config, [category.name for category in data.prepared.categories], fresh=True).train()
    optimizer = build_optimizer(model, config.optim)
    average = AveragedWeights(model, 0.99)
    criterion = SetCriterion(config.loss, config.matching, config.pairs)
    weights = loss_weights(config.loss, max(config.loss.exchange_start, config.loss.filled_box_steps // 2))
    watch = Stopwatch()
    stream = iter(batches(data.clips, config.data, first=0, last=steps + WARM_UP_STEPS, seed=0))
    for step in range(steps + WARM_UP_STEPS):
        if step == WARM_UP_STEPS:
            watch.seconds.clear()
        with watch("loading"):
            batch = next(stream).batch
        with watch("model forward"):
            visits = config.loss.exchange == "decoder"
            output = model(batch.frames(), batch.frame_valid(), batch.images.shape[1] if visits else 1)
        leaves = cut(output)
        with watch("matching and losses"):
            loss = total_loss(criterion(leaves, batch, weights).terms, weights)
        with watch("backward of the losses"):
            loss.backward()
        pairs = [(o, p.grad) for o, p in zip(tensors_of(output), tensors_of(leaves), strict=True) if p.grad is not None]
        with watch("model backward"):
            torch.autograd.backward([o for o, _ in pairs], [g for _, g in pairs])
        with watch("optimizer"):
            torch.nn.utils.clip_grad_norm_(model.parameters(), config.optim.clip_norm)
            optimizer.step()
            optimizer.zero_grad()
            average.update(step)
    return {part: seconds / steps for part, seconds in watch.seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="shapes_tiny")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "shapes"
        prepare(dataset="shapes", out=root, level="easy", clips=24, holdout_clips=2)
        parts = profile(load_config(arguments.recipe, [f"data.root={root}", "data.workers=0"]), arguments.steps)
    total = sum(parts.values())
    for part, seconds in parts.items():
        print(f"{part:24}{seconds * 1000:8.1f} ms {seconds / total:7.1%}")
    share = sum(parts[part] for part in MODEL_PARTS) / total
    print(f"{'step':24}{total * 1000:8.1f} ms; model forward and backward {share:.1%} of it")


if __name__ == "__main__":
    main()
