"""What a run leaves behind: checkpoints, states, evaluations with their samples. One process writes them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from qcen_core.config import QcenConfig
from qcen_core.errors import InputError
from qcen_core.inference.infer import InferProgress
from qcen_core.model.checkpoint import save_checkpoint
from qcen_core.prepared import PreparedData
from qcen_core.training.learner import Learner
from qcen_core.training.run_files import BEST, LAST, SAMPLES
from qcen_core.training.samples import draw_samples
from qcen_core.training.train_state import TrainState, check_space, save_state, saved_states
from qcen_core.training.validation import validate


@dataclass
class RunKeeper:
    """Writes into the folder of a run.

    Attributes:
        run: the folder.
        config: of the run.
        prepared: the data set.
        learner: what learns.
        supervision: every kind of label that went into the weights.
        clips: clips a step, on all devices.
        best: step and figures of the best checkpoint.
        saved: step of the last state that was saved.
    """

    run: Path
    config: QcenConfig
    prepared: PreparedData
    learner: Learner
    supervision: Sequence[str]
    clips: int
    best: dict[str, Any] = field(default_factory=dict)
    saved: int = -1

    def check_space(self) -> None:
        """Make sure that the states and checkpoints of the run will find room on the disk.

        Raises:
            QcenError: they will not.
        """
        weights = sum(tensor.nbytes for tensor in self.learner.model.state_dict().values())
        moments = 2 * sum(p.nbytes for p in self.learner.model.parameters() if p.requires_grad)
        state = weights + moments + (weights if self.learner.average is not None else 0)
        there = len(saved_states(self.run))
        check_space(self.run, max(1, self.config.train.keep_states + 1 - there) * state + 2 * weights)

    def save(self, done: int, window: Mapping[str, Tensor]) -> None:
        """Write `last.safetensors` and the state to go on from.

        Raises:
            QcenError: the disk is full; earlier states stay.
        """
        if done == self.saved:
            return
        record = {
            "best": self.best or None,
            "categories": [category.name for category in self.prepared.categories],
            "clips": self.clips,
            "supervision": list(self.supervision),
        }
        state = TrainState(done, {**self.learner.tensors(), "window": window}, record)
        save_state(self.run, state, self.config.train.keep_states)
        self.saved = done
        self._write_checkpoint(LAST, done, self.best if self.best.get("step") == done else {})

    def evaluate(self, done: int, device: str, report: Callable[[InferProgress], None]) -> dict[str, float]:
        """Evaluate on the hold-out split, draw some of its videos, and keep the best; returns the figures.

        A run that saw boxes only is judged by boxes: masks of the hold-out split must not choose its checkpoint.
        """
        split = self.config.train.evaluate_split
        self._write_checkpoint(LAST, done, {})
        figures = validate(self.run / LAST, self.prepared, split, self.run / split, device, report)
        judged_by = "box_AP" if self.config.train.supervision.startswith("box") else "AP"
        if figures.get(judged_by, 0.0) >= self.best.get(judged_by, 0.0):
            self.best = {"step": done, **figures}
            self._write_checkpoint(BEST, done, figures)
        results = self.run / split / "results.json"
        if self.config.train.samples and results.is_file():
            picture = self.run / SAMPLES / f"step-{done:06d}.jpg"
            draw_samples(results, self.prepared, split, self.config.train.samples, picture)
        return figures

    def _write_checkpoint(self, name: str, done: int, figures: Mapping[str, float]) -> None:
        info = {"step": done, "supervision": list(self.supervision), "data": self.prepared.name, **figures}
        save_checkpoint(self.run / name, self.learner.weights(), self.config, self.prepared.categories, info)


def check_same_run(state: TrainState, prepared: PreparedData, clips: int) -> None:
    """Refuse to go on with other categories or another number of clips a step.

    Raises:
        InputError: with the difference.
    """
    before, now = state.record["categories"], [category.name for category in prepared.categories]
    if before != now:
        gone, new = [name for name in before if name not in now], [name for name in now if name not in before]
        parts = [f"gone: {', '.join(gone)}"] * bool(gone) + [f"new: {', '.join(new)}"] * bool(new)
        raise InputError(
            f"the categories have changed since the run began ({'; '.join(parts) or 'another order'})",
            place=prepared.root,
            hint="train anew with --weights RUN/last.safetensors: classes are matched by name",
        )
    if state.record["clips"] != clips:
        raise InputError(
            f"the run learned from {state.record['clips']} clips a step, on these devices it would be {clips}",
            hint=f"--effective-batch {state.record['clips']} keeps what a step learns from",
        )
