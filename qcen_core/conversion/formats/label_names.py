"""Classes of annotations that know their labels by name only."""

from collections.abc import Iterable

from qcen_core.conversion.annotations import ANY_CLASS
from qcen_core.records import Category

IGNORED_LABELS = frozenset({"crowd", "dontcare", "ignore", "ignored"})
YES = frozenset({"1", "true", "yes"})


def is_ignored(label: str) -> bool:
    """Whether a label marks regions that are neither object nor background."""
    return label.casefold() in IGNORED_LABELS


class LabelNames:
    """Labels as classes: a list that is known beforehand, else each label as it is met.

    Labels of regions to ignore are no classes; such regions count as of class 0, which plays no part.

    Args:
        listed: all labels there are, or none where they are yet to be met.
    """

    def __init__(self, listed: Iterable[str] = ()) -> None:
        self._class_of: dict[str, int] = {}
        names = list(listed)
        for name in names:
            self._add(name)
        self._open = not names

    def class_id(self, label: str) -> int | None:
        """The class of a label, `ANY_CLASS` where it says to ignore; `None` where a list does not hold it."""
        if is_ignored(label):
            return ANY_CLASS
        if self._open:
            self._add(label)
        return self._class_of.get(label)

    def categories(self) -> tuple[Category, ...]:
        """All classes, numbered from 1 in class order."""
        return tuple(Category(number, name) for number, name in enumerate(self._class_of, start=1))

    def _add(self, name: str) -> None:
        if not is_ignored(name):
            self._class_of.setdefault(name, len(self._class_of))
