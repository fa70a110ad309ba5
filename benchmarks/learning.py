"""What boxes, masks and identities teach: trains every row of a benchmark over several seeds and draws up its table.

    python -m benchmarks.learning list
    python -m benchmarks.learning run --benchmark shapes_standard --jobs 2
    python -m benchmarks.learning table

A finished run leaves a small JSON file in `benchmarks/results/` and is not done again; an interrupted one goes on.
"""

import re
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.command_line import console, run_app
from benchmarks.learning_data import make_data
from benchmarks.learning_plots import draw_plots
from benchmarks.learning_queue import LOG, Event, Job, is_done, ordered_runs, start_worker, work_off
from benchmarks.learning_result import result_path
from benchmarks.learning_rows import BENCHMARKS, benchmark_of, experiments, row_config, rows_of, run_overrides
from benchmarks.learning_table import make_table, markdown, put_between, summary, terminal
from qcen_core.errors import InputError, QcenError
from qcen_core.jsonfile import write_json

RESULTS = Path(__file__).resolve().parent / "results"
DOCS = Path(__file__).resolve().parents[1] / "docs"
WORK = Path("runs/learning")
INTERRUPTED = 130
STATUS_EVERY = 60.0  # seconds

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__, rich_markup_mode=None)


class Reporter:
    """Tells what happens to the runs, and now and then how far they are."""

    def __init__(self) -> None:
        self.told = time.monotonic()
        self.steps: dict[str, str] = {}

    def __call__(self, event: Event) -> None:
        """Hear of an event."""
        run = Path(event.job.run)
        if event.kind == "working":
            self.steps[event.job.name] = last_step(run)
            if time.monotonic() - self.told >= STATUS_EVERY:
                self.told = time.monotonic()
                at = ", ".join(f"{name} {step}" for name, step in self.steps.items())
                console.print(f"{clock()}  {at}; {event.left} to do", highlight=False)
            return
        self.steps.pop(event.job.name, None)
        console.print(f"{clock()}  {event.kind:8} {event.job.name}; {event.left} to do", highlight=False)
        if event.kind == "failed":
            console.print((run / LOG).read_text(encoding="utf-8", errors="replace")[-2000:], markup=False)


def clock() -> str:
    return time.strftime("%H:%M:%S")


def last_step(run: Path) -> str:
    """The step that a run has reached, as its metrics tell."""
    file = run / "metrics.csv"
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    return f"step {lines[-1].partition(',')[0]}" if len(lines) > 1 else "starting"


@app.command("list")
def list_tables() -> None:
    """Benchmarks and rows, by name."""
    for benchmark in BENCHMARKS:
        rows = " ".join(row.name for row in rows_of(benchmark))
        console.print(f"[bold]{benchmark.name}[/]  {benchmark.title}; {benchmark.recipe}; {rows}", highlight=False)
    for row, own in experiments(BENCHMARKS[0]).items():
        note = "" if own is row else f" (the same as {own.name})"
        console.print(f"  {row.name:12} {row.level:8} {row.label}{note}", highlight=False)


@app.command()
def run(
    benchmark: Annotated[str, typer.Option(help="its name; see `list`")],
    rows: Annotated[str, typer.Option(help="names with commas between; by default all of the benchmark")] = "",
    seeds: Annotated[str, typer.Option(help="numbers with commas between")] = "0,1,2",
    jobs: Annotated[int, typer.Option(help="runs side by side, each on one core", min=1)] = 2,
    work: Annotated[Path, typer.Option(help="folder for data sets and runs")] = WORK,
    results: Annotated[Path, typer.Option(help="folder of the result files")] = RESULTS,
    coco: Annotated[Path | None, typer.Option(help="COCO folder, for cutouts")] = None,
    gpu: Annotated[bool, typer.Option("--gpu", help="all runs share the GPU instead of a core each")] = False,
    set_: Annotated[list[str] | None, typer.Option("--set", help="section.key=value for all rows, to try")] = None,
    redo: Annotated[bool, typer.Option("--redo", help="train again what was made with other settings")] = False,
    anew: Annotated[bool, typer.Option("--anew", help="forget all results and states of these rows and seeds")] = False,
) -> None:
    """Train and evaluate what is missing."""
    task = benchmark_of(benchmark)
    extra = tuple(set_ or ())
    wanted = ordered_runs(task, rows_of(task, words(rows)), [int(word) for word in words(seeds)])
    configs = [row_config(task, row, seed, extra) for row, seed in wanted]  # wrong overrides show before data are made
    folder = (work / task.name).resolve()
    console.print(f"{clock()}  data in {folder}", highlight=False)
    data = make_data(task, folder, coco)
    missing = []
    for (row, seed), config in zip(wanted, configs, strict=True):
        path = result_path(results.resolve(), task.name, row.name, seed)
        job = Job(
            benchmark=task.name,
            row=row.name,
            seed=seed,
            recipe=task.recipe,
            overrides=list(run_overrides(task, row, seed, extra, gpus=int(gpu))),
            training=str(data.training),
            test=str(data.test),
            hashes=data.hashes,
            run=str(folder / "runs" / f"{row.name}-seed{seed}"),
            result=str(path),
            device="cuda" if gpu else "cpu",
        )
        if anew:
            path.unlink(missing_ok=True)
            shutil.rmtree(job.run, ignore_errors=True)
        if not is_done(job, config, redo=redo):
            missing.append(job)
    console.print(f"{clock()}  {len(wanted) - len(missing)} of {len(wanted)} runs are done", highlight=False)
    for number in (signal.SIGINT, signal.SIGTERM):  # in the background of a shell, interrupts would be ignored
        signal.signal(number, signal.default_int_handler)
    try:
        failed = work_off(missing, jobs, start_worker, Reporter())
    except KeyboardInterrupt:
        console.print("interrupted; the same command goes on")
        raise typer.Exit(INTERRUPTED) from None
    if failed:
        raise QcenError(f"{len(failed)} runs failed: " + ", ".join(job.name for job in failed), hint=f"see their {LOG}")


@app.command("table")
def draw_table(
    benchmark: Annotated[str, typer.Option(help="its name; by default all that have results")] = "",
    rows: Annotated[str, typer.Option(help="names with commas between; by default all of the benchmark")] = "",
    results: Annotated[Path, typer.Option(help="folder of the result files")] = RESULTS,
    docs: Annotated[Path, typer.Option(help="folder with results.md, and images beside it")] = DOCS,
    set_: Annotated[list[str] | None, typer.Option("--set", help="what the runs were tried with")] = None,
) -> None:
    """Draw up tables and plots from the result files; nothing is trained."""
    names = [benchmark] if benchmark else [task.name for task in BENCHMARKS if (results / task.name).is_dir()]
    if not names:
        raise InputError("no results", place=results, hint="python -m benchmarks.learning run makes them")
    for name in names:
        table = make_table(benchmark_of(name), results, words(rows), tuple(set_ or ()))
        if table.stale:
            console.print(f"left out, made with other settings: {' '.join(table.stale)}", style="yellow")
        if not table.lines:
            console.print(f"{name}: no results yet")
            continue
        console.print(*terminal(table), sep="\n")
        write_json(summary(table), results / f"{name}.json")
        document = docs / "results.md"
        text = document.read_text(encoding="utf-8") if document.is_file() else "# Results\n"
        write_text(document, put_between(text, name, markdown(table)))
        for plot, drawing in draw_plots(table).items():
            write_text(docs / "images" / f"learning_{name}_{plot}.svg", drawing)


def write_text(path: Path, text: str) -> None:
    """Write a file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.part")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)


def words(text: str) -> tuple[str, ...]:
    return tuple(word for word in re.split(r"[,\s]+", text) if word)


if __name__ == "__main__":
    sys.exit(run_app(app))
