"""Optimal one-to-one assignment, solved on the host."""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from qcen_core.records import FloatArray, IntArray


def assign_each(costs: FloatArray, columns: Sequence[int]) -> list[tuple[IntArray, IntArray]]:
    """Solve many small assignment problems that share one padded cost array.

    Args:
        costs: (S, rows, most columns) float; problem s uses its first `columns[s]` columns.
        columns: S column counts.

    Returns:
        S couples (row indices, column indices), each int64 of length min(rows, columns[s]), rows ascending.
        Costs that are not finite count as very large, so that a diverged prediction cannot stop the run here.
    """
    finite = np.nan_to_num(costs, nan=1e6, posinf=1e6, neginf=-1e6)
    solved = []
    for cost, count in zip(finite, columns, strict=True):
        rows, labels = linear_sum_assignment(cost[:, :count])
        solved.append((rows.astype(np.int64), labels.astype(np.int64)))
    return solved
