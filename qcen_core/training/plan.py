"""What a run would do and take: counts, and a few trial steps with the real parts. Only a picture is written."""

import shutil
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from torch import Tensor

from qcen_core.boxfile import read_boxes
from qcen_core.config import QcenConfig
from qcen_core.data.loader import batches
from qcen_core.errors import QcenError
from qcen_core.method.criterion import SetCriterion
from qcen_core.ops.peak_memory import PeakMemory, memory_of
from qcen_core.structures import ClipBatch
from qcen_core.training.batch_picture import draw_batch, write_jpeg
from qcen_core.training.batch_split import split_batch
from qcen_core.training.devices import world_size
from qcen_core.training.learner import build_learner
from qcen_core.training.out_of_memory import is_out_of_memory, out_of_memory_hint
from qcen_core.training.train_step import train_step
from qcen_core.training.training_data import TrainingData, load_training_data

TIMED_STEPS = 3
TRIAL_STEPS = 1 + TIMED_STEPS  # the first one warms up

Report = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class TrainPlan:
    """What a run would train on, for how long, and what it would take.

    Times and memory are estimates: of a few steps on one device, with random weights, as late in the run as its
    dearest terms. What processes tell each other, evaluation and saving are not in them.

    Attributes:
        videos: of the split.
        frames: of its videos.
        boxes: in its frames, ignored regions included.
        categories: K.
        parameters: numbers in the network.
        trainable: those that are learned.
        processes: that learn together; each has a device of its own, or a share of the CPU.
        clips: that one of them takes at once.
        parts: that it takes one after the other for one step.
        effective_batch: clips a step in all.
        steps: of the run.
        epochs: how often each video is seen.
        device: on which was measured.
        step_seconds: median time of a step, waiting for data included.
        data_wait: share of it that is waiting for data, 0 to 1.
        total_seconds: time of all steps.
        memory_bytes: most that network, optimizer and a step held at once on the device.
        device_bytes: memory that the device has.
        weights_bytes: of weights, optimizer moments and averages in memory.
        state_bytes: of one saved state.
        run_bytes: that the run writes at most: the states that are kept, one more while it is written, and the best
            and the last checkpoint.
        disk_free_bytes: free where runs are written.
        picture: the first batch as it enters the network, `None` if it was not to be drawn.
    """

    videos: int
    frames: int
    boxes: int
    categories: int
    parameters: int
    trainable: int
    processes: int
    clips: int
    parts: int
    effective_batch: int
    steps: int
    epochs: float
    device: str
    step_seconds: float
    data_wait: float
    total_seconds: float
    memory_bytes: int
    device_bytes: int
    weights_bytes: int
    state_bytes: int
    run_bytes: int
    disk_free_bytes: int
    picture: Path | None


def plan(
    config: QcenConfig, picture: Path | None, on_progress: Report | None = None, *, runs: Path = Path()
) -> TrainPlan:
    """Find out what a run would do, by a few steps that nothing is kept of.

    Args:
        config: of the run.
        picture: JPEG file for the first batch, or `None`.
        on_progress: is told trial steps done, trial steps in all, and what goes on.
        runs: folder that runs are written into, there yet or not.

    Raises:
        InputError: data that cannot be used.
        QcenError: a step needs more memory than there is, or its loss is not finite.
    """
    report = on_progress or _silent
    report(0, TRIAL_STEPS, "reading the data set")
    data = load_training_data(config)
    counts = _count(data, config.data.split)
    world = world_size(config)
    split = split_batch(config, world)
    report(0, TRIAL_STEPS, "loading clips")
    loaded, load_seconds = _load_batches(data, config, split.clips, world)
    names = [category.name for category in data.prepared.categories]
    if picture is not None:
        picture.parent.mkdir(parents=True, exist_ok=True)
        write_jpeg(draw_batch(loaded[0], names), picture)
    trial = _try_or_hint(loaded, config, names, world, report)
    busy = statistics.median(trial.seconds)
    wait = _wait(load_seconds, busy, config.data.workers)
    step_seconds = split.parts * (busy + wait)
    effective = split.clips * split.parts * world
    return TrainPlan(
        **counts,
        parameters=trial.parameters,
        trainable=trial.trainable,
        processes=world,
        clips=split.clips,
        parts=split.parts,
        effective_batch=effective,
        steps=config.train.steps,
        epochs=config.train.steps * effective / data.clips.videos,
        device=trial.device,
        step_seconds=step_seconds,
        data_wait=wait / (busy + wait),
        total_seconds=config.train.steps * step_seconds,
        memory_bytes=trial.memory_bytes,
        device_bytes=trial.device_bytes,
        weights_bytes=trial.weights_bytes,
        state_bytes=trial.state_bytes,
        run_bytes=(config.train.keep_states + 1) * trial.state_bytes + 2 * trial.checkpoint_bytes,
        disk_free_bytes=shutil.disk_usage(_existing(runs)).free,
        picture=picture,
    )


@dataclass(frozen=True, slots=True)
class _Trial:
    """What the trial steps told; `seconds` of each timed step, the rest as in `TrainPlan`."""

    parameters: int
    trainable: int
    device: str
    seconds: list[float]
    memory_bytes: int
    device_bytes: int
    weights_bytes: int
    state_bytes: int
    checkpoint_bytes: int


def _silent(_done: int, _total: int, _remark: str) -> None:
    pass


def _count(data: TrainingData, split: str) -> dict[str, int]:
    boxes = read_boxes(data.prepared.splits[split].boxes, data.prepared.frames_root)
    labels = [frame for video in boxes.videos for frame in video.labels or ()]
    return {
        "videos": len(boxes.videos),
        "frames": len(labels),
        "boxes": sum(len(frame.boxes) for frame in labels),
        "categories": len(boxes.categories),
    }


def _load_batches(data: TrainingData, config: QcenConfig, clips: int, world: int) -> tuple[list[ClipBatch], float]:
    """The first batches of a run, and the seconds that the loader takes for one at its full speed.

    So many are loaded that its processes cannot have had most of them ready before the first one was asked for.
    """
    count = TRIAL_STEPS + 2 * config.data.workers
    own = config.data.model_copy(update={"clips_per_step": clips})
    kept: list[ClipBatch] = []
    begun = time.perf_counter()
    for index, loaded in enumerate(batches(data.clips, own, first=0, last=count, seed=config.train.seed, world=world)):
        if index == 0:  # it takes the start of the processes along
            begun = time.perf_counter()
        if index < TRIAL_STEPS:
            kept.append(loaded.batch)
    return kept, (time.perf_counter() - begun) / (count - 1)


def _wait(load: float, busy: float, workers: int) -> float:
    """Seconds that a device waits for a batch: loader processes work while it does, the training process cannot."""
    return max(load - busy, 0.0) if workers else load


def _try_or_hint(loaded: list[ClipBatch], config: QcenConfig, names: list[str], world: int, report: Report) -> _Trial:
    """The trial steps.

    Raises:
        QcenError: memory ran out, with the setting to try next, or the loss is not finite.
    """
    try:
        return _try_steps(loaded, config, names, report)
    except FloatingPointError as error:
        raise QcenError(
            f"the loss of a trial step from random weights is not finite ({error})",
            hint="use --set train.precision=32-true, or train: the weights it starts from may do better",
        ) from None
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        clips, frames, _, height, width = loaded[0].images.shape
        raise QcenError(
            f"a step on {clips} clips of {frames} frames, {width} x {height} pixels, needs more memory than there is",
            hint=out_of_memory_hint(config, world, None),
        ) from None


def _try_steps(loaded: list[ClipBatch], config: QcenConfig, names: list[str], report: Report) -> _Trial:
    """Build what a run has, on one device, and take a step with each batch."""
    on_gpu = config.train.devices > 0 and torch.cuda.is_available()
    fabric = Fabric(
        accelerator="cuda" if on_gpu else "cpu",
        devices=1,
        precision=config.train.precision,
        plugins=[LightningEnvironment()],
    )
    device = fabric.device
    memory = PeakMemory(device)
    report(0, TRIAL_STEPS, "building the network")
    learner = build_learner(config, names, fabric, fresh=False)
    raw, optimizer, average = learner.model, learner.optimizer, learner.average
    learner.wrapped.train()
    criterion = SetCriterion(config.loss, config.matching, config.pairs)
    seconds = []
    for index, batch in enumerate(loaded):
        # The last steps of the run: terms that begin late are what most steps cost.
        step = max(config.train.steps - len(loaded) + index, 0)
        report(index, TRIAL_STEPS, "trial steps")
        begun = time.perf_counter()
        train_step(
            fabric=fabric,
            model=learner.wrapped,
            optimizer=learner.wrapped_optimizer,
            criterion=criterion,
            parts=(replace(batch, all_sources=()).to(device),),  # tried on this process alone
            config=config,
            step=step,
        )
        if average is not None:
            average.update(step)
        if on_gpu:
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - begun)
    report(len(loaded), TRIAL_STEPS, "trial steps")
    weights = _bytes(raw.state_dict().values())
    moments = _bytes(value for state in optimizer.state.values() for value in state.values())
    averages = 0 if average is None else _bytes(p for p in raw.parameters() if p.requires_grad)
    return _Trial(
        parameters=sum(p.numel() for p in raw.parameters()),
        trainable=sum(p.numel() for p in raw.parameters() if p.requires_grad),
        device=torch.cuda.get_device_name(device) if on_gpu else "CPU",
        seconds=seconds[1:],
        # Memory that was freed before and is used again does not raise the peak of a process.
        memory_bytes=max(memory.peak(), weights + moments + averages),
        device_bytes=memory_of(device),
        weights_bytes=weights + moments + averages,
        state_bytes=weights + moments + (0 if average is None else weights),
        checkpoint_bytes=weights,
    )


def _bytes(values: Iterable[object]) -> int:
    return sum(value.numel() * value.element_size() for value in values if isinstance(value, Tensor))


def _existing(folder: Path) -> Path:
    return next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
