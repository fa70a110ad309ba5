"""Which class is found as which: cases counted by hand."""

import numpy as np
import pytest
from made_tracks import found_track, report_of, truth_track

from qcen_core.evaluation.confusion import confusion

BOX, OTHER, THIRD = (10.0, 10.0, 50.0, 60.0), (100.0, 10.0, 150.0, 60.0), (200.0, 10.0, 250.0, 60.0)
MODES = ("mask", "box")


@pytest.mark.parametrize("mode", MODES)
def test_right_wrong_missed_and_invented(mode):
    truths = [truth_track(1, [BOX] * 3), truth_track(2, [OTHER] * 3, 1), truth_track(3, [THIRD] * 3, 1)]
    results = [
        found_track(1, [BOX] * 3),
        found_track(2, [OTHER] * 3, 0, 0.8),
        found_track(3, [OTHER] * 3, 1, 0.7),  # its object is taken
        found_track(4, [(300.0, 200.0, 330.0, 240.0)] * 3, 1, 0.6),
        found_track(5, [THIRD] * 3, 1, 0.1),  # not shown
    ]
    found = report_of(results, truths, mode).confusion
    assert found == {"names": ("cat", "dog"), "matrix": ((1, 0, 0), (1, 0, 1), (0, 2, 0))}
    shown = report_of(results, truths, mode, shown_score=0.1).confusion
    assert shown["matrix"] == ((1, 0, 0), (1, 1, 0), (0, 2, 0))


@pytest.mark.parametrize("mode", MODES)
def test_half_of_the_union_is_enough_and_the_larger_overlap_counts(mode):
    truths = [truth_track(1, [BOX, BOX, None], 2), truth_track(2, [OTHER, None, None], 1)]
    results = [found_track(1, [BOX, None, None], 2), found_track(2, [OTHER, OTHER, OTHER], 1)]
    found = report_of(results, truths, mode).confusion
    assert found == {"names": ("dog", "fox"), "matrix": ((0, 0, 1), (0, 1, 0), (1, 0, 0))}
    nested = [truth_track(1, [BOX] * 3, 0), truth_track(2, [(10.0, 10.0, 50.0, 50.0)] * 3, 1)]
    closer = report_of([found_track(1, [(10.0, 10.0, 50.0, 51.0)] * 3, 1)], nested, mode).confusion
    assert closer["matrix"] == ((0, 0, 1), (0, 1, 0), (0, 0, 0))


@pytest.mark.parametrize("mode", MODES)
def test_what_lies_on_a_crowd_is_neither_right_nor_wrong(mode):
    truths = [truth_track(1, [BOX] * 3, crowd=True), truth_track(2, [OTHER] * 3)]
    found = report_of([found_track(n, [BOX] * 3, 1) for n in (1, 2)], truths, mode).confusion
    assert found == {"names": ("cat",), "matrix": ((0, 1), (0, 0))}


def test_nothing_at_all():
    assert report_of([], [], "mask").confusion == {"names": (), "matrix": ((0,),)}


def test_every_object_and_every_result_is_counted_once():
    rng = np.random.default_rng(3)
    pairs = [rng.integers(-1, 3, (count, 2)) for count in (5, 0, 7)]
    matrix = np.array(confusion(pairs, ["a", "b", "c"])["matrix"])
    everything = np.concatenate(pairs)
    for true, found in np.ndindex(4, 4):
        expected = [(t, f) for t, f in everything.tolist() if (t % 4, f % 4) == (true, found)]
        assert matrix[true, found] == len(expected)
