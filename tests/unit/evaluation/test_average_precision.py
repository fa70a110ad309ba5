"""Average precision of cases small enough to compute by hand."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from qcen_core.evaluation.average_precision import (
    ANY_SIZE,
    Bands,
    Comparison,
    interpolated_precision,
    join,
    judge,
    judge_unopposed,
    match_results,
    mean_where_defined,
    precision_recall,
)

HALF = np.array([0.5])
ALL = Bands((ANY_SIZE,))


def comparison(scores, similarity, crowd=None, result_sizes=None, truth_sizes=None):
    similarity = np.array(similarity, dtype=float)
    if similarity.ndim == 2:
        similarity = similarity[None]
    units, results, truths = similarity.shape
    return Comparison(
        np.array(scores, dtype=float),
        similarity,
        np.ones((units, results)) if result_sizes is None else np.array(result_sizes, dtype=float),
        np.ones((units, truths)) if truth_sizes is None else np.array(truth_sizes, dtype=float),
        np.zeros(truths, dtype=bool) if crowd is None else np.array(crowd, dtype=bool),
    )


def figures(*comparisons, bands=ALL, caps=(100,)):
    outcomes = [judge(one, 0, 1, bands, HALF) for one in comparisons]
    return precision_recall(join(outcomes), caps=caps)


def measured(*comparisons, caps=(100,)):
    found = figures(*comparisons, caps=caps)
    return mean_where_defined(found.precision), found.recall[0, 0, 0].tolist()


def test_all_found_is_one():
    assert measured(comparison([0.3, 0.9], [[0.6, 0], [0, 0.7]])) == (1, [1])


def test_a_false_result_before_the_true_one_halves():
    assert measured(comparison([0.9, 0.3], [[0.1], [0.7]])) == (0.5, [1])


def test_a_false_result_after_all_true_ones_costs_nothing():
    assert measured(comparison([0.9, 0.3], [[0.7], [0.6]])) == (1, [1])


def test_half_found_reaches_51_of_101_recall_points():
    average, recall = measured(comparison([0.9], [[0.7, 0.1]]))
    assert average == pytest.approx(51 / 101)
    assert recall == [0.5]


def test_videos_are_ranked_together():
    # By score: true 0.9, false 0.8, true 0.7 of two truths: precision 1 up to recall 0.5, then 2/3.
    average, recall = measured(comparison([0.9, 0.8], [[0.7], [0.1]]), comparison([0.7], [[0.7]]))
    assert average == pytest.approx((51 + 50 * 2 / 3) / 101)
    assert recall == [1]


def test_equal_scores_keep_the_order_of_videos():
    wrong, right = comparison([0.5], np.zeros((1, 0))), comparison([0.5], [[0.7]])
    assert measured(right, wrong)[0] == 1
    assert measured(wrong, right)[0] == 0.5


def test_caps_count_within_a_video():
    first = comparison([0.9, 0.8], [[0.7, 0], [0, 0.7]])
    assert measured(first, comparison([0.1], [[0.7]]), caps=(1, 2))[1] == pytest.approx([2 / 3, 1])


def test_caps_count_the_results_that_a_unit_holds():
    nan = float("nan")
    similarity = [[[0.0, 0], [0.7, 0]], [[0.7, 0], [0, 0.7]]]
    one = comparison([0.9, 0.8], similarity, result_sizes=[[nan, 1], [1, 1]], truth_sizes=[[1, nan], [1, 1]])
    assert measured(one, caps=(1, 2))[1] == pytest.approx([2 / 3, 1])


def test_no_ground_truth_is_undefined_and_nothing_found_is_zero():
    assert measured(comparison([0.9], np.zeros((1, 0))))[0] is None
    assert measured(comparison([], np.zeros((0, 1)))) == (0, [0])


def test_results_on_a_crowd_are_neither_true_nor_false():
    one = comparison([0.9, 0.8, 0.7], [[0.7, 0], [0.7, 0], [0, 0.7]], crowd=[True, False])
    assert measured(one) == (1, [1])


def test_an_object_that_is_no_crowd_goes_first_and_ties_go_to_the_last():
    similarity = np.array([[[0.9, 0.6, 0.6]]])
    matched, excused = match_results(similarity, np.array([[[True, False, False]]]), np.zeros(3, dtype=bool), HALF)
    assert matched.all()
    assert not excused.any()
    again = np.repeat(similarity, 3, axis=1)
    again[0, 1:, 1] = 0
    matched, excused = match_results(again, np.array([[[True, False, False]]]), np.zeros(3, dtype=bool), HALF)
    assert matched[0, 0, 0].tolist() == [True, True, False]
    assert excused[0, 0, 0].tolist() == [False, True, False]


def test_bands_of_size_include_both_ends():
    one = comparison([0.9, 0.8], [[0.7, 0], [0, 0.1]], result_sizes=[[5, 10]], truth_sizes=[[10, 11]])
    found = figures(one, bands=Bands(((0, 10), (10, 20))))
    # Up to 10: one truth, found; the false result of size 10 comes after. From 10: two truths.
    assert found.recall[0, 0, :, 0].tolist() == [1, 0.5]
    assert found.precision[0, :, 0, 0].mean() == 1
    assert found.precision[0, :, 0, 1].mean() == pytest.approx(51 / 101)


def test_precision_is_the_best_from_there_on():
    true = np.array([[True, False, False, True]])
    points = interpolated_precision(true, ~true, 2)[0]
    np.testing.assert_allclose(points, [1] * 51 + [0.5] * 50)


def test_shapes_are_checked():
    with pytest.raises(ValueError, match="does not go with"):
        Comparison(np.zeros(2), np.zeros((1, 3, 5)), np.zeros((1, 3)), np.zeros((1, 5)), np.zeros(5, dtype=bool))


def test_bands_of_occlusion_include_both_ends_and_leave_out_the_unknown():
    similarity = [[0.7, 0, 0, 0], [0, 0.7, 0, 0], [0, 0, 0.7, 0], [0, 0, 0, 0.7], [0, 0, 0, 0]]
    one = comparison([0.9, 0.8, 0.7, 0.6, 0.5], similarity)
    one = replace(one, occlusion=np.array([0.25, 0.1, 0.5, np.nan]))
    found = figures(one, bands=Bands((ANY_SIZE,), ((0, 0.25), (0.25, 0.5), (0.5, 1))))
    # Who finds an object of another band is no false result; who finds nothing is one in each band.
    assert found.recall[0, 0, :, 0].tolist() == [1, 1, 1, 1]
    np.testing.assert_allclose(found.precision[0, :, 0].mean(axis=0), [1, 1, 1, 1])
    low = replace(one, scores=one.scores[::-1].copy(), similarity=one.similarity[:, ::-1])
    low = replace(low, scores=np.array([0.95, 0.6, 0.7, 0.8, 0.9]))
    found = figures(low, bands=Bands((ANY_SIZE,), ((0, 0.25), (0.5, 1))))
    np.testing.assert_allclose(found.precision[0, :, 0].mean(axis=0), [4 / 5, 2 / 3, 1 / 2])


def test_a_thankless_truth_is_taken_and_its_finder_is_false():
    one = comparison([0.9, 0.8, 0.7], [[0.9, 0], [0.8, 0], [0, 0.7]])
    assert measured(one)[1] == [1]
    found = figures(replace(one, thankless=np.array([True, False])))
    assert found.recall[0, 0, 0].tolist() == [0.5]
    assert found.precision[0, :, 0, 0].mean() == pytest.approx(51 / 101 / 3)


@given(st.data())
def test_results_of_classes_without_truth_are_judged_as_each_class_by_itself(data):
    units, results, kinds = data.draw(st.integers(1, 3)), data.draw(st.integers(0, 7)), 3
    draw = partial(np.array, dtype=float)
    sizes = data.draw(arrays(float, (units, results), elements=st.sampled_from([np.nan, 5, 11, 20])))
    scores = draw(data.draw(st.lists(st.sampled_from([0.1, 0.5, 0.9]), min_size=results, max_size=results)))
    classes = np.array(data.draw(st.lists(st.integers(0, 2), min_size=results, max_size=results)), dtype=np.int64)
    bands = Bands(((0, 11), (11, 30)), ((0, 0.25),))
    found = judge_unopposed(scores, classes, sizes, kinds, bands, thresholds=1)
    for kind in range(kinds):
        here = classes == kind
        one = comparison(scores[here], np.zeros((units, here.sum(), 0)), result_sizes=sizes[:, here])
        alone, chosen = judge(one, kind, kinds, bands, HALF), found.classes == kind
        assert found.scores[chosen].tolist() == alone.scores.tolist()
        assert found.ranks[chosen].tolist() == alone.ranks.tolist()
        np.testing.assert_array_equal(found.false[..., chosen], alone.false)
    assert not found.true.any()
    assert not found.truths.any()
