"""Where things lie below the current folder: numbered runs in `runs/<verb>/`, data sets in `data/`.

A command that is not told where its input lies finds it here and says in one line what it took.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from qcen_cli import console
from qcen_core.errors import InputError

RUNS = Path("runs")
DATA = Path("data")


@contextmanager
def run_folder(verb: str, out: Path | None, overwrite: bool) -> Iterator[Path]:
    """The folder that a command writes into: `out`, or the next number of its verb.

    An empty folder that was made here goes away again if the command fails. Only the first of several processes
    makes or checks anything; the others are told the same place, or the latest number.

    Raises:
        InputError: `out` is a file, or is not empty and may not be overwritten.
    """
    if not console.is_first_process():
        yield out or max(_numbered(RUNS / verb), key=lambda run: int(run.name), default=RUNS / verb / "1")
        return
    existed = out is not None and out.exists()
    if out is None:
        folder = _claim_number(RUNS / verb)
    else:
        check_out(out, overwrite)
        out.mkdir(parents=True, exist_ok=True)
        folder = out
    try:
        yield folder
    except BaseException:
        if not existed and not any(folder.iterdir()):
            folder.rmdir()
        raise


def check_out(out: Path, overwrite: bool) -> None:
    """Refuses a place to write to that holds something already.

    Raises:
        InputError: `out` is a file, or is not empty and may not be overwritten.
    """
    if out.exists() and not out.is_dir():
        raise InputError("is a file, not a folder", place=out, hint="give --out another folder")
    if out.is_dir() and any(out.iterdir()) and not overwrite:
        raise InputError("is not empty", place=out, hint="give --out another folder, or add --overwrite")


def latest_file(verb: str, *names: str, suits: Callable[[Path], bool] = Path.is_file) -> Path:
    """The first of some files that the latest run of a verb holds; runs without any of them are passed over.

    Args:
        verb: whose runs to look through.
        names: of the files, the best one first.
        suits: tells of a path whether it is one to take.

    Raises:
        InputError: no run holds one.
    """
    for run in sorted(_numbered(RUNS / verb), key=lambda run: int(run.name), reverse=True):
        for name in names:
            if suits(run / name):
                return run / name
    raise InputError(
        f"no {names[0]} in any folder of {RUNS / verb}/", hint=f"run 'qcen {verb}' first, or name the file"
    )


def latest_run(*verbs: str) -> Path:
    """The run among those of several verbs that was written to last.

    Raises:
        InputError: there is none.
    """
    found = [run for verb in verbs for run in _numbered(RUNS / verb)]
    if not found:
        raise InputError(f"there is no run in {RUNS}/ yet", hint=f"run 'qcen {verbs[0]}' first, or name a target")
    return max(found, key=lambda run: run.stat().st_mtime)


def find_run(verb: str, run: Path) -> Path:
    """A run that was named by its folder or by its number alone.

    Raises:
        InputError: there is no such folder.
    """
    for folder in (run, RUNS / verb / run):
        if folder.is_dir():
            return folder
    raise InputError("no such run", place=run, hint=f"the runs lie in {RUNS / verb}/")


def choose_data(data: Path | None) -> Path:
    """The prepared data set that was named, or the only one there is.

    Raises:
        InputError: none is there, several are there, or the named one was not prepared.
    """
    if data is not None:
        folder = data.parent if data.name == "dataset.yaml" else data
        if not (folder / "dataset.yaml").is_file():
            raise InputError("is not a prepared data set", place=data, hint="make one with 'qcen prepare'")
        return folder
    found = sorted(file.parent for file in DATA.glob("*/dataset.yaml"))
    if not found:
        raise InputError(f"no prepared data set in {DATA}/", hint="run 'qcen prepare' first, or give --data")
    if len(found) > 1:
        listed = ", ".join(f"{folder} (prepared {age(folder / 'dataset.yaml')})" for folder in found)
        raise InputError(f"several data sets could be meant: {listed}", hint=f"choose one, e.g. --data {found[0]}")
    return found[0]


def tell_choice(role: str, path: Path, happened: str, since: Path) -> None:
    """Says what was picked, e.g. `data: data/shapes (prepared 2 h ago)`."""
    console.note(f"{role}: {path} ({happened} {age(since)})")


def age(file: Path) -> str:
    """How long ago a file was written."""
    return f"{console.duration(max(0.0, time.time() - file.stat().st_mtime))} ago"


def _claim_number(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    number = max((int(run.name) for run in _numbered(folder)), default=0)
    while True:
        number += 1
        run = folder / str(number)
        try:
            run.mkdir()  # fails where another process was quicker, so a number is never shared
        except FileExistsError:
            continue
        return run


def _numbered(folder: Path) -> list[Path]:
    return [run for run in folder.glob("*") if run.name.isdecimal() and run.is_dir()]
