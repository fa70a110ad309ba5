"""`qcen prepare`: annotations and frames become a box-only data set."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from qcen_cli import console, options, runs
from qcen_core.errors import InputError, QcenError

SHOWN_PROBLEMS = 10


def prepare(
    annotations: Annotated[
        Path | None,
        typer.Argument(metavar="ANNOTATIONS", help="Annotation file; cutouts: a COCO folder.", show_default=False),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(help="shapes: made on the spot; cutouts: made of COCO images.", show_default=False),
    ] = None,
    frames: Annotated[
        Path | None,
        typer.Option(help="Folder that the frame files are relative to.", show_default="JPEGImages beside the file"),
    ] = None,
    out: Annotated[Path | None, options.out_option("data/<name>")] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the data set.", show_default="that of the data set or the file")
    ] = None,
    holdout: Annotated[float, typer.Option(help="Share of the videos that is held out.", min=0, max=1)] = 0.1,
    seed: options.Seed = 0,
    keep_masks: Annotated[bool, typer.Option("--keep-masks", help="Also keep masks, for --supervision mask.")] = False,
    keep_ids: Annotated[bool, typer.Option("--keep-ids", help="Also keep identities, for box+id.")] = False,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Drop wrong boxes and count them.")] = False,
    level: Annotated[options.Level, typer.Option(help="shapes: how hard the clips are.")] = "standard",
    clips: Annotated[int, typer.Option(help="shapes, cutouts: clips to train on.", min=1)] = 200,
    holdout_clips: Annotated[int, typer.Option(help="shapes, cutouts: clips held out.", min=0)] = 50,
    height: Annotated[int, typer.Option(help="shapes, cutouts: height of a frame in pixels.", min=32)] = 96,
    width: Annotated[int, typer.Option(help="shapes, cutouts: width of a frame in pixels.", min=32)] = 160,
    length: Annotated[int, typer.Option(help="shapes, cutouts: frames of a clip.", min=1)] = 12,
    categories: Annotated[
        int, typer.Option(help="cutouts: so many of the most frequent categories; 0 makes all objects one.", min=0)
    ] = 0,
    check: Annotated[bool, typer.Option("--check", help="Only check; write nothing.")] = False,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
) -> None:
    """Make a box-only data set from your annotations."""
    from qcen_core.conversion.prepare import prepare as prepare_data

    if dataset != "cutouts" and (annotations is None) == (dataset is None):
        raise InputError(
            "give either an annotation file or --dataset",
            hint="e.g. 'qcen prepare instances.json --frames JPEGImages' or 'qcen prepare --dataset shapes'",
        )
    name = name or dataset or (out.name if out else annotations.stem if annotations else "")
    with console.progress("check" if check else "prepare", "videos") as update:
        report = prepare_data(
            dataset=dataset,
            annotations=annotations,
            frames=frames,
            out=out or runs.DATA / name,
            name=name,
            holdout=holdout,
            seed=seed,
            keep_masks=keep_masks,
            keep_ids=keep_ids,
            skip_bad=skip_bad,
            overwrite=overwrite,
            level=level,
            clips=clips,
            holdout_clips=holdout_clips,
            size=(height, width),
            length=length,
            categories=categories,
            check_only=check,
            on_progress=update,
        )
    if as_json:
        console.json_object(
            {
                "videos": report.videos,
                "held_out": report.held_out,
                "frames": report.frames,
                "boxes": report.boxes,
                "categories": list(report.categories),
                "dropped": dict(report.dropped),
                "out": report.out,
            }
        )
    else:
        counts = {
            "videos": report.videos,
            "held out": report.held_out,
            "frames": report.frames,
            "boxes": report.boxes,
            "categories": len(report.categories),
        }
        console.table([[*counts], [str(count) for count in counts.values()]])
        if report.dropped:
            console.table([["wrong" if check else "dropped", "count"], *_counted(report.dropped)])
        for problem in report.problems[:SHOWN_PROBLEMS]:
            console.result(f"{problem.place}: {problem.cause}")
        if len(report.problems) > SHOWN_PROBLEMS:
            console.result(f"... and {len(report.problems) - SHOWN_PROBLEMS} more")
        if not check:
            console.result(f"data: {report.out}")
    if check and report.dropped:
        first = next(problem for problem in report.problems if problem.loses_labels)
        raise QcenError("training would lose labels", hint=f"{first.hint}; or drop what is wrong with --skip-bad")


def _counted(reasons: Mapping[str, int]) -> list[list[str]]:
    return [[reason, str(count)] for reason, count in reasons.items()]
