"""`qcen prepare`: annotations and frames become a box-only data set."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qcen_cli import console, options, runs
from qcen_core.errors import InputError, QcenError

if TYPE_CHECKING:
    from qcen_core.conversion.prepare import PrepareReport
    from qcen_core.records import BoxDataset

SHOWN_PROBLEMS = 5  # of each kind
SHOWN_CATEGORIES = 12
SHEET = "contact_sheet.png"
USUAL_NAMES = ("annotations", "data", "gt", "instances", "labels", "tasks", "train")


def prepare(
    annotations: Annotated[
        Path | None,
        typer.Argument(
            metavar="ANNOTATIONS",
            help="File or folder: YouTube-VIS, COCO, COCO-VID, CVAT, MOT, YOLO, Label Studio; told by its content.",
            show_default=False,
        ),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            help="ytvis2019, ytvis2021, ovis: found as downloaded; coco: images become clips; cutouts: made of COCO "
            "images; shapes: made on the spot.",
            show_default=False,
        ),
    ] = None,
    source: Annotated[
        Path | None, typer.Option(help="Folder or zip of --dataset.", show_default="datasets/<dataset>")
    ] = None,
    frames: Annotated[
        Path | None,
        typer.Option(
            help="Folder of frames, of such folders or of video files, or a video file.",
            show_default="beside the annotations",
        ),
    ] = None,
    out: Annotated[Path | None, options.out_option("data/<name>")] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the data set.", show_default="that of the data set, file or folder")
    ] = None,
    holdout: Annotated[float, typer.Option(help="Share of the videos that is held out.", min=0, max=1)] = 0.1,
    seed: options.Seed = 0,
    keep_masks: Annotated[bool, typer.Option("--keep-masks", help="Also keep masks, for --supervision mask.")] = False,
    keep_ids: Annotated[bool, typer.Option("--keep-ids", help="Also keep identities, for box+id.")] = False,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Drop wrong boxes and count them.")] = False,
    no_verify: Annotated[
        bool, typer.Option("--no-verify", help="Take frame files on trust; read the annotations only.")
    ] = False,
    level: Annotated[
        options.Level | None, typer.Option(help="shapes: how hard the clips are.", show_default="standard")
    ] = None,
    clips: Annotated[
        int | None,
        typer.Option(
            help="shapes, cutouts: clips to train on; coco: images to use.", min=1, show_default="200, or all"
        ),
    ] = None,
    holdout_clips: Annotated[
        int | None, typer.Option(help="shapes, cutouts: clips held out.", min=0, show_default="50")
    ] = None,
    height: Annotated[int, typer.Option(help="shapes, cutouts: height of a frame in pixels.", min=32)] = 96,
    width: Annotated[int, typer.Option(help="shapes, cutouts: width of a frame in pixels.", min=32)] = 160,
    length: Annotated[int, typer.Option(help="shapes, cutouts, coco: frames of a clip.", min=1)] = 12,
    categories: Annotated[
        int, typer.Option(help="cutouts: so many of the most frequent categories; 0 makes all objects one.", min=0)
    ] = 0,
    check: Annotated[bool, typer.Option("--check", help="Only check; write nothing.")] = False,
    sheet: Annotated[
        Path | None,
        typer.Option(help="Contact sheet with boxes drawn, a PNG; with --check, too.", show_default=f"<out>/{SHEET}"),
    ] = None,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
) -> None:
    """Make a box-only data set from your labels or a published set."""
    from qcen_core.conversion.prepare import prepare as prepare_data

    if annotations is None and dataset is None:
        raise InputError(
            "give either an annotation file or --dataset",
            hint="e.g. 'qcen prepare instances.json --frames JPEGImages' or 'qcen prepare --dataset shapes'",
        )
    made = {"--level": level, "--clips": clips, "--holdout-clips": holdout_clips}
    idle = [option for option, value in made.items() if value is not None]
    if idle and dataset not in ("shapes", "cutouts", "coco"):
        raise InputError(f"{idle[0]} is for data sets that are made", hint="leave it away, or see --dataset")
    if source is not None and (annotations is not None or dataset is None):
        raise InputError("--source is the place of a --dataset", hint="name own annotations without --source")
    if frames is not None and dataset not in (None, "coco", "cutouts"):
        raise InputError(
            f"--frames says nothing about {dataset}", hint="leave it away; --source is the place of a --dataset"
        )
    name = name or dataset or (out.name if out else _name(annotations) if annotations else "")
    if not name or Path(name).name != name:
        raise InputError(f"'{name}' is no name for a data set", hint="pass --name, a word without slashes")
    folder = out or runs.DATA / name
    drawing = _Drawing(name, sheet, overwrite)
    with console.progress("check" if check else "prepare", "videos") as update:
        report = prepare_data(
            dataset=dataset,
            annotations=annotations,
            source=source,
            frames=frames,
            out=folder,
            name=name,
            holdout=holdout,
            seed=seed,
            keep_masks=keep_masks,
            keep_ids=keep_ids,
            skip_bad=skip_bad,
            verify=not no_verify,
            overwrite=overwrite,
            level=level or "standard",
            clips=clips,
            holdout_clips=holdout_clips,
            size=(height, width),
            length=length,
            categories=categories,
            check_only=check,
            on_progress=update,
            on_preview=drawing.draw if sheet is not None or not check else None,
        )
    for line in report.notes:
        console.note(line)
    drawn = drawing.write(folder / SHEET)
    if as_json:
        console.json_object(_as_json(report, drawn))
    else:
        _print(report, drawn, check)
    if check and report.dropped:
        first = next(problem for problem in report.problems if problem.loses_labels)
        hint = f"{first.hint}; or drop what is wrong with --skip-bad"
        raise QcenError(f"training would lose labels, first of all: {first.cause}", place=first.place, hint=hint)


def _name(annotations: Path) -> str:
    """What annotations are called: the file's name, or its folder's where the file is called as all are."""
    path = annotations.absolute()
    return path.parent.name if path.is_file() and path.stem.lower() in USUAL_NAMES else path.stem


class _Drawing:
    """The contact sheet: drawn while the frames are there, written when all went well."""

    def __init__(self, title: str, path: Path | None, overwrite: bool) -> None:
        if path is not None and path.suffix.lower() != ".png":
            raise InputError("a contact sheet is a .png file", place=path, hint="call it so")
        if path is not None and path.exists() and not overwrite:
            raise InputError("there already", place=path, hint="give --sheet another name, or pass --overwrite")
        self._title = title
        self._path = path
        self._sheet: Any = None

    def draw(self, dataset: "BoxDataset") -> None:
        from qcen_core.visualization.dataset_sheet import dataset_sheet

        try:
            self._sheet = dataset_sheet(dataset, title=self._title)
        except InputError as error:  # only where frames are taken on trust
            console.note(f"no contact sheet: {error.line()}")

    def write(self, usual_path: Path) -> Path | None:
        from qcen_core.visualization.dataset_sheet import write_sheet

        if self._sheet is None:
            return None
        path = self._path or usual_path
        write_sheet(self._sheet, path)
        return path


def _as_json(report: "PrepareReport", sheet: Path | None) -> dict[str, Any]:
    density = report.density
    return {
        "videos": report.videos,
        "held_out": report.held_out,
        "frames": report.frames,
        "boxes": report.boxes,
        "categories": list(report.categories),
        "per_category": {name: {"boxes": b, "videos": v} for name, (b, v) in report.categories.items()},
        "density": {
            "labelled_frames": density.labelled,
            "empty_frames": density.empty,
            "unlabelled_frames": density.unlabelled,
            "boxes_per_frame": density.boxes_per_frame,
            "most_boxes": density.most_boxes,
        },
        "inference": report.inference,
        "dropped": dict(report.dropped),
        "lost_boxes": dict(report.lost_boxes),
        "notes": list(report.notes),
        "problems": [
            {"kind": p.kind, "place": p.place, "cause": p.cause, "hint": p.hint, "loses_labels": p.loses_labels}
            for p in report.problems
        ],
        "sheet": sheet,
        "out": report.out,
    }


def _print_problems(report: "PrepareReport") -> None:
    """A few of each kind, those that lose labels first."""
    kinds = dict.fromkeys(p.kind for p in sorted(report.problems, key=lambda problem: not problem.loses_labels))
    for kind in kinds:
        found = [problem for problem in report.problems if problem.kind == kind]
        for problem in found[:SHOWN_PROBLEMS]:
            advice = f" ({problem.hint})" if problem.loses_labels else ""
            console.result(f"{problem.place}: {problem.cause}{advice}")
        if len(found) > SHOWN_PROBLEMS:
            console.result(f"... and {len(found) - SHOWN_PROBLEMS} more of the kind '{kind}'; all of them with --json")


def _print(report: "PrepareReport", sheet: Path | None, check: bool) -> None:
    density = report.density
    counts = {
        "videos": report.videos,
        "held out": report.held_out,
        "frames": report.frames,
        "boxes": report.boxes,
        "categories": len(report.categories),
    }
    console.table([[*counts], [str(count) for count in counts.values()]])
    frames = {
        "labelled frames": density.labelled,
        "empty": density.empty,
        "unlabelled": density.unlabelled,
        "boxes a frame": density.boxes_per_frame,
        "most": density.most_boxes,
    }
    console.table([[*frames], [f"{value:,.6g}" for value in frames.values()]])
    ranked = sorted(report.categories.items(), key=lambda item: -item[1][0])
    shown = [[category, str(boxes), str(videos)] for category, (boxes, videos) in ranked[:SHOWN_CATEGORIES]]
    if shown:
        console.table([["category", "boxes", "videos"], *shown])
    if len(ranked) > SHOWN_CATEGORIES:
        console.result(f"... and {len(ranked) - SHOWN_CATEGORIES} more categories\n")
    if report.dropped:
        console.table(
            [
                ["wrong" if check else "dropped", "count", "boxes"],
                *([why, str(count), str(report.lost_boxes.get(why, 0))] for why, count in report.dropped.items()),
            ]
        )
    _print_problems(report)
    for split, videos in report.inference.items():
        console.result(f"{split}: {videos} videos without labels, to run a model on")
    if sheet is not None:
        console.result(f"sheet: {sheet}")
    if report.out is not None:
        console.result(f"data: {report.out}")
