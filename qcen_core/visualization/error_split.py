"""Where the points of AP50 are lost, kind of error by kind of error, in words that say what to do about it."""

from collections.abc import Mapping
from typing import Any

from qcen_core.visualization.bar_rows import BarRow, draw_bar_rows
from qcen_core.visualization.html_report import Card, Drawing, Section

# Kind of error -> index of its colour, the same here and in the timelines.
ERROR_COLORS = {
    "classification": 3,
    "localisation": 4,
    "association": 5,
    "duplicate": 7,
    "background": 1,
    "missed": 6,
}
ERROR_WORDS = {
    "classification": (
        "The right object under a wrong name. The confusion matrix below tells which names are mixed up; more examples "
        "of those classes help, or one class for what looks alike."
    ),
    "localisation": (
        "The right object, but its mask or box overlaps it too little. Larger frames and longer training sharpen "
        "outlines; check that the labelled boxes are tight."
    ),
    "association": (
        "Right in single frames, but the track jumps to another object or breaks off. Longer clips in training help to "
        "tell look-alikes apart."
    ),
    "duplicate": (
        "A second result for an object that has one already. Longer training usually removes them; a higher confidence "
        "hides the weaker one."
    ),
    "background": (
        "A result where no labelled object is. Check that nothing was left unlabelled; otherwise train on more videos "
        "with empty background, or raise the confidence."
    ),
    "missed": (
        "An object that no result covers. See below whether it is the small, short or hidden ones; larger frames and "
        "more examples of its class help."
    ),
}


def error_section(figures: Mapping[str, Any]) -> Section | None:
    """Bars of the points that each kind of error costs; `None` where the figures have no `errors`.

    Args:
        figures: the JSON object of `report.json`.
    """
    errors = figures.get("errors")
    if not isinstance(errors, Mapping) or not isinstance(errors.get("gains"), Mapping):
        return None
    gains: Mapping[str, float | None] = errors["gains"]
    counts: Mapping[str, int] = errors.get("counts") or {}
    ordered = sorted(ERROR_WORDS, key=lambda kind: -(gains.get(kind) or 0.0))
    rows = [_row(kind, gains.get(kind), counts.get(kind)) for kind in ordered]
    start = errors.get("AP50")
    plainly = ", without the quirks of the official program," if figures.get("official_quirks") else ""
    words = (
        ("" if start is None else f"AP50{plainly} is {100 * start:.1f} %. ")
        + "Each bar tells how many points it would gain if this one kind of error were mended and all else stayed. "
        "The bars do not add up to what is missing: where one error is mended, another may come to light. "
        "Errors cost nothing where they score below all that is right. Begin with the longest bar."
    )
    return Section("Where the points are lost", (Card("Errors by kind", (words,), (Drawing(draw_bar_rows(rows)),)),))


def _row(kind: str, gain: float | None, count: int | None) -> BarRow:
    text = "-" if gain is None else f"{100 * gain:.1f}"
    note = "" if count is None else f"{count:,} error{'s' * (count != 1)}"
    value = None if gain is None else max(gain, 0.0)
    return BarRow(kind.capitalize(), value, text, note, ERROR_WORDS[kind], ERROR_COLORS[kind])
