"""Text files line by line: tables with commas, columns with spaces, lists of names."""

import csv
from collections.abc import Iterator
from pathlib import Path

from qcen_core.errors import InputError


def text_lines(path: Path) -> Iterator[tuple[str, str]]:
    """The lines that are not empty, stripped, each with its place.

    Raises:
        InputError: the file cannot be read as text.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield f"{path}: line {number}", line.strip()
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from None


def table_rows(path: Path) -> Iterator[tuple[str, list[str]]]:
    """The rows of a table with commas, each with its place; a row may hold line ends in quotation marks.

    Raises:
        InputError: the file cannot be read as such a table.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file)
            for row in rows:
                if row:
                    yield f"{path}: line {rows.line_num}", row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _unreadable(path, error) from None


def require_columns(row: list[str], counts: range, place: str, form: str) -> None:
    """Check how many columns a row has.

    Raises:
        InputError: too many or too few.
    """
    if len(row) not in counts:
        raise InputError(f"{len(row)} columns; the line may be cut off", place=place, hint=f"a line is {form}")


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(f"cannot be read as text: {error}", place=path, hint="write or export it again")
