"""Tensors under the names of other programs become tensors under ours; none is lost on the way."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from qcen_core.errors import InputError


@dataclass(frozen=True, slots=True)
class Rule:
    r"""How one family of names is called here.

    Attributes:
        theirs: pattern of the whole name there.
        ours: the name here, with `\1` for what the first group holds.
        parts: where one tensor of ours is several of theirs on top of each other, the values of the group `part`, in
            order.
    """

    theirs: str
    ours: str
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Renamed:
    """Tensors under our names.

    Attributes:
        weights: the tensors; floating ones are float32.
        origins: our name -> the names it had.
        unused: names that have no place here, and need none.
    """

    weights: dict[str, Tensor]
    origins: dict[str, tuple[str, ...]]
    unused: tuple[str, ...]


def rename(tensors: Mapping[str, Tensor], rules: Sequence[Rule], unused: Sequence[str], place: str) -> Renamed:
    """Give tensors our names.

    Args:
        tensors: under the names of another program.
        rules: the first one that fits a name counts.
        unused: patterns of names that nothing here needs; they go before the rules.
        place: where the tensors came from, for messages.

    Raises:
        InputError: a name that no rule knows, so that the model would not be the same; a part that is missing.
    """
    found: dict[str, dict[int, str]] = {}
    parts_of: dict[str, int] = {}
    left_out = []
    for name in tensors:
        if any(re.fullmatch(pattern, name) for pattern in unused):
            left_out.append(name)
            continue
        ours, part, parts = _our_name(name, rules, place)
        found.setdefault(ours, {})[part] = name
        parts_of[ours] = parts
    weights, origins = {}, {}
    for ours, names in found.items():
        if len(names) != parts_of[ours]:
            raise InputError(
                f"of the {parts_of[ours]} parts of '{ours}' only {', '.join(names.values())} are there",
                place=place,
                hint="the file is damaged, or of another model",
            )
        origins[ours] = tuple(names[part] for part in sorted(names))
        weights[ours] = _joined([tensors[name] for name in origins[ours]], origins[ours], place)
    return Renamed(weights, origins, tuple(left_out))


def _our_name(name: str, rules: Sequence[Rule], place: str) -> tuple[str, int, int]:
    """Our name of a tensor, which part of it this is, and of how many."""
    for rule in rules:
        match = re.fullmatch(rule.theirs, name)
        if match:
            part = rule.parts.index(match["part"]) if rule.parts else 0
            return match.expand(rule.ours), part, max(1, len(rule.parts))
    raise InputError(
        f"there is no place for the tensor '{name}'",
        place=place,
        hint="it is of a model that differs from Mask2Former",
    )


def _joined(parts: list[Tensor], names: tuple[str, ...], place: str) -> Tensor:
    if len({part.shape for part in parts}) > 1:
        shapes = ", ".join(f"{name} {tuple(part.shape)}" for name, part in zip(names, parts, strict=True))
        raise InputError(f"tensors that belong together have several shapes: {shapes}", place=place)
    joined = torch.cat(parts) if len(parts) > 1 else parts[0]
    return joined.float() if joined.is_floating_point() else joined
