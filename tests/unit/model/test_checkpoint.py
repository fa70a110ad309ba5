"""Checkpoints: round trip, a header that anybody can read, and files that will not do."""

import json
import struct

import pytest
import torch
from safetensors.torch import save_file
from tiny_segmenter import CLASSES, TINY, all_valid, random_frames, tiny_segmenter

from qcen_core.config import DataConfig, QcenConfig
from qcen_core.errors import InputError
from qcen_core.model.checkpoint import (
    describe,
    fill_model,
    load_checkpoint,
    read_header,
    read_weights,
    save_checkpoint,
    write_tensors,
)
from qcen_core.records import Category

CPU = torch.device("cpu")
CATEGORIES = (Category(3, "horse"), Category(1, "Ente"), Category(17, "a b"))
CONFIG = QcenConfig(model=TINY, data=DataConfig(short_sides=(97,), flip=0.25))
INFO = {"step": 13, "supervision": ["box"], "data": "x"}


@pytest.fixture
def saved(tmp_path):
    model = tiny_segmenter(seed=4)
    path = tmp_path / "last.safetensors"
    save_checkpoint(path, model.state_dict(), CONFIG, CATEGORIES, INFO)
    return model, path


@torch.no_grad()
def test_round_trip(saved):
    model, path = saved
    loaded = load_checkpoint(path, CPU)
    assert loaded.config == CONFIG
    assert loaded.categories == CATEGORIES
    assert dict(loaded.info) == INFO
    assert not loaded.model.training
    state = loaded.model.state_dict()
    assert state.keys() == model.state_dict().keys()
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())
    frames = random_frames(1, 32, 64)
    one, other = (m.eval()(frames, all_valid(frames)) for m in (model, loaded.model))
    assert torch.equal(one.final.mask_logits, other.final.mask_logits)


def test_keys_that_only_training_of_earlier_versions_read_do_not_matter(saved, tmp_path):
    _, path = saved
    header = read_header(path)
    header["config"]["pairs"]["cycle"] = False
    header["config"]["loss"] |= {"teacher_weight": 1.0, "teacher_start": 500}
    old = tmp_path / "old.safetensors"
    write_tensors(old, read_weights(path), {"qcen": json.dumps(header)})
    assert load_checkpoint(old, CPU).config == CONFIG
    header["config"]["model"]["cycle"] = False
    write_tensors(old, read_weights(path), {"qcen": json.dumps(header)})
    with pytest.raises(InputError, match=r"unknown key 'model\.cycle'"):
        load_checkpoint(old, CPU)


@torch.no_grad()
def test_round_trip_with_located_queries(tmp_path):
    config = CONFIG.model_copy(update={"model": TINY.model_copy(update={"located_queries": True})})
    model, path = tiny_segmenter(seed=4, located_queries=True), tmp_path / "located.safetensors"
    with torch.no_grad():
        model.decoder.place.gain.fill_(2.25)
    save_checkpoint(path, model.state_dict(), config, CATEGORIES[:CLASSES], INFO)
    loaded = load_checkpoint(path, CPU)
    assert loaded.config.model.located_queries
    assert loaded.model.decoder.place.gain.item() == 2.25
    frames = random_frames(1, 32, 64)
    one, other = (m.eval()(frames, all_valid(frames)) for m in (model, loaded.model))
    assert torch.equal(one.final.mask_logits, other.final.mask_logits)
    assert torch.equal(one.final.boxes, other.final.boxes)


def test_weights_of_learned_queries_do_not_fit_located_ones(saved):
    model, path = saved
    with pytest.raises(InputError, match=r"decoder\.(place|seeds|query)"):
        fill_model(tiny_segmenter(located_queries=True), dict(model.state_dict()), path)


def test_the_file_is_json_and_numbers_and_nothing_else(saved):
    model, path = saved
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    own = json.loads(header["__metadata__"]["qcen"])
    assert own["config"]["model"]["hidden_dim"] == 32
    assert own["categories"][0] == {"id": 3, "name": "horse"}
    assert own["info"] == INFO
    assert own == read_header(path)
    numbers = sum(value.numel() * value.element_size() for value in model.state_dict().values())
    assert len(data) == 8 + length + numbers


def test_who_may_read_files_here_may_read_a_checkpoint(saved):
    _, path = saved
    plain = path.with_name("plain")
    plain.touch()
    assert path.stat().st_mode == plain.stat().st_mode


def test_describe(saved):
    model, path = saved
    told = describe(path)
    assert told["parameters"] == sum(value.numel() for value in model.state_dict().values())
    assert told["categories"] == ["horse", "Ente", "a b"]
    assert (told["step"], told["bytes"]) == (13, path.stat().st_size)


def test_a_failed_write_leaves_the_old_checkpoint_and_nothing_beside_it(saved):
    _, path = saved
    before = path.read_bytes()
    with pytest.raises(TypeError):
        save_checkpoint(path, tiny_segmenter().state_dict(), CONFIG, CATEGORIES, {"step": object()})
    shared = torch.zeros(3)
    with pytest.raises(RuntimeError):  # safetensors refuses tensors that share memory
        save_checkpoint(path, {"a": shared, "b": shared}, CONFIG, CATEGORIES, INFO)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def unusable(tmp_path, saved_path, kind):
    path = tmp_path / f"{kind}.safetensors"
    data = saved_path.read_bytes()
    match kind:
        case "missing":
            return path
        case "empty":
            path.write_bytes(b"")
        case "cut_in_header":
            path.write_bytes(data[:100])
        case "cut_in_tensors":
            path.write_bytes(data[:-5])
        case "text":
            path.write_text("not weights at all, but long enough to hold a length", encoding="utf-8")
        case "pickle":
            torch.save({"a": torch.zeros(3)}, path)
        case "foreign":
            save_file({"a": torch.zeros(3)}, path)
        case "foreign_json":
            save_file({"a": torch.zeros(3)}, path, metadata={"qcen": "[1]"})
        case "newer":
            save_file({"a": torch.zeros(3)}, path, metadata={"qcen": '{"format": "qcen-checkpoint", "version": 9}'})
        case "folder":
            path.mkdir()
    return path


@pytest.mark.parametrize(
    ("kind", "cause"),
    [
        ("missing", "no such checkpoint"),
        ("folder", "no such checkpoint"),
        ("empty", "damaged"),
        ("cut_in_header", "damaged"),
        ("cut_in_tensors", "damaged"),
        ("text", "damaged"),
        ("pickle", "not a safetensors file"),
        ("foreign", "not a checkpoint of qcen"),
        ("foreign_json", "not a checkpoint of qcen"),
        ("newer", "version 9"),
    ],
)
def test_unusable_files_are_one_line_errors(tmp_path, saved, kind, cause):
    path = unusable(tmp_path, saved[1], kind)
    for read in (read_header, lambda p: load_checkpoint(p, CPU), describe):
        with pytest.raises(InputError) as caught:
            read(path)
        assert cause in caught.value.cause
        assert str(path) in caught.value.line()
        assert "\n" not in caught.value.line()
        assert caught.value.hint


def test_weights_of_another_model_name_the_first_tensor_that_differs(saved):
    model, path = saved
    weights = dict(model.state_dict())
    names = sorted(weights)
    cases = [
        ({n: w for n, w in weights.items() if n not in names[3:5]}, f"no tensor '{names[3]}'"),
        (weights | {"aaa": torch.zeros(1)}, "'aaa' that this model lacks"),
        (weights | {names[7]: torch.zeros(1, 2, 3, 5, 7)}, f"'{names[7]}' is (1, 2, 3, 5, 7)"),
    ]
    for wrong, message in cases:
        with pytest.raises(InputError) as caught:
            fill_model(tiny_segmenter(seed=9), wrong, path)
        assert message in caught.value.cause
        assert str(path) in caught.value.line()


def test_a_header_that_describes_another_model(tmp_path, saved):
    model, _ = saved
    other = CONFIG.model_copy(update={"model": TINY.model_copy(update={"queries": 5})})
    path = tmp_path / "other.safetensors"
    save_checkpoint(path, model.state_dict(), other, CATEGORIES[:CLASSES], INFO)
    with pytest.raises(InputError, match=r"decoder\.query_embed\.weight"):
        load_checkpoint(path, CPU)
