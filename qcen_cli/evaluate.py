"""`qcen evaluate`: results against ground truth become figures and a report."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qcen_cli import console, options, runs
from qcen_cli.comparison import common_ground_truth, compare_results
from qcen_cli.report_table import FIGURES, show_details, write_figures
from qcen_core.errors import InputError

if TYPE_CHECKING:
    from qcen_core.evaluation.report import EvaluationReport

SUMMARY = "summary.json"
SUBMISSION = "submission.zip"
# What report.json holds for the page alone.
LARGE = {"curves", "confusion", "worst"}


def evaluate(
    results: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="RESULTS",
            help="results.json, or its folder; of several, all are compared with the first.",
            show_default="the latest infer run's",
        ),
    ] = None,
    ground_truth: Annotated[
        Path | None,
        typer.Option("--gt", help="Annotation file to compare with.", show_default="what the infer run was about"),
    ] = None,
    official_quirks: Annotated[
        bool, typer.Option("--official-quirks", help="Follow the official program where it is odd, too.")
    ] = False,
    packed: Annotated[
        bool, typer.Option("--zip", help=f"Check the results and pack them for an evaluation server: {SUBMISSION}.")
    ] = False,
    details: Annotated[
        bool, typer.Option("--details", help="Show figures by length, size, occlusion and twins of objects, too.")
    ] = False,
    out: Annotated[Path | None, options.out_option("beside the results")] = None,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
) -> None:
    """Compare results with ground truth.

    Shows AP and AR, HOTA, and AP by class; writes report.json, report.csv and report.html, anew where they lie beside
    the results.
    With several results it shows how much they differ, with intervals, and writes comparison.json beside the last.
    """
    if out is not None:
        runs.check_out(out, overwrite)
    if not results:
        latest = latest_results(to_score=ground_truth is None)
        runs.tell_choice("results", latest, "written", latest)
        results = [latest]
    files = [results_file(path) for path in results]
    if ground_truth is None:
        ground_truth = common_ground_truth(files, [known_ground_truth(file) for file in files])
        runs.tell_choice("ground truth", ground_truth, "written", ground_truth)
    if len(files) > 1 and (official_quirks or packed or details):
        raise InputError("--official-quirks, --zip and --details are about one results file", hint="name only one")
    if len(files) == 1:
        folder = out or files[0].parent
        with problems_told():
            if packed:
                pack(files[0], ground_truth, folder / SUBMISSION)
            report_results(
                files[0], ground_truth, folder, official_quirks=official_quirks, details=details, as_json=as_json
            )
    else:
        with problems_told():
            compare_results(files, ground_truth, out or files[-1].parent, as_json=as_json)


def report_results(
    results: Path, ground_truth: Path, folder: Path, *, official_quirks: bool, details: bool, as_json: bool
) -> None:
    """Evaluates results, shows the figures and writes the report into a folder."""
    from qcen_cli.report import write_report
    from qcen_core.evaluation.evaluate import evaluate as compare

    report = compare(results, ground_truth, official_quirks=official_quirks)
    supervision = known_supervision(results)
    page = write_report(report, results, ground_truth, folder, supervision)
    write_figures(report, folder / "report.csv")
    for remark in report.notes:
        console.note(f"note: {remark}")
    if as_json:
        figures = {name: value for name, value in report.to_dict().items() if name not in LARGE}
        console.json_object(figures | {"supervision": supervision})
    else:
        show_figures(report)
        if details:
            show_details(report)
        if supervision is not None:
            console.result(f"the weights learned from: {', '.join(supervision)}")
        console.result(f"report: {page}")


def pack(results: Path, ground_truth: Path, archive: Path) -> None:
    """Checks a results file and packs it for an evaluation server; earlier archives of this name are replaced.

    Raises:
        ResultsError: something is wrong with the results; nothing is written.
    """
    from qcen_core.resultfile import write_submission
    from qcen_core.trackfile import read_annotations

    archive.parent.mkdir(parents=True, exist_ok=True)
    write_submission(results, archive, read_annotations(ground_truth))
    console.note(f"submission: {archive}")


@contextmanager
def problems_told() -> Iterator[None]:
    """Tells all that is wrong with a results file, the first problems by their record, before the error of the first.

    Raises:
        ResultsError: the same.
    """
    from qcen_core.resultfile import ResultsError

    try:
        yield
    except ResultsError as error:
        if error.problems.count > 1:
            for line in error.problems.lines():
                console.note(line)
        for remark in error.problems.notes:
            console.note(f"note: {remark}")
        raise


def results_file(path: Path) -> Path:
    """The results file that was named, or that lies in the folder that was named.

    Raises:
        InputError: there is none.
    """
    file = path / "results.json" if path.is_dir() else path
    if not file.is_file():
        raise InputError("no such file", place=file, hint="'qcen infer' writes one into its run folder")
    return file


def latest_results(*, to_score: bool) -> Path:
    """Results of the latest infer run; if they are to be scored as they are, the latest that have a ground truth.

    Raises:
        InputError: there are no results at all.
    """
    if to_score:
        with suppress(InputError):
            return runs.latest_file("infer", "results.json", suits=has_ground_truth)
    return runs.latest_file("infer", "results.json")


def has_ground_truth(results: Path) -> bool:
    """Whether results exist and the summary beside them names a ground truth that is there."""
    try:
        return results.is_file() and known_ground_truth(results).is_file()
    except InputError:
        return False


def known_ground_truth(results: Path) -> Path:
    """The ground truth that the infer run of these results names in its summary.

    Raises:
        InputError: there is no summary, it names none, or the file is gone.
    """
    summary = results.parent / SUMMARY
    hint = "give the annotation file with --gt"
    if not summary.is_file():
        raise InputError("no summary.json beside it tells the ground truth", place=results, hint=hint)
    told = read_summary(summary)
    if told is None:
        raise InputError("is not the summary of an infer run", place=summary, hint=hint)
    named = told.get("ground_truth")
    if not isinstance(named, str):
        raise InputError("the infer run had videos without ground truth", place=results, hint=hint)
    if not Path(named).is_file():
        raise InputError(f"the ground truth {named} is gone", place=summary, hint=hint)
    return Path(named)


def known_supervision(results: Path) -> list[str] | None:
    """Every kind of label that went into the weights of these results; `None` if their summary does not tell it."""
    told = read_summary(results.parent / SUMMARY) or {}
    supervision = told.get("supervision")
    return [str(label) for label in supervision] if isinstance(supervision, list) and supervision else None


def read_summary(summary: Path) -> dict[str, object] | None:
    """What an infer run wrote about itself; `None` if the file is not such a summary."""
    try:
        told = json.loads(summary.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return told if isinstance(told, dict) else None


def show_figures(report: "EvaluationReport") -> None:
    """Prints the figures in percent: of masks, of boxes, of association, then AP by class."""
    masks = {name: console.percent(getattr(report, name)) for name in FIGURES}
    boxes = {
        "box tube AP": report.box["tube_AP"],
        "tube AP50": report.box["tube_AP50"],
        "box frame AP": report.box["frame_AP"],
        "frame AP50": report.box["frame_AP50"],
    }
    found = report.association
    shares = {name: report.hota.get(name) for name in ("HOTA", "DetA", "AssA", "LocA", "IDF1")}
    association = {
        **{name: console.percent(value if isinstance(value, float) else None) for name, value in shares.items()},
        "identity switches": str(report.hota.get("IDSW", found.switches)),
        "linked right": console.percent(found.accuracy),
        "objects matched": console.percent(found.matched),
        "their mean IoU": console.percent(found.mean_iou),
    }
    with_masks = report.measured_on == "mask"
    classes = report.per_class if with_masks else report.box_per_class
    by_class = [[name, console.percent(value)] for name, value in classes.items()]
    tables = [
        [[*masks], [*masks.values()]],
        [[*boxes], [console.percent(value) for value in boxes.values()]],
        [[*association], [*association.values()]],
        [["class", "AP" if with_masks else "box tube AP"], *by_class],
    ]
    for rows in tables if with_masks else tables[1:]:
        console.table(rows)
