"""The choices of an inference run, and what follows from them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from qcen_core.config import TrackerConfig
from qcen_core.errors import InputError
from qcen_core.ops.sizes import SIZE_DIVISOR
from qcen_core.video.frame_folder import DEFAULT_FRAME_RATE
from qcen_core.visualization.overlay import DEFAULT_STYLE, OverlayStyle

MOST_FRAMES_A_SECOND = 1000


@dataclass(frozen=True, slots=True)
class InferOptions:
    """Choices of a run; `None` leaves one to the checkpoint's own configuration.

    Attributes:
        confidence: least score in a frame of an instance in the overlay, `tracks.json` and `tracks.csv`.
        max_instances: most instances of a frame.
        tracker: how identities are kept.
        overlap_weight: weight of overlapping masks beside the embeddings when identities are kept; 0 ignores them.
        device: `auto` takes a GPU where there is one; else a name such as `cpu`, `cuda` or `cuda:1`.
        short_side: short side of the model's input in pixels.
        classes: names of the classes to write; `None` writes all.
        half: compute in 16 bits where the device does so: float16 on a GPU, bfloat16 on a CPU.
        start: seconds from the first frame at which to begin.
        end: seconds from the first frame at which to stop, `None` for the end of the video.
        stride: 1 takes every frame, 2 every second one, and so on.
        frame_rate: frames a second of pictures, which carry no time of their own.
        style: what the overlay shows.
        side_by_side: draw the frame as it was beside the overlay.
    """

    confidence: float | None = None
    max_instances: int | None = None
    tracker: Literal["memory", "minvis"] | None = None
    overlap_weight: float | None = None
    device: str = "auto"
    short_side: int | None = None
    classes: tuple[str, ...] | None = None
    half: bool = False
    start: float = 0.0
    end: float | None = None
    stride: int = 1
    frame_rate: float = float(DEFAULT_FRAME_RATE)
    style: OverlayStyle = DEFAULT_STYLE
    side_by_side: bool = False


def tracker_config(config: TrackerConfig, options: InferOptions) -> TrackerConfig:
    """The checkpoint's tracker with the options of the run; what shall be shown must also be found and tracked."""
    confidence = config.confidence if options.confidence is None else options.confidence
    return config.model_copy(
        update={
            "kind": options.tracker or config.kind,
            "overlap_weight": config.overlap_weight if options.overlap_weight is None else options.overlap_weight,
            "confidence": confidence,
            "keep": min(config.keep, confidence),
            "new_track": min(config.new_track, confidence),
            "max_instances": options.max_instances or config.max_instances,
        }
    )


def check_options(options: InferOptions) -> None:
    """Refuse choices that cannot be meant.

    Raises:
        InputError: a number out of its range, or an unknown tracker.
    """
    if options.confidence is not None and not 0 <= options.confidence <= 1:
        raise InputError(f"a confidence of {options.confidence}", hint="it lies between 0 and 1")
    if options.max_instances is not None and options.max_instances < 1:
        raise InputError(f"at most {options.max_instances} instances", hint="allow at least 1")
    if options.short_side is not None and options.short_side < SIZE_DIVISOR:
        raise InputError(f"a short side of {options.short_side} pixels", hint=f"give at least {SIZE_DIVISOR}")
    if not 0 <= options.start < math.inf:
        raise InputError(f"a start of {options.start} s", hint="count from the first frame, 0 or more")
    if options.end is not None and not math.isfinite(options.end):
        raise InputError(f"an end at {options.end} s", hint="leave --end out for the end of the video")
    if options.end is not None and options.end <= options.start:
        raise InputError(
            f"the end at {options.end} s is not after the start at {options.start} s", hint="give --end a later time"
        )
    if options.stride < 1:
        raise InputError(f"a stride of {options.stride}", hint="1 takes every frame, 2 every second one")
    if not 0 < options.frame_rate <= MOST_FRAMES_A_SECOND:
        raise InputError(f"{options.frame_rate} frames a second", hint=f"give a rate up to {MOST_FRAMES_A_SECOND}")
    if options.tracker not in (None, "memory", "minvis"):
        raise InputError(f"no tracker is called '{options.tracker}'", hint="known: memory, minvis")


def choose_device(name: str) -> torch.device:
    """The device of that name; `auto` is the first GPU of CUDA, else Apple's, else the CPU.

    Raises:
        InputError: no such device on this machine.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):
        raise InputError(f"no device '{name}' on this machine", hint="use auto or cpu") from None
    return device


def check_devices(names: Sequence[str]) -> None:
    """Refuse GPUs that are not there, before anything is written.

    Raises:
        InputError: there are fewer.
    """
    asked, there = sum(name.startswith("cuda") for name in names), torch.cuda.device_count()
    if asked > there:
        raise InputError(f"{asked} GPUs were asked for, this machine has {there}", hint="lower --gpus; 0 is the CPU")


def half_type(device: torch.device) -> torch.dtype:
    """The 16-bit type that a device computes fast in."""
    return torch.bfloat16 if device.type == "cpu" else torch.float16
