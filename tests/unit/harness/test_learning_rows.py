import re

import pytest

from benchmarks.learning_rows import (
    BENCHMARKS,
    MAIN_ROWS,
    ROWS,
    TERMS,
    benchmark_of,
    experiments,
    row_config,
    rows_of,
    run_overrides,
)
from qcen_core.config import load_config
from qcen_core.errors import InputError

STANDARD = benchmark_of("shapes_standard")
TERM_KEYS = {key for keys in TERMS.values() for key in keys}
MAY_DIFFER = {"train.supervision", "pairs.affinity", "loss.exchange", *TERM_KEYS}


def flat(config):
    return {f"{name}.{key}": value for name, part in config.model_dump().items() for key, value in part.items()}


def terms_on(row):
    values = flat(row_config(STANDARD, row, 0))
    on = {term: {values[key] != 0 for key in keys} for term, keys in TERMS.items()}
    assert all(len(states) == 1 for states in on.values()), "the parts of a term are switched together"
    return {term for term, states in on.items() if states == {True}}


def row(name):
    return next(row for row in ROWS if row.name == name)


@pytest.mark.parametrize("other", ROWS, ids=lambda row: row.name)
def test_rows_differ_in_supervision_terms_and_pairing_only(other):
    first, values = flat(row_config(STANDARD, ROWS[0], 5)), flat(row_config(STANDARD, other, 5))
    assert {key for key in first if first[key] != values[key]} <= MAY_DIFFER


@pytest.mark.parametrize("other", ROWS, ids=lambda row: row.name)
def test_a_row_sees_what_its_level_says(other):
    assert row_config(STANDARD, other, 0).train.supervision == other.level
    keys = [text.partition("=")[0] for text in other.overrides()]
    assert keys.count("train.supervision") == 1
    assert not any(key.startswith("data.") for key in keys)
    levels = {name: name for name in ("mask+id", "mask", "box+id", "box")}
    wanted = next((level for name, level in levels.items() if other.name in {name, f"{name}-all"}), "box")
    assert other.level == wanted, "only the rows named after a level may see more than boxes"


@pytest.mark.parametrize("other", ROWS, ids=lambda row: row.name)
def test_no_override_for_all_rows_loosens_a_row(other):
    loose = ("train.supervision=mask+id", "loss.contrast_weight=9", "loss.inter_weight=9")
    config = row_config(STANDARD, other, 0, loose)
    assert config.train.supervision == other.level
    assert (config.loss.contrast_weight > 0) == ("contrast" in other.terms)
    assert (config.loss.inter_weight > 0) == ("inter" in other.terms)


@pytest.mark.parametrize(
    ("name", "terms"),
    [
        ("mask+id", {"contrast"}),
        ("mask+id-all", {"contrast", "intra", "inter"}),
        ("mask", set()),
        ("box+id", {"contrast"}),
        ("box", set()),
        ("qcen", {"contrast", "intra", "inter"}),
        ("box+iqc", {"contrast"}),
        ("box+intra", {"intra"}),
        ("box+inter", {"inter"}),
        ("box+qeml", {"intra", "inter"}),
        ("qcen-iqc", {"intra", "inter"}),
        ("qcen-intra", {"contrast", "inter"}),
        ("qcen-inter", {"contrast", "intra"}),
        ("pairs-queries", {"contrast", "intra", "inter"}),
    ],
)
def test_the_terms_of_a_row_are_on_and_no_others(name, terms):
    assert terms_on(row(name)) == terms


def test_one_experiment_is_trained_once():
    own = {other.name: first.name for other, first in experiments(STANDARD).items()}
    aliases = {name: other for name, other in own.items() if name != other}
    assert aliases.pop("qcen-iqc") == "box+qeml"
    assert set(aliases.values()) == {"qcen"}
    assert len([name for name in aliases if name.startswith("pairs-")]) == 1, "one kind of pairing is the recipe's own"


def test_a_seed_changes_the_seed_only():
    one, other = (flat(row_config(STANDARD, row("qcen"), seed)) for seed in (0, 3))
    assert {key for key in one if one[key] != other[key]} == {"train.seed"}
    assert "train.seed=3" in run_overrides(STANDARD, row("qcen"), 3)


def test_a_gpu_changes_the_device_only():
    one, other = (load_config(STANDARD.recipe, run_overrides(STANDARD, row("qcen"), 0, gpus=n)) for n in (0, 1))
    assert one.train.devices == 0
    assert one.train.model_copy(update={"devices": 1}) == other.train
    assert one.model_copy(update={"train": other.train}) == other


@pytest.mark.parametrize("benchmark", BENCHMARKS, ids=lambda benchmark: benchmark.name)
def test_benchmarks_are_sound(benchmark):
    assert benchmark.test.seed != benchmark.training.seed, "the test clips are others than those for validation"
    assert benchmark.training.holdout_clips > 0
    assert rows_of(benchmark)
    assert row_config(benchmark, row("qcen"), 1).train.devices == 0


def test_names_are_file_names_and_unique():
    names = [other.name for other in ROWS]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z+-]+", name) for name in names)
    assert set(MAIN_ROWS) <= set(names)


def test_rows_keep_the_order_of_the_table():
    assert [other.name for other in rows_of(STANDARD, ("qcen", "mask"))] == ["mask", "qcen"]
    assert [other.name for other in rows_of(benchmark_of("shapes_hard"))] == list(MAIN_ROWS)


def test_unknown_names_are_refused():
    with pytest.raises(InputError, match="'shapes'"):
        benchmark_of("shapes")
    with pytest.raises(InputError, match="'boxes'"):
        rows_of(STANDARD, ("box", "boxes"))
