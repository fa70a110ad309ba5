"""How long `qcen --help` takes, as a multiple of importing the libraries that print it.

python benchmarks/startup.py [--runs 15]
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

HELP = (str(Path(sys.executable).with_name("qcen")), "--help")
LIBRARIES = (sys.executable, "-c", "import typer, rich")


def seconds(command: Sequence[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603  # the two commands above
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15)
    runs = parser.parse_args().runs
    pairs = [(seconds(HELP), seconds(LIBRARIES)) for _ in range(runs)]
    own, libraries = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"qcen --help {own * 1000:.0f} ms, import typer, rich {libraries * 1000:.0f} ms: {own / libraries:.2f} times")


if __name__ == "__main__":
    main()
