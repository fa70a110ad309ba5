"""Functions translated to machine code do what they did before."""

import numpy as np

from qcen_core.ops.compiled import compiled


@compiled
def summed(values):
    total = 0
    for value in values:
        total += value
    return total


def test_a_loop_runs_as_machine_code():
    values = np.arange(1, 12)
    assert summed(values) == summed.py_func(values) == 66
    assert summed.signatures


def test_code_that_cannot_be_kept_on_the_disk_runs_all_the_same():
    found = {}
    exec("def doubled(value):\n    return 2 * value", found)  # noqa: S102  # a function without a file
    assert compiled(found["doubled"])(21) == 42
