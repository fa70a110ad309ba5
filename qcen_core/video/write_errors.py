"""What the system says when a file cannot be written, in a line that tells what to do."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qcen_core.errors import QcenError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_NO_FOLDER = (errno.ENOTDIR, errno.EEXIST)


@contextmanager
def write_errors_named(path: Path) -> Iterator[None]:
    """Turn the system's errors in a block into one that names the file that was being written.

    Args:
        path: the file that a person knows, which may not be the one that is open.

    Raises:
        QcenError: the disk is full, the folder is closed to us, or whatever else the system says.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            cause, hint = (
                "the disk is full",
                "make room or choose another disk; the partial file was removed",
            )
        elif error.errno in _NO_FOLDER:
            cause, hint = "a part of this path is a file, not a folder", "choose another place"
        else:
            cause = f"cannot be written: {error.strerror or error}"
            hint = "choose another place, or see to the rights and the disk"
        raise QcenError(cause, place=path, hint=hint) from error
