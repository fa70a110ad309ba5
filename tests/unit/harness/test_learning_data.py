import dataclasses
import json
import shutil

import pytest

from benchmarks import learning_data
from benchmarks.learning_data import content_hash, make_data
from benchmarks.learning_rows import ClipSet, benchmark_of
from qcen_core.errors import InputError
from qcen_core.prepared import read_prepared

SMALL = dataclasses.replace(benchmark_of("trial"), training=ClipSet(2, 1, 0), test=ClipSet(1, 1, 1000))


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    folder = tmp_path_factory.mktemp("work")
    make_data(SMALL, folder, None)
    return folder


@pytest.fixture
def copy(work, tmp_path):
    return shutil.copytree(work, tmp_path / "work")


def test_sets_are_made_once(work, monkeypatch):
    monkeypatch.setattr(learning_data, "prepare", None)  # would fail
    data = make_data(SMALL, work, None)
    assert data.hashes["training"] != data.hashes["test"]
    assert len(read_prepared(data.training).splits["train"].videos) == 2


def test_training_validation_and_test_share_no_clip(work):
    data = make_data(SMALL, work, None)
    frames = {
        (name, path.parent.name): path.read_bytes()
        for name, root in (("training", data.training), ("test", data.test))
        for path in (root / "frames").glob("*/00000.jpg")
    }
    assert len(frames) == 5
    assert len(set(frames.values())) == 5


def test_the_hash_sees_content_and_no_path(work, copy):
    assert content_hash(copy / "test") == content_hash(work / "test")
    frame = next((copy / "test" / "frames").rglob("*.jpg"))
    frame.write_bytes(frame.read_bytes() + b"x")
    assert content_hash(copy / "test") != content_hash(work / "test")
    with pytest.raises(InputError, match="changed since"):
        make_data(SMALL, copy, None)


def test_a_set_of_other_settings_is_not_used(copy):
    other = dataclasses.replace(SMALL, test=ClipSet(1, 2, 1000))
    with pytest.raises(InputError, match="other settings"):
        make_data(other, copy, None)


def test_a_set_that_lost_its_record_is_not_used(copy):
    (copy / "test.json").unlink()
    with pytest.raises(InputError, match="other settings"):
        make_data(SMALL, copy, None)


def test_cutouts_need_a_folder(tmp_path):
    with pytest.raises(InputError, match="COCO"):
        make_data(benchmark_of("cutouts"), tmp_path, None)


def test_validation_and_test_are_cut_out_of_different_images(tmp_path, monkeypatch):
    coco = tmp_path / "coco"
    (coco / "annotations").mkdir(parents=True)
    for split, count in (("train2017", 3), ("val2017", 7)):
        (coco / split).mkdir()
        images = [{"id": 10 + i, "file_name": f"{i}.jpg"} for i in range(count)]
        annotations = [{"id": i, "image_id": 10 + i % count} for i in range(2 * count)]
        content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "x"}]}
        (coco / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))
    seen = {}

    def note(*, out, annotations, **_):
        seen[out.name] = {
            split: json.loads((annotations / "annotations" / f"instances_{split}.json").read_text())
            for split in ("train2017", "val2017")
        }
        assert (annotations / "val2017").is_dir()
        shutil.copytree(prepared, out)

    make_data(SMALL, tmp_path / "other", None)
    prepared = tmp_path / "other" / "test"
    monkeypatch.setattr(learning_data, "prepare", note)
    make_data(benchmark_of("cutouts"), tmp_path / "work", coco)
    validation, test = (seen[name]["val2017"] for name in ("training", "test"))
    ids = [{image["id"] for image in part["images"]} for part in (validation, test)]
    assert ids == [{10, 13, 16}, {11, 12, 14, 15}]
    assert [{a["image_id"] for a in part["annotations"]} for part in (validation, test)] == ids
    assert len(test["annotations"]) == 8
    assert seen["training"]["train2017"] == seen["test"]["train2017"]
