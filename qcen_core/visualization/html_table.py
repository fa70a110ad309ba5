"""Tables of a page: columns of numbers flush right, and heads that sort where the reader may want another order."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text; columns of numbers are set flush right.

    Attributes:
        head: names of the columns.
        rows: each as long as `head`.
        caption: stands above.
        sortable: a click on a head, or Enter on it, sorts the rows by its column.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    sortable: bool = False


def draw_table(table: Table) -> str:
    """The table as HTML, in a box that scrolls where the table is wider than the page."""
    numeric = [all(_is_number(row[column]) for row in table.rows) for column in range(len(table.head))]
    rows = "".join(f"<tr>{_cells(row, numeric, 'td')}</tr>" for row in table.rows)
    caption = f"<caption>{escape(table.caption)}</caption>" if table.caption else ""
    opening = "<table data-sortable>" if table.sortable else "<table>"
    head = _sort_heads(table.head, numeric) if table.sortable else _cells(table.head, numeric, "th")
    label = escape(table.caption or f"Table by {table.head[0]}", quote=True)
    return (
        f"<div class='table' tabindex='0' role='region' aria-label='{label}'>{opening}{caption}"
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _cells(values: Sequence[str], numeric: Sequence[bool], tag: str) -> str:
    return "".join(
        f"<{tag} class='number'>{escape(value)}</{tag}>" if right else f"<{tag}>{escape(value)}</{tag}>"
        for value, right in zip(values, numeric, strict=True)
    )


def _sort_heads(names: Sequence[str], numeric: Sequence[bool]) -> str:
    return "".join(
        f"<th class='{kind}' aria-sort='none'><button type='button'>{escape(name)}</button></th>"
        for name, kind in zip(names, ("number" if right else "name" for right in numeric), strict=True)
    )


def _is_number(text: str) -> bool:
    return bool(text) and all(letter in "0123456789.,+-% " for letter in text)
