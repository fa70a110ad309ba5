import re
import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qcen_core.visualization.bars import WIDTH, Bar, BarChart, draw_bars
from qcen_core.visualization.svg_file import standalone_svg

SVG = "{http://www.w3.org/2000/svg}"
values = st.floats(0, 1e4)


def parse(svg):
    return ElementTree.fromstring(svg)  # noqa: S314  # our own text


def bar_widths(root):
    return [float(rect.get("width")) for rect in root.iter(f"{SVG}rect")]


def test_bars_are_in_proportion():
    chart = BarChart("t", (Bar("a", 10), Bar("longer label", 40), Bar("none", 0)))
    first, second, third = bar_widths(parse(draw_bars(chart)))
    assert 4 * first == pytest.approx(second, abs=0.3)
    assert third == 0


def test_a_whisker_reaches_one_spread_to_both_sides():
    root = parse(draw_bars(BarChart("t", (Bar("a", 30, 10, points=(20.0, 40.0)),))))
    (rect,) = root.iter(f"{SVG}rect")
    left, width = float(rect.get("x")), float(rect.get("width"))
    (course,) = [path.get("d") for path in root.iter(f"{SVG}path") if path.get("fill") == "none"]
    low, high = (float(text) for text in re.match(r"M([\d.]+) [\d.]+H([\d.]+)", course).groups())
    assert (low - left, high - left) == (pytest.approx(width * 2 / 3, abs=0.2), pytest.approx(width * 4 / 3, abs=0.2))
    dots = [float(circle.get("cx")) for circle in root.iter(f"{SVG}circle")]
    assert dots == pytest.approx([low, high], abs=0.2)


def test_a_spread_below_zero_stops_at_the_axis():
    root = parse(draw_bars(BarChart("t", (Bar("a", 1, 5),))))
    (rect,) = root.iter(f"{SVG}rect")
    (course,) = [path.get("d") for path in root.iter(f"{SVG}path") if path.get("fill") == "none"]
    assert course.startswith(f"M{float(rect.get('x')):.1f} ")


def test_texts_are_escaped_headings_and_references_written_once():
    bars = (Bar("<a>", 1, heading="x & y"), Bar("b", 2, heading="x & y"), Bar("c", 3, heading="z"))
    root = parse(draw_bars(BarChart("A & B", bars, "%", (("goal", 2.5),))))
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert [texts.count(text) for text in ("A & B", "<a>", "x & y", "z", "goal")] == [1, 1, 1, 1, 1]


@given(st.lists(st.tuples(values, values, st.lists(values, max_size=3)), max_size=12), values)
def test_everything_stays_inside(rows, reference):
    bars = tuple(Bar("label", value, spread, tuple(points)) for value, spread, points in rows)
    root = parse(draw_bars(BarChart("t", bars, references=(("r", reference),))))
    height = float(root.get("viewBox").split()[-1])
    for rect in root.iter(f"{SVG}rect"):
        assert float(rect.get("x")) + float(rect.get("width")) <= WIDTH
        assert float(rect.get("y")) + float(rect.get("height")) <= height
    for circle in root.iter(f"{SVG}circle"):
        assert 0 <= float(circle.get("cx")) <= WIDTH


def test_a_drawing_of_its_own_has_colours_for_light_and_dark_and_a_ground():
    root = parse(standalone_svg(draw_bars(BarChart("t", (Bar("a", 1),)))))
    assert next(iter(root)).tag == f"{SVG}style"
    assert "prefers-color-scheme: dark" in next(iter(root)).text
    assert list(root)[1].get("width") == "100%"
