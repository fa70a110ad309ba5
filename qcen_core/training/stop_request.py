"""Stopping a run between two steps, where its state is whole."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from qcen_core.training.launch import is_orphan, stop_signals


class StopRequest:
    """Whether somebody asked the run to stop."""

    def __init__(self) -> None:
        self._signalled = False

    @property
    def made(self) -> bool:
        """Whether a signal came, or the process that launched this one is gone."""
        return self._signalled or is_orphan()

    def make(self, number: int, _frame: FrameType | None) -> None:
        """Note the first signal; a second interrupt stops at once, wherever the run is."""
        if self._signalled and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._signalled = True


@contextmanager
def stop_on_signal() -> Iterator[StopRequest]:
    """Turn SIGINT, SIGTERM, SIGUSR1 and SIGHUP into a `StopRequest`.

    Outside the main thread, where signals never arrive, do nothing.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.signal(number, request.make) for number in stop_signals()}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
