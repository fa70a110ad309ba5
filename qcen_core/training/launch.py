"""Starting the processes of a run on this machine, by the engine of torchrun."""

import json
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from torch.distributed import DistError
from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from qcen_core.errors import InputError, QcenError

INTERRUPTED = 130
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
_ERROR_FILE = "TORCHELASTIC_ERROR_FILE"
_LOST_PEER = ("gloo", "nccl", "connection closed", "connection reset")


class LostProcessError(QcenError):
    """Another process of the run has failed; its own error tells why."""


def launch(arguments: Sequence[str], processes: int) -> None:
    """Run Python with the same arguments in several processes that form one run, and wait for them.

    When one fails, the others are stopped. SIGINT, SIGTERM and SIGUSR1 are passed on to all of them.

    Args:
        arguments: of the interpreter, such as `-m` and a module.
        processes: how many.

    Raises:
        QcenError: a process failed; the cause is that of the first one that did.
        InputError: the same, where the cause was wrong input.
        KeyboardInterrupt: the run was stopped by a signal.
    """
    threads = max(1, (os.cpu_count() or 1) // processes)
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # of parameters that no term uses yet, at every start
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id=str(os.getpid()),
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        local_addr="localhost",
        max_restarts=0,
        signals_to_handle=",".join(number.name for number in STOP_SIGNALS),
    )
    with _quiet_engine():
        try:
            elastic_launch(config, sys.executable)(*arguments)
        except SignalException:
            raise KeyboardInterrupt from None
        except ChildFailedError as error:
            raise _cause([_failure(rank, failed) for rank, failed in error.failures.items()], processes) from None


@contextmanager
def _quiet_engine() -> Iterator[None]:
    """The engine would tell of every failed process in tables of its own."""
    logger = logging.getLogger("torch.distributed.elastic")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    handlers = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        logger.setLevel(level)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def tell_launcher(error: BaseException) -> bool:
    """Leave an error for the process that launched this one to show; whether there is one."""
    path = os.environ.get(_ERROR_FILE)
    if path is None:
        return False
    known = error if isinstance(error, QcenError) else QcenError(f"internal error, {type(error).__name__}: {error}")
    told = {
        "line": known.line(),
        "hint": known.hint,
        "code": known.exit_code,
        "lost": isinstance(known, LostProcessError),
    }
    record = {"message": {"message": json.dumps(told), "extraInfo": {"timestamp": str(int(time.time()))}}}
    Path(path).write_text(json.dumps(record), encoding="utf-8")
    return True


def is_lost_process(error: BaseException) -> bool:
    """Whether an error only says that the other processes do not answer any more."""
    if isinstance(error, DistError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in _LOST_PEER)


class _Failure(NamedTuple):
    rank: int
    code: int
    told: dict[str, Any] | None


def _failure(rank: int, failed: Any) -> _Failure:  # noqa: ANN401  # the engine's record of it
    message = failed.message
    told = json.loads(message["message"]) if isinstance(message, dict) else None
    return _Failure(rank, failed.exitcode, told)


def _cause(failures: Sequence[_Failure], processes: int) -> BaseException:
    """What to raise for a run that failed: processes that only lost another one say nothing, nor do stopped ones."""

    def order(failure: _Failure) -> int:
        if failure.told is not None:
            return 3 if failure.told["lost"] else 0
        return 2 if failure.code in {INTERRUPTED, -signal.SIGTERM} else 1

    first = min(failures, key=order)
    place = f"process {first.rank + 1} of {processes}"
    if first.told is not None:
        kind = InputError if first.told["code"] == InputError.exit_code else QcenError
        return kind(f"{place}: {first.told['line']}", hint=first.told["hint"])
    if first.code == INTERRUPTED:
        return KeyboardInterrupt()
    if first.code < 0:
        name = signal.Signals(-first.code).name
        return QcenError(f"{place} was ended by {name}", hint="SIGKILL comes of too little memory, or by hand")
    return QcenError(f"{place} ended with exit code {first.code}")
