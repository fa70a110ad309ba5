"""How fast and how lean data sets are prepared, opened and loaded, each beside the least that could be done.

    python -m benchmarks.data_speed [--work /tmp/qcen-data-speed]

- conversion: a stand-in of YouTube-VIS 2021's size becomes box-only, beside parsing that JSON with orjson and taking
  the box of every mask with pycocotools; peak memory beside the size of the file.
- opening: the prepared set, until the first clip could be drawn.
- loading: batches as training takes them, with every augmentation, beside `cv2.imread` and `cv2.resize` of the same
  frames in as many workers; and whether the memory of eight workers grows over an epoch.
"""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.command_line import console, run_app
from benchmarks.standin import STANDINS, write_annotations, write_frames

app = typer.Typer(add_completion=False, help=__doc__, rich_markup_mode="markdown")
PARTS = ("reference", "conversion", "opening", "loading", "plain", "memory")


@app.command()
def main(
    work: Annotated[Path, typer.Option(help="folder for the stand-in")] = Path("/tmp/qcen-data-speed"),  # noqa: S108
    runs: Annotated[int, typer.Option(min=1, help="of each part; the median counts")] = 3,
    videos: Annotated[int, typer.Option(min=1, help="with frames on disk, for loading")] = 60,
    workers: Annotated[int, typer.Option(min=1, help="loader processes of the speed comparison")] = 2,
    part: Annotated[str | None, typer.Option(hidden=True)] = None,
    file: Annotated[Path | None, typer.Option(hidden=True)] = None,
) -> None:
    """Run all parts, each in a process of its own."""
    if part is not None and file is not None:
        from benchmarks.data_speed_parts import run_part

        print(json.dumps(run_part(part, file, workers)))
        return
    stated, masks_only = _standins(work / f"{videos}-videos", videos)
    for name, path in (("boxes and masks", stated), ("masks only", masks_only)):
        pairs = [(_measure("reference", path), _measure("conversion", path)) for _ in range(runs)]
        reference = statistics.median(first["seconds"] for first, _ in pairs)
        own = statistics.median(second["seconds"] for _, second in pairs)
        peak = max(second["peak_bytes"] for _, second in pairs) / path.stat().st_size
        console.print(
            f"conversion, {name}: {own:.2f} s, orjson and boxes of all masks {reference:.2f} s: "
            f"{own / reference:.2f} times; peak memory {peak:.2f} times the file of {path.stat().st_size / 1e6:.0f} MB"
        )
    opening = [_measure("opening", stated) for _ in range(runs)]
    console.print(f"opening: {statistics.median(run['seconds'] for run in opening):.2f} s")
    speeds = [(_measure("loading", stated, workers), _measure("plain", stated, workers)) for _ in range(runs)]
    own, plain = (statistics.median(run["frames_per_second"] for run in side) for side in zip(*speeds, strict=True))
    console.print(
        f"loading, {workers} workers: {own:.0f} frames/s, imread and resize {plain:.0f} frames/s: {own / plain:.2f}"
    )
    memory = _measure("memory", stated, 8)
    console.print(
        f"memory of 8 workers over {memory['batches']} batches: {memory['first_mb']:.0f} MB to "
        f"{memory['last_mb']:.0f} MB, {100 * (memory['last_mb'] / memory['first_mb'] - 1):+.1f} %"
    )


def _standins(work: Path, videos: int) -> tuple[Path, Path]:
    """The annotation files with and without boxes, and the frames of some videos."""
    standin = STANDINS["ytvis2021"]
    stated, masks_only = work / "stated" / "train.json", work / "masks_only" / "train.json"
    if not masks_only.is_file():
        for path in (stated, masks_only):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_annotations(stated, standin)
        write_frames(work / "frames", standin, videos)
        content = json.loads(stated.read_text())
        for annotation in content["annotations"]:
            del annotation["bboxes"]
        masks_only.write_text(json.dumps(content))
    return stated, masks_only


def _measure(part: str, file: Path, workers: int = 0) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.data_speed", "--part", part, "--file", str(file)]
    command += ["--workers", str(max(workers, 1))]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)  # noqa: S603  # ours
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


if __name__ == "__main__":
    sys.exit(run_app(app))
