"""`report.csv`: the figures of an evaluation, a row each, for spreadsheets; and the tables of `--details`."""

import csv
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from qcen_cli import console

if TYPE_CHECKING:
    from qcen_core.evaluation.report import EvaluationReport

FIGURES = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")
TRACKING = ("HOTA", "DetA", "AssA", "LocA", "DetRe", "DetPr", "AssRe", "AssPr", "IDF1", "IDP", "IDR", "IDSW")
Row = tuple[str, str, object]


def write_figures(report: "EvaluationReport", path: Path) -> None:
    """Writes `name,class,value`: shares from 0 to 1, and numbers; a value that is undefined is left empty.

    Figures of one class come last, with its name; those of all have none.
    """
    from qcen_core.jsonfile import write_whole

    text = StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("name", "class", "value"))
    table.writerows([*_overall(report), *_by_class(report)])
    write_whole(text.getvalue().encode(), path)


def _overall(report: "EvaluationReport") -> Iterator[Row]:
    for name in FIGURES:
        yield name, "", getattr(report, name)
    for name, value in [*report.occlusion.items(), *((f"box {name}", value) for name, value in report.box.items())]:
        yield name, "", value
    yield "linked right", "", report.association.accuracy
    yield "objects matched", "", report.association.matched
    yield "mean IoU of matched", "", report.association.mean_iou
    for name in TRACKING:
        yield name, "", report.hota.get(name)
    for quality, bands in report.breakdown.items():
        for band in bands:
            for name in ("objects", "AP", "AP50", "AR100"):
                yield f"{name} by {quality}: {band['label']}", "", band[name]
    if report.errors is not None:
        for kind, gain in report.errors.gains.items():
            yield f"AP50 lost by {kind}", "", gain
            yield f"errors of {kind}", "", report.errors.counts[kind]
    yield "calibration error", "", report.calibration.get("ece")


def _by_class(report: "EvaluationReport") -> Iterator[Row]:
    tables = {
        "AP": report.per_class,
        "AR100": report.per_class_recall,
        "box tube_AP": report.box_per_class,
        "HOTA": report.per_class_hota,
    }
    for name, values in tables.items():
        for kind, value in values.items():
            yield name, kind, value


def show_details(report: "EvaluationReport") -> None:
    """Prints what each kind of error costs, HOTA by class, then AP of groups of objects, in percent."""
    if report.errors is not None:
        counts, gains = report.errors.counts, report.errors.gains
        kinds = [[kind, str(counts[kind]), console.percent(gain)] for kind, gain in gains.items()]
        console.table([["errors", "number", "AP50 lost"], *kinds])
    by_class = [[name, console.percent(value)] for name, value in report.per_class_hota.items()]
    console.table([["class", "HOTA"], *by_class])
    for quality, bands in report.breakdown.items():
        rows = [[str(band["label"]), str(band["objects"]), *_percents(band)] for band in bands if band["objects"]]
        unit = ", frames" if quality == "length" else ""
        console.table([[f"by {quality}{unit}", "objects", "AP", "AP50", "AR100"], *rows])
    error = report.calibration["ece"]
    if isinstance(error, float):
        console.result(f"scores are {console.percent(error)} points off the share of right results on average")


def _percents(band: dict[str, object]) -> list[str]:
    values = [band[name] for name in ("AP", "AP50", "AR100")]
    return [console.percent(value if isinstance(value, float) else None) for value in values]
