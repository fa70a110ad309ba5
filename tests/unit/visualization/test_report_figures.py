"""The figures of the report: what they say, and that a missing key leaves out only its own."""

import copy

import pytest
from report_pages import made_up_figures
from test_html_report import check

from qcen_core.visualization.bar_rows import BarRow, draw_bar_rows
from qcen_core.visualization.calibration import draw_reliability
from qcen_core.visualization.confusion import draw_confusion
from qcen_core.visualization.error_split import ERROR_COLORS, ERROR_WORDS
from qcen_core.visualization.evaluation_page import evaluation_page, evaluation_sections
from qcen_core.visualization.html_report import render
from qcen_core.visualization.timelines import draw_timeline, verdict_color

SECTION_OF = {
    "errors": "Where the points are lost",
    "worst": "The hardest videos over time",
    "hota": "Tracking",
    "breakdown": "Which objects are hard",
    "confusion": "What is taken for what",
    "calibration": "Can the scores be trusted?",
}


def titles(figures: dict) -> list[str]:
    return [section.title for section in evaluation_sections(figures)]


@pytest.mark.parametrize("key", SECTION_OF)
def test_a_missing_key_leaves_out_its_section_alone(key):
    figures = made_up_figures()
    whole = titles(figures)
    assert SECTION_OF[key] in whole
    for without in ({k: v for k, v in figures.items() if k != key}, figures | {key: None}):
        expected = [title for title in whole if title != SECTION_OF[key]]
        if key == "worst":  # the plain table of videos takes its place
            expected.insert(2 - 1 + ("errors" in without), "Hardest videos")
        assert titles(without) == expected


@pytest.mark.parametrize("key", SECTION_OF)
def test_parts_that_are_missing_break_nothing(key):
    figures = made_up_figures()
    part = figures[key][0] if key == "worst" else figures[key]
    for inner in list(part):
        fewer = copy.deepcopy(figures)
        (fewer[key][0] if key == "worst" else fewer[key]).pop(inner)
        check(render(evaluation_page(fewer, "")))


def test_the_whole_page_is_sound_and_names_are_escaped():
    html = render(evaluation_page(made_up_figures(("<b>dog", "c&'\"t")), "a & b"))
    words = check(html).words
    assert "<b>dog" in words
    assert "c&'\"t" in words
    assert "<b>dog" not in html


def test_errors_stand_in_the_order_of_what_they_cost():
    words = check(render(evaluation_page(made_up_figures(), ""))).words
    places = [words.index(text) for text in ("Localisation", "Association", "Background", "Classification", "Missed")]
    assert places == sorted(places)
    assert "AP50 is 58.3 %" in words
    assert "12.5" in words
    assert "17 errors" in words
    assert set(ERROR_WORDS) == set(ERROR_COLORS)
    assert all(text in words for text in ERROR_WORDS.values())


def test_the_error_split_tells_that_it_knows_no_quirks():
    words = check(render(evaluation_page(made_up_figures() | {"official_quirks": True}, ""))).words
    assert "AP50, without the quirks of the official program, is 58.3 %" in words


def test_bars_are_as_long_as_their_values():
    html = draw_bar_rows([BarRow("a", 3.0, "3"), BarRow("b", 1.5, "1.5"), BarRow("c", None, "-")])
    assert [part.split("%")[0] for part in html.split("width:")[1:]] == ["100.0", "50.0"]
    assert "width:25.0%" in draw_bar_rows([BarRow("a", 0.25, "")], full=1.0)
    assert "width" not in draw_bar_rows([BarRow("a", 0.0, "")])


def test_cells_tell_their_share_of_the_row():
    html = draw_confusion(("dog", "cat"), [[6, 1, 1], [0, 0, 0], [2, 0, 0]])
    assert "data-words='6 (75 % of the row): dog found as dog, right'>6<" in html
    assert "data-words='1 (12 % of the row): dog taken for cat'>1<" in html
    assert "data-words='1 (12 % of the row): dog that nothing was found for'>1<" in html
    assert "data-words='2 (100 % of the row): results called dog where no object is'>2<" in html
    assert html.count("<td class='none'></td>") == 3  # of a class without objects
    assert html.count("--share:75%") == 1


def test_reliability_bars_reach_the_diagonal_where_scores_are_true():
    bins = [{"from": 0.5, "to": 1.0, "count": 8, "score": 0.75, "right": 0.75}]
    _, bar = draw_reliability(bins).split("<rect")
    fields = {name: float(bar.split(f'{name}="')[1].split('"')[0]) for name in ("x", "y", "width", "height")}
    diagonal = draw_reliability(bins).split('d="M')[-1].split('"')[0]
    (x0, y0), (x1, y1) = ([float(v) for v in point.split()] for point in diagonal.split("L"))
    middle = fields["x"] + fields["width"] / 2
    assert y0 + (middle - x0) / (x1 - x0) * (y1 - y0) == pytest.approx(fields["y"], abs=0.6)
    assert fields["y"] + fields["height"] == pytest.approx(y0, abs=0.1)


def test_the_direction_of_the_calibration_error_is_told():
    figures = made_up_figures()
    assert "25.0 points: so far off are scores on average; they promise too much" in render(
        evaluation_page(figures, "")
    )
    figures["calibration"]["bins"][1]["right"] = 0.9
    assert "they promise too little" in render(evaluation_page(figures, ""))


def test_spans_of_a_timeline_are_where_they_happened():
    (entry,) = made_up_figures()["worst"]
    html = draw_timeline(entry)
    check(html)
    # Frames 0 to 3 and 5 to 6 of 7.
    assert "left:0.00%;width:57.14%" in html
    assert "left:71.43%;width:28.57%" in html
    assert "object 10, dog, visible in frames 0 to 6; result 2 in frames 0 to 3, result 1 in frames 5 to 6" in html
    assert "result 1, cat, score 0.90: background; frames 0 to 6" in html
    assert "7 frames, mean best IoU 25.0 %, missed 1<" in html
    assert f"background:{verdict_color('background')}" in html
    # The object's first span has the colour of the result's mark, since result 2 follows it.
    color = html.split("width:57.14%;background:")[1][:7]
    assert f"<i style='background:{color}'></i>dog 0.60" in html


def test_results_beyond_the_shown_ones_are_counted():
    (entry,) = made_up_figures()["worst"]
    result = entry["results"][1]
    entry["results"] = [result | {"id": n, "score": n / 100} for n in range(1, 31)]
    html = draw_timeline(entry)
    assert "and 6 results of lower score" in html
    assert "dog 0.30" in html
    assert "dog 0.06" not in html
