"""`qcen train --dry-run`: what a run would train on, how long it would take, and whether it fits."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from qcen_cli import console, runs

if TYPE_CHECKING:
    from qcen_core.config import QcenConfig
    from qcen_core.training.plan import TrainPlan


def show_plan(config: "QcenConfig", picture: Path, as_json: bool) -> None:
    """Takes a few trial steps and tells what they say; the first batch is drawn, nothing else is written.

    The first of several processes does it alone.

    Args:
        config: of the run.
        picture: JPEG file for the first batch.
        as_json: print one JSON object.

    Raises:
        InputError: data that cannot be used.
        QcenError: a step needs more memory than there is, or its loss is not finite.
    """
    if not console.is_first_process():
        return
    from qcen_core.config import dump_config
    from qcen_core.training.plan import plan

    with console.progress("dry run", "steps") as update:
        found = plan(config, picture, update, runs=runs.RUNS)
    if as_json:
        console.json_object({**asdict(found), "config": config.model_dump(mode="json")})
        return
    rows = _summary(found, config)
    width = max(map(len, rows))
    console.result("\n".join(f"{name:<{width}}  {text}" for name, text in rows.items()))
    console.result(f"\n{dump_config(config)}".rstrip())


def _summary(found: "TrainPlan", config: "QcenConfig") -> dict[str, str]:
    """The lines to print, by their names."""
    counted = console.counted
    batch = f"{counted(found.effective_batch, 'clip')} of {counted(config.data.clip_frames, 'frame')}"
    if found.processes > 1:
        batch += f" on {found.processes} {'GPUs' if config.train.devices else 'processes'}"
    if found.effective_batch > found.clips:
        batch += f", {found.clips} at a time{' on each' if found.processes > 1 else ''}"
    measured = f"on {'the CPU' if found.device == 'CPU' else found.device}"
    if config.train.devices and found.device == "CPU":
        measured += ", since this machine has no GPU"
    frozen = found.parameters - found.trainable
    parts = ["weights", "moments"] + (["averages"] if config.optim.ema_decay else [])
    return {
        "data": f"{counted(found.videos, 'video')}, {counted(found.frames, 'frame')}, {found.boxes} boxes, "
        f"{found.categories} categories",
        "network": f"{config.model.backbone}, {_millions(found.parameters)} parameters"
        + (f", {_millions(found.trainable)} of them learned" if frozen else ""),
        "batch": batch,
        "steps": f"{found.steps}; each video comes {found.epochs:.{0 if found.epochs >= 10 else 1}f} times",
        "time": f"about {console.duration(found.total_seconds)}, {found.step_seconds:.3g} s a step {measured}, "
        f"{100 * found.data_wait:.0f} % of it waiting for data; evaluation not counted",
        "memory": f"about {_size(found.memory_bytes)} of {_size(found.device_bytes)}, "
        f"{_size(found.weights_bytes)} of it {', '.join(parts[:-1])} and {parts[-1]}",
        "disk": f"{_size(found.state_bytes)} a saved state, {_size(found.run_bytes)} the run at most; "
        f"{_size(found.disk_free_bytes)} are free"
        + (", not enough" if found.run_bytes > found.disk_free_bytes else ""),
        "first batch": str(found.picture),
    }


def _millions(number: int) -> str:
    return f"{number / 1e6:.1f} million"


def _size(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
