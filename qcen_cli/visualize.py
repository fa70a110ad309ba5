"""`qcen visualize`: a data set, a run or results become pictures and one page to look at."""

from pathlib import Path
from typing import Annotated

import typer

from qcen_cli import console, options, runs
from qcen_core.errors import InputError


def visualize(
    target: Annotated[
        Path | None,
        typer.Argument(
            metavar="TARGET", help="Prepared data set, run folder or results.json.", show_default="the latest run"
        ),
    ] = None,
    ground_truth: Annotated[
        Path | None, typer.Option("--gt", help="Annotation file to draw beside results.", show_default="the run's")
    ] = None,
    frames: Annotated[
        Path | None, typer.Option(help="Folder that its frame files are relative to.", show_default="the run's")
    ] = None,
    out: Annotated[Path | None, options.out_option("runs/visualize/<n>")] = None,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
) -> None:
    """Draw a data set, a run or results as one page.

    Contact sheets and statistics; results beside their ground truth, the worst first; curves and samples of training.
    """
    if target is None:
        target = runs.latest_run("train", "infer")
        runs.tell_choice("target", target, "written", target)
    elif not target.exists():
        raise InputError("no such file or folder", place=target, hint="give data/<name>, a run folder or results.json")
    from qcen_core.visualization.visualize import visualize as draw

    with runs.run_folder("visualize", out, overwrite) as folder:
        outputs = draw(target, folder, ground_truth=ground_truth, frames_root=frames)
    if as_json:
        console.json_object({"outputs": dict(outputs)})
        return
    for kind, path in outputs.items():
        console.result(f"{kind}: {path}")
