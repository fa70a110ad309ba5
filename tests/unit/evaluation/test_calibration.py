"""Reliability of scores: by hand, and bins against a plain loop."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_tracks import found_track, report_of, truth_track

from qcen_core.evaluation.average_precision import Outcome
from qcen_core.evaluation.calibration import calibration, expected_error, reliability

BOX, OTHER = (10.0, 10.0, 50.0, 60.0), (100.0, 10.0, 150.0, 60.0)


@pytest.mark.parametrize("mode", ["mask", "box"])
def test_by_hand(mode):
    crowd = (200.0, 100.0, 240.0, 150.0)
    truths = [truth_track(1, [BOX] * 3), truth_track(2, [OTHER] * 3, 1), truth_track(3, [crowd] * 3, crowd=True)]
    results = [
        found_track(1, [BOX] * 3, score=0.9),
        found_track(2, [BOX] * 3, score=0.95),  # the better one of two
        found_track(3, [OTHER] * 3, score=0.1),  # of another class
        found_track(4, [OTHER, OTHER, None], class_id=1, score=0.15),
        found_track(5, [crowd] * 3, score=0.5),
        found_track(6, [BOX] * 3, score=1.5, class_id=2),
    ]
    found = report_of(results, truths, mode).calibration
    told = {row["from"]: (row["count"], row["score"], row["right"]) for row in found["bins"] if row["count"]}
    assert told == {0.1: (2, pytest.approx(0.125), 0.5), 0.9: (2, pytest.approx(0.925), 0.5)}
    assert found["ece"] == pytest.approx((0.375 + 0.425) / 2)
    assert (found["bins"][0]["score"], found["bins"][0]["right"]) == (None, None)
    assert [row["to"] for row in found["bins"]] == pytest.approx([0.1 * place for place in range(1, 11)])
    assert report_of([], truths, mode).calibration["ece"] is None


scores = st.floats(-0.5, 1.5) | st.sampled_from([0.0, 0.1, 0.3, 0.7, 1.0])


@given(st.lists(st.tuples(scores, st.sampled_from(["true", "false", "neither"])), max_size=23))
def test_bins_hold_what_lies_between_their_ends(rows):
    values = np.array([score for score, _ in rows], float)
    true, false = (np.array([[[kind == name for _, kind in rows]]], bool) for name in ("true", "false"))
    places = np.zeros(len(rows), np.int64)
    bins = reliability(Outcome(places, values, places + 1, true, false, np.ones((1, 1), np.int64)))
    error, total = 0.0, 0
    for part in bins:
        inside = [
            (score, kind == "true")
            for score, kind in rows
            if kind != "neither" and (part.low <= score < part.high or score == part.high == 1)
        ]
        assert part.count == len(inside)
        if inside:
            assert part.score == pytest.approx(np.mean([score for score, _ in inside]))
            assert part.right == pytest.approx(np.mean([right for _, right in inside]))
            error += abs(sum(score - right for score, right in inside))
            total += len(inside)
    assert expected_error(bins) == (pytest.approx(error / total) if total else None)


def test_all_is_plain_for_json():
    nothing = Outcome(*[np.zeros(0, np.int64)] * 3, *[np.zeros((1, 1, 0), bool)] * 2, np.zeros((1, 1), np.int64))
    assert calibration(nothing)["bins"][3] == {"from": 0.3, "to": 0.4, "count": 0, "score": None, "right": None}
