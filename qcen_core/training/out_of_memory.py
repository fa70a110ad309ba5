"""A step that needs more memory than there is: how to tell, and what to try next."""

import shlex
from pathlib import Path

import torch

from qcen_core.config import QcenConfig
from qcen_core.training.batch_split import split_batch

# What torch, CUDA's libraries and the allocator of the CPU say in errors that have no type of their own.
MESSAGES = (
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "defaultcpuallocator",
    "cuda_error_out_of_memory",
    "status_alloc_failed",
)
SHRINK = 0.75  # of the sizes of the short side
SIDE_STEP = 8  # pixels
SMALLEST_SIDE = 64  # pixels; below it there is little left to see


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory, of a GPU or of the machine, ran out."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(message in str(error).lower() for message in MESSAGES)


def out_of_memory_hint(config: QcenConfig, world: int, resume: Path | None) -> str:
    """The next thing to try, in the order of what it costs: time, then time again, then small objects.

    Args:
        config: of the run that ran out of memory.
        world: number of its processes.
        resume: the run, if it has a saved state to go on from.

    Returns:
        One line: a command where the run can go on, else what to add to the one that was given.
    """
    setting = _next_setting(config, world)
    if setting is not None:
        return f"add {setting}" if resume is None else f"qcen train --resume {shlex.quote(str(resume))} {setting}"
    sides = smaller_sides(config.data.short_sides)
    if sides is None:
        return "use a smaller network (model.backbone, model.queries), or a machine with more memory"
    smaller = f'--set "data.short_sides=[{",".join(map(str, sides))}]"'
    return f"add {smaller}" if resume is None else f"frames must be smaller: train anew with {smaller}"


def _next_setting(config: QcenConfig, world: int) -> str | None:
    """What costs time and changes nothing else, so that a run may go on with it."""
    if not config.train.checkpointing:
        return "--set train.checkpointing=true"
    split = split_batch(config, world)
    fewer = _fewer_clips(split.clips, split.parts, _least_clips(config, world))
    if fewer is not None:
        # The effective batch is said, since by default it would shrink with what a device takes.
        return f"--set data.clips_per_step={fewer} --effective-batch {split.clips * split.parts * world}"
    return None


def _least_clips(config: QcenConfig, world: int) -> int:
    """Clips that a device must take at once: the exchange between videos needs two, of whichever process."""
    return 2 if config.loss.inter_weight > 0 and world == 1 else 1


def _fewer_clips(clips: int, parts: int, least: int) -> int | None:
    """The most clips, half of them at most, in parts of which a device can still do its share; `None` if too few."""
    share, most = clips * parts, min(max(clips // 2, least), clips - 1)
    return next((fewer for fewer in range(most, least - 1, -1) if share % fewer == 0), None)


def smaller_sides(sides: tuple[int, ...]) -> tuple[int, ...] | None:
    """Training sizes of about three quarters, each in multiples of 8; `None` if they are as small as is of use."""
    smaller = {max(round(side * SHRINK / SIDE_STEP) * SIDE_STEP, SMALLEST_SIDE) for side in sides}
    return tuple(sorted(smaller)) if max(smaller) < max(sides) else None
