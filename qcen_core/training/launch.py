"""Starting the processes of a run on this machine, by the engine of torchrun."""

import json
import logging
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from torch.distributed import DistError
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from qcen_core.errors import InputError, QcenError

INTERRUPTED = 130
# SIGHUP comes when a terminal is closed; `nohup` has it ignored, and so it stays.
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP)
LAUNCHER = "QCEN_LAUNCHER"  # process that launched this one
PATIENCE = 300  # seconds that stopped processes have to finish a step and to save
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
    threads = max(1, len(os.sched_getaffinity(0)) // processes)
    defaults = {
        "OMP_NUM_THREADS": str(threads),
        "TORCH_CPP_LOG_LEVEL": "ERROR",  # it would tell of parameters that no term uses yet, at every start
        "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": str(PATIENCE),
    }
    variables = {**defaults, **os.environ, LAUNCHER: str(os.getpid())}
    with tempfile.TemporaryDirectory() as folder, _variables(variables), _quiet_engine():
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=processes,
            run_id=str(os.getpid()),
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            local_addr="localhost",
            max_restarts=0,
            signals_to_handle=",".join(number.name for number in stop_signals()),
            logs_specs=DefaultLogsSpecs(log_dir=folder),
        )
        try:
            elastic_launch(config, sys.executable)(*arguments)
        except SignalException:
            raise _error_while_stopping(Path(folder)) or KeyboardInterrupt from None
        except ChildFailedError as error:
            raise _cause([_failure(rank, failed) for rank, failed in error.failures.items()], processes) from None


def stop_signals() -> tuple[signal.Signals, ...]:
    """The signals that ask a run to stop; without SIGHUP where it is to be ignored."""
    ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    return tuple(number for number in STOP_SIGNALS if number != signal.SIGHUP or not ignored)


def is_orphan() -> bool:
    """Whether the process that launched this one is gone; nobody would be told of what this one does."""
    launcher = os.environ.get(LAUNCHER)
    return launcher is not None and os.getppid() != int(launcher)


def _error_while_stopping(folder: Path) -> QcenError | None:
    """What went wrong in a process after the signal to stop, such as a state that could not be saved."""
    told = [
        json.loads(json.loads(file.read_text(encoding="utf-8"))["message"]["message"])
        for file in folder.rglob("error.json")
    ]
    own = [error for error in told if not error["lost"]]
    return QcenError(own[0]["line"], hint=own[0]["hint"]) if own else None


@contextmanager
def _variables(variables: dict[str, str]) -> Iterator[None]:
    """The environment of the processes; the engine gives them that of this one."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _quiet_engine() -> Iterator[None]:
    """The engine would tell of every failed process in tables of its own."""
    names = [name for name in logging.root.manager.loggerDict if name.startswith("torch.distributed")]
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    handlers = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def tell_launcher(error: BaseException) -> bool:
    """Leave an error for the process that launched this one to show; whether there is one."""
    path = os.environ.get(_ERROR_FILE)
    if path is None:
        return False
    if isinstance(error, QcenError):
        known = error
    elif isinstance(error, OSError):
        known = QcenError(f"{error.filename or 'input or output'}: {error.strerror or error}")
    else:
        cause = f"internal error, {type(error).__name__}: {error}"
        known = QcenError(cause, hint="run again with --debug for the traceback")
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
