"""`qcen evaluate`: results against ground truth become figures and a report."""

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qcen_cli import console, options, runs
from qcen_core.errors import InputError

if TYPE_CHECKING:
    from qcen_core.evaluation.report import EvaluationReport

SUMMARY = "summary.json"
FIGURES = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")


def evaluate(
    results: Annotated[
        Path | None,
        typer.Argument(metavar="RESULTS", help="results.json, or its folder.", show_default="the latest infer run's"),
    ] = None,
    ground_truth: Annotated[
        Path | None,
        typer.Option("--gt", help="Annotation file to compare with.", show_default="what the infer run was about"),
    ] = None,
    out: Annotated[Path | None, options.out_option("beside the results")] = None,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
) -> None:
    """Compare results with ground truth.

    Shows AP and AR, and AP by class; writes report.json and report.html, anew where they lie beside the results.
    """
    if out is not None:
        runs.check_out(out, overwrite)
    if results is None:
        results = latest_results(to_score=ground_truth is None)
        runs.tell_choice("results", results, "written", results)
    elif results.is_dir():
        results = results / "results.json"
    if not results.is_file():
        raise InputError("no such file", place=results, hint="'qcen infer' writes one into its run folder")
    if ground_truth is None:
        ground_truth = known_ground_truth(results)
        runs.tell_choice("ground truth", ground_truth, "written", ground_truth)
    from qcen_cli.report import write_report
    from qcen_core.evaluation.evaluate import evaluate as compare

    report = compare(results, ground_truth)
    supervision = known_supervision(results)
    page = write_report(report, results, ground_truth, out or results.parent, supervision)
    if as_json:
        figures = {name: value for name, value in report.to_dict().items() if name != "curves"}
        console.json_object(figures | {"supervision": supervision})
    else:
        show_figures(report)
        if supervision is not None:
            console.result(f"the weights learned from: {', '.join(supervision)}")
        console.result(f"report: {page}")


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
        raise InputError("these results are of a video without ground truth", place=results, hint=hint)
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
    association = {
        "linked right": console.percent(found.accuracy),
        "identity switches": str(found.switches),
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
