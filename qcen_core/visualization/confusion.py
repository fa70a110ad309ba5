"""What is taken for what: the confusion matrix as a heat map that can be read as a table."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from qcen_core.visualization.html_report import Card, Drawing, Section

_WORDS = (
    "A row for each true class, a column for what was found there. Numbers count objects; the stronger the colour of a "
    "cell, the larger its share of the row. The diagonal is right. The column 'missed' counts objects that no result "
    "covers with an IoU of 0.5 or more over the video, the row 'nothing' results that cover none so."
)
_STRONG = 0.85  # from this share on light letters read better than dark ones
_USE = "Hover over a cell, or move with the arrow keys, to read it in words; the table scrolls in its box."


def confusion_section(figures: Mapping[str, Any]) -> Section | None:
    """The confusion matrix; `None` where the figures have none, or an empty one.

    Args:
        figures: the JSON object of `report.json`.
    """
    confusion = figures.get("confusion")
    if not isinstance(confusion, Mapping) or not confusion.get("matrix") or not confusion.get("names"):
        return None
    matrix: Sequence[Sequence[int]] = confusion["matrix"]
    if not any(any(row) for row in matrix):
        return None
    drawing = draw_confusion(confusion["names"], matrix)
    return Section("What is taken for what", (Card("Confusion matrix", (_WORDS, _USE), (Drawing(drawing),)),))


def draw_confusion(names: Sequence[str], matrix: Sequence[Sequence[int]]) -> str:
    """The heat map as an HTML table in a scrolling box.

    Args:
        names: the K classes.
        matrix: K + 1 rows, the true classes and then "nothing", of K + 1 columns, the found classes and then "missed".
    """
    rows, columns = (*names, "nothing"), (*names, "missed")
    head = "".join(f"<th scope='col'><span>{escape(name)}</span></th>" for name in columns)
    body = "".join(_row(name, columns, counts) for name, counts in zip(rows, matrix, strict=True))
    return (
        "<div class='heat' data-readout tabindex='0' role='region' aria-label='Confusion matrix'><table>"
        f"<thead><tr><th scope='col'>true \\ found</th>{head}</tr></thead><tbody>{body}</tbody></table></div>"
        "<p class='readout' aria-live='polite'>&nbsp;</p>"
    )


def _row(name: str, columns: Sequence[str], counts: Sequence[int]) -> str:
    total = sum(counts)
    cells = "".join(_cell(name, column, count, total) for column, count in zip(columns, counts, strict=True))
    return f"<tr><th scope='row'>{escape(name)}</th>{cells}</tr>"


def _cell(true: str, found: str, count: int, total: int) -> str:
    if not count:
        return "<td class='none'>0</td>" if total else "<td class='none'></td>"
    share = count / total
    strong = " class='strong'" if share > _STRONG else ""
    words = escape(_words(true, found, count, share), quote=True)
    return f"<td{strong} style='--share:{100 * share:.0f}%' data-words='{words}'>{count}</td>"


def _words(true: str, found: str, count: int, share: float) -> str:
    told = f"{count} ({100 * share:.0f} % of the row)"
    if true == "nothing":
        return f"{told}: results called {found} where no object is"
    if found == "missed":
        return f"{told}: {true} that nothing was found for"
    if true == found:
        return f"{told}: {true} found as {found}, right"
    return f"{told}: {true} taken for {found}"
