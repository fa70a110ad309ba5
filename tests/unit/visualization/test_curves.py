import math
import re
import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qcen_core.errors import InputError
from qcen_core.visualization.curves import (
    HEIGHT,
    WIDTH,
    LineChart,
    Series,
    draw_chart,
    format_number,
    nice_ticks,
    precision_recall_chart,
)
from qcen_core.visualization.training_curves import read_metrics, training_charts

SVG = "{http://www.w3.org/2000/svg}"
values = st.floats(-1e6, 1e6)


def parse(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)  # noqa: S314  # our own text


def curves_of(root: ElementTree.Element) -> list[list[tuple[float, float]]]:
    """Points of the drawn lines, rules left out."""
    paths = [path for path in root.iter(f"{SVG}path") if path.get("fill") == "none"]
    return [[(float(x), float(y)) for x, y in re.findall(r"(-?[\d.]+) (-?[\d.]+)", path.get("d"))] for path in paths]


def test_points_are_placed_in_proportion():
    chart = LineChart("t", (Series("a", [0, 1, 4], [0, 10, 5]),), x_range=(0, 4), y_range=(0, 10))
    (points,) = curves_of(parse(draw_chart(chart)))
    (x0, y0), (x1, y1), (x2, y2) = points
    assert (x1 - x0) * 4 == pytest.approx(x2 - x0, abs=0.3)
    assert y1 < y2 < y0
    assert (y0 - y2) * 2 == pytest.approx(y0 - y1, abs=0.3)


@given(st.lists(st.tuples(values, values), max_size=40), st.booleans(), st.booleans())
def test_any_data_gives_sound_svg_inside_its_frame(points, smooth, markers):
    ordered = sorted(points)
    series = Series("a<b>&\"c'", [x for x, _ in ordered], [y for _, y in ordered], smooth=smooth, markers=markers)
    root = parse(draw_chart(LineChart("<title> & more", (series,))))
    for line in curves_of(root):
        assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in line)
    assert "NaN" not in ElementTree.tostring(root, encoding="unicode").replace("nan", "NaN")


def test_values_that_are_not_finite_are_left_out():
    chart = LineChart("t", (Series("a", [0, 1, 2, 3], [1, math.nan, math.inf, 2]),))
    assert len(curves_of(parse(draw_chart(chart)))[0]) == 2


def test_long_series_are_thinned_but_keep_their_course():
    chart = LineChart("t", (Series("a", range(100_000), [2.0 * x for x in range(100_000)]),))
    (points,) = curves_of(parse(draw_chart(chart)))
    assert len(points) <= 600
    assert points[0][1] > points[300][1] > points[-1][1]


def test_an_empty_chart_says_so():
    assert "no values yet" in draw_chart(LineChart("t", (Series("a", [], []),)))


@given(values, st.floats(1e-6, 1e6))
def test_ticks_cover_the_range_in_round_steps(low, span):
    high = low + span
    if high - low < 1e-9 * max(abs(low), 1):
        return
    ticks = nice_ticks(low, high, 5)
    step = ticks[1] - ticks[0]
    slack = 1e-6 * step + 1e-9 * abs(low)
    assert ticks[0] <= low + slack
    assert ticks[-1] >= high - slack
    assert 2 <= len(ticks) <= 8
    mantissa = step / 10 ** math.floor(math.log10(step) + 1e-9)
    assert min(abs(mantissa - nice) for nice in (1, 2, 5, 10)) < 1e-2


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.5, "0.5"), (12345, "12.3k"), (2e6, "2M"), (3e-5, "3e-5"), (-0.25, "-0.25"), (1.26e-4, "1.3e-4")],
)
def test_numbers_are_short(value, text):
    assert format_number(value) == text


def test_precision_recall_leaves_out_empty_thresholds():
    chart = precision_recall_chart([0, 0.5, 1], [[1, 1, 0.5], []], [0.5, 0.75])
    assert [series.name for series in chart.series] == ["IoU 0.50"]
    assert chart.y_range == (0, 1)


METRICS = """step,lr,total,projection,frames_per_second,data_wait,AP,AP50,box_AP
0,1e-4,9.5,2.5,101,0.02,,,
20,1e-4,8.5,,103,0.01,0.25,0.5,0.375
40,1e-5,7.5,1.5,105,0.03,,,
"""


def test_metrics_are_read_with_their_gaps(tmp_path):
    (tmp_path / "metrics.csv").write_text(METRICS)
    metrics = read_metrics(tmp_path / "metrics.csv")
    assert metrics["projection"] == ([0, 40], [2.5, 1.5])
    assert metrics["AP50"] == ([20], [0.5])
    assert metrics["lr"] == ([0, 20, 40], [1e-4, 1e-4, 1e-5])
    assert list(metrics) == ["lr", "total", "projection", "frames_per_second", "data_wait", "AP", "AP50", "box_AP"]
    charts = training_charts(metrics)
    assert [chart.title for chart in charts["Progress"]] == ["Total loss", "Accuracy on the hold-out, %"]
    assert [(series.name, series.y) for series in charts["Progress"][1].series] == [
        ("AP", [25.0]),
        ("AP50", [50.0]),
        ("box AP", [37.5]),
    ]
    assert [chart.title for chart in charts["Loss terms"]] == ["projection"]
    assert len(charts["Schedule and speed"]) == 3


def test_figures_of_pairs_and_exchange_have_their_own_charts(tmp_path):
    (tmp_path / "metrics.csv").write_text(
        "step,class,pair_precision,pair_recall,exchanged_iou,exchanged_mass,AP,association\n"
        "20,1,0.9,0.8,0.5,0.25,,\n40,1,,,0.6,0.125,0.1,0.75\n"
    )
    charts = training_charts(read_metrics(tmp_path / "metrics.csv"))
    assert [(series.name, series.y) for series in charts["Progress"][0].series] == [("AP", [10]), ("association", [75])]
    assert [[series.y for series in chart.series] for chart in charts["Pairs and exchange"]] == [
        [[90], [80]],
        [[0.5, 0.6], [0.25, 0.125]],
    ]
    assert [chart.title for chart in charts["Loss terms"]] == ["class"]


def test_a_line_that_is_being_written_is_left_out(tmp_path):
    (tmp_path / "metrics.csv").write_text(METRICS + "60,1e-5,7")
    assert read_metrics(tmp_path / "metrics.csv")["total"][0] == [0, 20, 40]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "metrics.csv"),
        ("a,b\n1,2\n", "metrics.csv"),
        ("step,total\n1,two\n3,4\n", "metrics.csv: line 2, column total"),
        ("step,total\n1\n3,4\n", "metrics.csv: line 2"),
    ],
)
def test_wrong_metrics_are_named(tmp_path, text, place):
    path = tmp_path / "metrics.csv"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_metrics(path)
    assert caught.value.place == str(tmp_path / place)
    with pytest.raises(InputError, match="cannot read"):
        read_metrics(tmp_path / "missing.csv")
