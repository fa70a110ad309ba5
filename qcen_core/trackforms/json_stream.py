"""JSON files of any length: read one record at a time, written one record at a time.

The file is mapped, not copied; a record becomes Python's when its turn comes, and is checked then.
"""

import json
import mmap
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

import msgspec

from qcen_core.errors import InputError
from qcen_core.jsonfile import JsonRecord

# Strings are passed over as a whole: those of masks hold brackets. One without its end goes on to that of the file.
# Alternatives begin with plain characters, which is what makes the search quick.
_TOKEN = re.compile(rb'\[|\]|\{|\}|"(?:[^"\\]++|\\.)*+("?)', re.DOTALL)
_KEY = re.compile(rb'\s*("(?:[^"\\]++|\\.)*+")\s*:\s*', re.DOTALL)
_BEGIN = re.compile(rb"(?:\xef\xbb\xbf)?\s*")
_RELEASED_AFTER = 500  # records


class JsonStream:
    """A JSON file whose top is a list of records, or an object that holds such lists.

    Args:
        path: the file; it must not change while it is read.

    Raises:
        InputError: the file is missing, empty, cut off, or no JSON of that kind.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                # Never closed: what is found in it are views of it, and it goes with the last of them.
                self._text = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}", place=path, hint="check the path") from None
        except ValueError:
            raise InputError("the file is empty", place=path, hint="write or download it again") from None
        start = _BEGIN.match(self._text).end()  # type: ignore[union-attr]
        top = self._text[start : start + 1]
        self.is_list = top == b"["
        if not self.is_list and top != b"{":
            raise InputError("not a JSON list or object", place=path, hint="pass a JSON file")
        self._start = start
        self._values = {} if self.is_list else self._members()

    @property
    def keys(self) -> frozenset[str]:
        """The keys of the object at the top; none of a list."""
        return frozenset(self._values)

    def records(self, noun: str, key: str | None = None) -> Iterator[JsonRecord]:
        """The objects of a list, each placed by its `id`, or by its index where it has none.

        Args:
            noun: what one object is called in messages.
            key: of the list in the object at the top; by default the list at the top.

        Raises:
            InputError: there is no such list, or an item is not an object.
        """
        start = self._start if key is None else self._list_start(key)
        for index, (begin, end) in enumerate(self._parts(start)):
            if index % _RELEASED_AFTER == 0 and hasattr(mmap, "MADV_DONTNEED"):
                self._text.madvise(mmap.MADV_DONTNEED)
            fields = self._decoded(begin, end, f"{self.path}: {noun} {index}")
            if not isinstance(fields, dict):
                place, hint = f"{self.path}: {noun} {index}", "each record is an object in braces"
                raise InputError("not a JSON object", place=place, hint=hint)
            yield JsonRecord(fields, f"{self.path}: {noun} {fields.get('id', index)}")

    def _list_start(self, key: str) -> int:
        begin = self._values.get(key)
        if begin is None or self._text[begin : begin + 1] != b"[":
            cause = f'"{key}" is missing' if begin is None else f'"{key}" is not a list'
            raise InputError(cause, place=self.path, hint="the file may be of another form; write it again")
        return begin

    def _members(self) -> dict[str, int]:
        """Key -> where its value begins."""
        values = {}
        for begin, _ in self._parts(self._start):
            found = _KEY.match(self._text, begin)
            if found is None:
                raise InputError("not valid JSON", place=self.path, hint="write or download it again")
            values[str(self._decoded(*found.span(1), str(self.path)))] = found.end()
        return values

    def _parts(self, start: int) -> Iterator[tuple[int, int]]:
        """Where the items of the list, or the members of the object, that starts there begin and end."""
        depth, begin, previous = 0, start + 1, start
        for token in _TOKEN.finditer(self._text, start):
            place = token.start()
            if depth == 1:
                while (comma := self._text.find(b",", previous, place)) >= 0:
                    yield begin, comma
                    begin = previous = comma + 1
            previous = token.end()
            match self._text[place]:
                case 0x5B | 0x7B:
                    depth += 1
                case 0x5D | 0x7D:
                    depth -= 1
                case _ if token.end(1) == token.start(1):
                    break
            if depth == 0:
                if begin > start + 1 or self._text[begin:place].strip():
                    yield begin, place
                if start == self._start and self._text[place + 1 :].strip():
                    break
                return
        raise InputError(
            "not valid JSON: it is cut off, or more follows its end", place=self.path, hint="write or download it again"
        )

    def _decoded(self, begin: int, end: int, place: str) -> object:
        try:
            return msgspec.json.decode(self._text[begin:end])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InputError(f"not valid JSON: {error}", place=place, hint="write or download it again") from None


def write_list(file: TextIO, records: Iterable[object]) -> None:
    """Write a JSON list, holding one record at a time; the text is that of `json.dumps` of the whole list.

    Raises:
        ValueError: a record holds a number that is not finite.
    """
    file.write("[")
    for index, record in enumerate(records):
        if index:
            file.write(", ")
        file.write(json.dumps(record, allow_nan=False))
    file.write("]")
