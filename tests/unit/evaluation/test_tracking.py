"""HOTA, IDF1 and identity switches: by hand, against a slow plain re-statement, and against the TrackEval program."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from made_tracks import found_track, report_of, truth_track

from qcen_core.evaluation.association import match_frames
from qcen_core.evaluation.tracking import (
    ALPHAS,
    class_hota,
    count_hota,
    count_identity,
    count_tracking,
    tracking_figures,
)

FRAMES, RESULTS, OBJECTS = 5, 4, 3
SHARES = ("HOTA", "DetA", "AssA", "LocA", "DetRe", "DetPr", "AssRe", "AssPr")


def counted(iou, results=None, objects=None, result_classes=None, object_classes=None):
    frames, found, true = iou.shape
    return count_tracking(
        iou,
        np.ones((frames, found), bool) if results is None else results,
        np.ones((frames, true), bool) if objects is None else objects,
        np.zeros(found, int) if result_classes is None else np.array(result_classes),
        np.zeros(true, int) if object_classes is None else np.array(object_classes),
        match_frames(iou),
    )


def figures(*videos):
    return tracking_figures([counted(*video) for video in videos])


def on_top(who, results, iou=0.75):
    """IoU where in each frame each object has the result that is named; -1: none."""
    table = np.zeros((len(who), results, len(who[0])))
    for frame, row in enumerate(who):
        for place, number in enumerate(row):
            if number >= 0:
                table[frame, number, place] = iou
    return table


def test_perfect_tracks_are_one():
    found = figures((on_top([[0, 1]] * 3, 2, iou=1.0),))
    assert {found[name] for name in (*SHARES, "IDF1", "IDP", "IDR")} == {1.0}
    assert (found["IDSW"], found["alphas"]) == (0, tuple(np.linspace(0.05, 0.95, 19).round(2).tolist()))
    assert found["HOTA_at"] == found["DetA_at"] == found["AssA_at"] == (1.0,) * 19


def test_one_object_in_two_halves():
    """Four frames, the first result in three of them and the second in one; each is there only where it fits."""
    iou = on_top([[0], [0], [0], [1]], 2)
    found = figures((iou, iou.any(axis=2)))
    # Of four matches three go together in 3 of 4 frames, and one in 1 of 4; up to an IoU of 0.75 all match.
    association = (3 * 3 / 4 + 1 / 4) / 4
    assert found["AssA_at"] == pytest.approx([association] * 15 + [0] * 4)
    assert found["DetA_at"] == (1,) * 15 + (0,) * 4
    assert found["HOTA"] == pytest.approx(association**0.5 * 15 / 19)
    assert (found["AssPr"], found["AssRe"]) == pytest.approx((15 / 19, association * 15 / 19))
    assert found["LocA"] == pytest.approx((15 * 0.75 + 4) / 19)
    assert (found["IDF1"], found["IDP"], found["IDR"], found["IDSW"]) == (0.75, 0.75, 0.75, 1)


def test_classes_play_no_part_together_and_all_the_part_by_class():
    iou = on_top([[0, 1]] * 3, 2, iou=1.0)
    video = counted(iou, result_classes=[0, 2], object_classes=[0, 1])
    assert tracking_figures([video])["HOTA"] == 1
    assert class_hota([video], ["cat", "dog", "fox", "owl"]) == {"cat": 1, "dog": 0, "fox": None, "owl": None}
    # A false result of the class in another video counts in full.
    other = counted(np.ones((3, 1, 1)), result_classes=[0], object_classes=[1])
    assert class_hota([video, other], ["cat"]) == {"cat": pytest.approx(0.5**0.5)}


def test_what_cannot_be_measured_is_undefined():
    nothing = figures((np.zeros((2, 0, 0)),))
    assert {nothing[name] for name in (*SHARES, "IDF1", "IDP", "IDR")} == {None}
    assert (nothing["IDSW"], nothing["HOTA_at"]) == (0, (None,) * 19)
    missed = figures((np.zeros((2, 0, 3)),))
    assert (missed["HOTA"], missed["DetRe"], missed["IDR"], missed["IDF1"]) == (0, 0, 0, 0)
    assert (missed["DetPr"], missed["IDP"], missed["LocA"]) == (None, None, None)
    false = figures((np.zeros((2, 3, 0)),))
    assert (false["HOTA"], false["DetPr"], false["DetRe"], false["IDR"]) == (0, 0, None, None)


def test_a_frame_without_any_object_keeps_couples_together():
    """Two results lie on the object; the one it had before the pause goes on, though the other fits better."""
    iou = np.array([[[0.9], [0.8]], [[0], [0]], [[0.8], [0.9]]])
    seen = np.array([[True], [False], [True]])
    assert count_identity(iou, np.ones((3, 2), bool), seen).switches == 0
    assert count_identity(iou, np.ones((3, 2), bool), seen, match_frames(iou)).switches == 0
    assert figures((iou, np.ones((3, 2), bool), seen))["IDSW"] == 0
    assert count_identity(iou[[0, 2]] * [[[1]], [[0.6]]], np.ones((2, 2), bool), seen[[0, 2]]).switches == 1


@pytest.mark.parametrize("mode", ["mask", "box"])
def test_the_report_is_about_objects_and_results_that_are_shown(mode):
    box, other = (10.0, 10.0, 50.0, 60.0), (100.0, 10.0, 150.0, 60.0)
    half = (10.0, 10.0, 30.0, 60.0)
    truths = [truth_track(1, [box, box, None]), truth_track(2, [other] * 3, 1, crowd=True)]
    results = [found_track(1, [half, half, None], 1, 0.5), found_track(2, [box, box, box], 0, 0.2)]
    report = report_of(results, truths, mode)
    # The one result that is shown covers half of the object in both frames: a match at alphas 0.05 to 0.5.
    assert report.hota["HOTA_at"] == (1,) * 10 + (0,) * 9
    assert (report.hota["DetRe"], report.hota["IDF1"], report.hota["IDSW"]) == (pytest.approx(10 / 19), 1, 0)
    assert report.hota["LocA"] == pytest.approx((10 * 0.5 + 9) / 19)
    assert report.per_class_hota == {"cat": 0, "dog": None, "fox": None}
    lower = report_of(results, truths, mode, shown_score=0.2)
    assert lower.per_class_hota["cat"] == pytest.approx((2 / 3) ** 0.5 * (2 / 3) ** 0.5)
    assert lower.hota["IDR"] == 1


@st.composite
def made_videos(draw):
    """IoU of two to three videos, with ties in the first, and what is there in each frame."""
    videos = []
    for _ in range(draw(st.integers(2, 3))):
        shape = draw(st.sampled_from([(FRAMES, RESULTS, OBJECTS), (2, 1, 3), (3, 0, 2), (3, 2, 0), (1, 0, 0)]))
        iou = draw(arrays(np.float64, shape, elements=st.sampled_from([0, 0, 0.2, 0.35, 0.5, 0.6, 0.85, 1])))
        if videos:
            iou = iou * (1 - 1e-3 * np.random.default_rng(draw(st.integers(0, 9))).random(shape))
        results = draw(arrays(np.bool_, shape[:2])) | iou.any(axis=2)
        objects = draw(arrays(np.bool_, shape[::2])) | iou.any(axis=1)
        videos.append((iou, results, objects))
    return videos


def told_to_trackeval(iou, results, objects):
    # It knows no tracks that are never there.
    results, iou = results[:, results.any(axis=0)], iou[:, results.any(axis=0)]
    objects, iou = objects[:, objects.any(axis=0)], iou[:, :, objects.any(axis=0)]
    return {
        "num_timesteps": len(iou),
        "num_gt_ids": iou.shape[2],
        "num_tracker_ids": iou.shape[1],
        "num_gt_dets": int(objects.sum()),
        "num_tracker_dets": int(results.sum()),
        "gt_ids": [np.flatnonzero(row) for row in objects],
        "tracker_ids": [np.flatnonzero(row) for row in results],
        "similarity_scores": [table[r][:, o].T for table, r, o in zip(iou, results, objects, strict=True)],
    }


def trackeval_figures(metric, videos):
    found = {number: metric.eval_sequence(told_to_trackeval(*video)) for number, video in enumerate(videos)}
    return metric.combine_sequences(found)


@settings(max_examples=60)
@given(made_videos())
def test_figures_are_those_of_trackeval(videos):
    from trackeval import metrics

    quiet = {"PRINT_CONFIG": False}
    ours = figures(*videos)
    hota = trackeval_figures(metrics.HOTA(), videos)
    for name in SHARES:
        if ours[name] is not None:
            assert ours[name] == pytest.approx(hota[name].mean(), abs=1e-12), name
    if ours["HOTA"] is not None:
        for name in ("HOTA", "DetA", "AssA"):
            assert ours[f"{name}_at"] == pytest.approx(hota[name].tolist(), abs=1e-12)
    identity = trackeval_figures(metrics.Identity(quiet), videos)
    for name in ("IDF1", "IDP", "IDR"):
        assert (ours[name] or 0) == pytest.approx(identity[name])
    # Which one of two results of the same IoU an object has is left open.
    switches = tracking_figures([counted(*video) for video in videos[1:]])["IDSW"]
    assert switches == trackeval_figures(metrics.CLEAR(quiet), videos[1:])["IDSW"]


def best_matching(weights):
    """The couples of rows and columns with the largest sum of weights, by trying all."""
    rows, columns = weights.shape
    if rows > columns:
        return [(row, column) for column, row in best_matching(weights.T)]
    ways = [list(zip(range(rows), way, strict=True)) for way in permutations(range(columns), rows)]
    return max(ways, key=lambda way: sum(weights[couple] for couple in way))


def plain_hota(iou, alpha):
    """DetA and AssA at one threshold, as the paper words them: by each true positive."""
    results, objects = iou.any(axis=2), iou.any(axis=1)
    shares = np.zeros(iou.shape[1:])
    for table in iou:
        for d, g in np.ndindex(shares.shape):
            shares[d, g] += table[d, g] / max(1e-12, table[d].sum() + table[:, g].sum() - table[d, g])
    likeness = shares / np.maximum(1e-12, results.sum(axis=0)[:, None] + objects.sum(axis=0) - shares)
    positives = [
        (frame, d, g)
        for frame, table in enumerate(iou)
        for d, g in best_matching(table * likeness)
        if table[d, g] >= alpha
    ]
    terms = []
    for _, d, g in positives:
        both = sum((x, y) == (d, g) for _, x, y in positives)
        terms.append(both / (results[:, d].sum() + objects[:, g].sum() - both))
    detection = len(positives) / (results.sum() + objects.sum() - len(positives))
    return detection, np.mean(terms) if terms else 0.0


@settings(max_examples=20)
@given(st.integers(0, 10**6))
def test_hota_is_that_of_the_paper(seed):
    # Without ties, so that there is one best matching.
    rng = np.random.default_rng(seed)
    iou = rng.random((FRAMES, RESULTS, OBJECTS)) * (rng.random((FRAMES, RESULTS, OBJECTS)) < 0.5)
    iou[0, 0, 0] = 0.7
    found = figures((iou, iou.any(axis=2), iou.any(axis=1)))
    for place in (0, 5, 11):
        detection, association = plain_hota(iou, ALPHAS[place])
        assert (found["DetA_at"][place], found["AssA_at"][place]) == pytest.approx((detection, association))
        assert found["HOTA_at"][place] == pytest.approx((detection * association) ** 0.5)


@given(arrays(np.float64, (FRAMES, RESULTS, OBJECTS), elements=st.sampled_from([0, 0.3, 0.5, 0.9])))
def test_identity_is_the_best_of_all_ways_to_give_results(iou):
    near = (iou >= 0.5).sum(axis=0)
    everywhere = np.ones((FRAMES, RESULTS), bool), np.ones((FRAMES, OBJECTS), bool)
    assert count_identity(iou, *everywhere).found == sum(near[couple] for couple in best_matching(near))


def test_order_of_results_does_not_matter_without_ties():
    iou = np.random.default_rng(7).random((FRAMES, RESULTS, OBJECTS))
    there = np.ones((FRAMES, RESULTS), bool), np.ones((FRAMES, OBJECTS), bool)
    first, other = count_hota(iou, *there), count_hota(iou[:, ::-1], *there)
    assert first.matches.tolist() == other.matches.tolist()
    np.testing.assert_allclose(first.sums, other.sums)
