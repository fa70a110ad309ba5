"""The reader that goes through a JSON file record by record, against Python's own."""

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qcen_core.errors import InputError
from qcen_core.trackforms.json_stream import JsonStream, write_list

TEXT = st.text(st.sampled_from('ab"\\[]{},: \nß'), max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
RECORDS = st.lists(st.dictionaries(TEXT, VALUES, max_size=3), max_size=4)


def read(text, key=None):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.json"
        path.write_text(text, encoding="utf-8")
        stream = JsonStream(path)
        return [record.fields for record in stream.records("record", key)], stream.keys


@given(RECORDS, st.sampled_from([None, 2]), st.booleans())
def test_a_list(records, indent, plain):
    assert read(json.dumps(records, indent=indent, ensure_ascii=plain))[0] == records


@given(st.dictionaries(TEXT, VALUES, max_size=3), RECORDS, st.sampled_from([None, 2]))
def test_a_list_in_an_object(others, records, indent):
    content = others | {"the list": records}
    assert read(json.dumps(content, indent=indent), "the list") == (records, set(content))


@given(RECORDS.filter(bool), st.data())
def test_no_file_that_is_cut_off_passes(records, data):
    text = json.dumps(records)
    cut = data.draw(st.integers(1, len(text) - 1))
    with pytest.raises(InputError):
        read(text[:cut])


@pytest.mark.parametrize(
    "text", ["", "3", "[{}]]", '[{"a": 1} {"b": 2}]', "[{},]", "[,{}]", '[{"a": 01}]', '{"a"}', "[3]"]
)
def test_what_is_no_list_of_objects(text):
    with pytest.raises(InputError):
        read(text)


@given(RECORDS)
def test_a_list_is_written_as_python_writes_it(records):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.json"
        with path.open("w") as file:
            write_list(file, iter(records))
        assert path.read_text() == json.dumps(records)
