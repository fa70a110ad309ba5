"""Two evaluations of the same videos as a page: what differs, and how sure that is."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from qcen_core.visualization.curves import series_color
from qcen_core.visualization.html_report import Block, Card, Drawing, Page, Section, Text
from qcen_core.visualization.html_table import Table

_BETTER, _WORSE, _UNSURE = 2, 1, 7  # chart colours
_WORDS = (
    "A dot is how many points b is ahead of a, the bar its interval of 95 % when the videos are drawn anew many "
    "times. A bar that crosses the upright line at 0 is grey: these videos cannot tell the two apart. A dot without a "
    "bar is about fewer than five videos, from which nothing is concluded."
)


def comparison_page(told: Mapping[str, Any]) -> Page:
    """The page of a comparison.

    Args:
        told: the JSON object of `comparison.json`, about two results, or under `comparisons` about the first of them
            and each other one; keys that are missing leave out what they feed.
    """
    pairs: Sequence[Mapping[str, Any]] = told.get("comparisons") or (told,)
    lines, sections = [], []
    for pair in pairs:
        a, b = pair.get("names") or ("a", "b")
        lines.append(f"a: {a}, b: {b}" + (f"; {pair['videos']} videos" if "videos" in pair else ""))
        sections += _sections(pair, f": {b}" if len(pairs) > 1 else "")
    return Page("Comparison", " - ".join(lines), tuple(sections))


def _sections(told: Mapping[str, Any], ending: str) -> list[Section]:
    sections: list[Section] = []
    figures: Mapping[str, Mapping[str, Any]] = told.get("figures") or {}
    if figures:
        table = Table(("figure", "a %", "b %", "b - a"), tuple(_cells(name, one) for name, one in figures.items()))
        card = Card("Figures", (_WORDS,), (Drawing(draw_differences(figures)),))
        sections.append(Section("What differs" + ending, (card, table)))
    classes = {name: one for name, one in (told.get("per_class") or {}).items() if one.get("difference") is not None}
    if classes:
        ordered = dict(sorted(classes.items(), key=lambda item: -item[1]["difference"]))
        card = Card("AP by class", (_WORDS,), (Drawing(draw_differences(ordered)),))
        sections.append(Section("By class" + ending, (card,)))
    videos = {name: one for name, one in (told.get("per_video") or {}).items() if one.get("difference") is not None}
    if videos:
        rows = tuple(_cells(name, one) for name, one in sorted(videos.items(), key=lambda v: -abs(v[1]["difference"])))
        words = "Mean IoU of each video's objects with their best results; those that differ most come first."
        blocks: tuple[Block, ...] = (Text(words), Table(("video", "a %", "b %", "b - a"), rows, sortable=True))
        sections.append(Section("By video" + ending, blocks))
    return sections


def draw_differences(figures: Mapping[str, Mapping[str, Any]]) -> str:
    """Differences with their intervals below each other, on one scale with 0 in it.

    Args:
        figures: name to `difference`, `low` and `high`, shares; `None` where undefined.

    Returns:
        One HTML list.
    """
    ends = [one[key] for one in figures.values() for key in ("difference", "low", "high") if one.get(key) is not None]
    low, high = min([0.0, *ends]), max([0.0, *ends])
    room = 0.06 * (high - low) or 1.0
    rows = "".join(_row(name, one, low - room, high + room) for name, one in figures.items())
    return f"<ul class='bars spans'>{rows}</ul>"


def _row(name: str, one: Mapping[str, Any], start: float, end: float) -> str:
    middle, low, high = (one.get(key) for key in ("difference", "low", "high"))
    marks, note = [f"<span class='zero' style='left:{_place(0.0, start, end):.2f}%'></span>"], ""
    color = series_color(_UNSURE)
    if low is not None and high is not None:
        color = series_color(_BETTER if low > 0 else _WORSE if high < 0 else _UNSURE)
        left, right = _place(low, start, end), _place(high, start, end)
        marks.append(f"<span style='left:{left:.2f}%;width:{right - left:.2f}%;background:{color}'></span>")
        note = f"<span class='bar-note'>{_signed(low)} to {_signed(high)}</span>"
    if middle is not None:
        place = _place(middle, start, end)
        marks.append(f"<span class='middle' style='left:{place:.2f}%;background:{color}'></span>")
    return (
        f"<li><span class='bar-label'>{escape(name)}</span><span class='span-track'>{''.join(marks)}</span>"
        f"<span class='bar-value'>{_signed(middle)}</span>{note}</li>"
    )


def _place(value: float, start: float, end: float) -> float:
    return 100 * (value - start) / (end - start)


def _cells(name: str, one: Mapping[str, Any]) -> tuple[str, ...]:
    values: Sequence[float | None] = (one.get("a"), one.get("b"))
    shown = ("-" if value is None else f"{100 * value:.1f}" for value in values)
    return name, *shown, _signed(one.get("difference"))


def _signed(value: float | None) -> str:
    """A share in percent with its sign; what rounds to nothing has none."""
    text = "-" if value is None else f"{100 * value:+.1f}"
    return "0.0" if text in {"+0.0", "-0.0"} else text
