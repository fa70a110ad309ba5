"""Configurations that runs and checkpoints hold, those of earlier versions among them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qcen_core.config import QcenConfig, apply_override, config_from_dict, parse_yaml
from qcen_core.errors import InputError

# Keys of earlier versions, which files of those versions still hold; only training read them. With each the value at
# which it had no effect, `None` for the constants of a term, whose weight tells.
DROPPED_KEYS: dict[str, float | None] = {
    "pairs.cycle": False,
    "loss.mask_upsampling": 1,
    "loss.pairwise_contested": True,
    "loss.exclusion_weight": 0,
    "loss.contrast_other_videos": False,
    "loss.temporal_weight": 0,
    "loss.temporal_radius": None,
    "loss.temporal_best": None,
    "loss.temporal_distance": None,
    "loss.teacher_weight": 0,
    "loss.teacher_start": None,
    "loss.teacher_agreement": None,
    "loss.teacher_confidence": None,
}


def load_stored_config(path: Path, overrides: Sequence[str] = ()) -> QcenConfig:
    """Read the `config.yaml` that a run left, perhaps one of an earlier version, and apply overrides.

    Args:
        path: the file.
        overrides: as for `load_config`.

    Raises:
        InputError: no such file, the run went by a key that is no longer there, or as `load_config`.
    """
    if not path.is_file():
        raise InputError("the run has no such file", place=path, hint="name the folder of a training run")
    values = without_dropped_keys(parse_yaml(path.read_text(encoding="utf-8"), str(path)), str(path))
    for override in overrides:
        apply_override(values, override)
    return config_from_dict(values, str(path))


def without_dropped_keys(values: Mapping[str, Any], place: str, *, to_train: bool = True) -> dict[str, Any]:
    """What is stored as a configuration, without the keys that only earlier versions know.

    Args:
        values: sections with their keys.
        place: where the values came from, for messages.
        to_train: whether they say how to train; else it does not matter what the dropped keys were.

    Raises:
        InputError: a dropped key had an effect.
    """
    kept = {name: dict(section) if isinstance(section, Mapping) else section for name, section in values.items()}
    for key, without_effect in DROPPED_KEYS.items():
        name, _, last = key.partition(".")
        if not isinstance(kept.get(name), dict) or last not in kept[name]:
            continue
        value = kept[name].pop(last)
        if to_train and without_effect is not None and value != without_effect:
            raise InputError(
                f"'{key}' is {value}, but this version no longer has it",
                place=place,
                hint="use the version of qcen that it was trained with",
            )
    return kept
