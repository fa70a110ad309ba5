"""What a run needs to go on exactly: weights, optimizer moments, averaged weights, open sums of the log, and the step.

Learning rate, loss schedules, the choice of clips and all that is random in a step are functions of the step, so
there is no generator state to keep. (Only at precision `16-mixed` the scaler of the gradients starts anew, so there
a resumed run is not exact.) Every state is a folder `state/step-<n>` of safetensors files and a record with their
checksums; it appears whole or not at all, and the newest few are kept.
"""

import hashlib
import json
import os
import re
import shutil
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from qcen_core.errors import InputError, QcenError
from qcen_core.model.checkpoint import write_tensors

STATE, RECORD = "state", "state.json"
PARTS = ("model", "optimizer", "average", "window")
SPARE_SHARE = 1.05  # of the disk space that the tensors of a state take


class DamagedStateWarning(UserWarning):
    """A saved state was passed over."""


@dataclass(frozen=True, slots=True)
class TrainState:
    """The state after some steps.

    Attributes:
        step: steps done.
        tensors: by part of `PARTS` and name.
        record: what else is to be known, as JSON knows it; `best` and what must not change between two runs.
    """

    step: int
    tensors: Mapping[str, Mapping[str, Tensor]]
    record: Mapping[str, Any]

    @property
    def bytes(self) -> int:
        """Size of the tensors."""
        return sum(tensor.nbytes for part in self.tensors.values() for tensor in part.values())


def saved_states(run: Path) -> list[Path]:
    """Folders of the states of a run, the newest first."""
    found = [folder for folder in (run / STATE).glob("step-*") if re.fullmatch(r"step-\d+", folder.name)]
    return sorted(found, key=lambda folder: int(folder.name.removeprefix("step-")), reverse=True)


def check_space(run: Path, needed: int) -> None:
    """Make sure that a folder's disk has room.

    Raises:
        QcenError: it has less than `needed` bytes.
    """
    free = shutil.disk_usage(run).free
    if free < needed:
        raise QcenError(
            f"the disk has {free / 1e6:.0f} MB left, {needed / 1e6:.0f} MB are needed for the states of the run",
            place=run,
            hint=f"make room, or keep fewer states with --set train.keep_states=1{how_to_go_on(run)}",
        )


def how_to_go_on(run: Path) -> str:
    """The end of a hint: how to go on from the newest state, if there is one."""
    states = saved_states(run)
    return f"; 'qcen train --resume {run}' goes on from {states[0].name}" if states else ""


def save_state(run: Path, state: TrainState, keep: int) -> None:
    """Add a state to those of a run, and remove all but the newest `keep`.

    Raises:
        QcenError: the disk is full, or the state cannot be written; the states that were there stay.
    """
    folder, beside = run / STATE / f"step-{state.step:06d}", run / STATE / f".step-{state.step:06d}.new"
    for rest in (run / STATE).glob(".step-*"):
        shutil.rmtree(rest, ignore_errors=True)
    check_space(run, int(SPARE_SHARE * state.bytes))
    try:
        beside.mkdir(parents=True)
        _write(beside, state)
        if folder.exists():  # a damaged one that the run did not go on from
            shutil.rmtree(folder)
        beside.rename(folder)
        _settle(folder.parent)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(beside, ignore_errors=True)
        reason = getattr(error, "strerror", None) or str(error)
        raise QcenError(
            f"the state after step {state.step} cannot be saved: {reason}",
            place=run,
            hint=f"make room on the disk{how_to_go_on(run)}",
        ) from None
    states = saved_states(run)
    newest = states.index(folder)  # later ones were damaged, or the run would have gone on from them
    for old in states[:newest] + states[newest + keep :]:
        gone = old.with_name(f".{old.name}.gone")
        old.rename(gone)  # so that a half removed one is never taken for a state
        shutil.rmtree(gone, ignore_errors=True)


def load_newest_state(run: Path) -> TrainState:
    """The newest state that is whole; damaged ones are passed over with a `DamagedStateWarning`.

    Raises:
        InputError: there is none.
    """
    reasons = []
    for folder in saved_states(run):
        try:
            state = _read(folder)
        except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
            reasons.append(str(error).splitlines()[0] if str(error) else type(error).__name__)
            warnings.warn(f"{folder} is damaged and is passed over: {reasons[-1]}", DamagedStateWarning, stacklevel=2)
            continue
        return state
    if reasons:
        raise InputError(
            f"no saved state can be used: {reasons[0]}", place=run / STATE, hint="train anew, or from --weights"
        )
    raise InputError("the run has no saved state to go on from", place=run, hint="train without --resume")


def _write(folder: Path, state: TrainState) -> None:
    sums = {}
    for part in PARTS:
        file = folder / f"{part}.safetensors"
        write_tensors(file, state.tensors[part])
        sums[part] = _checksum(file)
        _settle(file)
    record = {"step": state.step, "checksums": sums, **state.record}
    (folder / RECORD).write_text(json.dumps(record), encoding="utf-8")
    _settle(folder / RECORD)
    _settle(folder)


def _read(folder: Path) -> TrainState:
    record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    sums, step = record.pop("checksums"), int(record.pop("step"))
    tensors = {}
    for part in PARTS:
        file = folder / f"{part}.safetensors"
        if _checksum(file) != sums[part]:
            raise ValueError(f"{file.name} does not match its checksum")
        tensors[part] = load_file(file)
    return TrainState(step, tensors, record)


def _checksum(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _settle(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk: also a machine that loses power keeps them."""
    if os.name == "nt" and path.is_dir():
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
