import base64
import json
import re
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from qcen_core.visualization import html_report
from qcen_core.visualization.curves import LineChart, Series, draw_chart
from qcen_core.visualization.evaluation_page import evaluation_sections
from qcen_core.visualization.html_report import (
    Card,
    Charts,
    Columns,
    Drawing,
    Page,
    Section,
    Text,
    Tile,
    Tiles,
    picture,
    render,
    video,
    write,
)
from qcen_core.visualization.html_table import Table

NEVER_CLOSED = {"meta", "img", "input"}


class Checker(HTMLParser):
    """Collects addresses and text; fails on tags that do not match."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.words = ""

    def handle_starttag(self, tag, attrs):
        self.addresses += [value for name, value in attrs if name in {"src", "href"}]
        if tag not in NEVER_CLOSED:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words += data


def check(html: str) -> Checker:
    checker = Checker()
    checker.feed(html)
    checker.close()
    assert checker.open == []
    return checker


def full_page() -> Page:
    image = np.random.default_rng(0).integers(0, 256, (37, 53, 3), dtype=np.uint8)
    chart = draw_chart(LineChart("loss", (Series("a", [0, 1], [1, 0]),)))
    blocks = (
        Tiles((Tile("AP", "41.3", "mean"), Tile("frames", "12"))),
        Text("1 < 2 & 3 > 2"),
        picture(image, "a 'picture' \"quoted\""),
        Columns((Charts((chart, chart)), Text("beside"))),
        Table(("class", "AP"), (("dog", "41.0"), ("<cat>", "-")), "by class"),
    )
    return Page("Title & <more>", "subtitle", (Section("First", blocks), Section("", (Text("end"),))))


def test_page_is_sound_and_escaped():
    html = render(full_page())
    checker = check(html)
    for text in ("Title & <more>", "1 < 2 & 3 > 2", "<cat>", "41.3", "by class", "beside"):
        assert text in checker.words
    assert "prefers-color-scheme: dark" in html
    assert "width=device-width" in html


def test_page_needs_no_network():
    html = render(full_page())
    assert all(address.startswith("data:") for address in check(html).addresses)
    addresses = html.replace("http://www.w3.org/2000/svg", "")
    assert "http" not in addresses
    assert "@import" not in html
    assert "url(" not in html


def test_pictures_hold_their_pixels():
    image = np.zeros((37, 53, 3), np.uint8)
    image[:, :26] = (200, 30, 30)
    source = picture(image).source
    data = base64.b64decode(source.removeprefix("data:image/jpeg;base64,"))
    back = cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    assert np.abs(back[:, 5:20].astype(int) - (200, 30, 30)).max() < 12


def test_small_videos_are_embedded_and_large_ones_linked(tmp_path, monkeypatch):
    film = tmp_path / "run" / "film.mp4"
    film.parent.mkdir()
    film.write_bytes(b"film")
    assert video(film, tmp_path / "report.html").source == "data:video/mp4;base64,ZmlsbQ=="
    monkeypatch.setattr(html_report, "EMBEDDED_VIDEO_LIMIT", 4)
    assert video(film, tmp_path / "report.html").source == "run/film.mp4"
    elsewhere = video(film, tmp_path / "other" / "report.html").source
    assert elsewhere == film.resolve().as_uri()


def test_only_columns_of_numbers_are_set_right():
    html = render(Page("t", sections=(Section("s", (Table(("a", "b"), (("x", "1.5"), ("y", "-"))),)),)))
    assert html.count("<td class='number'>") == 2
    assert html.count("<th class='number'>") == 1


def test_a_table_that_can_be_sorted_has_buttons():
    plain, sortable = (Table(("a<", "b"), (("x", "1"),), sortable=chosen) for chosen in (False, True))
    html = render(Page("t", sections=(Section("", (sortable,)),)))
    check(html)
    assert "<th class='number' aria-sort='none'><button type='button'>b</button></th>" in html
    assert "aria-sort='none'" not in render(Page("t", sections=(Section("", (plain,)),)))


def test_data_of_a_page_come_back_and_cannot_end_their_element():
    data = {"names": ["</script><b>", "ü"], "numbers": [1, 2]}
    html = render(Page("t", data=data))
    check(html)
    assert "</script><b>" not in html
    (text,) = re.findall("id='page-data'>(.*?)</script>", html)
    assert json.loads(text) == data


def test_cards_hold_their_figures_and_many_sections_are_listed():
    card = Card("A & B", ("first", "second <"), (Drawing("<hr class='mine'/>"),))
    sections = tuple(Section(f"part {n}", (card,)) for n in range(4))
    html = render(Page("t", sections=sections))
    words = check(html).words
    assert html.count("<hr class='mine'/>") == 4
    assert "A & B" in words
    assert "second <" in words
    links = re.findall("href='#([^']*)'>([^<]*)<", html)
    assert [text for _, text in links] == [section.title for section in sections]
    assert all(f"<section id='{place}'>" in html for place, _ in links)
    assert "<nav" not in render(Page("t", sections=sections[:3]))


def test_wide_pictures_are_stored_smaller():
    image = np.zeros((37, 530, 3), np.uint8)
    for widest, expected in ((None, 530), (1000, 530), (113, 113)):
        data = base64.b64decode(picture(image, "", widest).source.removeprefix("data:image/jpeg;base64,"))
        assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape[1] == expected


def test_file_is_whole_or_absent(tmp_path, monkeypatch):
    path = tmp_path / "new" / "report.html"
    write(Page("t"), path)
    assert path.read_text(encoding="utf-8") == render(Page("t"))

    def broken(_: Page) -> str:
        raise RuntimeError

    monkeypatch.setattr(html_report, "render", broken)
    with pytest.raises(RuntimeError):
        write(Page("t"), path)
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]


def test_evaluation_sections_show_what_there_is():
    figures = {
        "AP": 0.413,
        "AP50": 0.6,
        "AP75": None,
        "APs": 0.125,
        "per_class": {"dog": 0.5, "cat": None},
        "box_per_class": {"dog": 0.75, "cat": None},
        "box": {"tube_AP": 0.55, "frame_AP": 0.44},
        "association": {"accuracy": 0.975, "switches": 3},
        "curves": {"iou_thresholds": [0.5, 0.55], "recall": [0, 1], "precision": [[1, 0.5], [1, 0.25]]},
        "videos": {"easy": 0.9, "hard": 0.2, "none": None},
    }
    words = check(render(Page("t", sections=evaluation_sections(figures)))).words
    for text in ("41.3", "60.0", "12.5", "75.0", "55.0", "97.5", "IoU 0.50", "hard"):
        assert text in words
    assert words.index("hard") < words.index("easy")
    assert "IoU 0.55" not in words


def test_evaluation_on_boxes_alone_says_so():
    figures = {"AP": None, "AP50": None, "box": {"tube_AP": 0.5}, "videos": {}, "measured_on": "box"}
    figures |= {"per_class": {"dog": None}, "box_per_class": {"dog": 0.25}}
    words = check(render(Page("t", sections=evaluation_sections(figures)))).words
    assert "only boxes are measured" in words
    assert "50.0" in words
    assert "25.0" in words
    assert "mask AP" not in words
    assert evaluation_sections({}) == ()
