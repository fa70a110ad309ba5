"""Association by hand: who is on whom in each frame."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from qcen_core.evaluation import association as measures
from qcen_core.evaluation.association import count_links, match_frames


def association(videos):
    return measures.association([count_links(*video) for video in videos])


def video(who, results=3, iou=0.75):
    """IoU and areas of objects of which `who[frame][object]` is on top; -1: seen but missed, None: not visible."""
    table = np.zeros((len(who), results, len(who[0])))
    areas = np.zeros((len(who), len(who[0])))
    for frame, row in enumerate(who):
        for g, d in enumerate(row):
            areas[frame, g] = d is not None
            if d is not None and d >= 0:
                table[frame, d, g] = iou
    return table, areas


def test_steady_tracks_are_right():
    found = association([video([[0, 1], [0, 1], [0, 1]])])
    assert (found.accuracy, found.links, found.switches, found.matched, found.mean_iou) == (1, 4, 0, 1, 0.75)


def test_a_swap_breaks_two_links():
    found = association([video([[0, 1], [0, 1], [1, 0], [1, 0]])])
    assert (found.accuracy, found.links, found.switches) == (4 / 6, 6, 2)


def test_a_new_name_after_a_gap_is_a_switch_but_no_link():
    found = association([video([[0], [None], [1], [-1], [1]])])
    assert (found.accuracy, found.links, found.switches, found.matched) == (None, 0, 1, 3 / 4)


def test_a_result_that_wanders_to_another_object_keeps_no_link():
    found = association([video([[0, -1], [-1, 0]])])
    assert (found.links, found.switches, found.matched) == (0, 0, 0.5)


def test_a_double_that_fits_better_is_no_switch():
    iou = np.array([[[0.8], [0.7]], [[0.7], [0.8]], [[0.6], [0.9]]])
    assert match_frames(iou).tolist() == [[0], [0], [0]]
    iou[2, 0] = 0.49
    assert match_frames(iou).tolist() == [[0], [0], [1]]


def test_matching_is_for_the_largest_sum():
    assert match_frames(np.array([[[0.6, 0.9], [0.0, 0.8]]])).tolist() == [[0, 1]]


def test_videos_add_up():
    found = association([video([[0], [1]]), video([[0], [0], [0]], iou=0.5)])
    assert (found.accuracy, found.links, found.switches) == (2 / 3, 3, 1)
    assert found.mean_iou == pytest.approx((2 * 0.75 + 3 * 0.5) / 5)


@pytest.mark.parametrize("shape", [(2, 0, 3), (2, 3, 0), (1, 0, 0)])
def test_nothing_to_match(shape):
    found = association([(np.zeros(shape), np.ones((shape[0], shape[2])))])
    assert (found.accuracy, found.links, found.switches, found.mean_iou) == (None, 0, 0, None)
    assert found.matched == (0 if shape[2] else None)
    assert association([]).matched is None


@given(arrays(np.float64, (3, 4, 5), elements=st.sampled_from([0, 0.3, 0.5, 0.7, 1])))
def test_matches_are_one_to_one_and_good_enough(iou):
    for table, row in zip(iou, match_frames(iou), strict=True):
        used = row[row >= 0]
        assert len(set(used.tolist())) == len(used)
        assert all(table[d, g] >= 0.5 for g, d in enumerate(row) if d >= 0)
        left = np.delete(np.delete(table, used, axis=0), np.flatnonzero(row >= 0), axis=1)
        assert not (left >= 0.5).any()
