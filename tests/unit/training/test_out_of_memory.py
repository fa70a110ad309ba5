"""What is taken for a lack of memory, and what is tried against it, in order."""

import shlex
from pathlib import Path

import pytest
import torch

from qcen_core.config import QcenConfig, config_from_dict
from qcen_core.training.out_of_memory import is_out_of_memory, out_of_memory_hint, smaller_sides


def config(*, checkpointing: bool = True, inter: float = 1.0, effective: int | None = None, **data) -> QcenConfig:
    sections = {
        "data": data,
        "loss": {"inter_weight": inter},
        "train": {"checkpointing": checkpointing, "effective_batch": effective},
    }
    return config_from_dict(sections, "test")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."), True),
        (MemoryError(), True),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory"),
            True,
        ),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 400 bytes."), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied (2x3 and 5x7)"), False),
        (ValueError("not enough memory"), False),
    ],
)
def test_a_lack_of_memory_is_told_from_other_errors(error, expected):
    assert is_out_of_memory(error) == expected


def test_what_torch_really_says_when_the_machine_has_too_little():
    with pytest.raises(RuntimeError) as raised:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(raised.value)


def test_the_first_thing_costs_time_only():
    assert out_of_memory_hint(config(checkpointing=False), 1, None) == "add --set train.checkpointing=true"
    assert (
        out_of_memory_hint(config(checkpointing=False), 1, Path("runs/train/3"))
        == "qcen train --resume runs/train/3 --set train.checkpointing=true"
    )


@pytest.mark.parametrize(
    ("clips", "effective", "world", "inter", "options"),
    [
        (4, None, 1, 1.0, "--set data.clips_per_step=2 --effective-batch 4"),
        (4, 16, 1, 1.0, "--set data.clips_per_step=2 --effective-batch 16"),
        (4, 16, 2, 1.0, "--set data.clips_per_step=2 --effective-batch 16"),
        (2, None, 8, 1.0, "--set data.clips_per_step=1 --effective-batch 16"),
        (2, None, 1, 0.0, "--set data.clips_per_step=1 --effective-batch 2"),
        (6, None, 1, 1.0, "--set data.clips_per_step=3 --effective-batch 6"),
        (10, None, 1, 0.0, "--set data.clips_per_step=5 --effective-batch 10"),
        (9, None, 1, 1.0, "--set data.clips_per_step=3 --effective-batch 9"),
    ],
)
def test_then_fewer_clips_at_once_in_a_batch_of_the_same_size(clips, effective, world, inter, options):
    hint = out_of_memory_hint(config(clips_per_step=clips, effective=effective, inter=inter), world, None)
    assert hint == f"add {options}"


@pytest.mark.parametrize(("clips", "world", "inter"), [(2, 1, 1.0), (3, 1, 1.0), (1, 1, 0.0), (1, 3, 1.0)])
def test_then_smaller_frames_where_a_device_cannot_take_fewer_clips(clips, world, inter):
    smaller = config(clips_per_step=clips, short_sides=[360, 480], inter=inter)
    hint = out_of_memory_hint(smaller, world, Path("runs/a b"))
    assert hint.endswith(' --set "data.short_sides=[272,360]"')
    assert shlex.split(hint)[-1] == "data.short_sides=[272,360]"


def test_what_a_shell_makes_of_the_command_names_the_run():
    hint = out_of_memory_hint(config(checkpointing=False), 1, Path("runs/my run"))
    assert shlex.split(hint)[:4] == ["qcen", "train", "--resume", "runs/my run"]


def test_at_last_another_network():
    assert "smaller network" in out_of_memory_hint(config(clips_per_step=2, short_sides=[64]), 1, None)


def test_every_hint_that_is_followed_leads_to_another_one_until_none_is_left():
    sides = (360, 480)
    for _ in range(20):
        smaller = smaller_sides(sides)
        if smaller is None:
            break
        assert max(smaller) < max(sides)
        sides = smaller
    assert sides == (64,)
