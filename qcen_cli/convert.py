"""`qcen convert`: tracks from one form to another."""

from pathlib import Path
from typing import Annotated

import typer

from qcen_cli import console, options
from qcen_core.errors import InputError

Form = Annotated[
    str | None,
    typer.Option(
        "--to",
        metavar="FORM",
        help="frames, results, tracks, davis, mots-png, mots, mot, csv or coco-vid.",
        show_default="told by the name of TARGET",
    ),
]


def convert(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="File or folder of tracks; its content tells how.")],
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="File or folder to write.")],
    to: Form = None,
    like: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Annotation file or prepared data set that states the videos and classes where SOURCE does not.",
        ),
    ] = None,
    conf: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Least score in a frame of what is written; results always hold all.",
            show_default="that of the run in frames.jsonl, else all",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Allow TARGET to exist.")] = False,
    as_json: options.Json = False,
) -> None:
    """Write tracks in another form.

    Forms: frames (frames.jsonl of `qcen infer`), results and tracks (YouTube-VIS), davis (palette PNG),
    mots-png, mots, mot, csv, coco-vid. What the target cannot hold is told, one line each.
    """
    from qcen_core.trackforms.convert import convert as convert_tracks

    if source.resolve() == target.resolve():
        raise InputError("source and target are the same", place=target, hint="write to another place")
    report = convert_tracks(source, target, to=to, like=like, confidence=conf, overwrite=overwrite)
    if as_json:
        console.json_object(
            {
                "target": target,
                "from": report.source_form,
                "to": report.target_form,
                "videos": report.videos,
                "tracks": report.tracks,
                "sightings": report.sightings,
                "lost": list(report.lost),
            }
        )
        return
    for line in report.lost:
        console.note(f"note: {line}")
    console.result(f"{report.target_form}: {target}")
    videos, tracks = console.counted(report.videos, "video"), console.counted(report.tracks, "track")
    console.result(f"{videos}, {tracks}, {console.counted(report.sightings, 'sighting')}")
