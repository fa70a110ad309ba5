"""Padded assignment problems against brute force."""

import itertools

import numpy as np
import pytest

from qcen_core.ops.assignment import assign_each


def least_cost(cost):
    rows, columns = cost.shape
    if columns > rows:
        return least_cost(cost.T)
    orders = itertools.permutations(range(rows), columns)
    return min(sum(cost[row, column] for column, row in enumerate(order)) for order in orders)


@pytest.mark.parametrize("rows", [3, 5])
def test_each_problem_is_solved_in_its_own_columns(rows):
    columns = [4, 0, 2, 1, 4]
    costs = np.random.default_rng(rows).normal(size=(len(columns), rows, 4))
    for problem, count in enumerate(columns):
        costs[problem, :, count:] = -1e3  # padding that would be chosen if it were looked at
    for (chosen, labels), cost, count in zip(assign_each(costs, columns), costs, columns, strict=True):
        assert len(chosen) == len(labels) == min(rows, count)
        assert chosen.dtype == labels.dtype == np.int64
        assert (np.diff(chosen) > 0).all()
        assert len(set(labels.tolist())) == len(labels)
        assert cost[chosen, labels].sum() == pytest.approx(least_cost(cost[:, :count]) if count else 0)


def test_costs_that_are_not_finite_are_avoided():
    costs = np.array([[[np.nan, 1.0], [2.0, np.inf], [np.inf, np.nan]]])
    [(rows, columns)] = assign_each(costs, [2])
    assert list(zip(rows.tolist(), columns.tolist(), strict=True)) == [(0, 1), (1, 0)]


def test_a_diverged_prediction_still_gets_an_assignment():
    [(rows, columns)] = assign_each(np.full((1, 3, 2), np.nan), [2])
    assert len(rows) == 2
    assert sorted(columns.tolist()) == [0, 1]


def test_no_problems():
    assert assign_each(np.zeros((0, 3, 2)), []) == []
