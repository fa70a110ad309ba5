"""What may change when a run goes on."""

import json
from pathlib import Path
from typing import Any

from qcen_core.config import QcenConfig
from qcen_core.errors import InputError
from qcen_core.training.train_state import RECORD, saved_states

MOST_LISTED = 5  # settings that differ

# None of these changes what is learned; the clips of a step are checked by their product.
MAY_CHANGE = {
    "data.root",
    "data.workers",
    "data.clips_per_step",
    "train.steps",
    "train.devices",
    "train.processes",
    "train.nodes",
    "train.effective_batch",
    "train.log_every",
    "train.save_every",
    "train.keep_states",
    "train.evaluate_every",
    "train.evaluate_split",
    "train.samples",
    "train.tensorboard",
    "train.compile",
    "train.checkpointing",
}


def resumed_config(run: Path, stored: QcenConfig, asked: QcenConfig) -> QcenConfig:
    """The configuration to go on with: as asked, with as many clips a step as before, on however many devices.

    Args:
        run: folder of the run.
        stored: what the run began with.
        asked: what it shall go on with.

    Raises:
        InputError: it would train in another way than the run began, with every setting that differs; or it has done
            more steps than asked for.
    """
    _check_settings(run, stored, asked)
    states = saved_states(run)
    if not states:
        return asked
    try:
        record = json.loads((states[0] / RECORD).read_text(encoding="utf-8"))
        step, clips = int(record["step"]), int(record["clips"])
    except (OSError, ValueError, KeyError, TypeError):
        return asked  # damaged: an older one tells, when it is loaded
    if step > asked.train.steps:
        raise InputError(
            f"the run has done {step} steps, more than the {asked.train.steps} asked for",
            place=run,
            hint="ask for more with --steps, or train anew",
        )
    if asked.train.effective_batch not in (None, stored.train.effective_batch, clips):
        raise InputError(
            f"the run learned from {clips} clips a step, and not from {asked.train.effective_batch}",
            hint="leave --effective-batch out: the clips of a step stay as many on any number of devices",
        )
    return asked.model_copy(update={"train": asked.train.model_copy(update={"effective_batch": clips})})


def _check_settings(run: Path, stored: QcenConfig, asked: QcenConfig) -> None:
    before, now = _flat(stored.model_dump(mode="json")), _flat(asked.model_dump(mode="json"))
    changed = [key for key in before if before[key] != now[key] and key not in MAY_CHANGE | _tracker(before)]
    if changed:
        listed = ", ".join(f"{key} {before[key]} -> {now[key]}" for key in changed[:MOST_LISTED])
        more = f", and {len(changed) - MOST_LISTED} more" if len(changed) > MOST_LISTED else ""
        raise InputError(
            f"a run goes on as it began, and this differs: {listed}{more}",
            hint=f"leave it out, or train anew with --weights {run}/last.safetensors",
        )


def _tracker(keys: dict[str, Any]) -> set[str]:
    return {key for key in keys if key.startswith("tracker.")}


def _flat(sections: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {f"{name}.{key}": value for name, section in sections.items() for key, value in section.items()}
