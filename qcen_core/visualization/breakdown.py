"""Accuracy by kind of object: how long it is seen, how large it is, how hidden, and how many look like it."""

from collections.abc import Mapping, Sequence
from typing import Any

from qcen_core.visualization.bar_rows import BarRow, draw_bar_rows
from qcen_core.visualization.html_report import Block, Card, Columns, Drawing, Section

_CARDS = {
    "length": (
        "By length",
        "Frames in which the object is visible. A long track has more chances to get lost.",
    ),
    "size": ("By size", "Mean area of the object in pixels. Small ones fill few cells of the features."),
    "occlusion": ("By occlusion", "Share of the object that is hidden, or else that other objects' boxes overlap."),
    "twins": (
        "By number of twins",
        "Other objects of the same class in the video, for which it may be mistaken.",
    ),
}


def breakdown_section(figures: Mapping[str, Any]) -> Section | None:
    """Bars of AP for groups of objects; `None` where the figures have no `breakdown`.

    Args:
        figures: the JSON object of `report.json`.
    """
    breakdown = figures.get("breakdown")
    if not isinstance(breakdown, Mapping):
        return None
    cards: list[Block] = [
        Card(title, (words,), (Drawing(draw_bar_rows(_rows(breakdown[key], color), full=1.0)),))
        for color, (key, (title, words)) in enumerate(_CARDS.items())
        if breakdown.get(key)
    ]
    return Section("Which objects are hard", (Columns(tuple(cards)),)) if cards else None


def _rows(groups: Sequence[Mapping[str, Any]], color: int) -> list[BarRow]:
    return [_row(group, color) for group in groups]


def _row(group: Mapping[str, Any], color: int) -> BarRow:
    value, objects = group.get("AP"), group.get("objects", 0)
    note = f"{objects:,} object{'s' * (objects != 1)}"
    others = [f"{name} {100 * group[name]:.1f}" for name in ("AP50", "AR100") if group.get(name) is not None]
    text = "-" if value is None else f"{100 * value:.1f}"
    return BarRow(str(group.get("label", "")), value, text, ", ".join([note, *others]), color=color)
