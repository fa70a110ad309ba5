"""The worst videos as timelines: which result follows which object, when, and what is wrong with it."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from qcen_core.visualization.curves import series_color
from qcen_core.visualization.error_split import ERROR_COLORS
from qcen_core.visualization.html_report import Block, Drawing, Section, Text
from qcen_core.visualization.track_pairing import pair_colors, partners_told

MOST_ROWS = 24  # of results in one video
_RIGHT_COLOR = 2
EXCUSED = "excused"  # on a crowd, or beyond the hundred best of its class: it does not count
_WORDS = (
    "The upper rows of a video are its true objects: a thin line where an object is visible, and on it a bar in the "
    "colour of the result that covers it there with an IoU of 0.5 or more; a change of colour is a change of "
    "identity, a bare line is a miss. The lower rows are the results, coloured by what is right or wrong with them. "
    "Hover over a row, or reach it with Tab, to read it."
)
_LINK_WORDS = " A click, or Enter, shows that moment in the player above."


def timeline_section(figures: Mapping[str, Any], *, with_player: bool = False) -> Section | None:
    """Timelines of the worst videos; `None` where the figures have no `worst`.

    Args:
        figures: the JSON object of `report.json`.
        with_player: whether the page has a player above, to which a click on a row leads.
    """
    worst: Sequence[Mapping[str, Any]] = figures.get("worst") or ()
    if not worst:
        return None
    blocks: list[Block] = [Text(_WORDS + (_LINK_WORDS if with_player else "")), Drawing(_legend())]
    blocks += [Drawing(draw_timeline(entry)) for entry in worst]
    return Section("The hardest videos over time", tuple(blocks))


def draw_timeline(entry: Mapping[str, Any]) -> str:
    """One video as rows of HTML.

    Args:
        entry: one of the `worst` videos of `report.json`; spans are first and last frame, both included.
    """
    objects, results = list(entry.get("objects") or ()), list(entry.get("results") or ())
    results.sort(key=lambda result: -(result.get("score") or 0.0))
    partners = partners_told(entry)
    _, found = pair_colors([o["id"] for o in objects], [r["id"] for r in results], partners)
    length = entry.get("frames") or _length(objects, results)
    name = escape(str(entry.get("video", "")), quote=True)
    rows = [_group("true objects"), *(_object_row(item, found, length) for item in objects)] if objects else []
    rows += [_group("results")] if results else []
    rows += [_result_row(item, found, partners, length) for item in results[:MOST_ROWS]]
    left_out = len(results) - MOST_ROWS
    more = f"<p class='time-more'>and {left_out} results of lower score</p>" if left_out > 0 else ""
    return (
        f"<div class='timeline' data-video='{name}' data-length='{length}' data-readout>"
        f"<h3>{name}</h3><p class='time-head'>{escape(_summary(entry, length))}</p>{''.join(rows)}{more}"
        f"</div><p class='readout' aria-live='polite'>&nbsp;</p>"
    )


def verdict_color(verdict: str) -> str:
    """The page's colour for what is right or wrong with a result."""
    if verdict == EXCUSED:
        return "#9b9ba5"
    return series_color(_RIGHT_COLOR if verdict == "right" else ERROR_COLORS.get(verdict, 7))


def _legend() -> str:
    items = "".join(
        f"<li><span style='background:{verdict_color(kind)}'></span>{kind}</li>"
        for kind in ("right", *(kind for kind in ERROR_COLORS if kind != "missed"), EXCUSED)
    )
    return f"<ul class='legend' aria-label='Colours of the results'>{items}</ul>"


def _length(objects: Sequence[Mapping[str, Any]], results: Sequence[Mapping[str, Any]]) -> int:
    spans = [span for item in objects for span in item.get("visible") or ()]
    spans += [span for item in results for span in item.get("seen") or ()]
    return max((span[1] for span in spans), default=0) + 1


def _summary(entry: Mapping[str, Any], length: int) -> str:
    quality = entry.get("quality")
    told = [f"{length} frames"] + ([] if quality is None else [f"mean best IoU {100 * quality:.1f} %"])
    told += [f"{kind} {count}" for kind, count in (entry.get("errors") or {}).items() if count]
    return ", ".join(told)


def _object_row(item: Mapping[str, Any], colors: Mapping[int, str], length: int) -> str:
    visible, matched = item.get("visible") or (), item.get("matched") or ()
    bars = "".join(_bar(first, last, length, "time-line", "currentColor") for first, last in visible)
    bars += "".join(_bar(first, last, length, "", colors.get(result, "#888")) for first, last, result in matched)
    followed = ", ".join(f"result {result} in frames {first} to {last}" for first, last, result in matched)
    words = f"object {item['id']}, {item['class']}, visible in frames {_told(visible)}; "
    return _row(f"{item['class']} {item['id']}", words + (followed or "nothing follows it"), bars)


def _result_row(item: Mapping[str, Any], colors: Mapping[int, str], partners: Mapping[int, int], length: int) -> str:
    seen, verdict, score = item.get("seen") or (), str(item.get("verdict", "")), item.get("score") or 0.0
    bars = "".join(_bar(first, last, length, "", verdict_color(verdict)) for first, last in seen)
    partner = f", follows object {partners[item['id']]}" if item["id"] in partners else ""
    words = f"result {item['id']}, {item['class']}, score {score:.2f}: {verdict}{partner}; frames {_told(seen)}"
    return _row(f"{item['class']} {score:.2f}", words, bars, colors[item["id"]])


def _group(name: str) -> str:
    return f"<p class='time-group'>{name}</p>"


def _row(label: str, words: str, bars: str, mark: str | None = None) -> str:
    told = escape(words, quote=True)
    dot = "" if mark is None else f"<i style='background:{mark}'></i>"
    return (
        f"<button type='button' class='time-row' data-words='{told}' aria-label='{told}'>"
        f"<span class='time-label'>{dot}{escape(label)}</span><span class='time-track'>{bars}</span></button>"
    )


def _bar(first: int, last: int, length: int, kind: str, color: str) -> str:
    left, width = 100 * first / length, 100 * (last - first + 1) / length
    return f"<span class='time-bar {kind}' style='left:{left:.2f}%;width:{width:.2f}%;background:{color}'></span>"


def _told(spans: Sequence[Sequence[int]]) -> str:
    return ", ".join(f"{first} to {last}" if first < last else str(first) for first, last in spans) or "none"
