"""The report page in a real browser: it loads clean, fits a phone, and works by key and by click."""

from pathlib import Path

import pytest
from browser import find_browser
from browser_tab import Tab
from report_pages import FRAMES, made_up_figures, write_evaluation

from qcen_core.visualization.evaluation_page import evaluation_page
from qcen_core.visualization.html_report import write
from qcen_core.visualization.player import read_player

BROWSER = find_browser()
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium on the path")
MANY = tuple(f"a rather long name {place}" for place in range(40))
PLACE = "document.querySelector('.place').textContent"


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    truth, results = write_evaluation(folder)
    figures = made_up_figures()
    write(
        evaluation_page(figures, "a/b", read_player(results, truth, folder / "JPEGImages", figures)), folder / "r.html"
    )
    return folder / "r.html"


def widest(tab: Tab) -> tuple[int, int]:
    """Width of what the document holds, and of what the window shows of it beside its scroll bar."""
    return tuple(tab.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]"))


@pytest.mark.parametrize(("width", "dark"), [(400, False), (400, True), (1280, False), (1280, True)])
def test_a_page_loads_without_complaint_and_fits(page, tmp_path, width, dark):
    with Tab(BROWSER, tmp_path, width, dark=dark) as tab:
        tab.open(page)
        held, shown = widest(tab)
        assert width - 20 <= shown <= width
        assert held <= shown
        assert tab.evaluate("document.querySelectorAll('section').length") == 9
        ground = tab.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(int(part) for part in ground[4:-1].split(",")) < 200) == dark
        assert tab.problems == []


def test_forty_classes_scroll_in_their_own_box(tmp_path):
    write(evaluation_page(made_up_figures(MANY), "a/b"), tmp_path / "r.html")
    with Tab(BROWSER, tmp_path / "profile", 400) as tab:
        tab.open(tmp_path / "r.html")
        held, shown = widest(tab)
        assert held <= shown <= 400
        wide, high = tab.evaluate(
            "(() => { const h = document.querySelector('.heat');"
            "return [h.scrollWidth > h.clientWidth, h.scrollHeight > h.clientHeight] })()"
        )
        assert wide
        assert high
        tab.evaluate("document.querySelector('.heat').focus()")
        tab.press("ArrowDown")
        tab.press("ArrowRight")
        told = tab.evaluate("document.querySelector('.heat + .readout').textContent")
        assert told == f"5 (100 % of the row): {MANY[1]} found as {MANY[1]}, right"
        assert tab.problems == []


def test_the_player_goes_by_key(page, tmp_path):
    with Tab(BROWSER, tmp_path, 1280) as tab:
        tab.open(page)
        tab.evaluate("document.querySelector('.stages').focus()")
        seen = [tab.evaluate(PLACE)]
        for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "End", "Home"):
            tab.press(key)
            seen.append(tab.evaluate(PLACE))
        assert [int(text.split()[1]) for text in seen] == [0, 1, 2, 1, FRAMES - 1, 0]
        tab.press(" ")
        assert tab.evaluate("document.querySelector('.play').textContent") == "Pause"
        moved = f"new Promise(done => {{ const look = () => {PLACE}.startsWith('frame 0')"
        assert tab.evaluate(moved + " ? setTimeout(look, 20) : done(true); look(); })")
        tab.press(" ")
        assert tab.evaluate("document.querySelector('.play').textContent") == "Play"
        assert tab.problems == []


def test_the_player_goes_by_click_and_shows_the_masks(page, tmp_path):
    colors = """(() => [...document.querySelectorAll('canvas')].map(c =>
        Array.from(c.getContext('2d').getImageData(X, Y, 1, 1).data.slice(0, 3))))()"""
    at_disc = colors.replace("X", "149").replace("Y", "226")  # column 20, row 30 of the frame
    with Tab(BROWSER, tmp_path, 400) as tab:
        tab.open(page)
        assert tab.evaluate("document.querySelector('.player-title').textContent") == "v1"
        drawn = "document.querySelector('canvas').getContext('2d').getImageData(9, 9, 1, 1).data[0] < 60"
        tab.evaluate(f"new Promise(done => {{ const look = () => {drawn} ? done(1) : setTimeout(look, 20); look() }})")
        left, right = tab.evaluate(at_disc)
        assert left == right  # the result that follows the object has its colour
        assert left[0] > left[2] + 60  # which is orange
        assert tab.evaluate("document.querySelector('canvas').ariaLabel") == "Ground truth, frame 0: dog"
        tab.click(".with-masks")
        left, right = tab.evaluate(at_disc)
        assert max(left) - min(left) < 9
        tab.click("[data-do=forward]")
        assert tab.evaluate(PLACE).startswith("frame 1 ")
        tab.click(".gallery button:nth-child(2)")
        assert tab.evaluate("document.querySelector('.player-title').textContent") == "v2"
        # That the test reads the canvas often is no fault of the page.
        assert [text for text in tab.problems if "getImageData" not in text] == []


def test_a_timeline_is_read_out_and_leads_to_its_moment(page, tmp_path):
    with Tab(BROWSER, tmp_path, 1280) as tab:
        tab.open(page)
        tab.click(".gallery button:nth-child(2)")
        tab.evaluate("document.querySelectorAll('.time-row')[2].focus()")
        told = tab.evaluate("document.querySelector('.timeline + .readout').textContent")
        assert told == "result 2, dog, score 0.60: right, follows object 10; frames 0 to 6"
        tab.click(".time-row .time-track")
        assert tab.evaluate("document.querySelector('.player-title').textContent") == "v1"
        assert tab.evaluate(PLACE).startswith("frame 3 ")
        assert tab.problems == []


def test_a_table_is_sorted_by_keyboard(page, tmp_path):
    names = "[...document.querySelectorAll('table[data-sortable] tbody tr')].map(row => row.cells[0].textContent)"
    with Tab(BROWSER, tmp_path, 1280) as tab:
        tab.open(page)
        assert tab.evaluate(names) == ["cat", "dog"]
        tab.evaluate("document.querySelector('table[data-sortable] th button').focus()")
        tab.press("Tab")
        tab.press("Tab")
        tab.press("Enter")  # AP50: the largest first
        assert tab.evaluate(names) == ["dog", "cat"]
        tab.press(" ")
        assert tab.evaluate(names) == ["cat", "dog"]
        sorts = "[...document.querySelectorAll('table[data-sortable] th')].map(head => head.ariaSort)"
        assert tab.evaluate(sorts) == ["none", "none", "ascending", "none"]
        tab.press("Tab")
        tab.press("Enter")  # HOTA: the dog has none, and stays last whatever the order
        assert tab.evaluate(names) == ["cat", "dog"]
        tab.press("Enter")
        assert tab.evaluate(names) == ["cat", "dog"]
        assert tab.problems == []
