"""`qcen weights`: published weights become a checkpoint of this program."""

import re
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qcen_cli import console, options
from qcen_core.errors import InputError

if TYPE_CHECKING:
    from qcen_core.records import Category

PARTS = {"backbone.": "backbone", "pixel_decoder.": "pixel decoder", "decoder.": "decoder"}


def weights(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="File of detectron2 (.pkl, .pth), folder of Hugging Face, hf:owner/name, or a checkpoint.",
            show_default=False,
        ),
    ],
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="A .safetensors file to write.", show_default=False)],
    classes: Annotated[
        str | None,
        typer.Option(
            help="Names for its classes: ytvis2019, ytvis2021, ovis, or a text file, a name a line.",
            show_default="the source's",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace TARGET.")] = False,
    as_json: options.Json = False,
) -> None:
    """Make a checkpoint of published weights.

    Shows how many tensors were kept, renamed, left new or left out, and what labels went into them.
    """
    if target.suffix != ".safetensors":
        raise InputError("a checkpoint ends in .safetensors", place=target, hint="name it so")
    if target.exists() and not overwrite:
        raise InputError("exists already", place=target, hint="give another name, or add --overwrite")
    from qcen_core.model.checkpoint import save_checkpoint
    from qcen_core.model.published.initial import report
    from qcen_core.model.published.load import as_checkpoint, load_initial

    initial = load_initial(source)
    checkpoint = as_checkpoint(initial)
    state = checkpoint.model.state_dict()
    categories = checkpoint.categories if classes is None else _named(classes, len(checkpoint.categories))
    target.parent.mkdir(parents=True, exist_ok=True)
    save_checkpoint(target, state, checkpoint.config, categories, checkpoint.info)
    told = report(initial, state)
    supervision = list(checkpoint.info.get("supervision", ()))
    if as_json:
        names = [category.name for category in categories]
        about = {"file": target, "source": initial.kind, "categories": names, "supervision": supervision}
        console.json_object(about | asdict(told))
        return
    counted = {"kept": told.kept, "mapped": tuple(told.mapped), "new": told.new, "unused": told.unused}
    rows = [["tensors", *counted]]
    rows += [[part, *(_count(listed, prefix) for listed in counted.values())] for prefix, part in PARTS.items()]
    rows += [["all", *(str(len(listed)) for listed in counted.values())]]
    console.table(rows)
    for label, listed in (("new, not learned yet", told.new), ("unused", told.unused)):
        if listed:
            console.result(f"{label}: {', '.join(_families(listed))}")
    console.result(f"learned from: {', '.join(supervision) or 'unknown'}")
    console.result(f"{initial.kind}, {len(categories)} classes: {target}")


def _families(names: tuple[str, ...]) -> list[str]:
    """Names that differ in numbers alone as one, with how many they are."""
    counts = Counter(re.sub(r"\d+", "*", name) for name in names)
    return [name if count == 1 else f"{name} ({count})" for name, count in counts.items()]


def _count(names: tuple[str, ...], prefix: str) -> str:
    """How many names are of a part of the model; names of other programs, which have other parts, are of none."""
    return str(sum(name.startswith(prefix) for name in names))


def _named(classes: str, count: int) -> "tuple[Category, ...]":
    """Categories of a published list or of a text file."""
    from qcen_core.conversion.published.categories import OFFICIAL_CATEGORIES
    from qcen_core.records import Category

    names = list(OFFICIAL_CATEGORIES.get(classes, ()))
    if not names:
        path = Path(classes)
        if not path.is_file():
            known = ", ".join(OFFICIAL_CATEGORIES)
            raise InputError(f"no list of classes is called '{classes}'", hint=f"give a text file, or one of: {known}")
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            raise InputError("cannot be read as text", place=path, hint="write one name a line") from None
        names = [line.strip() for line in lines if line.strip()]
    if len(names) != count:
        raise InputError(f"'{classes}' names {len(names)} classes, the weights have {count}", hint="give another list")
    if len(set(names)) != len(names):
        raise InputError(f"'{classes}' names a class twice", hint="name each one once")
    return tuple(Category(number, name) for number, name in enumerate(names, 1))
