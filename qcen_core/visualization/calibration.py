"""Whether scores mean what they say: the reliability diagram."""

from collections.abc import Mapping, Sequence
from typing import Any

from qcen_core.visualization.curves import SVG_ATTRIBUTES, series_color
from qcen_core.visualization.html_report import Card, Charts, Columns, Section
from qcen_core.visualization.html_table import Table

WIDTH, HEIGHT = 440, 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 20, 48, 44
_FAINT = 'fill="currentColor" fill-opacity="0.65"'
_TITLE = "Share of results that is right, by score"
_WORDS = (
    "Of all results that score about 0.8, eight in ten should be right: then the bars reach the dashed line. Bars "
    "below it mean that scores promise too much, bars above it that they promise too little. Faint bars stand for "
    "few results."
)


def calibration_section(figures: Mapping[str, Any]) -> Section | None:
    """The reliability diagram and its bins; `None` where the figures have no `calibration`.

    Args:
        figures: the JSON object of `report.json`.
    """
    calibration = figures.get("calibration")
    if not isinstance(calibration, Mapping):
        return None
    bins: Sequence[Mapping[str, Any]] = calibration.get("bins") or ()
    filled = [part for part in bins if part.get("count") and part.get("right") is not None]
    if not filled:
        return None
    ece = calibration.get("ece")
    words = (_WORDS,) if ece is None else (_WORDS, _verdict(ece, filled))
    rows = tuple(
        (_range(part), str(part["count"]), f"{100 * part['score']:.1f}", f"{100 * part['right']:.1f}")
        for part in filled
    )
    table = Table(("score", "results", "mean score %", "right %"), rows)
    figure = Columns((Charts((draw_reliability(filled),)), table))
    return Section("Can the scores be trusted?", (Card("Reliability of scores", words, (figure,)),))


def draw_reliability(bins: Sequence[Mapping[str, Any]]) -> str:
    """Share of right results against score, a bar for each bin.

    Args:
        bins: each with `from` and `to`, `count` (not 0), `score` (their mean) and `right` (share that is), 0 to 1.

    Returns:
        One `<svg>` element.
    """
    most = max((part["count"] for part in bins), default=1)
    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{_TITLE}" {SVG_ATTRIBUTES}>',
        f'<text x="2" y="16" font-size="14" font-weight="600" fill="currentColor">{_TITLE}</text>',
        *(_rule(place / 5) for place in range(6)),
        *(_bar(part, most) for part in bins),
    ]
    diagonal = f"M{_x(0)} {_y(0)}L{_x(1)} {_y(1)}"
    parts.append(f'<path d="{diagonal}" stroke="currentColor" stroke-opacity="0.7" stroke-dasharray="5 4"/>')
    parts.append(f'<text x="{WIDTH - _RIGHT}" y="{HEIGHT - 8}" text-anchor="end" {_FAINT}>score</text>')
    return "".join([*parts, "</svg>"])


def _rule(tick: float) -> str:
    return (
        f'<path d="M{_LEFT} {_y(tick)}H{WIDTH - _RIGHT}" stroke="currentColor" stroke-opacity="0.13"/>'
        f'<text x="{_LEFT - 8}" y="{_y(tick) + 4:.1f}" text-anchor="end" {_FAINT}>{tick:.1f}</text>'
        f'<text x="{_x(tick)}" y="{HEIGHT - _BOTTOM + 17}" text-anchor="middle" {_FAINT}>{tick:.1f}</text>'
    )


def _bar(part: Mapping[str, Any], most: int) -> str:
    # The square root, so that a bin of a hundredth of the results is still seen.
    opacity = 0.3 + 0.7 * (part["count"] / most) ** 0.5
    left, right, top = _x(part["from"]), _x(part["to"]), _y(part["right"])
    return (
        f'<rect x="{left + 1:.1f}" y="{top}" width="{max(right - left - 2, 1):.1f}" height="{_y(0) - top:.1f}" '
        f'rx="2" fill="{series_color(0)}" fill-opacity="{opacity:.2f}"><title>{part["count"]} results, '
        f"mean score {part['score']:.2f}, right {100 * part['right']:.1f} %</title></rect>"
    )


def _verdict(ece: float, bins: Sequence[Mapping[str, Any]]) -> str:
    count = sum(part["count"] for part in bins)
    lean = sum(part["count"] * (part["score"] - part["right"]) for part in bins) / count
    kind = "they promise too much" if lean > 0.01 else "they promise too little" if lean < -0.01 else "to both sides"
    return f"The expected calibration error (ECE) is {100 * ece:.1f} points: so far off are scores on average; {kind}."


def _range(part: Mapping[str, Any]) -> str:
    return f"{part['from']:.2f} to {part['to']:.2f}"


def _x(share: float) -> float:
    return round(_LEFT + share * (WIDTH - _LEFT - _RIGHT), 1)


def _y(share: float) -> float:
    return round(HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM), 1)
