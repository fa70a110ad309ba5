"""A file or folder that appears whole or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qcen_core.video.write_errors import write_errors_named


@contextmanager
def whole(target: Path) -> Iterator[Path]:
    """A hidden place beside a target to write a file or folder to, which becomes the target if the block succeeds.

    Otherwise what was written is removed, and so are folders that were made for it. What stood at the target before is
    replaced only at the end.

    Raises:
        QcenError: the disk is full, or the place is closed to us.
    """
    made = [folder for folder in target.absolute().parents if not folder.exists()]
    with write_errors_named(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.{os.getpid()}.part")
    finished = False
    try:
        with write_errors_named(target):
            yield beside
            _put(beside, target)
        finished = True
    finally:
        if not finished:
            _remove(beside)
            for folder in made:
                if not any(folder.iterdir()):
                    folder.rmdir()


def _put(beside: Path, target: Path) -> None:
    if not target.is_dir():
        beside.replace(target)
        return
    # A folder cannot be replaced in one step: the old one goes aside, and comes back if the new one cannot be put.
    old = target.with_name(f".{target.name}.{os.getpid()}.old")
    target.rename(old)
    try:
        beside.rename(target)
    except OSError:
        old.rename(target)
        raise
    _remove(old)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
