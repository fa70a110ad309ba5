"""What `qcen train` decides by itself, and what it says when it is stopped."""

import pytest

from qcen_cli import main
from qcen_cli.train import fitting_recipe
from qcen_core.config import recipe_names
from qcen_core.errors import InputError
from qcen_core.prepared import PreparedData, write_prepared
from qcen_core.records import Category
from qcen_core.training.train_report import TrainReport


@pytest.mark.parametrize(
    ("source", "gpus", "has_gpu", "recipe"),
    [
        ("shapes, level easy", None, True, "shapes_tiny"),
        ("/films/boxes.json", None, True, "r50"),
        ("/films/boxes.json", 2, True, "r50"),
        ("/films/boxes.json", 0, True, "tiny"),
        ("/films/boxes.json", None, False, "tiny"),
    ],
)
def test_the_recipe_fits_data_and_machine(monkeypatch, tmp_path, source, gpus, has_gpu, recipe):
    monkeypatch.setattr("torch.cuda.is_available", lambda: has_gpu)
    write_prepared(
        PreparedData(
            root=tmp_path,
            name="films",
            frames_root=tmp_path,
            categories=(Category(3, "cat"),),
            splits={},
            source=source,
            seed=0,
            created="2024-02-03T04:05:06+00:00",
            holdout_sha256="",
        )
    )
    assert fitting_recipe(tmp_path, gpus) == recipe


@pytest.mark.parametrize("saved", [True, False])
def test_a_stopped_run_says_how_to_go_on(monkeypatch, tmp_path, capsys, saved):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "config.yaml").write_text("{}")
    if saved:
        (tmp_path / "old" / "state").mkdir()

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("qcen_cli.train.train_with_progress", stop)
    assert main.execute(["train", "--resume", "old"]) == 130
    told = capsys.readouterr().err
    assert ("'qcen train --resume old' goes on" in told) == saved
    assert told.splitlines()[-1] == "interrupted"


@pytest.mark.parametrize(
    ("best", "line"),
    [
        ({"step": 20, "box_AP": 0.25}, "best: box AP 25.0 at step 20"),
        ({"step": 20, "AP": 0.125, "AP50": 0.5, "box_AP": 0.25}, "best: AP 12.5, AP50 50.0, box AP 25.0 at step 20"),
        ({"step": 20, "AP": 0.125, "association": 0.75}, "best: AP 12.5, linked right 75.0 at step 20"),
    ],
)
def test_a_run_says_how_good_its_best_checkpoint_is(monkeypatch, tmp_path, capsys, best, line):
    (tmp_path / "config.yaml").write_text("{}")
    report = TrainReport(steps=40, first=10, seconds=7.0, run=tmp_path, best=best, losses={})
    monkeypatch.setattr("qcen_cli.train.train_with_progress", lambda *_, **__: report)
    assert main.execute(["train", "--resume", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "trained 30 steps in 7 s"
    assert line in lines


def test_a_run_that_is_done_says_so(monkeypatch, tmp_path, capsys):
    (tmp_path / "config.yaml").write_text("{}")
    report = TrainReport(steps=40, first=40, seconds=1.0, run=tmp_path, best={}, losses={})
    monkeypatch.setattr("qcen_cli.train.train_with_progress", lambda *_, **__: report)
    assert main.execute(["train", "--resume", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith("all 40 steps are done already; --steps sets more\n")


def test_a_run_of_an_earlier_version_goes_on_unless_it_went_by_what_is_gone(monkeypatch, tmp_path):
    report = TrainReport(steps=40, first=10, seconds=7.0, run=tmp_path, best={}, losses={})
    configs = []

    def train(config, *_, **__):
        configs.append(config)
        return report

    monkeypatch.setattr("qcen_cli.train.train_with_progress", train)
    (tmp_path / "config.yaml").write_text("loss: {temporal_weight: 0.0, intra_weight: 0.25}")
    assert main.execute(["train", "--resume", str(tmp_path), "--steps", "40"]) == 0
    assert (configs[0].loss.intra_weight, configs[0].train.steps) == (0.25, 40)
    (tmp_path / "config.yaml").write_text("loss: {temporal_weight: 0.5, intra_weight: 0.25}")
    with pytest.raises(InputError, match=r"'loss\.temporal_weight' is 0\.5, but this version no longer has it"):
        main.execute(["train", "--resume", str(tmp_path)])
    assert len(configs) == 1


def test_help_names_every_recipe(capsys):
    main.execute(["train", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert all(name in told for name in recipe_names())
