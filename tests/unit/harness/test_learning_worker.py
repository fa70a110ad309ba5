import pytest
import yaml
from learning_results import HASHES

from benchmarks.learning_queue import Job
from benchmarks.learning_worker import ORIGIN, can_resume, run_job
from qcen_core.config import dump_config, load_config
from qcen_core.errors import InputError
from qcen_core.jsonfile import write_json
from qcen_core.training.run_files import CONFIG
from qcen_core.training.train_state import STATE

CHANGE = "optim.learning_rate=0.25"


@pytest.fixture
def run(tmp_path):
    (tmp_path / STATE).mkdir()
    (tmp_path / CONFIG).write_text(dump_config(load_config("shapes_tiny")))
    write_json({"data": HASHES, "revisions": ["a"]}, tmp_path / ORIGIN)
    return tmp_path


def test_a_state_of_the_same_configuration_and_clips_is_gone_on_with(run):
    assert can_resume(run, load_config("shapes_tiny", ["data.root=elsewhere"]), HASHES)


@pytest.mark.parametrize("missing", [STATE, CONFIG, ORIGIN])
def test_without_its_parts_it_is_not(run, missing):
    (run / missing).rename(run / "away")
    assert not can_resume(run, load_config("shapes_tiny"), HASHES)


def test_a_state_of_another_configuration_is_not(run):
    assert not can_resume(run, load_config("shapes_tiny", [CHANGE]), HASHES)


def test_a_state_of_other_clips_is_not(run):
    assert not can_resume(run, load_config("shapes_tiny"), HASHES | {"training": "c"})


def test_a_configuration_that_the_code_no_longer_reads_is_not(run):
    values = yaml.safe_load((run / CONFIG).read_text())
    values["loss"]["no_such_weight"] = 1.0
    (run / CONFIG).write_text(yaml.safe_dump(values))
    assert not can_resume(run, load_config("shapes_tiny"), HASHES)


@pytest.mark.parametrize(("weight", "resumes"), [(0.0, True), (1.0, False)])
def test_a_key_of_an_earlier_version_is_in_the_way_only_if_it_had_an_effect(run, weight, resumes):
    values = yaml.safe_load((run / CONFIG).read_text())
    values["loss"]["temporal_weight"] = weight
    (run / CONFIG).write_text(yaml.safe_dump(values))
    assert can_resume(run, load_config("shapes_tiny"), HASHES) == resumes


def test_a_wrong_data_folder_leaves_no_result(tmp_path):
    result = tmp_path / "results" / "x.json"
    job = Job(
        "trial", "box", 0, "shapes_tiny", [], str(tmp_path), str(tmp_path), HASHES, str(tmp_path / "r"), str(result)
    )
    with pytest.raises(InputError, match=r"dataset\.yaml"):
        run_job(job)
    assert not result.exists()
