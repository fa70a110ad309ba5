"""`qcen evaluate A B`: several results on the same videos, what differs, and how sure that is."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from qcen_cli import console
from qcen_core.errors import InputError

if TYPE_CHECKING:
    from qcen_core.evaluation.compare import Difference, PairedComparison


def compare_results(results: Sequence[Path], ground_truth: Path, folder: Path, *, as_json: bool) -> None:
    """Compares results with the first of them, shows the differences and writes comparison.json and comparison.html.

    Raises:
        InputError: a file cannot be used, or the results do not fit the ground truth or each other.
    """
    from qcen_core.evaluation.compare import compare
    from qcen_core.jsonfile import write_json
    from qcen_core.visualization import html_report
    from qcen_core.visualization.comparison_page import comparison_page

    found = compare(results, ground_truth, [shown_name(path) for path in results])
    told = found[0].to_dict() if len(found) == 1 else {"comparisons": [one.to_dict() for one in found]}
    folder.mkdir(parents=True, exist_ok=True)
    write_json(told, folder / "comparison.json")
    html_report.write(comparison_page(told), folder / "comparison.html")
    for note in dict.fromkeys(note for one in found for note in one.notes):
        console.note(f"note: {note}")
    if as_json:
        console.json_object(told)
        return
    if len(found) == 1:
        show_pair(found[0])
    else:
        show_all(found)
    first = found[0]
    console.result(f"intervals of 95 %: {first.videos} videos drawn anew {first.samples} times, seed {first.seed}")
    console.result(f"comparison: {folder / 'comparison.html'}")


def common_ground_truth(results: Sequence[Path], ground_truths: Sequence[Path]) -> Path:
    """The one ground truth that all results were made for.

    Raises:
        InputError: they were made for different ones.
    """
    for path, ground_truth in zip(results, ground_truths, strict=True):
        if ground_truth.resolve() != ground_truths[0].resolve():
            raise InputError(
                f"these results are of the videos in {ground_truth}, those of {results[0]} in {ground_truths[0]}",
                place=path,
                hint="compare results of the same videos, or give the annotation file of all with --gt",
            )
    return ground_truths[0]


def shown_name(results: Path) -> str:
    """Results by their folder, as runs are known, or by their file where it has a name of its own."""
    return str(results.parent if results.name == "results.json" and results.parent.name else results)


def show_pair(found: "PairedComparison") -> None:
    """Prints figures, and AP of the classes, of two results in percent."""
    for letter, name in zip("ab", found.names, strict=True):
        console.result(f"{letter}: {name}")
    heads = ["a", "b", "b - a", "from", "to", "videos"]
    console.table([["masks" if found.measured_on == "mask" else "boxes", *heads], *_rows(found.figures)])
    console.table([["AP of class", *heads], *_rows(found.per_class)])
    differences = [video.difference for video in found.per_video.values() if video.difference is not None]
    better, worse = sum(value > 0 for value in differences), sum(value < 0 for value in differences)
    console.result(f"objects are covered better by b in {console.counted(better, 'video')}, by a in {worse}")


def show_all(found: Sequence["PairedComparison"]) -> None:
    """Prints figures of all results, each in percent and less those of the first, with the interval."""
    figures = [*found[0].figures]
    rows = [
        [found[0].names[0], *(cell for name in figures for cell in (console.percent(found[0].figures[name].a), ""))]
    ]
    for one in found:
        cells = ((console.percent(one.figures[name].b), _with_interval(one.figures[name])) for name in figures)
        rows.append([one.names[1], *(cell for pair in cells for cell in pair)])
    console.table([["results", *(head for name in figures for head in (name, "less the first"))], *rows])


def _rows(differences: dict[str, "Difference"]) -> list[list[str]]:
    return [
        [
            name,
            console.percent(row.a),
            console.percent(row.b),
            *(_signed(value) for value in (row.difference, row.low, row.high)),
            str(row.videos),
        ]
        for name, row in differences.items()
    ]


def _with_interval(row: "Difference") -> str:
    return (
        _signed(row.difference)
        if row.low is None
        else f"{_signed(row.difference)} ({_signed(row.low)} to {_signed(row.high)})"
    )


def _signed(share: float | None) -> str:
    """A share in percent with its sign; what rounds to nothing has none."""
    text = "-" if share is None else f"{100 * share:+.1f}"
    return "0.0" if text in {"+0.0", "-0.0"} else text
