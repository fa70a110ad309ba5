"""The classes of a model and those of a data set, matched by their names."""

from collections.abc import Mapping, Sequence

from qcen_core.errors import InputError
from qcen_core.records import Category


def match_categories(model: Sequence[Category], data: Sequence[Category], place: str) -> Mapping[int, int]:
    """Model class -> data class for the categories that both know, by name; position and source id mean nothing.

    Args:
        model: categories of the checkpoint.
        data: categories of the data set.
        place: the data set, for the message.

    Raises:
        InputError: not one name is common.
    """
    class_of = {category.name: index for index, category in enumerate(data)}
    common = {index: class_of[category.name] for index, category in enumerate(model) if category.name in class_of}
    if not common:
        raise InputError(
            f"none of its categories ({_names(data)}) is known to the model ({_names(model)})",
            place=place,
            hint="use weights trained on these categories; they are compared by name",
        )
    return common


def _names(categories: Sequence[Category]) -> str:
    names = [category.name for category in categories]
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
