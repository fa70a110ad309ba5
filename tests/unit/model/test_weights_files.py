"""Files of weights: what they hold is read, what they would run is not, and what is broken is told in one line."""

import pickle
from collections import OrderedDict
from contextlib import suppress

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from qcen_core.errors import InputError
from qcen_core.model.published.load import load_any_checkpoint, load_initial
from qcen_core.model.published.restricted_pickle import read_pickle
from qcen_core.model.published.tensor_files import read_tensors

WEIGHTS = {"conv1.weight": np.arange(12, dtype=np.float32).reshape(3, 4), "bn1.bias": np.array([7], dtype=np.int64)}


class Attack:
    """Creates a file when it is unpickled."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return open, (str(self.target), "w")


class AttackByName:
    """Asks for something harmless, under a name that the reader must not know."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_of_every_protocol(tmp_path, protocol):
    path = tmp_path / "a.pkl"
    content = OrderedDict(model=WEIGHTS, scalar=np.float32(1.5), names=({1, 2}, b"x\xff", "ä", None, [True]))
    content["turned"] = np.asfortranarray(WEIGHTS["conv1.weight"])
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    read = read_pickle(path)
    assert list(read) == ["model", "scalar", "names", "turned"]
    for name, array in WEIGHTS.items():
        assert read["model"][name].dtype == array.dtype
        assert np.array_equal(read["model"][name], array)
    assert (read["scalar"], read["names"]) == (1.5, ({1, 2}, b"x\xff", "ä", None, [True]))
    assert np.array_equal(read["turned"], WEIGHTS["conv1.weight"])


def test_arrays_of_python_2(tmp_path):
    """Written by hand: protocol 2, strings as bytes, the old name of numpy's room."""
    path = tmp_path / "old.pkl"
    content = (
        b"\x80\x02}U\x05modelcnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x02\x85cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89U\x08\x00\x00\x80?\x00\x00\x00\xc0tbs."
    )
    path.write_bytes(content)
    assert read_pickle(path)["model"].tolist() == [1.0, -2.0]


def attacked(tmp_path, form):
    """A file that would create `target`, and that target."""
    path, target = tmp_path / "weights.pkl", tmp_path / "ran"
    content = {"model": WEIGHTS | {"fc.weight": Attack(target)}}
    match form:
        case "plain":
            path.write_bytes(pickle.dumps(content))
        case "alone":
            path.write_bytes(pickle.dumps(Attack(target), protocol=0))
        case "torch zip":
            torch.save({"a": torch.zeros(2), "b": Attack(target)}, path)
        case "torch before zip":
            torch.save({"a": torch.zeros(2), "b": Attack(target)}, path, _use_new_zipfile_serialization=False)
        case "as a key of an array":
            array = np.empty(1, dtype=object)
            array[0] = Attack(target)
            path.write_bytes(pickle.dumps({"model": {"conv1.weight": array}}))
    return path, target


@pytest.mark.parametrize("form", ["plain", "alone", "torch zip", "torch before zip", "as a key of an array"])
def test_code_is_refused_and_not_run(tmp_path, form):
    path, target = attacked(tmp_path, form)
    for read in (read_pickle, read_tensors, load_initial, lambda p: load_any_checkpoint(p, torch.device("cpu"))):
        with pytest.raises(InputError) as caught:
            read(path)
        assert "it was not run" in caught.value.cause
        assert "open" in caught.value.cause
        assert "\n" not in caught.value.line()
        assert str(path) in caught.value.line()
    assert not target.exists()


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (eval, ("1",)),
        (getattr, (1, "real")),
        (__import__, ("os",)),
        (np.load, ("x",)),
        (np.frombuffer, (b"1",)),
        (type, (1,)),
    ],
)
def test_only_arrays_and_containers_are_known(tmp_path, function, arguments):
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps([AttackByName(function, *arguments)]))
    with pytest.raises(InputError, match="was not run"):
        read_pickle(path)


def test_an_array_of_another_kind_is_not_made(tmp_path):
    """A subclass could do what it likes when it is filled."""
    path = tmp_path / "a.pkl"
    reconstruct = WEIGHTS["bn1.bias"].__reduce__()[0]
    path.write_bytes(pickle.dumps([AttackByName(reconstruct, set, (0,), b"b")]))
    with pytest.raises(InputError, match="was not run"):
        read_pickle(path)


def broken(tmp_path, kind):
    path = tmp_path / "weights.pth"
    pickled = pickle.dumps({"model": WEIGHTS})
    torch.save({"conv1.weight": torch.zeros(50)}, path)
    zipped = path.read_bytes()
    torch.save({"conv1.weight": torch.zeros(50)}, path, _use_new_zipfile_serialization=False)
    older = path.read_bytes()
    save_file({"conv1.weight": torch.zeros(50)}, path)
    safe = path.read_bytes()
    contents = {
        "empty": b"",
        "text": b"these are no weights at all\n",
        "picture": b"\x89PNG\r\n\x1a\n" + bytes(50),
        "a brace after eight bytes": b"12345678{}",
        "half a pickle": pickled[: len(pickled) // 2],
        "pickle without its end": pickled[:-1],
        "half a zip": zipped[: len(zipped) // 2],
        "half of before zip": older[: len(older) // 2],
        "half a safetensors": safe[: len(safe) // 2],
    }
    path.write_bytes(contents[kind])
    return path


@pytest.mark.parametrize(
    "kind",
    [
        "empty", "text", "picture", "a brace after eight bytes", "half a pickle", "pickle without its end",
        "half a zip", "half of before zip", "half a safetensors",
    ],
)  # fmt: skip
def test_broken_files_are_one_line(tmp_path, kind):
    path = broken(tmp_path, kind)
    for read in (read_tensors, load_initial, lambda p: load_any_checkpoint(p, torch.device("cpu"))):
        with pytest.raises(InputError) as caught:
            read(path)
        assert "damaged" in caught.value.cause
        assert "\n" not in caught.value.line()
        assert str(path) in caught.value.line()
        assert caught.value.hint


@settings(max_examples=150)
@given(st.data())
def test_a_changed_byte_is_an_error_or_harmless(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "changed.pkl"
    content = bytearray(pickle.dumps({"model": WEIGHTS}))
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    with suppress(InputError):
        read_tensors(path)


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        ([1, 2], "no named tensors"),
        ({"model": {"a": "text"}}, "no named tensors"),
        ({"model": {"some.layer.weight": np.zeros(3)}}, "'some.layer.weight' is of an unknown model"),
    ],
)
def test_foreign_content_is_told(tmp_path, content, cause):
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(InputError) as caught:
        load_initial(path)
    assert cause in caught.value.cause


def test_names_without_what_training_put_before_them(tmp_path):
    path = tmp_path / "a.pth"
    torch.save({"state_dict": {"module.conv1.weight": torch.ones(2), "module.note": "x"}}, path)
    assert {name: tensor.tolist() for name, tensor in read_tensors(path).items()} == {"conv1.weight": [1.0, 1.0]}


def test_a_source_that_is_not_there(tmp_path):
    for source in (tmp_path / "nothing.pkl", tmp_path):
        with pytest.raises(InputError, match="no such checkpoint"):
            load_initial(source)


def test_without_a_network_it_says_what_to_get(monkeypatch):
    import huggingface_hub

    def fail(*_, **__):
        raise huggingface_hub.errors.LocalEntryNotFoundError("no connection\nand more")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(InputError) as caught:
        load_initial("hf:facebook/mask2former-swin-tiny-coco-instance")
    assert "no connection" in caught.value.cause
    assert "\n" not in caught.value.line()
    assert "https://huggingface.co/facebook/mask2former-swin-tiny-coco-instance" in caught.value.hint
    assert "model.safetensors" in caught.value.hint


def test_numbers_that_are_said_to_be_something_else_are_not_believed(tmp_path):
    """The state of NumPy's own kinds says, among other things, whether numbers are addresses of objects."""
    path = tmp_path / "a.pkl"
    content = bytearray(pickle.dumps({"model": {"conv1.weight": np.arange(4)}}, protocol=2))
    start = content.index(b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t")
    content[start + 11] = 0x3F  # flags: numbers are objects
    path.write_bytes(content)
    assert read_tensors(path)["conv1.weight"].tolist() == [0, 1, 2, 3]
