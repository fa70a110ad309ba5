"""One process of training steps: writes the gradients that each left.

    python gradient_worker.py FOLDER...

Every folder is a case with `config.yaml` and `batch`, as `save_batch` writes it, of which the process takes its share.
"""

import sys
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file

from qcen_core.config import load_config
from qcen_core.method.criterion import SetCriterion
from qcen_core.structures import ClipBatch, StrongLabels
from qcen_core.training.batch_picture import load_batch
from qcen_core.training.devices import build_fabric
from qcen_core.training.learner import build_learner
from qcen_core.training.ranks import build_ranks
from qcen_core.training.train_step import train_step

CLIPS = 4


def share(batch: ClipBatch, first: int, clips: int) -> ClipBatch:
    length = batch.images.shape[1]
    own, frames = slice(first, first + clips), slice(first * length, (first + clips) * length)
    strong = None
    if batch.strong is not None:
        parts = (batch.strong.masks, batch.strong.track_ids)
        strong = StrongLabels(*(None if part is None else part[frames] for part in parts))
    return replace(
        batch,
        images=batch.images[own],
        valid=batch.valid[own],
        frame_times=batch.frame_times[own],
        targets=batch.targets[frames],
        strong=strong,
        sources=batch.sources[own],
        all_sources=batch.sources,
    )


def main(folders: list[Path]) -> None:
    torch.set_num_threads(1)
    fabric = ranks = None
    for folder in folders:
        config = load_config(folder / "config.yaml")
        fabric = fabric or build_fabric(config)
        ranks = ranks or build_ranks()
        learner = build_learner(config, ["a", "b"], fabric)
        batch = load_batch(folder / "batch")
        clips = CLIPS // ranks.count
        criterion = SetCriterion(config.loss, config.matching, config.pairs, ranks)
        learner.wrapped.train()
        part = share(batch, ranks.index * clips, clips)
        train_step(fabric, learner.wrapped, learner.wrapped_optimizer, criterion, [part], config, step=7)
        if fabric.is_global_zero:
            gradients = {name: p.grad for name, p in learner.model.named_parameters() if p.grad is not None}
            save_file(gradients, folder / f"gradients-{ranks.count}.safetensors")


if __name__ == "__main__":
    main([Path(folder) for folder in sys.argv[1:]])
