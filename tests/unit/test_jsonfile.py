"""JSON files and records: what is refused, and that files appear whole."""

import json

import msgspec
import pytest

from qcen_core.errors import InputError
from qcen_core.jsonfile import JsonRecord, decode_json, json_records, load_json, require_distinct, write_json


def test_content_goes_there_and_back(tmp_path):
    content = {"a": [1, 2.5, None, "é"], "b": {}}
    write_json(content, tmp_path / "x.json")
    assert load_json(tmp_path / "x.json") == content
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


def test_a_byte_order_mark_is_no_error(tmp_path):
    (tmp_path / "x.json").write_text("[3]", encoding="utf-8-sig")
    assert load_json(tmp_path / "x.json") == [3]


@pytest.mark.parametrize(
    ("text", "cause"),
    [("", "empty"), ("{", "line 1, column 2"), ("[1,\n 2,\n x]", "line 3, column 2"), ("[" * 100_000, "deeply")],
)
def test_what_is_no_json_is_refused(tmp_path, text, cause):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(InputError, match=cause) as caught:
        load_json(path)
    assert caught.value.place == str(path)


class Box(msgspec.Struct):
    """A record in its types, with a part that stays text."""

    id: int
    mask: msgspec.Raw = msgspec.Raw(b"null")


def test_what_fits_the_types_comes_in_them(tmp_path):
    (tmp_path / "x.json").write_text('[{"id": 3, "mask": {"counts": [1, 2]}, "unknown": 1}]', encoding="utf-8-sig")
    (box,) = decode_json(tmp_path / "x.json", list[Box])
    assert box.id == 3
    assert bytes(box.mask) == b'{"counts": [1, 2]}'


@pytest.mark.parametrize("text", ['[{"id": "three"}]', '[{"mask": null}]', '{"id": 3}', '[{"id": 3, "score": NaN}]'])
def test_what_does_not_fit_the_types_comes_as_plain_json(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    assert repr(decode_json(tmp_path / "x.json", list[Box])) == repr(json.loads(text))


@pytest.mark.parametrize("text", ["", "[", '[{"id": 3}', '[{"id": 3}] x', "[" * 100_000])
def test_what_is_no_json_is_refused_in_types_too(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(InputError) as plain:
        load_json(tmp_path / "x.json")
    with pytest.raises(InputError) as typed:
        decode_json(tmp_path / "x.json", list[Box])
    assert str(typed.value) == str(plain.value)


def test_a_missing_file_is_refused_in_types_too(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        decode_json(tmp_path / "x.json", list[Box])


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        load_json(tmp_path)


def test_a_failed_write_leaves_nothing(tmp_path):
    with pytest.raises(TypeError):
        write_json({"a": {1, 2}}, tmp_path / "x.json")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (JsonRecord.integer, 1.5),
        (JsonRecord.integer, True),
        (JsonRecord.number, "1"),
        (JsonRecord.number, float("nan")),
        (JsonRecord.number, False),
        pytest.param(JsonRecord.number, 10**400, id="huge"),
        (JsonRecord.text, ""),
        (JsonRecord.text, 3),
        (JsonRecord.items, {}),
    ],
)
def test_fields_of_another_kind_name_their_record(read, value):
    with pytest.raises(InputError, match=r"x\.json: thing 3: .*key"):
        read(JsonRecord({"key": value}, "x.json: thing 3"), "key")
    with pytest.raises(InputError, match=r'x\.json: thing 3: "key" is missing'):
        read(JsonRecord({}, "x.json: thing 3"), "key")


def test_fields_are_read():
    record = JsonRecord(json.loads('{"a": 3, "b": 2.5, "c": "x", "d": [1], "e": null}'), "x.json: thing 3")
    assert (record.integer("a"), record.number("a"), record.number("b"), record.text("c")) == (3, 3.0, 2.5, "x")
    assert record.items("d") == [1]
    assert record.is_null("e")
    assert record.is_null("f")
    assert not record.is_null("a")


def test_records_are_placed_by_id_or_index(tmp_path):
    path = tmp_path / "x.json"
    assert [r.place for r in json_records([{"id": 9}, {}], path, "thing")] == [f"{path}: thing 9", f"{path}: thing 1"]
    with pytest.raises(InputError, match="thing 1: not a JSON object"):
        json_records([{}, 3], path, "thing")
    with pytest.raises(InputError, match="thing a: occurs 2 times"):
        require_distinct(["a", "b", "a"], path, "thing")
