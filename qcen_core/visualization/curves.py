"""Line charts as inline SVG: they follow the page's light or dark mode and need no plotting library."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 440, 270
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 20, 58, 38
_MAX_POINTS = 600
_SERIES_COLORS = ("#2563eb", "#d9480f", "#087f5b", "#ae3ec9", "#b08900", "#0b7285", "#c2255c", "#495057")
SVG_ATTRIBUTES = 'xmlns="http://www.w3.org/2000/svg" font-family="system-ui, sans-serif" font-size="12"'


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a chart.

    Attributes:
        name: stands in the legend.
        x: N values, ascending.
        y: N values; points that are not finite are left out.
        markers: draw a dot at each point, for the sparse ones.
        smooth: draw a running mean strongly and the values themselves faintly.
        color: 0 to 7, index into the page's chart colours; `None` takes the place in the chart.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    markers: bool = False
    smooth: bool = False
    color: int | None = None


@dataclass(frozen=True, slots=True)
class LineChart:
    """A chart and its axes.

    Attributes:
        title: stands above it.
        series: its lines.
        x_label: stands below the horizontal axis.
        x_range: smallest and largest x; by default that of the data.
        y_range: smallest and largest y; by default that of the data, rounded.
        legend_values: write each line's last value beside its name.
    """

    title: str
    series: tuple[Series, ...]
    x_label: str = ""
    x_range: tuple[float, float] | None = None
    y_range: tuple[float, float] | None = None
    legend_values: bool = True


def draw_chart(chart: LineChart) -> str:
    """Draw a chart.

    Colours come from the custom properties `--series-0` to `--series-7` and the text colour of the page that holds
    it; by itself it falls back to colours for a light page.

    Returns:
        One `<svg>` element.
    """
    lines = [_finite(series) for series in chart.series]
    x_low, x_high = chart.x_range or _extent([x for line in lines for x, _ in line])
    y_low, y_high = chart.y_range or _extent([y for line in lines for _, y in line])
    y_ticks = nice_ticks(y_low, y_high, 5)
    if chart.y_range is None:
        y_low, y_high = min(y_low, y_ticks[0]), max(y_high, y_ticks[-1])
    frame = _Frame(x_low, x_high, y_low, y_high)
    title = escape(chart.title)
    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}" {SVG_ATTRIBUTES}>',
        f'<text x="2" y="16" font-size="14" font-weight="600" fill="currentColor">{title}</text>',
        *_legend(chart, lines),
        *_grid(frame, nice_ticks(x_low, x_high, 5), y_ticks, chart.x_label),
    ]
    for index, (series, line) in enumerate(zip(chart.series, lines, strict=True)):
        parts += _line(frame, series, line, _stroke(series, index))
    if not any(lines):
        parts.append(
            f'<text x="{(_LEFT + WIDTH - _RIGHT) / 2}" y="{(_TOP + HEIGHT - _BOTTOM) / 2}" text-anchor="middle" '
            'fill="currentColor" fill-opacity="0.55">no values yet</text>'
        )
    return "".join([*parts, "</svg>"])


def precision_recall_chart(
    recall: Sequence[float], precision: Sequence[Sequence[float]], thresholds: Sequence[float]
) -> LineChart:
    """Precision against recall, one line for each IoU threshold.

    Args:
        recall: R values, ascending.
        precision: for each threshold R values; a threshold with none is left out.
        thresholds: T IoU thresholds.
    """
    series = tuple(
        Series(f"IoU {threshold:.2f}", recall, values)
        for threshold, values in zip(thresholds, precision, strict=True)
        if len(values)
    )
    unit = (0.0, 1.0)
    return LineChart("Precision by recall", series, x_label="recall", x_range=unit, y_range=unit, legend_values=False)


def nice_ticks(low: float, high: float, count: int) -> list[float]:
    """Round numbers at even distances that cover `low` to `high`, about `count` of them.

    The step is 1, 2 or 5 times a power of ten. The first tick is at or below `low`, the last at or above `high`.
    """
    rough = max((high - low) / count, 1e-12)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    # Twelve digits: the sum of binary fractions must not show.
    return [float(f"{n * step:.12g}") for n in range(first, max(last, first + 1) + 1)]


def format_number(value: float) -> str:
    """A number as short as it stays useful: `12.5k`, `0.034`, `3e-5`."""
    size = abs(value)
    if size >= 1e6:
        return f"{value / 1e6:.3g}M"
    if size >= 1e3:
        return f"{value / 1e3:.3g}k"
    if 0 < size < 1e-3:
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{mantissa.removesuffix('.0')}e{int(exponent)}"
    return f"{value:.3g}"


def series_color(number: int) -> str:
    """A chart colour of the page, or that of a light page where there is none; numbers from 8 on begin anew."""
    number %= len(_SERIES_COLORS)
    return f"var(--series-{number}, {_SERIES_COLORS[number]})"


@dataclass(frozen=True, slots=True)
class _Frame:
    x_low: float
    x_high: float
    y_low: float
    y_high: float

    def x(self, value: float) -> float:
        share = (value - self.x_low) / ((self.x_high - self.x_low) or 1)
        return round(_LEFT + share * (WIDTH - _LEFT - _RIGHT), 1)

    def y(self, value: float) -> float:
        share = (value - self.y_low) / ((self.y_high - self.y_low) or 1)
        return round(HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM), 1)


def _finite(series: Series) -> list[tuple[float, float]]:
    points = [(x, y) for x, y in zip(series.x, series.y, strict=True) if math.isfinite(x) and math.isfinite(y)]
    if len(points) <= _MAX_POINTS or series.markers:
        return points
    # More points than pixels: neighbours are averaged, which keeps the course of the line.
    size = math.ceil(len(points) / _MAX_POINTS)
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [(sum(x for x, _ in g) / len(g), sum(y for _, y in g) / len(g)) for g in groups]


def _extent(values: Sequence[float]) -> tuple[float, float]:
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    if low == high:
        room = abs(low) * 0.5 or 0.5
        return low - room, high + room
    # A range that nearly begins at zero begins at zero.
    return (0.0 if 0 < low < 0.3 * high else low), high


def _smoothed(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Centred running mean over about a thirtieth of the points, one-sided at the ends."""
    reach = max(len(points) // 60, 1)
    windows = [points[max(index - reach, 0) : index + reach + 1] for index in range(len(points))]
    return [(x, sum(y for _, y in window) / len(window)) for (x, _), window in zip(points, windows, strict=True)]


def _stroke(series: Series, index: int) -> str:
    return series_color(index if series.color is None else series.color)


def _legend(chart: LineChart, lines: Sequence[Sequence[tuple[float, float]]]) -> list[str]:
    parts, left = [], 2.0
    if len(chart.series) == 1 and not chart.legend_values:
        return []
    for index, (series, line) in enumerate(zip(chart.series, lines, strict=True)):
        value = f" {format_number(series.y[-1])}" if chart.legend_values and line else ""
        name = "last" if len(chart.series) == 1 else series.name
        length = 19 + 6.4 * len(name + value) + 14
        if left + length > WIDTH and index:
            parts.append(f'<text x="{left:.0f}" y="37" fill="currentColor" fill-opacity="0.65">…</text>')
            break
        parts.append(
            f'<rect x="{left:.0f}" y="31" width="14" height="4" rx="2" fill="{_stroke(series, index)}"/>'
            f'<text x="{left + 19:.0f}" y="37" fill="currentColor" fill-opacity="0.75">{escape(name)}'
            f'<tspan font-weight="600">{value}</tspan></text>'
        )
        left += length
    return parts


def _grid(frame: _Frame, x_ticks: Sequence[float], y_ticks: Sequence[float], x_label: str) -> list[str]:
    faint = 'fill="currentColor" fill-opacity="0.65"'
    bottom, right = HEIGHT - _BOTTOM, WIDTH - _RIGHT
    rows = [(frame.y(tick), format_number(tick)) for tick in y_ticks if frame.y_low <= tick <= frame.y_high]
    columns = [(frame.x(tick), format_number(tick)) for tick in x_ticks if frame.x_low <= tick <= frame.x_high]
    rules = [f'<path d="M{_LEFT} {y}H{right}" stroke="currentColor" stroke-opacity="0.13"/>' for y, _ in rows]
    y_texts = [f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end" {faint}>{text}</text>' for y, text in rows]
    x_texts = [f'<text x="{x}" y="{bottom + 17}" text-anchor="middle" {faint}>{text}</text>' for x, text in columns]
    label = f'<text x="{right}" y="{HEIGHT - 6}" text-anchor="end" {faint}>{escape(x_label)}</text>'
    return [*rules, *y_texts, *x_texts, label]


def _line(frame: _Frame, series: Series, points: Sequence[tuple[float, float]], stroke: str) -> list[str]:
    if not points:
        return []
    parts = []
    smooth = series.smooth and len(points) >= 12
    if smooth:
        parts.append(_path(frame, points, stroke, 1.0, 0.3))
    if len(points) > 1:
        parts.append(_path(frame, _smoothed(points) if smooth else points, stroke, 2.0, 1.0))
    if series.markers or len(points) == 1:
        parts += [
            f'<circle cx="{frame.x(x)}" cy="{frame.y(y)}" r="3.2" fill="{stroke}">'
            f"<title>{escape(series.name)} {format_number(y)} at {format_number(x)}</title></circle>"
            for x, y in points
        ]
    return parts


def _path(frame: _Frame, points: Sequence[tuple[float, float]], stroke: str, width: float, opacity: float) -> str:
    course = "L".join(f"{frame.x(x)} {frame.y(y)}" for x, y in points)
    return (
        f'<path d="M{course}" fill="none" stroke="{stroke}" stroke-width="{width}" stroke-opacity="{opacity}" '
        'stroke-linejoin="round" stroke-linecap="round"/>'
    )
