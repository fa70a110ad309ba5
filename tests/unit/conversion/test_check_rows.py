import math
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qcen_core.conversion.annotations import ListedAnnotations, SourceObject
from qcen_core.conversion.box_rows import collect_rows
from qcen_core.conversion.check_rows import (
    BORDER_TOLERANCE,
    SAME_BOX,
    SMALLEST_SIDE,
    box_faults,
    check_boxes,
    check_categories,
    check_duplicates,
    frame_sizes,
)
from qcen_core.conversion.problems import Problem
from qcen_core.records import Category, VideoRecord

CATEGORIES = (Category(9, "cat"), Category(4, "dog"), Category(70, "owl"))
VIDEOS = (VideoRecord(1, "pond", 61, 101, ("0.jpg", "1.jpg")), VideoRecord(2, "lake", 37, 43, ("0.jpg",)))
NAN, INF = math.nan, math.inf


def rows_of(*items):
    rows, problems = collect_rows(ListedAnnotations(Path("x.json"), CATEGORIES, VIDEOS, items))
    assert not problems
    return rows


def item(*boxes, number=1, video=0, class_id=0, frames=None, **more):
    frames = list(range(len(boxes))) if frames is None else frames
    return SourceObject(f"x.json: annotation {number}", video, class_id, frames, boxes, **more)


def fault(box, width=101, height=61):
    """The kind of fault, slowly and by its meaning."""
    x1, y1, x2, y2 = box
    if not all(math.isfinite(value) for value in box):
        return "malformed box"
    if x2 - x1 < SMALLEST_SIDE or y2 - y1 < SMALLEST_SIDE:
        return "zero-area box"
    if max(-x1, -y1, x2 - width, y2 - height) > BORDER_TOLERANCE:
        return "box outside the frame"
    if min(x2, width) - max(x1, 0) < SMALLEST_SIDE or min(y2, height) - max(y1, 0) < SMALLEST_SIDE:
        return "box outside the frame"
    return None


CASES = [
    ((1, 2, 30, 40), None),
    ((0, 0, 101, 61), None),
    ((-1, -1, 102, 62), None),
    ((-1.0001, 2, 30, 40), "box outside the frame"),
    ((1, -1.0001, 30, 40), "box outside the frame"),
    ((1, 2, 102.0001, 40), "box outside the frame"),
    ((1, 2, 30, 62.0001), "box outside the frame"),
    ((-1, 2, 0.0009, 40), "box outside the frame"),  # all but nothing of it is in the frame
    ((-1, 2, 0.0011, 40), None),
    ((101, 2, 102, 40), "box outside the frame"),
    ((1, 61, 30, 62), "box outside the frame"),
    ((1, 2, 1, 40), "zero-area box"),
    ((1, 2, 30, 2), "zero-area box"),
    ((1, 2, 1.0009, 40), "zero-area box"),
    ((1, 2, 1.0011, 40), None),
    ((30, 2, 1, 40), "zero-area box"),
    ((-500, 2, -500, 40), "zero-area box"),
    ((NAN, 2, 30, 40), "malformed box"),
    ((1, 2, 30, NAN), "malformed box"),
    ((1, 2, INF, 40), "malformed box"),
    ((-INF, -INF, INF, INF), "malformed box"),
    ((INF, 2, INF, 40), "malformed box"),
    ((NAN, NAN, NAN, NAN), "malformed box"),
    ((-1e308, 2, 1.7e308, 40), "box outside the frame"),
]


@pytest.mark.parametrize(("box", "kind"), CASES)
def test_every_kind_of_fault(box, kind):
    assert fault(box) == kind
    rows = rows_of(item((1, 1, 9, 9), box, number=7))
    problems, right, _ = check_boxes(rows, VIDEOS)
    assert right.tolist() == [True, kind is None]
    if kind is None:
        assert problems == []
        return
    (problem,) = problems
    assert (problem.kind, problem.place) == (kind, "x.json: annotation 7, frame 1")
    assert problem.loses_labels
    assert problem.video is None
    assert problem.hint
    assert "\n" not in problem.cause


def test_causes_name_the_box_as_files_have_it_and_the_frame():
    rows = rows_of(item((50, 2, 30.5, 40), video=0), item((-2.5, 0, 40, 30), video=1, number=8))
    first, second = check_boxes(rows, VIDEOS)[0]
    assert first.cause == "the box [50, 2, -19.5, 38] has no area"
    assert second.cause == "the box [-2.5, 0, 42.5, 30] leaves the 43 x 37 frame"


def test_each_box_is_held_against_its_own_video():
    rows = rows_of(item((40, 30, 60, 40)), item((40, 30, 60, 40), video=1, number=8))
    problems, right, _ = check_boxes(rows, VIDEOS)
    assert right.tolist() == [True, False]
    assert [problem.place for problem in problems] == ["x.json: annotation 8, frame 0"]


def test_no_boxes_at_all():
    rows = rows_of(item())
    problems, right, _ = check_boxes(rows, VIDEOS)
    assert (problems, right.shape) == ([], (0,))
    assert check_duplicates(rows) == []
    assert len(check_categories(rows, CATEGORIES, "x.json")) == 3
    assert rows_of().boxes.shape == (0, 4)
    assert frame_sizes([]).shape == (0, 2)


EDGE = st.one_of(
    st.floats(-130, 230),
    st.floats(),
    st.sampled_from([-1.0, 0.0, 101.0, 61.0, 102.0, 62.0, SMALLEST_SIDE]),
)
BOX = st.tuples(EDGE, EDGE, EDGE, EDGE)


@settings(max_examples=300)
@given(boxes=st.lists(BOX, max_size=8))
def test_faults_are_those_of_a_slow_check(boxes):
    array = np.array(boxes, np.float64).reshape(-1, 4)
    found = box_faults(array, np.tile([101.0, 61.0], (len(boxes), 1)))
    names = ("malformed box", "zero-area box", "box outside the frame")
    kinds = [[name for name, mask in zip(names, found, strict=True) if mask[row]] for row in range(len(boxes))]
    assert kinds == [[kind] if kind else [] for kind in map(fault, boxes)]


def overlap(a, b):
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(wide, 0) * max(high, 0)
    area = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return shared / (area - shared)


@st.composite
def near_boxes(draw):
    x, y = draw(st.integers(0, 2)), draw(st.integers(0, 2))
    return (x, y, x + draw(st.sampled_from([19, 20, 40])), y + draw(st.sampled_from([19, 20, 40])))


@settings(max_examples=150)
@given(
    labels=st.lists(
        st.tuples(near_boxes(), st.integers(0, 1), st.integers(0, 1), st.integers(0, 1), st.booleans()), max_size=14
    )
)
def test_near_duplicates_are_those_of_a_slow_double_loop(labels):
    items = [
        item(box, number=n, video=video, frames=[frame if video == 0 else 0], class_id=class_id, ignore=ignore)
        for n, (box, video, frame, class_id, ignore) in enumerate(labels)
    ]
    rows = rows_of(*items)
    found = check_duplicates(rows)
    expected = {
        (a, b)
        for (a, first), (b, second) in combinations(enumerate(items), 2)
        if (first.video, first.frames, first.class_id) == (second.video, second.frames, second.class_id)
        and overlap(first.boxes[0], second.boxes[0]) >= SAME_BOX
    }
    assert len(found) == len(expected)
    places = {(problem.place, problem.cause.split(", in ")[1]) for problem in found}
    assert places == {(rows.place(b), rows.place(a)) for a, b in expected}
    assert {problem.kind for problem in found} <= {"near-duplicate box"}
    assert not any(problem.loses_labels for problem in found)


def test_one_object_labelled_twice_and_one_beside_it():
    rows = rows_of(item((10, 10, 30, 30)), item((10, 10, 30, 29), number=2), item((10, 10, 30, 26), number=3))
    (problem,) = check_duplicates(rows)
    assert problem.place == "x.json: annotation 2, frame 0"
    assert problem.cause.startswith("the box [10, 10, 20, 19] lies on another of its class, in x.json: annotation 1")


def test_categories_without_boxes_are_told():
    rows = rows_of(item((10, 10, 30, 30), class_id=1))
    first, second = check_categories(rows, CATEGORIES, "x.json")
    assert [(p.kind, p.place, p.loses_labels) for p in (first, second)] == [
        ("unused category", "x.json: category 9", False),
        ("unused category", "x.json: category 70", False),
    ]
    assert "owl" in second.cause


def test_rows_keep_where_they_came_from():
    told = Problem("unknown category", "x.json: annotation 5", "cause", "hint")
    items = (item((1, 2, 3, 4), (5, 6, 7, 8), frames=[0, 1], track=3), told, item(number=2, track=4))
    items += (item((9, 9, 11, 11), number=6, video=1, class_id=2, ignore=True, track=None),)
    rows, problems = collect_rows(ListedAnnotations(Path("x.json"), CATEGORIES, VIDEOS, items))
    assert problems == [told]
    assert rows.boxes.tolist() == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 9, 11, 11]]
    assert rows.class_ids.tolist() == [0, 0, 2]
    assert rows.ignore.tolist() == [False, False, True]
    assert (rows.videos.tolist(), rows.frames.tolist()) == ([0, 0, 1], [0, 1, 0])
    assert [rows.place(row) for row in range(3)] == [
        "x.json: annotation 1, frame 0",
        "x.json: annotation 1, frame 1",
        "x.json: annotation 6, frame 0",
    ]
    assert rows.identified  # what is to be ignored need not be told apart
    kept = rows.select(np.array([False, True, True]))
    assert [kept.place(row) for row in range(2)] == ["x.json: annotation 1, frame 1", "x.json: annotation 6, frame 0"]
    assert collect_rows(ListedAnnotations(Path("x.json"), CATEGORIES, VIDEOS, items[:3]))[0].identified
