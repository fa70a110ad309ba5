import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from learning_results import made_result, store

from benchmarks.learning_result import (
    WITHOUT_EFFECT,
    changed,
    chosen_keys,
    flat_config,
    read_curves,
    read_result,
    thin,
    training_seconds,
)
from benchmarks.learning_rows import benchmark_of
from qcen_core.config import load_config
from qcen_core.errors import InputError

TRIAL = benchmark_of("trial")


def config(*overrides):
    return load_config("shapes_tiny", overrides)


def changes(stored, now, **gone):
    return changed(flat_config(stored) | gone, chosen_keys(stored) + [k for k, v in gone.items() if v], now)


def test_the_same_configuration_is_not_changed():
    assert changes(config(), config()) == []


def test_a_changed_value_is_named_with_both_values():
    found = changes(config(), config("optim.learning_rate=4e-4", "train.seed=2"))
    assert sorted(found) == ["optim.learning_rate: 0.0008 -> 0.0004", "train.seed: 0 -> 2"]


@pytest.mark.parametrize("key", sorted(WITHOUT_EFFECT - {"data.root", "train.evaluate_split"}))
def test_settings_without_effect_change_nothing(key):
    assert changes(config(), config(f"{key}=3")) == []


def test_a_key_that_the_code_no_longer_knows_matters_if_it_was_chosen():
    assert changes(config(), config(), **{"loss.old_weight": 0.0}) == []
    assert changes(config(), config(), **{"loss.old_weight": 2.0}) == ["loss.old_weight: 2.0 -> unknown"]


def test_a_key_that_the_result_does_not_know_matters_if_it_is_chosen_now():
    stored = flat_config(config())
    del stored["optim.weight_decay"], stored["optim.ema_decay"]  # the first stands at its default
    assert changed(stored, chosen_keys(config()), config()) == ["optim.ema_decay: unknown -> 0.99"]


def test_thinning_takes_means_of_neighbours():
    points = [(float(step), float(step % 2)) for step in range(1, 8)]
    assert thin(points, 3) == {"step": [3.0, 6.0, 7.0], "value": [0.6667, 0.3333, 1.0]}
    assert thin(points[:3], 3) == {"step": [1.0, 2.0, 3.0], "value": [1.0, 0.0, 1.0]}


@given(st.integers(1, 500), st.integers(1, 60))
def test_thinning_keeps_the_end_and_the_limit(count, most):
    curve = thin([(float(step), 0.25) for step in range(count)], most)
    assert 1 <= len(curve["step"]) <= most
    assert curve["step"][-1] == count - 1
    assert set(curve["value"]) == {0.25}


def test_curves_hold_the_columns_that_have_values(tmp_path):
    metrics = tmp_path / "metrics.csv"
    metrics.write_text("step,total,lr,AP,pair_precision\n5,3.25,1,,nan\n10,2.5,1,0.125,0.5\n")
    assert read_curves(metrics) == {
        "total": {"step": [5.0, 10.0], "value": [3.25, 2.5]},
        "AP": {"step": [10.0], "value": [0.125]},
        "pair_precision": {"step": [10.0], "value": [0.5]},
    }


def test_training_time_is_that_of_all_frames_at_their_rate(tmp_path):
    metrics = tmp_path / "metrics.csv"
    metrics.write_text("step,frames_per_second\n10,40\n15,20\n")
    assert training_seconds(metrics, 8) == 10 * 8 / 40 + 5 * 8 / 20


def test_a_result_is_read_as_it_was_written_and_is_small(tmp_path):
    curve = {"step": [1234.0] * 50, "value": [0.1234] * 50}
    result = made_result(TRIAL, "qcen", 1, 0.3, curves={f"column{i}": curve for i in range(9)})
    path = store(tmp_path, result)
    assert path == tmp_path / "trial" / "qcen-seed1.json"
    assert read_result(path) == result
    assert path.stat().st_size < 15_000


def test_a_result_that_cannot_be_written_leaves_the_old_one(tmp_path):
    path = store(tmp_path, made_result(TRIAL, "qcen", 1, 0.3))
    before = path.read_text()
    with pytest.raises(ValueError, match="JSON"):
        store(tmp_path, made_result(TRIAL, "qcen", 1, math.nan))
    assert path.read_text() == before
    assert list(path.parent.iterdir()) == [path]


def test_another_file_is_no_result(tmp_path):
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"AP": 1}))
    with pytest.raises(InputError, match="not a result"):
        read_result(path)
