"""A folder that appears whole or not at all."""

import os
import platform
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from qcen_core.errors import InputError

OURS = ("contact_sheet.png", "dataset.yaml", "frames")  # beside JSON files, what a data set of ours holds


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
        raise InputError("there already", place=out, hint="choose another --out or --name, or pass --overwrite")
    strangers = [path.name for path in sorted(out.iterdir()) if path.suffix != ".json" and path.name not in OURS]
    if strangers:
        raise InputError(
            f"holds what prepare did not write: {', '.join(strangers[:5])}",
            place=out,
            hint="move it away before overwriting the data set, or choose another --out",
        )


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """Gives an empty folder beside `out` to write into; it takes `out`'s place at the end.

    If anything is raised, `out` stays as it was, and nothing is left beside it or above it. What a process that was
    killed left beside it is cleared away first.
    """
    out = out.absolute()
    missing = [folder for folder in out.parents if not folder.exists()]
    out.parent.mkdir(parents=True, exist_ok=True)
    _clear_up_after_the_dead(out)
    stem = f"{_ours(out)}{os.getpid()}.{uuid.uuid4().hex}"
    beside, replaced = (out.with_name(f"{stem}.{kind}") for kind in ("part", "old"))
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
        for folder in missing:
            with suppress(OSError):  # it is in use
                folder.rmdir()


def _ours(out: Path) -> str:
    """How the names of folders beside `out` begin that this machine writes to; others may share the disk."""
    host = "".join(letter for letter in platform.node() if letter.isalnum())
    return f".{out.name}.{host}-"


def _clear_up_after_the_dead(out: Path) -> None:
    if os.name != "posix":  # elsewhere there is no harmless way to ask whether a process lives
        return
    for folder in out.parent.iterdir():
        number, _, rest = folder.name.removeprefix(_ours(out)).partition(".")
        kind = rest.rpartition(".")[2]
        if not folder.name.startswith(_ours(out)) or kind not in ("part", "old") or not number.isdecimal():
            continue
        if _lives(int(number)):
            continue
        if kind == "old" and not out.exists():  # it was killed between the two renamings
            folder.rename(out)
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _lives(process: int) -> bool:
    """Whether another process of this number runs; one of our own number is an earlier one, and gone."""
    if process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
