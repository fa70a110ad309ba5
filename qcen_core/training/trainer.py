"""The verb `train`: the loop around `train_step`."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import torch
from lightning_fabric import Fabric
from safetensors import SafetensorError
from torch import Tensor

from qcen_core.config import QcenConfig
from qcen_core.data.loader import LoadedBatch, batches
from qcen_core.errors import InputError, QcenError
from qcen_core.inference.infer import InferProgress
from qcen_core.method.criterion import SetCriterion
from qcen_core.method.diagnostics import Ratio
from qcen_core.ops.peak_memory import PeakMemory
from qcen_core.structures import ClipBatch
from qcen_core.training.batch_picture import save_batch
from qcen_core.training.batch_split import split_batch
from qcen_core.training.devices import build_fabric
from qcen_core.training.finite_watch import FiniteWatch, NotFiniteError
from qcen_core.training.initial_weights import supervision_history
from qcen_core.training.launch import LostProcessError, is_lost_process
from qcen_core.training.learner import Learner, build_learner
from qcen_core.training.log_window import LogWindow
from qcen_core.training.optimizer import learning_rate_factor
from qcen_core.training.out_of_memory import is_out_of_memory, out_of_memory_hint
from qcen_core.training.ranks import Agreement, build_ranks
from qcen_core.training.run_files import BAD_BATCH, clear_run, environment, write_settings
from qcen_core.training.run_keeper import RunKeeper, check_same_run
from qcen_core.training.run_log import RunLog
from qcen_core.training.step_figures import step_figures
from qcen_core.training.stop_request import StopRequest, stop_on_signal
from qcen_core.training.train_report import TrainProgress, TrainReport
from qcen_core.training.train_state import TrainState, how_to_go_on, load_newest_state, saved_states
from qcen_core.training.train_step import train_step
from qcen_core.training.training_data import TrainingData, load_training_data


def train(
    config: QcenConfig,
    run: Path,
    *,
    resume: bool = False,
    on_progress: Callable[[TrainProgress], None] | None = None,
) -> TrainReport:
    """Train a segmenter in this process, or as one of the processes that torchrun or srun started.

    Args:
        config: everything the run depends on; `data.root` names the prepared data set.
        run: folder for `config.yaml`, `env.json`, `metrics.csv`, `best.safetensors`, `last.safetensors`, `state/`.
        resume: go on with the newest state in `run` that is whole.
        on_progress: called every `train.log_every` steps, on the first process.

    Raises:
        InputError: data, weights or state that cannot be used.
        QcenError: the loss is not finite any more, memory or disk ran out, or another process failed.
        KeyboardInterrupt: SIGINT, SIGTERM or SIGUSR1 arrived; the state after the step at hand is saved.
    """
    started = time.perf_counter()
    data = load_training_data(config)
    fabric = build_fabric(config)
    try:
        trainer = _Trainer(fabric, config, Path(fabric.broadcast(str(run))), data, on_progress, resume=resume)
        with stop_on_signal() as stop:
            losses = trainer.run_steps(stop)
    except RuntimeError as error:
        if fabric.world_size > 1 and is_lost_process(error):
            first = str(error).splitlines()[0]
            raise LostProcessError(
                f"the other processes do not answer any more: {first}",
                hint="one of them tells why; if none does, the network does not hold: NCCL_DEBUG=INFO tells more",
            ) from None
        raise
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        hint = f"make room on the disk{how_to_go_on(run)}"
        raise QcenError(f"a file of the run cannot be written: {reason}", place=run, hint=hint) from None
    seconds = time.perf_counter() - started
    best = {name: float(value) for name, value in trainer.keeper.best.items()}
    supervision = tuple(trainer.keeper.supervision)
    return TrainReport(config.train.steps, trainer.first, seconds, trainer.keeper.run, best, losses, supervision)


class _Trainer:
    """One process of a run."""

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
        self.fabric, self.config, self.data = fabric, config, data
        self.on_progress = on_progress if fabric.is_global_zero else None
        self.split = split_batch(config, fabric.world_size)
        self.memory = PeakMemory(fabric.device)
        state = _state_to_go_on_from(config, run, data, self.clips) if resume else None
        self.first = 0 if state is None else state.step
        supervision = (
            supervision_history(config, config.train.init_weights) if state is None else state.record["supervision"]
        )
        categories = [category.name for category in data.prepared.categories]
        self.learner: Learner = build_learner(config, categories, fabric, state=state)
        best = dict(state.record["best"] or {}) if state is not None else {}
        self.keeper = RunKeeper(run, config, data.prepared, self.learner, supervision, self.clips, best)
        self.ranks, self.agreement = build_ranks(), Agreement()
        self.criterion = SetCriterion(config.loss, config.matching, config.pairs, self.ranks)
        self.window = LogWindow(fabric.device, self.ranks)
        if state is not None:
            self.window.fill(state.tensors["window"])
        self._check_that_all_begin_alike()
        self.watch = FiniteWatch()
        self.log: RunLog | None = None
        if fabric.is_global_zero:
            run.mkdir(parents=True, exist_ok=True)
            if not resume:
                clear_run(run)
            self.keeper.check_space()
            write_settings(run, config, environment())
            self.log = RunLog(run, self.first, tensorboard=config.train.tensorboard)
        fabric.barrier()

    def _check_that_all_begin_alike(self) -> None:
        mean = self.ranks.mean(torch.tensor(float(self.first), device=self.fabric.device))
        if mean != self.first:
            raise QcenError(
                f"this process would go on from step {self.first}, others from another one",
                place=self.keeper.run,
                hint="all machines must see the same folder, and find its states whole",
            )

    @property
    def clips(self) -> int:
        """Clips a step, on all devices."""
        return self.split.clips * self.split.parts * self.fabric.world_size

    def run_steps(self, stop: StopRequest) -> dict[str, float]:
        """Train from the first to the last step; returns the loss terms of the last report.

        Raises:
            KeyboardInterrupt: a stop was requested; the state is saved.
        """
        settings = self.config.train
        losses: dict[str, float] = {}
        self.learner.wrapped.train()
        for step, loaded in self._timed_batches():
            begun = time.perf_counter()
            done = step + 1
            evaluate = done == settings.steps or (settings.evaluate_every and done % settings.evaluate_every == 0)
            due = bool(done % settings.log_every == 0 or evaluate)
            terms, figures = self._step(loaded, step, row_due=due)
            self.window.add(terms, figures, frames=self.clips * self.config.data.clip_frames)
            self.window.busy += time.perf_counter() - begun
            if due or done % settings.save_every == 0:
                self._settle()
            if due:
                losses = self._write_row(done, evaluate=bool(evaluate))
            if evaluate or done % settings.save_every == 0:
                self._save(done)
            if done < settings.steps and self.agreement.any(stop.made):
                self._settle()
                self._save(done)
                raise KeyboardInterrupt
        if self.log is not None:
            self.log.close()
        return losses

    def _step(
        self, loaded: tuple[LoadedBatch, ...], step: int, *, row_due: bool
    ) -> tuple[Mapping[str, Tensor], Mapping[str, Ratio]]:
        parts = tuple(part.batch for part in loaded)
        try:
            parts = tuple(part.to(self.fabric.device) for part in parts)
            result = train_step(
                self.fabric,
                self.learner.wrapped,
                self.learner.wrapped_optimizer,
                self.criterion,
                parts,
                self.config,
                step,
                exchange_for_log=row_due,
            )
            self.watch.add(step, parts, result.finite)
        except FloatingPointError as error:
            self._stop_not_finite(NotFiniteError(step, parts, str(error)))
        except NotFiniteError as error:
            self._stop_not_finite(error)
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise self._out_of_memory(parts) from None
            raise
        if self.learner.average is not None:
            self.learner.average.update(step)
        return result.terms, step_figures(result, self.criterion, parts[-1], loaded[-1].audit, exchange=row_due)

    def _timed_batches(self) -> Iterator[tuple[int, tuple[LoadedBatch, ...]]]:
        """The batches of each step in their parts, with the time that they made wait."""
        settings, parts = self.config.train, self.split.parts
        loader = batches(
            self.data.clips,
            self.config.data.model_copy(update={"clips_per_step": self.split.clips}),
            first=self.first * parts,
            last=settings.steps * parts,
            seed=settings.seed,
            rank=self.fabric.global_rank,
            world=self.fabric.world_size,
        )
        waiting = time.perf_counter()
        for step, loaded in enumerate(zip(*[iter(loader)] * parts, strict=True), start=self.first):
            self.window.waited += time.perf_counter() - waiting
            yield step, loaded
            waiting = time.perf_counter()

    def _write_row(self, done: int, *, evaluate: bool) -> dict[str, float]:
        losses, row = self.window.close()
        row["memory_mb"] = self.memory.peak() / 1e6
        if evaluate:
            row |= self._evaluate(done, losses, row)
        if self.log is not None:
            factor = learning_rate_factor(done - 1, self.config.optim, self.config.train.steps)
            self.log.append({"step": done, "lr": self.config.optim.learning_rate * factor, **losses, **row})
            self._report(done, losses, row)
        return losses

    def _report(
        self, done: int, losses: Mapping[str, float], row: Mapping[str, float], evaluating: str | None = None
    ) -> None:
        if self.on_progress is not None:
            memory = int(1e6 * row["memory_mb"])
            speed, wait = row["frames_per_second"], row["data_wait"]
            self.on_progress(TrainProgress(done, self.config.train.steps, losses, speed, wait, memory, evaluating))

    def _evaluate(self, done: int, losses: Mapping[str, float], row: Mapping[str, float]) -> dict[str, float]:
        def report(state: InferProgress) -> None:
            self._report(done, losses, row, f"video {state.video_index + 1} of {state.video_count}")

        figures: dict[str, float] = {}
        if self.fabric.is_global_zero:
            figures = self.keeper.evaluate(done, str(self.fabric.device), report)
        self.fabric.barrier()
        return figures

    def _save(self, done: int) -> None:
        """Save, and wait for it: a process that leaves before would make its launcher end the one that writes."""
        window = self.window.tensors()
        if self.fabric.is_global_zero:
            self.keeper.save(done, window)
        self.fabric.barrier()

    def _settle(self) -> None:
        try:
            self.watch.settle()
        except NotFiniteError as error:
            self._stop_not_finite(error)

    def _stop_not_finite(self, error: NotFiniteError) -> NoReturn:
        several = self.fabric.world_size > 1
        folder = self.keeper.run / (f"{BAD_BATCH}-{self.fabric.global_rank}" if several else BAD_BATCH)
        names = [category.name for category in self.data.prepared.categories]
        for index, part in enumerate(error.parts, start=1):
            about = {"step": error.step, "found": str(error), "videos": part.sources}
            place = folder if len(error.parts) == 1 else folder / f"part-{index}"
            place.parent.mkdir(parents=True, exist_ok=True)
            with suppress(OSError):  # a full disk shall not hide what went wrong
                save_batch(part.to(torch.device("cpu")), names, place, about)
        videos = ", ".join(name for part in error.parts for name in part.sources)
        raise QcenError(
            f"the loss is not finite at step {error.step} ({error})",
            place=f"{self.keeper.run}, videos {videos}",
            hint=f"look at {folder}, lower optim.learning_rate, or use --set train.precision=32-true; "
            "the last saved state is intact",
        ) from None

    def _out_of_memory(self, parts: tuple[ClipBatch, ...]) -> QcenError:
        clips, frames, _, height, width = max((part.images.shape for part in parts), key=lambda shape: shape.numel())
        run = self.keeper.run
        return QcenError(
            f"memory ran out in a step on {clips} clips of {frames} frames of {width} x {height} pixels",
            place=run,
            hint=out_of_memory_hint(self.config, self.fabric.world_size, run if saved_states(run) else None),
        )


def _state_to_go_on_from(config: QcenConfig, run: Path, data: TrainingData, clips: int) -> TrainState:
    state = load_newest_state(run)
    if state.step > config.train.steps:
        raise InputError(
            f"the run has done {state.step} steps, more than the {config.train.steps} asked for",
            place=run,
            hint="ask for more with --steps, or train anew",
        )
    check_same_run(state, data.prepared, clips)
    return state
