"""From result files to the table of a benchmark: as text for the documents, for the terminal, and as JSON."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.table import Table as TerminalTable

from benchmarks.learning_result import Result, changed, read_result, result_path
from benchmarks.learning_rows import Benchmark, Row, experiments, row_config, rows_of
from benchmarks.learning_statistics import BySeed, Cell, difference, over_seeds, ratio
from qcen_core.errors import InputError

FIGURES = {
    "AP": "AP",
    "AP50": "AP50",
    "AP75": "AP75",
    "mask_iou": "mask IoU",
    "association": "linked right",
    "AP_queries": "AP, queries alone",
    "association_queries": "linked by queries alone",
}
BASELINE, MASK, MASK_AND_ID = "box", "mask", "mask+id"
# Rows are compared under both trackers: by queries alone, and with mask overlap, as `infer` tracks by default.
TRACKERS = {"AP_queries": "queries alone", "AP": "with overlap"}
COMPARISONS = {
    f"{kind}_{figure}": f"{text}, {tracker}"
    for figure, tracker in TRACKERS.items()
    for kind, text in (
        ("over_box", f"over `{BASELINE}`"),
        ("of_mask", f"of `{MASK}`"),
        ("of_mask_id", f"of `{MASK_AND_ID}`"),
    )
}
FEW_SEEDS = 3
NOTHING = "-"

Results = dict[str, dict[int, Result]]


@dataclass(frozen=True, slots=True)
class Line:
    """A row with its figures in percent, differences in points, ratios as they are."""

    row: Row
    trained_as: str
    seeds: int
    cells: dict[str, Cell | None]


@dataclass(frozen=True, slots=True)
class Table:
    """The table of a benchmark.

    Attributes:
        benchmark: the task.
        lines: rows with at least one result.
        missing: names of the rows without one.
        stale: result files that were made otherwise than they would be now, and are left out.
        results: what it was made from, by row and seed.
    """

    benchmark: Benchmark
    lines: tuple[Line, ...]
    missing: tuple[str, ...]
    stale: tuple[str, ...]
    results: Results


def make_table(benchmark: Benchmark, results: Path, names: tuple[str, ...] = (), extra: tuple[str, ...] = ()) -> Table:
    """Read the results of a benchmark and compare its rows.

    Args:
        benchmark: the task.
        results: folder of the result files.
        names: rows; by default those of the benchmark.
        extra: overrides that all its runs were made with.

    Raises:
        InputError: a result file cannot be used, or two were measured on different data.
    """
    rows, same_as = rows_of(benchmark, names), experiments(benchmark)
    own = {row.name: same_as[row].name for row in rows}
    # Rows to compare with are read even where they are not asked for.
    read = (*rows, *rows_of(benchmark, (BASELINE, MASK, MASK_AND_ID)))
    found, stale = _read(benchmark, tuple(dict.fromkeys(same_as[row] for row in read)), results, extra)
    _require_same_data(found)
    lines = tuple(_line(row, own[row.name], found) for row in rows if found.get(own[row.name]))
    missing = tuple(row.name for row in rows if not found.get(own[row.name]))
    return Table(benchmark, lines, missing, tuple(stale), found)


def values(results: Results, row: str, figure: str) -> dict[int, float]:
    """A figure of a row by seed; seeds for which it is undefined are left out."""
    by_seed = {seed: result.figures.get(figure) for seed, result in results.get(row, {}).items()}
    return {seed: value for seed, value in by_seed.items() if value is not None}


def markdown(table: Table) -> str:
    """The figures, the comparisons, and what has to be known about them below."""
    parts = (_markdown_part(table, names) for names in (FIGURES, COMPARISONS))
    return "\n\n".join([*("\n".join(part) for part in parts), *notes(table)])


def _markdown_part(table: Table, names: Mapping[str, str]) -> list[str]:
    """The lines of a table with some of the cells."""
    head = ["row", "", *names.values(), "seeds"]
    text = [_markdown_line(head), _markdown_line(["---", "---", *["---:"] * (len(head) - 2)])]
    section = ""
    for line in table.lines:
        if line.row.section != section:
            section = line.row.section
            text.append(_markdown_line([f"*{section}*", *[""] * (len(head) - 1)]))
        text.append(_markdown_line([f"`{line.row.name}`", line.row.label, *cell_texts(line, names), str(line.seeds)]))
    return text


def terminal(table: Table) -> tuple[TerminalTable, TerminalTable]:
    """Figures and comparisons for the terminal."""
    figures, comparisons = (_terminal_part(table, names) for names in (FIGURES, COMPARISONS))
    return figures, comparisons


def _terminal_part(table: Table, names: Mapping[str, str]) -> TerminalTable:
    shown = TerminalTable(title=table.benchmark.title)
    shown.add_column("row", no_wrap=True)
    for name in names.values():
        shown.add_column(name.replace("`", ""), justify="right")
    for place, line in enumerate(table.lines):
        last = place + 1 == len(table.lines) or table.lines[place + 1].row.section != line.row.section
        shown.add_row(line.row.name, *cell_texts(line, names), end_section=last)
    return shown


def cell_texts(line: Line, names: Iterable[str]) -> list[str]:
    """Some of the line's cells as text."""
    return [cell_text(line.cells[name], digits=3 if name.startswith("of_") else 1) for name in names]


def cell_text(cell: Cell | None, digits: int) -> str:
    """`mean ± spread`, and how many seeds there are where they are few."""
    if cell is None:
        return NOTHING
    spread = "" if cell.spread is None else f" ± {cell.spread:.{digits}f}"
    return f"{cell.mean:.{digits}f}{spread}" + (f" ({cell.seeds})" if cell.seeds < FEW_SEEDS else "")


def notes(table: Table) -> list[str]:
    """What was measured, how and where, as sentences."""
    results = [result for by_seed in table.results.values() for result in by_seed.values()]
    if not results:
        return ["No results yet."]
    first, clips = results[0], table.benchmark.training.clips
    minutes = [result.seconds["training"] / 60 for result in results]
    machines = {_machine(result) for result in results}
    revisions = {name[:8] + "+" * name.endswith("+") for result in results for name in result.revisions}
    steps, tested = first.configuration["train.steps"], first.test["clips"]
    sentences = [
        f"{clips} training clips, {steps} steps of recipe `{first.recipe}`, {tested} test clips.",
        "Mean ± standard deviation over seeds, accuracies in percent.",
        "Ratios are those of the means, their spread is that of the ratios of equal seeds.",
        f"{min(minutes):.0f} to {max(minutes):.0f} minutes of training a run ({'; '.join(sorted(machines))}).",
        f"Revisions {', '.join(sorted(revisions))}.",
    ]
    aliases = [f"`{line.row.name}` is `{line.trained_as}`" for line in table.lines if line.row.name != line.trained_as]
    if aliases:
        sentences.append(f"The same experiment by two names: {', '.join(aliases)}.")
    if table.missing:
        sentences.append(f"Not run yet: {', '.join(f'`{name}`' for name in table.missing)}.")
    return [" ".join(sentences)]


def summary(table: Table) -> dict[str, object]:
    """The table as one JSON object."""
    return {
        "benchmark": table.benchmark.name,
        "recipe": table.benchmark.recipe,
        "overrides": list(table.benchmark.overrides),
        "missing": list(table.missing),
        "rows": {
            line.row.name: {
                "label": line.row.label,
                "trained_as": line.trained_as,
                "level": line.row.level,
                "seeds": sorted(table.results[line.trained_as]),
                "cells": {name: None if cell is None else asdict(cell) for name, cell in line.cells.items()},
            }
            for line in table.lines
        },
    }


def put_between(text: str, name: str, block: str) -> str:
    """Replace what stands between the markers of a table; without markers the table is added at the end.

    Args:
        text: a document.
        name: of the table.
        block: its new text.
    """
    opening, closing = f"<!-- table {name} -->", "<!-- end -->"
    new = f"{opening}\n{block}\n{closing}"
    before, found, rest = text.partition(opening)
    if not found:
        return f"{text.rstrip()}\n\n{new}\n"
    _, closed, after = rest.partition(closing)
    if not closed:
        raise InputError(f"the table {name} has no end", hint=f"add the line {closing}")
    return before + new + after


def _read(
    benchmark: Benchmark, rows: Sequence[Row], results: Path, extra: tuple[str, ...]
) -> tuple[Results, list[str]]:
    found: Results = {}
    stale = []
    for row in rows:
        for path in sorted((results / benchmark.name).glob(f"{row.name}-seed*.json")):
            result = read_result(path)
            if path != result_path(results, benchmark.name, result.row, result.seed):
                raise InputError(f"holds row {result.row}, seed {result.seed}", place=path, hint="rename it back")
            if changed(result.configuration, result.chosen, row_config(benchmark, row, result.seed, extra)):
                stale.append(path.name)
            else:
                found.setdefault(row.name, {})[result.seed] = result
    return found, stale


def _require_same_data(results: Results) -> None:
    hashes = {str(sorted(r.data.items())): r for by_seed in results.values() for r in by_seed.values()}
    if len(hashes) > 1:
        names = " and ".join(f"{result.row}-seed{result.seed}" for result in list(hashes.values())[:2])
        raise InputError(f"{names} were measured on different clips", hint="run one of them again with --redo")


def _line(row: Row, own: str, results: Results) -> Line:
    cells: dict[str, Cell | None] = {figure: over_seeds(_percent(values(results, own, figure))) for figure in FIGURES}
    for figure in TRACKERS:
        of = {name: _percent(values(results, name, figure)) for name in (own, BASELINE, MASK, MASK_AND_ID)}
        # A row is not compared with itself.
        cells[f"over_box_{figure}"] = difference(of[own], of[BASELINE]) if own != BASELINE else None
        cells[f"of_mask_{figure}"] = ratio(of[own], of[MASK]) if own != MASK else None
        cells[f"of_mask_id_{figure}"] = ratio(of[own], of[MASK_AND_ID]) if own != MASK_AND_ID else None
    return Line(row, own, len(results[own]), cells)


def _machine(result: Result) -> str:
    processor = f"{result.machine['cpu']}, {result.machine['threads']} thread"
    gpu = result.machine.get("gpu", "none")
    return f"{processor if gpu == 'none' else gpu}, torch {result.machine['torch']}"


def _percent(shares: BySeed) -> Mapping[int, float]:
    return {seed: 100 * share for seed, share in shares.items()}


def _markdown_line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
