"""The verb `train`: the loop around `train_step`, with checkpoints, metrics and validation."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from qcen_core.config import QcenConfig
from qcen_core.data.loader import LoadedBatch, batches
from qcen_core.errors import InputError, QcenError
from qcen_core.inference.infer import InferProgress
from qcen_core.method.criterion import SetCriterion
from qcen_core.method.diagnostics import Ratio
from qcen_core.model.checkpoint import save_checkpoint
from qcen_core.training.devices import build_fabric
from qcen_core.training.initial_weights import build_model, supervision_history
from qcen_core.training.log_window import LogWindow
from qcen_core.training.metrics_log import MetricsLog
from qcen_core.training.optimizer import AveragedWeights, build_optimizer, learning_rate_factor
from qcen_core.training.run_files import BEST, LAST, METRICS, clear_run, environment, write_settings
from qcen_core.training.step_figures import step_figures
from qcen_core.training.stop_request import StopRequest, stop_on_signal
from qcen_core.training.train_state import load_state, save_state
from qcen_core.training.train_step import train_step
from qcen_core.training.training_data import TrainingData, load_training_data
from qcen_core.training.validation import validate


@dataclass(frozen=True, slots=True)
class TrainProgress:
    """How far a run is, reported every `log_every` steps and after every evaluated frame.

    Attributes:
        step: steps done.
        steps: steps of the whole run.
        total: mean total loss since the last report.
        frames_per_second: training speed since the last report.
        evaluating: what is being evaluated at the moment, e.g. "video 3 of 40"; `None` while training.
    """

    step: int
    steps: int
    total: float
    frames_per_second: float
    evaluating: str | None = None


@dataclass(frozen=True, slots=True)
class TrainReport:
    """What a run did.

    Attributes:
        steps: steps done in all.
        first: steps that had been done before this call.
        seconds: wall time of this call.
        run: folder of the run.
        best: `step` of the best checkpoint, and its `AP`, `AP50` of masks, `box_AP` of box tubes and `association` on
            the hold-out split, as far as the split tells them.
        losses: mean of each loss term over the last report.
        supervision: every kind of label that went into the weights, from those they began as.
    """

    steps: int
    first: int
    seconds: float
    run: Path
    best: dict[str, float]
    losses: dict[str, float]
    supervision: tuple[str, ...] = ()


def train(
    config: QcenConfig,
    run: Path,
    *,
    resume: bool = False,
    on_progress: Callable[[TrainProgress], None] | None = None,
) -> TrainReport:
    """Train a segmenter.

    Args:
        config: everything the run depends on; `data.root` names the prepared data set.
        run: folder for `config.yaml`, `env.json`, `metrics.csv`, `best.safetensors`, `last.safetensors`, `state/`.
        resume: go on with the state in `run`.
        on_progress: called every `train.log_every` steps, on the first process.

    Raises:
        InputError: data, weights or state that cannot be used.
        QcenError: the loss is not finite any more.
        KeyboardInterrupt: SIGINT or SIGTERM arrived; the state after the step at hand is saved.
    """
    started = time.perf_counter()
    data = load_training_data(config)
    fabric = build_fabric(config)
    trainer = _Trainer(fabric, config, run, data, on_progress, resume=resume)
    with stop_on_signal() as stop:
        losses = trainer.run_steps(stop)
    seconds = time.perf_counter() - started
    best = {name: float(value) for name, value in trainer.best.items()}
    return TrainReport(config.train.steps, trainer.first, seconds, run, best, losses, tuple(trainer.supervision))


class _Trainer:
    """The state of one run: model, optimizer, averages, best figures."""

    def __init__(
        self,
        fabric: Fabric,
        config: QcenConfig,
        run: Path,
        data: TrainingData,
        on_progress: Callable[[TrainProgress], None] | None,
        *,
        resume: bool,
    ) -> None:
        self.fabric = fabric
        self.on_progress = on_progress if fabric.is_global_zero else None
        self.config = config
        self.run = run
        self.data = data
        self.best: dict[str, Any] = {}
        self.categories = data.prepared.categories
        self.model = build_model(config, [category.name for category in self.categories], fresh=not resume)
        self.model.to(fabric.device)
        self.optimizer = build_optimizer(self.model, config.optim)
        self.first = 0
        averaged: dict[str, Tensor] = {}
        previous: str | Path | None = config.train.init_weights
        if resume:
            self.first, averaged, best = load_state(run, model=self.model, optimizer=self.optimizer)
            self.best = best or {}
            if self.first > config.train.steps:
                raise InputError(
                    f"the run has done {self.first} steps, more than the {config.train.steps} asked for",
                    place=run,
                    hint="ask for more with --steps, or train anew",
                )
            if (run / LAST).is_file():
                previous = run / LAST
        self.supervision = supervision_history(config, previous)
        self.average = AveragedWeights(self.model, config.optim.ema_decay) if config.optim.ema_decay else None
        if self.average is not None and averaged:
            self.average.load_state_dict(averaged)
        self.wrapped, self.wrapped_optimizer = fabric.setup(self.model, self.optimizer)
        self.criterion = SetCriterion(config.loss, config.matching, config.pairs, self._mean_over_ranks)
        if fabric.is_global_zero:
            run.mkdir(parents=True, exist_ok=True)
            if not resume:
                clear_run(run)
            write_settings(run, config, environment())
            self.log = MetricsLog(run / METRICS, self.first)

    def run_steps(self, stop: StopRequest) -> dict[str, float]:
        """Train from the first to the last step; returns the loss terms of the last report.

        Raises:
            KeyboardInterrupt: a stop was requested; the state is saved.
        """
        settings = self.config.train
        window = LogWindow()
        losses: dict[str, float] = {}
        self.wrapped.train()
        for step, loaded in self._timed_batches(window):
            begun = time.perf_counter()
            done = step + 1
            evaluate = done == settings.steps or (settings.evaluate_every and done % settings.evaluate_every == 0)
            due = bool(done % settings.log_every == 0 or evaluate)
            terms, figures = self._step(loaded, step, row_due=due)
            window.add(terms, figures, frames=len(loaded.batch.targets) * self.fabric.world_size)
            window.busy += time.perf_counter() - begun
            row: dict[str, float] = {}
            if due:
                losses, row = window.close()
            if evaluate:
                row |= self._evaluate(done, losses["total"], row["frames_per_second"])
            if row and self.fabric.is_global_zero:
                factor = learning_rate_factor(step, self.config.optim, settings.steps)
                self.log.append({"step": done, "lr": self.config.optim.learning_rate * factor, **losses, **row})
                self._report(done, losses["total"], row["frames_per_second"])
            if evaluate or done % settings.save_every == 0:
                self._save(done)
            if done < settings.steps and self._agreed_to_stop(stop, done):
                self._save(done)
                raise KeyboardInterrupt
        return losses

    def _report(self, done: int, total: float, frames_per_second: float, evaluating: str | None = None) -> None:
        if self.on_progress is not None:
            steps = self.config.train.steps
            self.on_progress(TrainProgress(done, steps, total, frames_per_second, evaluating))

    def _step(
        self, loaded: LoadedBatch, step: int, *, row_due: bool
    ) -> tuple[Mapping[str, Tensor], Mapping[str, Ratio]]:
        batch = loaded.batch.to(self.fabric.device)
        try:
            result = train_step(
                self.fabric,
                self.wrapped,
                self.wrapped_optimizer,
                self.criterion,
                batch,
                self.config,
                step,
                exchange_for_log=row_due,
            )
        except FloatingPointError as error:
            raise QcenError(
                f"the loss is not finite at step {step} ({error})",
                place=f"{self.run}, videos {', '.join(batch.sources)}",
                hint="lower optim.learning_rate, or use --set train.precision=32-true; the last saved state is intact",
            ) from None
        if self.average is not None:
            self.average.update(step)
        return result.terms, step_figures(result, self.criterion, batch, loaded.audit, exchange=row_due)

    def _timed_batches(self, window: LogWindow) -> Iterator[tuple[int, LoadedBatch]]:
        settings = self.config.train
        loader = batches(
            self.data.clips,
            self.config.data,
            first=self.first,
            last=settings.steps,
            seed=settings.seed,
            rank=self.fabric.global_rank,
            world=self.fabric.world_size,
        )
        waiting = time.perf_counter()
        for step, loaded in enumerate(loader, start=self.first):
            window.waited += time.perf_counter() - waiting
            yield step, loaded
            waiting = time.perf_counter()

    def _agreed_to_stop(self, stop: StopRequest, done: int) -> bool:
        """Whether any process was asked to stop; several processes talk about it at every row of the metrics."""
        if self.fabric.world_size == 1:
            return stop.made
        if done % self.config.train.log_every:
            return False
        return bool(self._mean_over_ranks(torch.tensor(float(stop.made), device=self.fabric.device)) > 0)

    def _averaged(self) -> dict[str, Tensor]:
        return {} if self.average is None else self.average.state_dict()

    def _write_checkpoint(self, name: str, done: int, figures: Mapping[str, float]) -> None:
        """Write the weights that are to be used: the averages, where they are kept."""
        info = {"step": done, "supervision": self.supervision, "data": self.data.prepared.name, **figures}
        weights = self._averaged() or self.model.state_dict()
        save_checkpoint(self.run / name, weights, self.config, self.categories, info)

    def _save(self, done: int) -> None:
        """Write `last.safetensors` and the state to go on from."""
        if self.fabric.is_global_zero:
            self._write_checkpoint(LAST, done, self.best if self.best.get("step") == done else {})
            save_state(
                self.run,
                step=done,
                model=self.model,
                optimizer=self.optimizer,
                average=self._averaged(),
                best=self.best or None,
            )

    def _evaluate(self, done: int, total: float, rate: float) -> dict[str, float]:
        """Evaluate on the hold-out split and keep the best; returns the figures.

        A run that saw boxes only is judged by boxes: masks of the hold-out split must not choose its checkpoint.
        """

        def report(state: InferProgress) -> None:
            self._report(done, total, rate, f"video {state.video_index + 1} of {state.video_count}")

        figures: dict[str, float] = {}
        if self.fabric.is_global_zero:
            split, device = self.config.train.evaluate_split, str(self.fabric.device)
            self._write_checkpoint(LAST, done, {})
            figures = validate(self.run / LAST, self.data.prepared, split, self.run / split, device, report)
            judged_by = "box_AP" if self.config.train.supervision.startswith("box") else "AP"
            if figures.get(judged_by, 0.0) >= self.best.get(judged_by, 0.0):
                self.best = {"step": done, **figures}
                self._write_checkpoint(BEST, done, figures)
        self.fabric.barrier()
        return figures

    def _mean_over_ranks(self, value: Tensor) -> Tensor:
        mean = self.fabric.all_reduce(value, reduce_op="mean")
        assert isinstance(mean, Tensor)  # noqa: S101  # a tensor in, a tensor out
        return mean
