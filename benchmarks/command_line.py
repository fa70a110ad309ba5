"""How the commands of the benchmarks talk: where they print, and how they tell what went wrong."""

import sys

import typer
from rich.console import Console

from qcen_core.errors import QcenError

console = Console() if sys.stdout.isatty() else Console(width=170)


def run_app(app: typer.Typer) -> int:
    """Run a command line; an error that the user can act on is told in a line, as QCEN's own command line tells it.

    Returns:
        The exit code of the error; 0 if there was none and Typer did not end the program by itself, as it usually does.
    """
    try:
        app()
    except QcenError as error:
        console.print(error.line(), error.hint or "", sep="\n", style="red", markup=False, highlight=False)
        return error.exit_code
    return 0
