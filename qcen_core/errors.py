"""Errors that a user can act on: one line of cause, the place it was found, one line of hint."""

from pathlib import Path


class QcenError(Exception):
    """Work that failed for a reason the user can understand.

    Attributes:
        cause: what is wrong, in one line.
        place: the file and the record in it, or `None` where there is no file.
        hint: what to do about it, in one line, or `None`.
    """

    exit_code = 1

    def __init__(self, cause: str, *, place: str | Path | None = None, hint: str | None = None) -> None:
        self.cause = cause
        self.place = None if place is None else str(place)
        self.hint = hint
        super().__init__(self.line())

    def __reduce__(self) -> tuple[object, ...]:
        """Cause, place and hint survive the way from a loader process."""
        return _rebuild, (type(self), self.cause, self.place, self.hint)

    def line(self) -> str:
        """The cause with its place in front, as one line."""
        return self.cause if self.place is None else f"{self.place}: {self.cause}"


class InputError(QcenError):
    """Wrong usage or wrong input: a file, a record or an option that cannot be used."""

    exit_code = 2


def _rebuild(kind: type[QcenError], cause: str, place: str | None, hint: str | None) -> QcenError:
    return kind(cause, place=place, hint=hint)
