"""What may change when a run goes on."""

from typing import Any

from qcen_core.config import QcenConfig
from qcen_core.errors import InputError

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


def check_resumable(stored: QcenConfig, asked: QcenConfig) -> None:
    """Refuse to go on with a run in another way than it began.

    Raises:
        InputError: with every setting that differs.
    """
    before, now = _flat(stored.model_dump(mode="json")), _flat(asked.model_dump(mode="json"))
    changed = [key for key in before if before[key] != now[key] and key not in MAY_CHANGE | _tracker(before)]
    if changed:
        listed = ", ".join(f"{key} {before[key]} -> {now[key]}" for key in changed)
        raise InputError(
            f"a run goes on as it began, and this differs: {listed}",
            hint="leave it out, or train anew with --weights RUN/last.safetensors",
        )


def _tracker(keys: dict[str, Any]) -> set[str]:
    return {key for key in keys if key.startswith("tracker.")}


def _flat(sections: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {f"{name}.{key}": value for name, section in sections.items() for key, value in section.items()}
