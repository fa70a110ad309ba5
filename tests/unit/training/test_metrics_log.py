"""metrics.csv: fixed columns, appended rows, and no row twice after a resume."""

import pytest

from qcen_core.training.metrics_log import COLUMNS, MetricsLog, read_metrics


def test_rows_have_all_columns_and_empty_cells(tmp_path):
    path = tmp_path / "metrics.csv"
    log = MetricsLog(path)
    log.append({"step": 20, "total": 1 / 3, "AP": 0.125})
    (row,) = read_metrics(path)
    assert tuple(row) == COLUMNS
    assert (row["step"], row["total"], row["AP"], row["class"]) == ("20", "0.333333", "0.125", "")


def test_a_resumed_run_drops_the_rows_it_will_write_again(tmp_path):
    path = tmp_path / "metrics.csv"
    log = MetricsLog(path)
    for step in (2, 4, 6, 8):
        log.append({"step": step, "total": float(step)})
    MetricsLog(path, first_step=4).append({"step": 6, "total": 60.0})
    assert [(row["step"], row["total"]) for row in read_metrics(path)] == [("2", "2"), ("4", "4"), ("6", "60")]


def test_a_new_run_starts_a_new_file(tmp_path):
    path = tmp_path / "metrics.csv"
    MetricsLog(path).append({"step": 2})
    MetricsLog(path)
    assert read_metrics(path) == []
    assert path.read_text(encoding="utf-8").splitlines() == [",".join(COLUMNS)]


def test_an_unknown_term_is_a_mistake(tmp_path):
    with pytest.raises(ValueError, match="surprise"):
        MetricsLog(tmp_path / "metrics.csv").append({"step": 1, "surprise": 1.0})
