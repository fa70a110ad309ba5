"""Results of runs that never took place."""

from pathlib import Path

from benchmarks.learning_result import Result, chosen_keys, flat_config, result_path, write_result
from benchmarks.learning_rows import ROWS, Benchmark, row_config, run_overrides

HASHES = {"training": "a" * 64, "test": "b" * 64}


def made_result(benchmark: Benchmark, name: str, seed: int, precision: float, **changes) -> Result:
    row = next(row for row in ROWS if row.name == name)
    config = row_config(benchmark, row, seed)
    values = {
        "benchmark": benchmark.name,
        "row": name,
        "seed": seed,
        "figures": {"AP": precision, "AP50": None, "AP75": precision / 2, "mask_iou": 0.75, "association": 0.5},
        "per_class": {},
        "test": {"clips": 7, "frames": 84},
        "seconds": {"training": 90.0, "evaluation": 5.0},
        "recipe": benchmark.recipe,
        "overrides": list(run_overrides(benchmark, row, seed)),
        "configuration": flat_config(config),
        "chosen": chosen_keys(config),
        "data": HASHES,
        "revisions": ["0123456789abcdef", "fedcba9876543210+"],
        "machine": {"cpu": "a processor", "threads": "1", "torch": "2.0"},
        "curves": {"AP": {"step": [10.0, 20.0], "value": [precision / 2, precision]}},
    }
    return Result(**(values | changes))


def store(results: Path, result: Result) -> Path:
    path = result_path(results, result.benchmark, result.row, result.seed)
    write_result(result, path)
    return path
