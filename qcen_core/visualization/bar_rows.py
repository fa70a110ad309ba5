"""Bars as rows of HTML: unlike a drawing they keep the size of their letters on a phone."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from qcen_core.visualization.curves import series_color


@dataclass(frozen=True, slots=True)
class BarRow:
    """One bar.

    Attributes:
        label: stands at its left.
        value: its length, 0 or more; `None` draws no bar.
        text: the value in figures.
        note: stands at its right, fainter.
        words: what the row means, below it.
        color: 0 to 7, index into the page's chart colours.
    """

    label: str
    value: float | None
    text: str
    note: str = ""
    words: str = ""
    color: int = 0


def draw_bar_rows(rows: Sequence[BarRow], full: float | None = None) -> str:
    """Draw bars below each other.

    Args:
        rows: from the top downward.
        full: the value of a bar as long as there is room; by default the largest.

    Returns:
        One HTML list.
    """
    full = full or max((row.value or 0.0 for row in rows), default=0.0) or 1.0
    return f"<ul class='bars'>{''.join(_row(row, full) for row in rows)}</ul>"


def _row(row: BarRow, full: float) -> str:
    share = min((row.value or 0.0) / full, 1.0)
    bar = f"<span style='width:{100 * share:.1f}%;background:{series_color(row.color)}'></span>" if share > 0 else ""
    words = f"<span class='bar-words'>{escape(row.words)}</span>" if row.words else ""
    note = f"<span class='bar-note'>{escape(row.note)}</span>" if row.note else ""
    return (
        f"<li><span class='bar-label'>{escape(row.label)}</span><span class='bar-track'>{bar}</span>"
        f"<span class='bar-value'>{escape(row.text)}</span>{note}{words}</li>"
    )
