"""The worst videos: which they are, and the spans of what is seen and matched in them."""

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_tracks import found_track, report_of, truth_track

from qcen_core.evaluation.timeline import runs, spans

BOX, OTHER = (10.0, 10.0, 50.0, 60.0), (100.0, 10.0, 150.0, 60.0)
MODES = ("mask", "box")


@pytest.mark.parametrize("mode", MODES)
def test_a_video_by_hand(mode):
    """The first result changes from the cat to the dog after a pause, the second is only on the cat, at the end."""
    cat, dog = [BOX, BOX, None, BOX, BOX], [OTHER] * 5
    truths = [truth_track(31, cat), truth_track(37, dog, 1), truth_track(41, [BOX] * 5, 2, crowd=True)]
    results = [
        found_track(1, dog, 1, 0.2),  # not shown
        found_track(2, [BOX, BOX, None, OTHER, OTHER], 0, 0.9),
        found_track(3, [None, None, None, None, BOX], 0, 0.5),
    ]
    (found,) = report_of(results, truths, mode, (5,)).worst
    assert found["video"] == "v1"
    assert found["quality"] == pytest.approx((4 / 13 + 1) / 2)
    assert found["objects"] == (
        {"id": 31, "class": "cat", "visible": ((0, 1), (3, 4)), "matched": ((0, 1, 2), (4, 4, 3))},
        {"id": 37, "class": "dog", "visible": ((0, 4),), "matched": ((3, 4, 2),)},
    )
    assert [(row["id"], row["class"], row["score"], row["seen"]) for row in found["results"]] == [
        (2, "cat", 0.9, ((0, 1), (3, 4))), (3, "cat", 0.5, ((4, 4),))
    ]  # fmt: skip
    assert all(row["verdict"] != "right" for row in found["results"])
    assert sum(found["errors"].values()) == 2


@pytest.mark.parametrize("mode", MODES)
def test_the_ten_worst_come_first(mode):
    """Video n has n of thirteen frames; video 4 is as bad as video 3 with an error more, and video 12 is empty."""
    frames = 13
    truths = [truth_track(n, [BOX] * frames, video=n) for n in range(1, 14) if n != 12]
    lengths = {n: 3 if n == 4 else n for n in range(1, 14) if n != 12}
    results = [found_track(1, [BOX] * n + [None] * (frames - n), video=video) for video, n in lengths.items()]
    results.append(found_track(2, [OTHER] * frames, video=4))
    found = report_of(results, truths, mode, (frames,) * 13).worst
    assert [video["video"] for video in found] == ["v1", "v2", "v4", "v3", *[f"v{n}" for n in range(5, 11)]]
    assert found[0]["quality"] == pytest.approx(1 / 13)
    few = report_of(results[:2], [t for t in truths if t.video_id == 2], mode, (frames,) * 2).worst
    assert [(video["video"], video["quality"]) for video in few] == [("v2", pytest.approx(2 / 13)), ("v1", None)]
    assert few[0]["results"][0]["verdict"] != "right"
    assert few[1]["errors"]["background"] == 1
    json.dumps(found, allow_nan=False)


@given(st.lists(st.integers(-1, 2), max_size=17))
def test_runs_tell_all_values(values):
    told = runs(np.array(values, dtype=np.int64))
    assert [value for first, last, value in told for _ in range(first, last + 1)] == values
    assert all(before[2] != after[2] for before, after in pairwise(told))
    there = np.array(values, dtype=np.int64) > 0
    inside = {frame for first, last in spans(there) for frame in range(first, last + 1)}
    assert inside == set(np.flatnonzero(there).tolist())
