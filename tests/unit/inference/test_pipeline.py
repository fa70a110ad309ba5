"""Reading ahead and writing behind: order, bounds, and errors that come out where they are waited for."""

import threading
import time

import pytest

from qcen_core.inference.pipeline import WriteBehind, read_ahead


def until(condition, seconds: float = 5.0) -> bool:
    """Whether something comes true in time."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    return bool(condition())


def test_items_come_in_order_and_all_of_them():
    with read_ahead((number for number in range(1, 50)), depth=3) as items:
        assert list(items) == list(range(1, 50))


def test_only_so_many_are_read_ahead():
    asked = []

    def source():
        for number in range(1, 100):
            asked.append(number)
            yield number

    with read_ahead(source(), depth=3) as items:
        assert next(items) == 1
        # One was taken, three wait, and one is in the reader's hand.
        assert until(lambda: len(asked) == 5)
        time.sleep(0.05)
        assert len(asked) == 5
    assert len(asked) == 5


def test_leaving_early_ends_the_reading_thread_before_anything_is_closed():
    closed = []

    def source():
        try:
            yield from range(1, 1000)
        finally:
            closed.append(threading.current_thread().name)

    before = threading.active_count()
    with read_ahead(source(), depth=2) as items:
        next(items)
    assert threading.active_count() == before
    assert closed == ["read-ahead"]


def test_an_error_of_the_source_comes_after_the_items_before_it():
    def source():
        yield from (1, 2, 3)
        raise OSError("broken")

    with read_ahead(source()) as items:
        assert [next(items) for _ in range(3)] == [1, 2, 3]
        with pytest.raises(OSError, match="broken"):
            next(items)


def test_all_is_written_in_order_when_the_block_ends():
    written = []

    def slow(item):
        time.sleep(0.002)
        written.append(item)

    with WriteBehind(slow, depth=2) as behind:
        for item in range(30):
            behind.put(item)
    assert written == list(range(30))


def test_what_was_handed_over_is_written_although_the_block_fails():
    written = []
    with pytest.raises(KeyboardInterrupt), WriteBehind(written.append) as behind:  # noqa: PT012
        behind.put(1)
        behind.put(2)
        raise KeyboardInterrupt
    assert written == [1, 2]


def test_an_error_of_the_writer_comes_out_of_put():
    def full(item):
        if item == 3:
            raise OSError("no space")

    def feed():
        with WriteBehind(full, depth=1) as behind:
            for item in range(1, 1000):
                behind.put(item)

    with pytest.raises(OSError, match="no space"):
        feed()


def test_an_error_of_the_last_item_comes_out_at_the_end():
    def fail(_):
        raise OSError("late")

    with pytest.raises(OSError, match="late"), WriteBehind(fail) as behind:
        behind.put(1)
