"""The tables of the learning benchmark: what is trained on which clips, and the recipe that all rows share.

Every row has the same data, model, recipe, steps and seeds. It differs from the others in its level of supervision,
in which terms of the method are on, and in how frames are paired, and in nothing else.
"""

from dataclasses import dataclass

from qcen_core.config import QcenConfig, Supervision, load_config
from qcen_core.errors import InputError

# The one place where the recipe of all benchmarks is chosen.
RECIPE = "shapes_tiny"
RECIPE_OVERRIDES = ("train.steps=1500", "train.evaluate_every=750")

TERMS = {
    "contrast": ("loss.contrast_weight", "loss.contrast_auxiliary_weight"),
    "intra": ("loss.intra_weight",),
    "inter": ("loss.inter_weight",),
}


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table.

    Attributes:
        name: of its result files, and on the command line.
        label: stands in the table.
        level: what it may see of the labels.
        terms: the terms of the method that are on, a selection of `TERMS`; the recipe says how much they weigh.
        changes: further overrides, of how frames are paired or of what exchanged queries do.
        section: heading in the table.
        tier: 1 is trained first, so that a table that is not finished says the most important things.
    """

    name: str
    label: str
    level: Supervision
    terms: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    section: str = "supervision"
    tier: int = 3

    def overrides(self) -> tuple[str, ...]:
        """What the row changes in the recipe."""
        off = [f"{key}=0" for term, keys in TERMS.items() if term not in self.terms for key in keys]
        if not {"intra", "inter"} & set(self.terms):
            off.append("loss.exchange=mask")  # without exchange its form is nothing that a row could differ in
        return (f"train.supervision={self.level}", *off, *self.changes)


@dataclass(frozen=True, slots=True)
class ClipSet:
    """How a data set is made: arguments of `qcen_core.prepare`.

    Attributes:
        clips: of the training split.
        holdout_clips: of the hold-out split.
        seed: of the data set.
    """

    clips: int
    holdout_clips: int
    seed: int


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A task on which the rows are compared.

    Attributes:
        name: of its folder of results, and on the command line.
        title: stands above its table.
        dataset: name that `qcen_core.prepare` knows.
        level: of procedural clips.
        rows: names of the rows; all of `ROWS` if empty.
        training: what is trained on; its hold-out split is the validation, which draws curves and may choose recipes.
        test: another seed, whose hold-out split is looked at once, when a run has ended.
        recipe: configuration of all rows,
        overrides: and what is changed in it.
    """

    name: str
    title: str
    dataset: str
    level: str = "standard"
    rows: tuple[str, ...] = ()
    training: ClipSet = ClipSet(clips=600, holdout_clips=40, seed=0)
    test: ClipSet = ClipSet(clips=1, holdout_clips=100, seed=1000)
    recipe: str = RECIPE
    overrides: tuple[str, ...] = RECIPE_OVERRIDES


ALL_TERMS = ("contrast", "intra", "inter")
EXCHANGE = ("intra", "inter")
TERMS_SECTION, PAIRS_SECTION = "terms of the method", "how frames are paired"

ROWS = (
    # What identities say is which queries to contrast: both rows that have them learn by contrast, without exchange.
    Row("mask+id", "masks and identities, contrast", "mask+id", ("contrast",), tier=1),
    Row("mask+id-all", "masks and identities, every term (upper bound)", "mask+id", ALL_TERMS, tier=2),
    Row("mask", "masks", "mask", tier=1),
    Row("box+id", "boxes and identities, contrast", "box+id", ("contrast",), tier=2),
    Row("box", "boxes: the baseline", "box", tier=1),
    Row("qcen", "boxes, full QCEN", "box", ALL_TERMS, tier=1),
    Row("box+iqc", "baseline + contrast (IQC)", "box", ("contrast",), section=TERMS_SECTION, tier=2),
    Row("box+intra", "baseline + exchange inside a video", "box", ("intra",), section=TERMS_SECTION),
    Row("box+inter", "baseline + exchange across videos", "box", ("inter",), section=TERMS_SECTION),
    Row("box+qeml", "baseline + both exchanges (QEML)", "box", EXCHANGE, section=TERMS_SECTION, tier=2),
    Row("qcen-iqc", "QCEN without contrast", "box", EXCHANGE, section=TERMS_SECTION, tier=2),
    Row("qcen-intra", "QCEN without exchange inside a video", "box", ("contrast", "inter"), section=TERMS_SECTION),
    Row("qcen-inter", "QCEN without exchange across videos", "box", ("contrast", "intra"), section=TERMS_SECTION),
    *(
        Row(f"pairs-{name}", label, "box", ALL_TERMS, (f"pairs.affinity={affinity}",), PAIRS_SECTION, tier=2)
        for name, label, affinity in (
            ("queries", "QCEN, pairs from queries only", "queries"),
            ("both", "QCEN, pairs from queries and boxes", "queries+boxes"),
            ("boxes", "QCEN, pairs from boxes only", "boxes"),
        )
    ),
    Row("qcen-drawn", "QCEN, exchanged queries only draw", "box", ALL_TERMS, ("loss.exchange=mask",), TERMS_SECTION),
)
MAIN_ROWS = ("mask+id", "mask", "box", "qcen")

BENCHMARKS = (
    Benchmark("shapes_standard", "Shapes, standard", "shapes", "standard"),
    Benchmark("shapes_hard", "Shapes, hard", "shapes", "hard", rows=MAIN_ROWS),
    Benchmark("cutouts", "Real cut-outs", "cutouts", rows=MAIN_ROWS),
    Benchmark(  # for trying the harness: a minute, and figures that say nothing
        "trial",
        "A trial of the harness",
        "shapes",
        "easy",
        rows=("box", "qcen", "qcen-iqc", "box+qeml"),
        training=ClipSet(clips=8, holdout_clips=2, seed=0),
        test=ClipSet(clips=1, holdout_clips=3, seed=1000),
        overrides=("train.steps=30", "train.evaluate_every=15", "train.log_every=5", "loss.exchange_start=5"),
    ),
)


def benchmark_of(name: str) -> Benchmark:
    """The benchmark of that name.

    Raises:
        InputError: there is none.
    """
    found = {benchmark.name: benchmark for benchmark in BENCHMARKS}
    if name not in found:
        raise InputError(f"no benchmark is called '{name}'", hint="known: " + ", ".join(found))
    return found[name]


def rows_of(benchmark: Benchmark, names: tuple[str, ...] = ()) -> tuple[Row, ...]:
    """Rows of a benchmark, in the order of the table.

    Args:
        benchmark: the benchmark.
        names: those that are wanted, of any benchmark; its own ones if empty.

    Raises:
        InputError: a name is unknown.
    """
    wanted = names or benchmark.rows or tuple(row.name for row in ROWS)
    unknown = set(wanted) - {row.name for row in ROWS}
    if unknown:
        raise InputError(f"no row is called '{min(unknown)}'", hint="known: " + ", ".join(row.name for row in ROWS))
    return tuple(row for row in ROWS if row.name in wanted)


def run_overrides(
    benchmark: Benchmark, row: Row, seed: int, extra: tuple[str, ...] = (), *, gpus: int = 0
) -> tuple[str, ...]:
    """What a run changes in its recipe, but for the place of its data.

    Args:
        benchmark: the benchmark.
        row: what differs between the rows; it has the last word.
        seed: of the initial weights and the order of clips.
        extra: overrides for all rows, for trying recipes.
        gpus: 0 learns on the processor.
    """
    fixed = (f"train.seed={seed}", f"train.devices={gpus}", "data.workers=0")
    return (*benchmark.overrides, *fixed, *extra, *row.overrides())


def row_config(benchmark: Benchmark, row: Row, seed: int, extra: tuple[str, ...] = ()) -> QcenConfig:
    """The configuration of a run, but for the place of its data."""
    return load_config(benchmark.recipe, run_overrides(benchmark, row, seed, extra))


def experiments(benchmark: Benchmark) -> dict[Row, Row]:
    """For each row the first one of the table with the same configuration: what is one experiment is trained once."""
    configs = {row: row_config(benchmark, row, 0) for row in ROWS}
    return {row: next(other for other in ROWS if configs[other] == config) for row, config in configs.items()}
