"""JSON files whose records are checked as they are read, so that an error names the file and the record."""

import codecs
import json
import mmap
import os
import reprlib
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from qcen_core.errors import InputError


def load_json(path: Path) -> object:
    """The content of a JSON file.

    Raises:
        InputError: the file is missing, unreadable, empty, or not JSON (with line and column).
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError("there is no such file", place=path, hint="check the path") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read as text: {error}", place=path, hint="pass a JSON file") from None
    if not text.strip():
        raise InputError("the file is empty", place=path, hint="write or download it again")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(
            f"not valid JSON: {error.msg}, line {error.lineno}, column {error.colno}",
            place=path,
            hint="the file may be cut off; write or download it again",
        ) from None
    except RecursionError:
        raise InputError("nested too deeply", place=path, hint="pass another file") from None
    except ValueError:
        raise InputError("it holds a number of thousands of digits", place=path, hint="correct it") from None


def decode_json(path: Path, kind: object) -> object:
    """The content of a JSON file in its types, or as `load_json` gives it where it does not fit them.

    Python writes NaN, which is no JSON; so a file with it comes as Python reads it, and is checked by the caller.

    Args:
        path: the file; it is mapped, not copied, and stays so as long as there are `Raw` parts of it.
        kind: the type, as msgspec takes it; its `Raw` parts stay text.

    Raises:
        InputError: the file is missing, unreadable, empty, or not JSON (with line and column).
    """
    try:
        with path.open("rb") as file:
            text = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        mark = len(codecs.BOM_UTF8)
        return msgspec.json.decode(text[mark:] if bytes(text[:mark]) == codecs.BOM_UTF8 else text, type=kind)
    except (OSError, ValueError, RecursionError):
        return load_json(path)


def write_json(content: object, path: Path) -> None:
    """Write a JSON file, whole or not at all.

    Raises:
        ValueError: the content holds a number that is not finite.
    """
    write_whole(json.dumps(content, allow_nan=False).encode(), path)


def write_whole(content: bytes, path: Path) -> None:
    """Write a file, whole or not at all."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        beside.write_bytes(content)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def is_finite_number(value: object) -> bool:
    """Whether a JSON value is a number other than NaN and the infinities."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    largest = sys.float_info.max
    return -largest <= value <= largest


@dataclass(frozen=True, slots=True)
class JsonRecord:
    """A JSON object and the place it stands at, for messages.

    Attributes:
        fields: the object.
        place: file and record, such as `instances.json: annotation 7`.
    """

    fields: dict[str, object]
    place: str

    def value(self, key: str) -> object:
        """The field's value.

        Raises:
            InputError: it is missing.
        """
        if key not in self.fields:
            raise InputError(f'"{key}" is missing', place=self.place, hint="add it")
        return self.fields[key]

    def integer(self, key: str) -> int:
        """A whole number of at most 64 bits.

        Raises:
            InputError: it is missing or something else.
        """
        value = self.value(key)
        if not isinstance(value, int) or isinstance(value, bool) or not -(2**63) <= value < 2**63:
            raise InputError(f"{key} is {reprlib.repr(value)}, not a whole number", place=self.place, hint="correct it")
        return value

    def number(self, key: str) -> float:
        """A finite number.

        Raises:
            InputError: it is missing or something else.
        """
        value = self.value(key)
        if not isinstance(value, int | float) or not is_finite_number(value):
            raise InputError(
                f"{key} is {reprlib.repr(value)}, not a finite number", place=self.place, hint="correct it"
            )
        return float(value)

    def text(self, key: str) -> str:
        """A string that is not empty.

        Raises:
            InputError: it is missing or something else.
        """
        value = self.value(key)
        if not isinstance(value, str) or not value or any("\ud800" <= letter <= "\udfff" for letter in value):
            raise InputError(f"{key} is {reprlib.repr(value)}, not a text", place=self.place, hint="correct it")
        return value

    def items(self, key: str, hint: str = "correct it") -> list[object]:
        """A list.

        Raises:
            InputError: it is missing or something else.
        """
        value = self.value(key)
        if not isinstance(value, list):
            raise InputError(f'"{key}" is not a list', place=self.place, hint=hint)
        return value

    def is_null(self, key: str) -> bool:
        """Whether the field is missing or null."""
        return self.fields.get(key) is None


def json_records(items: Sequence[object], path: Path, kind: str) -> list[JsonRecord]:
    """The objects of a list, each placed by its `id`, or by its index where it has none.

    Args:
        items: the list.
        path: its file.
        kind: what one object is called.

    Raises:
        InputError: an item is not an object.
    """
    records = []
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            raise InputError(
                "not a JSON object", place=f"{path}: {kind} {index}", hint="each record is an object in braces"
            )
        records.append(JsonRecord(item, f"{path}: {kind} {item.get('id', index)}"))
    return records


def require_distinct(values: Sequence[int | str], path: Path, kind: str) -> None:
    """Check that ids or names are distinct.

    Raises:
        InputError: one occurs twice.
    """
    for value, uses in Counter(values).items():
        if uses > 1:
            raise InputError(
                f"occurs {uses} times", place=f"{path}: {kind} {value}", hint="ids and names must be distinct"
            )
