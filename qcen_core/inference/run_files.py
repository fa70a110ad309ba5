"""The folder of an inference run: its plan, and a log and a state for each video."""

import hashlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path

import msgspec

from qcen_core.errors import InputError, QcenError
from qcen_core.inference.earlier_run import VideoFiles
from qcen_core.inference.inputs import InputVideo
from qcen_core.inference.options import InferOptions
from qcen_core.jsonfile import write_whole
from qcen_core.model.published.hub import is_hub_name
from qcen_core.trackforms.frame_log import logged_frame_count
from qcen_core.video.write_errors import write_errors_named

PLAN = "run.json"
_HASHED_AT_ONCE = 1 << 20


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What a run was asked for; a run that goes on is asked for the same.

    Attributes:
        weights: the checkpoint, or the name of published weights.
        weights_sha256: of the checkpoint's file, empty for published weights.
        source: the free source, or `None`.
        data: folder of the prepared data set, or `None`.
        split: its split.
        overlay: the video to draw into, or the folder for one a video; `None` for none.
        forms: further forms to write the tracks in.
        options: choices of the run.
    """

    weights: str
    weights_sha256: str
    source: str | None
    data: str | None
    split: str
    overlay: str | None
    forms: tuple[str, ...]
    options: InferOptions


def write_plan(plan: RunPlan, folder: Path) -> None:
    """Write the plan of a run into its folder."""
    path = folder / PLAN
    with write_errors_named(path):
        write_whole(msgspec.json.format(msgspec.json.encode(plan), indent=2) + b"\n", path)
        if plan.source is not None and "@" in plan.source:
            path.chmod(0o600)  # an address may hold a password, without which the run could not go on


def read_plan(folder: Path) -> RunPlan:
    """The plan of a run.

    Raises:
        InputError: the folder holds none that can be read.
    """
    try:
        return msgspec.json.decode((folder / PLAN).read_bytes(), type=RunPlan)
    except (OSError, msgspec.DecodeError) as error:
        hint = "give the folder of a run of `qcen infer` that was begun with this version"
        raise InputError(f"no run to go on with: {error}", place=folder / PLAN, hint=hint) from None


def check_same_plan(earlier: RunPlan, plan: RunPlan, folder: Path) -> None:
    """Refuse to go on with another plan than a run was begun with; the device may be another.

    Raises:
        InputError: they differ; the message names the first difference.
    """
    pairs = [(f.name, getattr(earlier, f.name), getattr(plan, f.name)) for f in fields(RunPlan) if f.name != "options"]
    pairs += [
        (f.name, getattr(earlier.options, f.name), getattr(plan.options, f.name))
        for f in fields(InferOptions)
        if f.name != "device"
    ]
    for name, was, now in pairs:
        if was != now:
            raise InputError(
                f"begun with {name} {was}, not {now}", place=folder, hint="go on with the same, or begin a new run"
            )


def found_from_anywhere(place: str | Path) -> str:
    """A path, or a pattern, that does not depend on the current folder; addresses and cameras stay as they are."""
    text = str(place)
    if not Path(text).exists() and ("://" in text or text.isdecimal() or is_hub_name(text)):
        return text
    return str(Path(text).absolute())


def sha256_of(weights: str) -> str:
    """The checksum of a checkpoint's file, empty for the name of published weights."""
    if is_hub_name(weights) or not Path(weights).is_file():
        return ""
    digest = hashlib.sha256()
    with Path(weights).open("rb") as file:
        while part := file.read(_HASHED_AT_ONCE):
            digest.update(part)
    return digest.hexdigest()


def video_files(folder: Path, videos: Sequence[InputVideo]) -> tuple[VideoFiles, ...]:
    """Where the log and the state of each video of a run lie: `frames.jsonl`, or `frames/<name>.jsonl` of several."""
    if len(videos) == 1:
        return (VideoFiles(folder / "frames.jsonl", folder / "state.safetensors"),)
    return tuple(
        VideoFiles(folder / "frames" / f"{video.name}.jsonl", folder / "frames" / f"{video.name}.state")
        for video in videos
    )


def clear_run(folder: Path) -> None:
    """Remove what an earlier run in the same folder left, so that nothing of it is taken for the new run's."""
    own = (PLAN, "summary.json", "results.json", "tracks.json", "tracks.csv", "frames.jsonl", "state.safetensors")
    about_it = ("report.json", "report.csv", "report.html", "comparison.json", "comparison.html", "submission.zip")
    named = (*own, *about_it)
    for file in (*(folder / name for name in named), *(folder / "frames").glob("*")):
        if file.name in named or file.suffix in (".jsonl", ".state"):
            file.unlink(missing_ok=True)


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Keep other processes from the same run; the system lets go of it when this one ends, however it ends.

    Raises:
        InputError: another process is at it.
    """
    path = folder / ".lock"
    with path.open("a", encoding="ascii") as file:
        try:
            _lock(file.fileno())
        except OSError:
            raise InputError(
                "another process is writing this run", place=folder, hint="wait for its end, or choose another --run"
            ) from None
        try:
            yield
        finally:
            file.close()
            path.unlink(missing_ok=True)


def _lock(file: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def kept_if_begun(out: Path, files: Sequence[VideoFiles], overlay: Path | None, going_on: str) -> Iterator[None]:
    """Make the folders of a run; when it fails they go again if no frame was done, or else the user is told to go on.

    Args:
        out: folder of the run.
        files: of its videos.
        overlay: the video to draw into, or the folder for one a video; `None` for none.
        going_on: what the user can do with what was done.

    Raises:
        InputError: a folder cannot be made, or another process is at this run.
    """
    folders = {files[0].log.parent: "--run"}
    if overlay is not None:
        folders[overlay.parent if overlay.suffix else overlay] = "--out"
    missing = {place for folder in folders for place in (folder, *folder.parents) if not place.exists()}
    try:
        for folder, option in folders.items():
            _make(folder, option)
        with only_one(out):
            yield from _told_what_is_kept(out, files, going_on)
    finally:
        for place in sorted(missing, key=lambda place: len(place.parts), reverse=True):
            if place.is_dir() and not any(place.iterdir()):
                place.rmdir()


def _told_what_is_kept(out: Path, files: Sequence[VideoFiles], going_on: str) -> Iterator[None]:
    try:
        yield
    except QcenError as error:
        if not sum(logged_frame_count(place.log) for place in files):
            clear_run(out)
            raise
        hint = f"{error.hint}; " if error.hint else ""
        hint += f"what was done is kept, {going_on}"
        raise type(error)(error.cause, place=error.place, hint=hint) from error


def _make(folder: Path, option: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        cause = "a file, not a folder" if folder.exists() else f"this folder cannot be made: {error.strerror}"
        raise InputError(cause, place=folder, hint=f"choose another {option}") from None
