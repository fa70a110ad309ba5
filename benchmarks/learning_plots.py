"""The plots of a benchmark: accuracy by row with its spread, and what happened over the steps."""

from collections.abc import Sequence

from benchmarks.learning_rows import MAIN_ROWS, PAIRS_SECTION
from benchmarks.learning_table import MASK_AND_ID, TRACKERS, Results, Table, values
from qcen_core.visualization.bars import Bar, BarChart, draw_bars
from qcen_core.visualization.curves import LineChart, Series, draw_chart
from qcen_core.visualization.svg_file import standalone_svg

PAPER_SHARE = 0.914  # of the stronger-supervised baseline, on YouTube-VIS 2019
# Chart colours: of rows by name, of the others by what they are about.
ROW_COLORS = {"mask+id": 0, "mask+id-all": 0, "mask": 5, "box+id": 3, "box": 7, "qcen": 1}
PART_COLOR = 4
_PERCENT_LABEL = "%"


def draw_plots(table: Table) -> dict[str, str]:
    """The plots of a table, those that have data.

    Returns:
        End of the file name to SVG text.
    """
    plots = {figure.lower(): standalone_svg(draw_bars(precision_bars(table, figure))) for figure in TRACKERS}
    pair_rows = [line.trained_as for line in table.lines if line.row.section == PAIRS_SECTION]
    curves = {
        "validation": ("AP on the validation clips, %", "AP", MAIN_ROWS),
        "pairs": ("Pseudo-identity pairs that are right, %", "pair_precision", pair_rows),
        "exchanged_iou": ("IoU of exchanged masks inside a video, %", "exchanged_iou", MAIN_ROWS),
        "exchanged_mass": ("Area of masks exchanged across videos", "exchanged_mass", MAIN_ROWS),
    }
    for name, (title, column, rows) in curves.items():
        scale = 1.0 if column == "exchanged_mass" else 100.0
        chart = curve_chart(title, column, rows, table.results, scale)
        if chart.series:
            plots[name] = standalone_svg(draw_chart(chart))
    return plots


def precision_bars(table: Table, figure: str) -> BarChart:
    """AP under one of the trackers by row; rows that are one experiment are drawn once, those without it not at all."""
    bars = []
    for line in table.lines:
        cell = line.cells[figure]
        if cell is not None and line.row.name == line.trained_as:
            points = tuple(100 * value for value in values(table.results, line.trained_as, figure).values())
            label, heading = line.row.label, line.row.section
            color = ROW_COLORS.get(line.row.name, PART_COLOR)
            bars.append(Bar(label, cell.mean, cell.spread, points, color, heading))
    best = next((line.cells[figure] for line in table.lines if line.row.name == MASK_AND_ID), None)
    references = () if best is None else ((f"{100 * PAPER_SHARE:.1f} % of mask+id", PAPER_SHARE * best.mean),)
    return BarChart(f"{table.benchmark.title}: AP, {TRACKERS[figure]}", tuple(bars), _PERCENT_LABEL, references)


def curve_chart(title: str, column: str, rows: Sequence[str], results: Results, scale: float) -> LineChart:
    """A column of the training logs over the steps, mean over seeds; rows without it are left out."""
    series = []
    for row in dict.fromkeys(rows):
        found = [result.curves[column] for result in results.get(row, {}).values() if column in result.curves]
        if found:
            steps, means = mean_curve([(curve["step"], curve["value"]) for curve in found])
            scaled = [scale * mean for mean in means]
            series.append(Series(row, steps, scaled, markers=len(steps) < 12, color=ROW_COLORS.get(row)))
    return LineChart(title, tuple(series), x_label="step")


def mean_curve(curves: Sequence[tuple[Sequence[float], Sequence[float]]]) -> tuple[list[float], list[float]]:
    """Mean over the curves, at the steps that all of them have."""
    points = [dict(zip(*curve, strict=True)) for curve in curves]
    steps = sorted(set(points[0]).intersection(*points[1:]))
    return steps, [sum(point[step] for point in points) / len(points) for step in steps]
