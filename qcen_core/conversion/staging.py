"""A folder that appears whole or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qcen_core.errors import InputError


def require_free(out: Path, marker: str, *, overwrite: bool) -> None:
    """Checks that a folder may be written to.

    Args:
        out: the folder.
        marker: a file that only folders of ours hold; no other folder is ever replaced.
        overwrite: whether one of ours may be replaced.

    Raises:
        InputError: it may not.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / marker).is_file():
        raise InputError(f"there already, and not a folder with a {marker}", place=out, hint="choose another --out")
    if not overwrite:
        raise InputError("there already", place=out, hint="choose another --out, or pass --overwrite")


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """Gives an empty folder beside `out` to write into; it takes `out`'s place at the end.

    If anything is raised, `out` stays as it was and nothing is left beside it. What a process that was killed left
    beside it is cleared away first.
    """
    out = out.absolute()
    out.parent.mkdir(parents=True, exist_ok=True)
    _clear_up_after_the_dead(out)
    beside, replaced = (out.with_name(f".{out.name}.{os.getpid()}.{kind}") for kind in ("part", "old"))
    beside.mkdir()
    try:
        yield beside
        if out.exists():
            out.rename(replaced)
        beside.rename(out)
    except BaseException:
        if replaced.exists() and not out.exists():
            replaced.rename(out)
        raise
    finally:
        for folder in (beside, replaced):
            shutil.rmtree(folder, ignore_errors=True)


def _clear_up_after_the_dead(out: Path) -> None:
    if os.name != "posix":  # elsewhere there is no harmless way to ask whether a process lives
        return
    for folder in out.parent.glob(f".{out.name}.*"):
        number, _, kind = folder.name.removeprefix(f".{out.name}.").partition(".")
        if kind not in ("part", "old") or not number.isdecimal() or _lives(int(number)):
            continue
        if kind == "old" and not out.exists():  # it was killed between the two renamings
            folder.rename(out)
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
