"""Reading ahead and writing behind: decoding, drawing and encoding go on in threads while the model works.

Queues are bounded, so that memory does not grow when one stage is slower than another. An error in a thread comes out
where its frames are asked for or handed over.
"""

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, suppress
from queue import Empty, Full, Queue
from types import TracebackType
from typing import Generic, Self, TypeVar

T = TypeVar("T")

_PATIENCE = 0.1  # seconds after which a waiting thread looks whether it is to stop


class _Stopped(Exception):  # noqa: N818  # no error: the other side has gone
    """The thread at the other end of a queue needs nothing any more."""


class _Channel(Generic[T]):
    """A bounded queue that either side can end."""

    def __init__(self, depth: int) -> None:
        self._queue: Queue[T | None] = Queue(depth)
        self.stop = threading.Event()
        self.error: BaseException | None = None

    def put(self, item: T | None) -> None:
        while not self.stop.is_set():
            try:
                self._queue.put(item, timeout=_PATIENCE)
            except Full:
                continue
            return
        raise _Stopped

    def get(self) -> T | None:
        while True:
            try:
                return self._queue.get(timeout=_PATIENCE)
            except Empty:
                if self.stop.is_set():
                    return None


@contextmanager
def read_ahead(items: Generator[T, None, None], depth: int = 4) -> Iterator[Iterator[T]]:
    """Items that a thread fetches ahead of time; none of them may be `None`.

    When the block is left, also early, the generator is closed and the thread has ended.

    Args:
        items: where they come from; only the thread touches it.
        depth: most items that wait.

    Yields:
        The items in order. An error of `items` comes out after the items before it.
    """
    channel: _Channel[T] = _Channel(depth)

    def fetch() -> None:
        try:
            with closing(items):
                for item in items:
                    channel.put(item)
        except _Stopped:
            return
        except BaseException as error:  # noqa: BLE001  # handed over to the thread that waits for items
            channel.error = error
        try:
            channel.put(None)
        except _Stopped:
            return

    def handed_over() -> Iterator[T]:
        while (item := channel.get()) is not None:
            yield item
        if channel.error is not None:
            raise channel.error

    thread = threading.Thread(target=fetch, name="read-ahead", daemon=True)
    thread.start()
    try:
        yield handed_over()
    finally:
        channel.stop.set()
        thread.join()


class WriteBehind(Generic[T]):
    """Hands items to a function in a thread, in order; a context manager.

    Leaving the block waits until all is written, also when the block fails: what was done is kept.

    Args:
        write: takes one item; only the thread calls it.
        depth: most items that wait.
    """

    def __init__(self, write: Callable[[T], None], depth: int = 4) -> None:
        self._write = write
        self._channel: _Channel[T] = _Channel(depth)
        self._thread = threading.Thread(target=self._work, name="write-behind", daemon=True)

    def put(self, item: T) -> None:
        """Hand an item over; waits while too many are waiting.

        Raises:
            BaseException: what writing an earlier item failed with.
        """
        try:
            self._channel.put(item)
        except _Stopped:
            if self._channel.error is not None:
                raise self._channel.error from None
            raise

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(_Stopped):
            self._channel.put(None)
        self._thread.join()
        if error is None and self._channel.error is not None:
            raise self._channel.error

    def _work(self) -> None:
        try:
            while (item := self._channel.get()) is not None:
                self._write(item)
        except BaseException as error:  # noqa: BLE001  # handed over to the thread that puts items
            self._channel.error = error
            self._channel.stop.set()
