"""Which recipe `qcen train` takes by itself."""

import pytest

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
