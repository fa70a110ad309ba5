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
        typer.echo(text, err=True)


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
    with _bar(label, unit) if sys.stderr.isatty() and is_first_process() else _lines(label, unit) as update:
        yield update


@contextmanager
def _bar(label: str, unit: str) -> Iterator[Update]:
    from tqdm import tqdm

    with tqdm(desc=label, unit=f" {unit}", file=sys.stderr, dynamic_ncols=True) as bar:

        def update(done: int, total: int | None, remark: str = "") -> None:
            if bar.n == 0 and done > 0:
                bar.reset()
                bar.initial = bar.n = done
            bar.total = total
            bar.set_postfix_str(remark, refresh=False)
            bar.update(done - bar.n)

        yield update


@contextmanager
def _lines(label: str, unit: str) -> Iterator[Update]:
    printed = time.monotonic()
    first: tuple[int, float] | None = None
    latest = ""

    def update(done: int, total: int | None, remark: str = "") -> None:
        nonlocal printed, latest, first
        now = time.monotonic()
        first = first or (done, now)  # what was done before, as in a run that goes on, says nothing about the speed
        new, seconds = done - first[0], now - first[1]
        parts = [f"{label}: {done}{'' if total is None else f'/{total}'} {unit}"]
        if new > 0 and seconds > 0:
            parts.append(f"{new / seconds:.1f}/s")
            if total is not None and done < total:
                parts.append(f"{duration(seconds / new * (total - done))} left")
        latest = "  ".join(part for part in [*parts, remark] if part)
        if now - printed >= SECONDS_BETWEEN_LINES:
            note(latest)
            printed, latest = now, ""

    try:
        yield update
    finally:
        if latest:
            note(latest)


def _one_line(text: str) -> str:
    return " ".join(text.split())
