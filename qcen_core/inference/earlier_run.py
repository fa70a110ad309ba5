"""What an earlier run left of a video: the frames in its log, and the tracker's memory after a certain one of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import safetensors
import safetensors.torch
from torch import Tensor

from qcen_core.errors import InputError
from qcen_core.jsonfile import write_whole
from qcen_core.trackforms.frame_log import LogHead, has_head, read_end, read_head
from qcen_core.video.write_errors import write_errors_named


@dataclass(frozen=True, slots=True)
class VideoFiles:
    """Where a run keeps what it finds in one video.

    Attributes:
        log: `frames.jsonl`, see `trackforms.frame_log`.
        state: what it takes to go on after a kill; gone when the video is done.
    """

    log: Path
    state: Path


@dataclass(frozen=True, slots=True)
class EarlierRun:
    """What is done of a video.

    Attributes:
        frame_count: frames that need not be segmented again.
        log_position: bytes of the log that hold them, `None` where there is nothing to keep.
        tracker: the tracker's memory after them, as `VideoSegmenter.state` gives it, where it is needed.
        complete: whether that was all.
    """

    frame_count: int = 0
    log_position: int | None = None
    tracker: Mapping[str, Tensor] | None = None
    complete: bool = False


def earlier_run(files: VideoFiles, head: LogHead) -> EarlierRun:
    """What an earlier run left, nothing if there was none or if its log has no state that belongs to it.

    Raises:
        InputError: the log is of another video or of other categories.
    """
    if not has_head(files.log):
        return EarlierRun()
    logged = read_head(files.log)
    if logged != head:
        changed = "the video" if logged.video != head.video else "categories or confidence"
        raise InputError(
            f"{changed} changed since this log was begun", place=files.log, hint="begin anew without --resume"
        )
    end = read_end(files.log)
    if end is not None:
        return EarlierRun(end.frame_count, complete=True)
    return _load_state(files) or EarlierRun()


def save_state(state: EarlierRun, path: Path) -> None:
    """Write the state of an unfinished video as safetensors, whole or not at all."""
    metadata = {"frame_count": str(state.frame_count), "log_position": str(state.log_position)}
    tensors = {name: tensor.contiguous().cpu() for name, tensor in (state.tracker or {}).items()}
    with write_errors_named(path):
        write_whole(safetensors.torch.save(tensors, metadata), path)


def _load_state(files: VideoFiles) -> EarlierRun | None:
    try:
        with safetensors.safe_open(files.state, "pt") as file:
            metadata = file.metadata()
            # Copies: the tensors are the mapped file, which some systems do not replace while it is in use.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118  # no mapping
        state = EarlierRun(int(metadata["frame_count"]), int(metadata["log_position"]), tensors)
    except (OSError, safetensors.SafetensorError, KeyError, TypeError, ValueError):
        return None
    return state if (state.log_position or 0) <= files.log.stat().st_size else None
