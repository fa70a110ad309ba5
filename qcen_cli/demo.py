"""`qcen demo`: the whole chain on made-up clips, from nothing, on any machine."""

from pathlib import Path
from typing import Annotated

import typer

from qcen_cli import options


def demo(
    out: Annotated[Path | None, options.out_option("runs/demo/<n>")] = None,
    seed: options.Seed = 0,
    steps: Annotated[int | None, typer.Option(help="Training steps.", min=1, show_default="the recipe's")] = None,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
) -> None:
    """Run the whole chain on a made-up data set.

    Makes clips, trains on their boxes alone, infers and evaluates; ends with AP, a video and a report.
    """
