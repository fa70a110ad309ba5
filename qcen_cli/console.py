"""What a person sees: results on stdout; progress, notes and errors on stderr."""

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import typer

SECONDS_BETWEEN_LINES = 5.0
RANK_VARIABLES = ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")


class Update(Protocol):
    """Is told how far the work is, as often as anything changes."""

    def __call__(self, done: int, total: int | None, remark: str = "") -> None:
        """Takes what is done, what there is to do (`None` if unknown) and a remark."""


def is_first_process() -> bool:
    """Whether this is the first, or only, process of a run; launchers tell the others their rank."""
    return all(os.environ.get(name, "0") == "0" for name in RANK_VARIABLES)


def result(text: str) -> None:
    """Prints a result on stdout, in the first process only."""
    if is_first_process():
        typer.echo(text)


def json_object(values: Mapping[str, Any]) -> None:
    """Prints one JSON object on stdout; paths become texts."""
    result(json.dumps(values, default=str, allow_nan=False, indent=2))


def note(text: str) -> None:
    """Prints a line on stderr, in the first process only."""
    if is_first_process():
        typer.echo(text, file=sys.stderr)  # as it is now: a bar has put its own in place, which writes above it


def error(cause: str, hint: str | None = None) -> None:
    """Prints one line of cause and one line of hint on stderr, in every process."""
    typer.echo(f"{typer.style('error:', fg='red', bold=True)} {_one_line(cause)}", err=True)
    if hint:
        typer.echo(f"{typer.style('hint:', fg='cyan')} {_one_line(hint)}", err=True)


def table(rows: Sequence[Sequence[str]]) -> None:
    """Prints rows on stdout, the first one being the heads: ruled on a terminal, plain aligned text elsewhere.

    The first column keeps to the left, the others, being numbers, to the right.
    """
    if sys.stdout.isatty() and is_first_process():
        _ruled_table(rows)
    else:
        result(plain_table(rows) + "\n")


def plain_table(rows: Sequence[Sequence[str]]) -> str:
    """The rows of `table` as text."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for first, *others in rows:
        cells = [first.ljust(widths[0])] + [cell.rjust(widths[i + 1]) for i, cell in enumerate(others)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _ruled_table(rows: Sequence[Sequence[str]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    ruled = Table(box=SIMPLE_HEAD)
    for i, head in enumerate(rows[0]):
        ruled.add_column(head, justify="right" if i else "left")
    for row in rows[1:]:
        ruled.add_row(*row)
    Console(markup=False, highlight=False).print(ruled)


def percent(value: float | None) -> str:
    """A share as a text in percent; an undefined one as a dash."""
    return "-" if value is None else f"{100 * value:.1f}"


def counted(number: int, noun: str) -> str:
    """A number with its noun, e.g. `1 track`, `2 tracks`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """A length of time in its largest fitting unit."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 86400:.0f} days"


@contextmanager
def progress(label: str, unit: str) -> Iterator[Update]:
    """Shows the progress of one piece of work on stderr.

    Args:
        label: what is done, e.g. "train".
        unit: what is counted, e.g. "steps".

    Yields:
        A function to call as often as anything changes.
    """
    with _bar(label, unit) if _can_be_drawn_on() else _lines(label, unit) as update:
        yield update


def _can_be_drawn_on() -> bool:
    """Whether stderr is a terminal on which lines can be written anew; a dumb one would show nothing before the end."""
    if not (sys.stderr.isatty() and is_first_process()):
        return False
    from rich.console import Console

    return Console(stderr=True).is_interactive


class _Pace:
    """How quick work is since its first update: what was done before, as in a run that goes on, says nothing."""

    def __init__(self) -> None:
        self._first: tuple[int, float] | None = None
        self._latest = (0, 0.0)

    def measure(self, done: int, total: int | None, now: float) -> tuple[float | None, float | None]:
        """Units a second, and seconds until all is done; `None` what nobody can tell."""
        if self._first is None:
            self._first = self._latest = done, now
        if done != self._latest[0]:  # while nothing new is done, as in an evaluation, the speed stays what it was
            self._latest = done, now
        new, seconds = self._latest[0] - self._first[0], self._latest[1] - self._first[1]
        if new <= 0 or seconds <= 0:
            return None, None
        return new / seconds, None if total is None or done >= total else seconds / new * (total - done)


@contextmanager
def _bar(label: str, unit: str) -> Iterator[Update]:
    """A bar that is drawn anew four times a second, with the remark in lines of its own, as many as it needs."""
    from rich.console import Console, Group, RenderableType
    from rich.live import Live
    from rich.progress import BarColumn, Progress, TextColumn
    from rich.table import Column
    from rich.text import Text

    def figures(field: str, width: int = 0) -> TextColumn:
        # Of a width that does not change with every digit, or the end of the bar would tremble.
        column = Column(justify="right", min_width=width, no_wrap=True)
        return TextColumn(f"{{task.fields[{field}]}}", style=f"progress.{field}", markup=False, table_column=column)

    screen = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
        BarColumn(bar_width=None, table_column=Column(ratio=1)),
        figures("download"),
        figures("data.speed", len(f"100.0 {unit}/s")),
        figures("elapsed"),
        figures("remaining", len("0:00:00 left")),
        console=screen,
        expand=True,
    )
    started, pace, told = time.monotonic(), _Pace(), ""
    empty: dict[str, Any] = {"download": "", "data.speed": "", "elapsed": "", "remaining": ""}
    task = bar.add_task(label, total=None, **empty)

    def draw() -> RenderableType:
        # rich stops its own clock when all is done, but a last evaluation may still be on its way.
        bar.update(task, elapsed=_clock(time.monotonic() - started))
        return Group(bar, Text(told)) if told else bar

    def update(done: int, total: int | None, remark: str = "") -> None:
        nonlocal told
        told = remark
        speed, left = pace.measure(done, total, time.monotonic())
        texts: dict[str, Any] = {
            "download": str(done) if total is None else f"{done:>{len(str(total))}}/{total}",
            "data.speed": "" if speed is None else f"{speed:.{1 if speed >= 1 else 2}f} {unit}/s",
            "remaining": "" if left is None else f"{_clock(left)} left",
        }
        bar.update(task, completed=done, total=total, **texts)
        live.transient = False

    # What goes to stdout is for another program, perhaps: it stays what it is. What is never begun leaves nothing.
    with Live(console=screen, get_renderable=draw, transient=True, redirect_stdout=False) as live:
        yield update


@contextmanager
def _lines(label: str, unit: str) -> Iterator[Update]:
    printed, pace = time.monotonic(), _Pace()
    latest = ""

    def update(done: int, total: int | None, remark: str = "") -> None:
        nonlocal printed, latest
        now = time.monotonic()
        speed, left = pace.measure(done, total, now)
        latest = "  ".join(
            part
            for part in (
                f"{label}: {done}{'' if total is None else f'/{total}'} {unit}",
                "" if speed is None else f"{speed:.1f}/s",
                "" if left is None else f"{duration(left)} left",
                remark,
            )
            if part
        )
        if now - printed >= SECONDS_BETWEEN_LINES:
            note(latest)
            printed, latest = now, ""

    try:
        yield update
    finally:
        if latest:
            note(latest)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def _one_line(text: str) -> str:
    return " ".join(text.split())
