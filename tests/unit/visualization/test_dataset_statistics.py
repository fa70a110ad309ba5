from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qcen_core.records import BoxDataset, Category, FrameBoxes, VideoRecord
from qcen_core.visualization.dataset_statistics import groups, measure, statistics_blocks
from qcen_core.visualization.html_report import Page, Section, render


def frame(*boxes: tuple[float, float, float, float], ignored: int = 0, labelled: bool = True) -> FrameBoxes:
    ignore = np.arange(len(boxes)) >= len(boxes) - ignored
    return FrameBoxes(np.array(boxes, np.float32).reshape(-1, 4), np.zeros(len(boxes), np.int64), ignore, labelled)


def make_set() -> BoxDataset:
    labels = (
        frame((0, 0, 8, 18), (5, 5, 35, 125), ignored=1),
        frame(),
        frame((1, 2, 41, 92), (1, 2, 41, 92)),
        frame(labelled=False),
    )
    videos = (
        VideoRecord(1, "a", 131, 227, ("0", "1", "2", "3"), labels=labels),
        VideoRecord(2, "b", 131, 227, tuple(f"{n}" for n in range(11))),
    )
    return BoxDataset("toy", Path("frames"), (Category(1, "dog"),), videos)


def test_a_set_is_measured():
    found = measure(make_set())
    assert found.sizes.tolist() == [12.0, 60.0, 60.0]
    assert found.lengths.tolist() == [4, 11]
    assert found.counts.tolist() == [1, 0, 2]
    assert found.unlabelled == 1 + 11


@given(st.lists(st.integers(0, 70)), st.sets(st.integers(1, 60), min_size=1))
def test_groups_count_every_value_once(values, edges):
    bounds = [0, *sorted(edges)]
    ends = [*bounds[1:], float("inf")]
    expected = [sum(first <= v < last for v in values) for first, last in zip(bounds, ends, strict=True)]
    assert groups(values, bounds) == expected


def test_bars_name_their_groups():
    html = render(Page("t", sections=(Section("s", (statistics_blocks(measure(make_set()), {"dog": (3, 1)}),)),)))
    for text in ("0 to 16", "32 to 64", "in 1 video<", "33.3 %", "66.7 %"):
        assert text in html
    assert "64 to 128" not in html


@pytest.mark.parametrize("count", [1, 23])
def test_videos_of_one_length_are_one_bar(count):
    videos = tuple(VideoRecord(n, f"v{n}", 5, 7, ("a",) * 13) for n in range(count))
    html = render(
        Page("t", sections=(Section("", (statistics_blocks(measure(BoxDataset("s", Path(), (), videos)), {}),)),))
    )
    assert html.count("bar-row") == 0
    assert html.count("<li>") == 1
    assert ">13<" in html
    assert "Sizes of boxes" not in html
