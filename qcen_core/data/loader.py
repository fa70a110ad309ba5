"""Batches of clips, in an order that depends on seed, rank and step alone."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import forkserver
from multiprocessing.context import BaseContext
from typing import NamedTuple

import cv2
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from qcen_core.config import DataConfig
from qcen_core.data.augmentation import Clip
from qcen_core.data.clip_dataset import ClipDataset
from qcen_core.data.clip_sampling import ClipDraw, draws_of_step
from qcen_core.errors import InputError
from qcen_core.ops.sizes import padded_length
from qcen_core.structures import BoxTarget, ClipBatch, StrongLabels


class LoadedBatch(NamedTuple):
    """A batch to learn from, and beside it, never in it, what the training log judges pseudo-identities by.

    Attributes:
        batch: all that a training step sees.
        audit: N tensors (G,) int64, the true track of each label, unique in a clip, -1 where not known; `None` where
            the data set does not tell.
    """

    batch: ClipBatch
    audit: tuple[Tensor, ...] | None


def collate(clips: Sequence[Clip]) -> ClipBatch:
    """Pad clips at the right and at the bottom to one size, a multiple of 32."""
    height = max(clip.images.shape[-2] for clip in clips)
    width = max(clip.images.shape[-1] for clip in clips)
    height, width = (padded_length(side) for side in (height, width))

    def pad(tensor: Tensor) -> Tensor:
        return F.pad(tensor, (0, width - tensor.shape[-1], 0, height - tensor.shape[-2]))

    def nothing(clip: Clip) -> tuple[Tensor, ...]:
        return tuple(boxes.new_zeros((0, 4)) for boxes in clip.boxes)

    strong = None
    masks = [pad(m) for clip in clips for m in clip.masks or ()]
    identities = [ids for clip in clips for ids in clip.track_ids or ()]
    if masks or identities:
        strong = StrongLabels(tuple(masks) or None, tuple(identities) or None)
    return ClipBatch(
        images=torch.stack([pad(clip.images) for clip in clips]),
        valid=torch.stack([pad(torch.ones(clip.images.shape[-2:], dtype=torch.bool)) for clip in clips]),
        frame_times=torch.tensor([clip.times for clip in clips]),
        targets=tuple(
            BoxTarget(boxes, labels, ignored)
            for clip in clips
            for boxes, labels, ignored in zip(clip.boxes, clip.labels, clip.ignored or nothing(clip), strict=True)
        ),
        strong=strong,
        sources=tuple(clip.source for clip in clips),
    )


class StepSampler(Sampler[list[ClipDraw]]):
    """Yields the draws of each step from `first` up to `last`."""

    def __init__(self, first: int, last: int, *, videos: int, clips: int, seed: int, rank: int, world: int) -> None:
        self._steps = range(first, last)
        self._arguments = {"videos": videos, "clips": clips, "seed": seed, "rank": rank, "world": world}

    def __len__(self) -> int:
        return len(self._steps)

    def __iter__(self) -> Iterator[list[ClipDraw]]:
        for step in self._steps:
            yield draws_of_step(step, **self._arguments)


def batches(
    dataset: ClipDataset, config: DataConfig, *, first: int, last: int, seed: int, rank: int = 0, world: int = 1
) -> Iterator[LoadedBatch]:
    """The batches of steps `first` to `last` (exclusive) for one process.

    Raises:
        InputError: a frame that cannot be read; the message names it.
    """
    clips = config.clips_per_step
    sampler = StepSampler(first, last, videos=dataset.videos, clips=clips, seed=seed, rank=rank, world=world)
    loader: DataLoader[Clip | InputError] = DataLoader(
        _ErrorsAsValues(dataset),
        batch_sampler=sampler,
        collate_fn=_collate_or_error,
        num_workers=config.workers,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=_begin_loader_process,
        multiprocessing_context=_fresh_processes() if config.workers else None,
    )
    for step, loaded in enumerate(loader, start=first):
        if isinstance(loaded, InputError):
            raise loaded
        # Every process knows what the others load at this step.
        draws = draws_of_step(step, videos=dataset.videos, clips=clips * world, seed=seed)
        names = tuple(dataset.name(draw) for draw in draws)
        yield loaded._replace(batch=replace(loaded.batch, all_sources=names)) if world > 1 else loaded


class _ErrorsAsValues(Dataset[Clip | InputError]):
    """Hands errors on as values: raised in a loader process they would arrive as a page of traceback."""

    def __init__(self, dataset: ClipDataset) -> None:
        self._dataset = dataset

    def __getitem__(self, draw: ClipDraw) -> Clip | InputError:
        try:
            return self._dataset[draw]
        except InputError as error:
            return error


def _collate_or_error(clips: Sequence[Clip | InputError]) -> LoadedBatch | InputError:
    errors = [clip for clip in clips if isinstance(clip, InputError)]
    if errors:
        return errors[0]
    loaded = [clip for clip in clips if isinstance(clip, Clip)]
    audits = [clip.audit for clip in loaded if clip.audit is not None]
    known = len(audits) == len(loaded)
    return LoadedBatch(collate(loaded), tuple(ids for audit in audits for ids in audit) if known else None)


def _fresh_processes() -> BaseContext:
    """Processes that share the libraries' memory, and nothing else, with one that has only imported them.

    Forked from the training process they would wait for threads of OpenCV that they do not have.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with _signals_ignored():
        forkserver.ensure_running()
    return context


@contextmanager
def _signals_ignored() -> Iterator[None]:
    """What is started inside ignores the signals that ask a run to stop; launchers send them to the whole group."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGTERM, signal.SIGUSR1)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _begin_loader_process(_worker: int) -> None:
    """One thread, as loader processes share the machine, and a group of its own, which no signal of a run reaches."""
    os.setpgid(0, 0)
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
