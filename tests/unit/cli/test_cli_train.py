"""What `qcen train` decides by itself, and what it says when it is stopped."""

import pytest

from qcen_cli import main
from qcen_cli.train import fitting_recipe
from qcen_core.boxfile import PreparedData, write_prepared
from qcen_core.records import Category


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
