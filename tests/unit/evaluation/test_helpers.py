"""How many processes share a results file."""

import pytest

from qcen_core.evaluation import processes
from qcen_core.evaluation.processes import helpers


@pytest.mark.parametrize(
    ("size", "processors", "expected"), [(0, 8, 0), (100, 8, 1), (250, 8, 2), (10_000, 3, 2), (10_000, 1, 0)]
)
def test_a_process_more_has_enough_to_do(tmp_path, monkeypatch, size, processors, expected):
    monkeypatch.setattr(processes, "_BYTES_A_PROCESS", 100)
    monkeypatch.setattr(processes, "_processors", lambda: processors)
    path = tmp_path / "results.json"
    path.write_bytes(b" " * size)
    with helpers(path, None) as started:
        assert len(started) == expected
    assert all(helper.poll() is not None for helper in started)


def test_a_file_that_is_not_there_needs_no_help(tmp_path):
    with helpers(tmp_path / "none.json", None) as started:
        assert started == []
