"""Measure a results file in several processes.

They are started as programs, not forked or spawned by `multiprocessing`: so it works below a process that has threads
or must have no children of its kind, and from a script that does not guard its entry.
"""

import contextlib
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from qcen_core.evaluation.measurement import GroundTruth, Measurement, join_measurements
from qcen_core.evaluation.result_parts import UnusualResultsError, measure_part

# With less for each, another process costs more time than it saves.
_BYTES_A_PROCESS = 40_000_000
Helper = subprocess.Popen[bytes]


@contextlib.contextmanager
def helpers(path: Path, processes: int | None) -> Iterator[list[Helper]]:
    """Start the processes that help with a file, before they are needed; end them when all is done or has failed.

    Args:
        path: a results file.
        processes: how many work on it, this one included; by default as many as there are processors and as have
            enough to do.
    """
    if processes is None:
        size = path.stat().st_size if path.is_file() else 0
        processes = min(_processors(), 1 + size // _BYTES_A_PROCESS)
    started: list[Helper] = []
    # They find what this process finds, wherever it looks for it, and nothing else (-P).
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry or "." for entry in sys.path)}
    try:
        for _ in range(processes - 1):
            with contextlib.suppress(OSError):  # fewer will do
                started.append(_start(environment))
        yield started
    finally:
        for helper in started:
            helper.kill()
            for pipe in (helper.stdin, helper.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):  # closing writes what is left, which nobody reads any more
                        pipe.close()
            helper.wait()


def _start(environment: dict[str, str]) -> Helper:
    command = [sys.executable, "-P", "-m", "qcen_core.evaluation.worker"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)  # noqa: S603  # it is us


def measure_file(path: Path, truth: GroundTruth, started: list[Helper]) -> Measurement:
    """Measure a results file.

    Args:
        path: the file.
        truth: what to compare with; it has one video or more.
        started: the `helpers`.

    Raises:
        UnusualResultsError: `measure_part` cannot do it.
    """
    parts = len(started) + 1
    work = pickle.dumps((path, truth), pickle.HIGHEST_PROTOCOL) if started else b""
    for part, helper in enumerate(started, start=1):
        # A pipe holds little, and a helper that is still starting does not read: nobody waits for it here.
        threading.Thread(target=_send, args=(pickle.dumps((part, parts)), work, helper), daemon=True).start()
    measured = [measure_part(path, truth, 0, parts)]
    for part, helper in enumerate(started, start=1):
        try:
            if helper.stdout is None:
                raise EOFError
            found = pickle.load(helper.stdout)  # noqa: S301  # what we wrote ourselves
        except (
            EOFError,
            OSError,
            pickle.UnpicklingError,
            ValueError,
            LookupError,
            TypeError,
            AttributeError,
            ImportError,
        ):
            # It was ended from outside, for want of memory maybe, or something else wrote to its output: do its part.
            found = measure_part(path, truth, part, parts)
        if isinstance(found, UnusualResultsError):
            raise found
        measured.append(found)
    return join_measurements([part for part in measured if part is not None])


def _send(part: bytes, work: bytes, helper: Helper) -> None:
    if helper.stdin is not None:
        with contextlib.suppress(OSError), helper.stdin:  # one that is gone has not measured, and that is seen
            helper.stdin.write(part)
            helper.stdin.write(work)


def _processors() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
