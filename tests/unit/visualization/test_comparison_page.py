import re

import pytest
from test_html_report import check

from qcen_core.visualization.comparison_page import comparison_page, draw_differences
from qcen_core.visualization.html_report import render

TOLD = {
    "names": ["runs/<one>", "runs/two"],
    "videos": 13,
    "figures": {
        "AP": {"a": 0.25, "b": 0.5, "difference": 0.25, "low": 0.125, "high": 0.375},
        "HOTA": {"a": 0.5, "b": 0.25, "difference": -0.25, "low": -0.5, "high": -0.125},
        "AP75": {"a": 0.5, "b": 0.5, "difference": 0.0, "low": -0.125, "high": 0.125},
        "APl": {"a": None, "b": None, "difference": None, "low": None, "high": None},
    },
    "per_class": {
        "dog": {"a": 0.1, "b": 0.2, "difference": 0.1, "low": -0.1, "high": 0.3},
        "cat": {"a": 0.1, "b": 0.4, "difference": 0.3, "low": 0.1, "high": 0.5},
        "cow": {"a": None, "b": None, "difference": None, "low": None, "high": None},
    },
    "per_video": {
        "v1": {"a": 0.5, "b": 0.6, "difference": 0.1},
        "v2": {"a": 0.9, "b": 0.2, "difference": -0.7},
        "v3": {"a": None, "b": None, "difference": None},
    },
}


def test_a_comparison_is_a_sound_page():
    words = check(render(comparison_page(TOLD))).words
    for text in ("runs/<one>", "13 videos", "+25.0", "-50.0 to -12.5", "25.0", "-70.0"):
        assert text in words
    assert words.index("cat") < words.index("dog")
    assert words.index("v2") < words.index("v1")
    assert "cow" not in words
    assert "v3" not in words
    assert comparison_page({}).sections == ()


def test_several_comparisons_share_a_page():
    other = TOLD | {"names": ["runs/<one>", "runs/three"], "per_class": {}}
    page = comparison_page({"comparisons": [TOLD, other]})
    assert [section.title for section in page.sections] == [
        "What differs: runs/two",
        "By class: runs/two",
        "By video: runs/two",
        "What differs: runs/three",
        "By video: runs/three",
    ]
    check(render(page))


def test_dots_intervals_and_zero_share_one_scale():
    html = draw_differences(TOLD["figures"])
    zeros = {float(left) for left in re.findall(r"class='zero' style='left:([\d.]+)%", html)}
    (zero,) = zeros
    dots = [float(left) for left in re.findall(r"class='middle' style='left:([\d.]+)%", html)]
    spans = [(float(left), float(width)) for left, width in re.findall(r"left:([\d.]+)%;width:([\d.]+)%", html)]
    assert dots[0] - zero == pytest.approx(zero - dots[1], abs=0.02)
    assert dots[2] == zero
    assert len(dots) == len(spans) == 3
    per_share = (dots[0] - zero) / 0.25
    for (left, width), low, high in zip(spans, (0.125, -0.5, -0.125), (0.375, -0.125, 0.125), strict=True):
        assert left == pytest.approx(zero + low * per_share, abs=0.05)
        assert width == pytest.approx((high - low) * per_share, abs=0.05)
        assert 0 < left < left + width < 100


def test_colours_say_who_is_ahead_and_grey_that_nobody_is():
    html = draw_differences(TOLD["figures"])
    colors = re.findall(r"class='middle' style='left:[\d.]+%;background:var\(--series-(\d)", html)
    assert colors == ["2", "1", "7"]


@pytest.mark.parametrize(
    ("difference", "shown"), [(0.0004, "0.0"), (-0.0004, "0.0"), (0.0006, "+0.1"), (-0.0006, "-0.1")]
)
def test_what_rounds_to_nothing_has_no_sign(difference, shown):
    html = draw_differences({"AP": {"a": 0.5, "b": 0.5, "difference": difference, "low": None, "high": None}})
    assert f"<span class='bar-value'>{shown}</span>" in html
