"""Curves for TensorBoard: read back by its own reader, also after a run went on."""

import sys
from itertools import count
from types import SimpleNamespace

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.summary.writer import event_file_writer

from qcen_core.errors import InputError
from qcen_core.method.criterion import TERM_NAMES
from qcen_core.method.diagnostics import FIGURE_NAMES
from qcen_core.training.event_log import EventLog, group_of


@pytest.fixture(autouse=True)
def _seconds_apart(monkeypatch):
    """Event files are read in the order of the seconds in their names; runs do not go on within one."""
    seconds = count(1_700_000_000)
    monkeypatch.setattr(event_file_writer, "time", SimpleNamespace(time=lambda: next(seconds)))


def curves(folder) -> dict[str, list[tuple[int, float]]]:
    """Name -> its points, as TensorBoard shows them."""
    read = EventAccumulator(str(folder))
    read.Reload()
    return {tag: [(point.step, point.value) for point in read.Scalars(tag)] for tag in read.Tags()["scalars"]}


def test_values_are_curves_in_groups(tmp_path):
    log = EventLog(tmp_path / "events", 0)
    log.append({"step": 20, "lr": 0.5, "total": 2.5, "pair_precision": 0.75, "frames_per_second": 7})
    log.append({"step": 40, "lr": 0.25, "total": 1.5, "AP": 0.125, "peak_memory": 3.0})
    log.close()
    assert curves(tmp_path / "events") == {
        "run/lr": [(20, 0.5), (40, 0.25)],
        "loss/total": [(20, 2.5), (40, 1.5)],
        "pairs/pair_precision": [(20, 0.75)],
        "run/frames_per_second": [(20, 7.0)],
        "holdout/AP": [(40, 0.125)],
        "run/peak_memory": [(40, 3.0)],
    }


def test_every_value_has_its_group():
    assert {group_of(name) for name in ("total", *TERM_NAMES)} == {"loss"}
    assert {group_of(name) for name in FIGURE_NAMES} == {"pairs"}
    assert {group_of(name) for name in ("AP", "AP50", "box_AP", "association")} == {"holdout"}
    assert {group_of(name) for name in ("lr", "frames_per_second", "data_wait", "anything")} == {"run"}


def test_a_row_is_seen_at_once(tmp_path):
    log = EventLog(tmp_path)
    log.append({"step": 2, "total": 2.0})
    assert curves(tmp_path) == {"loss/total": [(2, 2.0)]}
    log.close()


def test_a_resumed_run_hides_the_rows_it_will_write_again(tmp_path):
    log = EventLog(tmp_path, 0)
    for step in (2, 4, 6, 8):
        log.append({"step": step, "total": float(step), "AP": step / 16})
    log.close()
    log = EventLog(tmp_path, first_step=4)
    log.append({"step": 6, "total": 60.0})
    log.close()
    assert curves(tmp_path) == {
        "loss/total": [(2, 2.0), (4, 4.0), (6, 60.0)],
        "holdout/AP": [(2, 0.125), (4, 0.25)],
    }


def test_a_new_run_removes_an_older_one_and_nothing_else(tmp_path):
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    for name in ("AP", "total"):
        log = EventLog(tmp_path)
        log.append({"step": 7, name: 5.0})
        log.close()
    assert curves(tmp_path) == {"loss/total": [(7, 5.0)]}
    assert (tmp_path / "notes.txt").exists()
    assert len(list(tmp_path.iterdir())) == 2


def test_without_the_package_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    with pytest.raises(InputError, match="needs its package") as caught:
        EventLog(tmp_path / "events")
    assert "pip install 'qcen[tensorboard]'" in caught.value.hint
    assert not (tmp_path / "events").exists()
