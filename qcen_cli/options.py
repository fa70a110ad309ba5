"""Options that several commands share."""

from pathlib import Path
from typing import Annotated, Literal

import typer

Supervision = Literal["box", "box+id", "mask", "mask+id"]
Tracker = Literal["memory", "minvis"]
Level = Literal["easy", "standard", "hard"]

Version = Annotated[bool, typer.Option("--version", help="Print the version.")]
Debug = Annotated[bool, typer.Option("--debug", help="With any command: show the traceback of an error.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else there.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Allow --out to be a place that is not empty.")]
Seed = Annotated[int, typer.Option(help="Seed of everything random.", min=0)]
Data = Annotated[
    Path | None,
    typer.Option(help="Folder of a prepared data set.", show_default="the only one under data/"),
]


def out_option(default: str) -> typer.models.OptionInfo:
    """The option --out, whose default is a place that is made up when the command runs."""
    option: typer.models.OptionInfo = typer.Option(help="Folder to write into.", show_default=default)
    return option
