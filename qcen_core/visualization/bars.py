"""Bar charts as inline SVG: a value with its spread and its single measurements, in the looks of the line charts."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from qcen_core.visualization.curves import SVG_ATTRIBUTES, format_number, nice_ticks, series_color

WIDTH = 720
_TOP, _BOTTOM = 36, 34
_ROW, _BAR, _HEADING = 26, 15, 30
_CHARACTER = 6.3  # mean width of a letter, pixels
_GROUND = "var(--card, #ffffff)"
_VALUE_ROOM = 92  # for the figures at the right of the bars


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar.

    Attributes:
        label: stands at its left.
        value: its length, 0 or more.
        spread: half the length of the whisker, `None` draws none.
        points: single measurements, drawn as dots.
        color: 0 to 7, index into the page's chart colours.
        heading: of a group; written above the first bar that has another one than the bar before.
    """

    label: str
    value: float
    spread: float | None = None
    points: tuple[float, ...] = ()
    color: int = 0
    heading: str = ""


@dataclass(frozen=True, slots=True)
class BarChart:
    """A chart of horizontal bars.

    Attributes:
        title: stands above it.
        bars: from the top downward.
        x_label: stands below the axis.
        references: values with their names, drawn as upright dashed lines to compare with.
    """

    title: str
    bars: tuple[Bar, ...]
    x_label: str = ""
    references: tuple[tuple[str, float], ...] = ()


def draw_bars(chart: BarChart) -> str:
    """Draw a chart; colours are taken as in `draw_chart`.

    Returns:
        One `<svg>` element, as high as its bars need.
    """
    tops, height = _layout(chart.bars)
    left = 14 + _CHARACTER * max((len(bar.label) for bar in chart.bars), default=0)
    largest = max((_furthest(bar) for bar in chart.bars), default=0.0)
    ticks = nice_ticks(0.0, max(largest, *(value for _, value in chart.references), 1e-9), 6)
    scale = (WIDTH - _VALUE_ROOM - left) / ticks[-1]
    title = escape(chart.title)
    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{title}" {SVG_ATTRIBUTES}>',
        f'<text x="10" y="22" font-size="14" font-weight="600" fill="currentColor">{title}</text>',
        *_grid(ticks, left, scale, height, chart.x_label),
        *_references(chart.references, left, scale, height),
    ]
    for place, (bar, top) in enumerate(zip(chart.bars, tops, strict=True)):
        if bar.heading and (place == 0 or chart.bars[place - 1].heading != bar.heading):
            parts.append(_faint(10, top - 10, bar.heading, "start", ' font-style="italic"'))
        parts += _bar(bar, left, top, scale)
    return "".join([*parts, "</svg>"])


def _layout(bars: Sequence[Bar]) -> tuple[list[float], float]:
    """Upper edge of each bar, and the height of the chart."""
    tops = []
    y, heading = float(_TOP), ""
    for bar in bars:
        if bar.heading and bar.heading != heading:
            y += _HEADING
        heading = bar.heading
        tops.append(y)
        y += _ROW
    return tops, y + _BOTTOM


def _furthest(bar: Bar) -> float:
    return max(bar.value + (bar.spread or 0.0), *bar.points, 0.0)


def _grid(ticks: Sequence[float], left: float, scale: float, height: float, x_label: str) -> list[str]:
    bottom = height - _BOTTOM
    parts = []
    for tick in ticks:
        x = left + tick * scale
        parts.append(f'<path d="M{x:.1f} {_TOP}V{bottom:.1f}" stroke="currentColor" stroke-opacity="0.13"/>')
        parts.append(_faint(x, bottom + 16, format_number(tick), "middle"))
    return [*parts, _faint(WIDTH - 10, bottom + 16, x_label, "end")]


def _bar(bar: Bar, left: float, top: float, scale: float) -> list[str]:
    color, middle = series_color(bar.color), top + _BAR / 2
    end = left + bar.value * scale
    label, y = escape(bar.label), f"{middle + 4:.1f}"
    parts = [
        f'<text x="{left - 8:.1f}" y="{y}" text-anchor="end" fill="currentColor">{label}</text>',
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{end - left:.1f}" height="{_BAR}" rx="3" fill="{color}"/>',
    ]
    if bar.spread is not None:
        low, high = left + max(bar.value - bar.spread, 0) * scale, end + bar.spread * scale
        caps = f"M{low:.1f} {middle - 4:.1f}v8M{high:.1f} {middle - 4:.1f}v8"
        parts.append(
            f'<path d="M{low:.1f} {middle:.1f}H{high:.1f}{caps}" stroke="currentColor" stroke-width="1.4" fill="none"/>'
        )
    parts += [
        f'<circle cx="{left + point * scale:.1f}" cy="{middle:.1f}" r="2.6" fill="{_GROUND}" stroke="currentColor"/>'
        for point in bar.points
    ]
    text = f"{bar.value:.1f}" + ("" if bar.spread is None else f" ± {bar.spread:.1f}")
    x = left + _furthest(bar) * scale + 10
    # The halo keeps the figures apart from the lines behind them.
    halo = f'stroke="{_GROUND}" stroke-width="4" paint-order="stroke"'
    parts.append(f'<text x="{x:.1f}" y="{y}" font-weight="600" fill="currentColor" {halo}>{text}</text>')
    return parts


def _references(references: Sequence[tuple[str, float]], left: float, scale: float, height: float) -> list[str]:
    parts = []
    for name, value in references:
        x = left + value * scale
        parts.append(
            f'<path d="M{x:.1f} {_TOP - 4}V{height - _BOTTOM:.1f}" stroke="currentColor" stroke-opacity="0.55" '
            'stroke-dasharray="4 4"/>'
        )
        parts.append(_faint(x, _TOP - 9, name, "middle"))
    return parts


def _faint(x: float, y: float, text: str, anchor: str, more: str = "") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="currentColor" fill-opacity="0.65"{more}>'
        f"{escape(text)}</text>"
    )
