"""The program `qcen`: its commands, and how errors leave it."""

import atexit
import signal
import sys
import traceback
from collections.abc import Sequence
from types import TracebackType

import typer
from typer.main import get_command

from qcen_cli import console, convert, demo, evaluate, export, infer, info, options, prepare, train, visualize, weights
from qcen_core.errors import InputError, QcenError

INTERRUPTED = 130

app = typer.Typer(
    name="qcen",
    invoke_without_command=True,
    rich_markup_mode=None,  # plain help: rich would double the time of `qcen --help`
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
app.command()(prepare.prepare)
app.command()(train.train)
app.command()(infer.infer)
app.command()(evaluate.evaluate)
app.command()(visualize.visualize)
app.command()(convert.convert)
app.command()(weights.weights)
app.command()(export.export)
app.command()(demo.demo)
app.command()(info.info)


@app.callback()
def describe(context: typer.Context, version: options.Version = False, _debug: options.Debug = False) -> None:
    """Video instance segmentation learned from boxes alone.

    Each command finds what the one before it left: prepare, train, infer, evaluate, visualize.
    `qcen demo` runs them all on a made-up data set.
    """
    if version:
        from importlib.metadata import version as installed_version

        console.result(f"qcen {installed_version('qcen')}")
    elif context.invoked_subcommand is None:
        console.result(context.get_help())


def run() -> None:
    """The entry point: the program with the arguments of the process."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    if not debug:
        sys.excepthook = report_unexpected
    try:
        code = execute(arguments)
    except (QcenError, OSError) as error:
        if debug:
            traceback.print_exc()
        code = report_expected(error)
    if code == INTERRUPTED:
        atexit.register(ignore_signals)
    sys.exit(code)


def ignore_signals() -> None:
    """Launchers send more signals to what is left of an interrupted run; it shall end with its own code."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


def execute(arguments: Sequence[str]) -> int:
    """Runs one command.

    Args:
        arguments: the words after `qcen`.

    Returns:
        The exit code: 0 done, 130 interrupted.

    Raises:
        QcenError: what the command raised; wrong usage is an `InputError`.
    """
    try:
        code = get_command(app).main(args=list(arguments), prog_name="qcen", standalone_mode=False)
    except typer.TyperException as error:
        raise usage_error(error) from None
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    if code == INTERRUPTED:
        console.note("interrupted")
    return int(code or 0)


def usage_error(error: typer.TyperException) -> InputError:
    """Wrong usage, found while the arguments were read, as one of our errors with a hint of its own."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "qcen"
    cause, question, suggestion = error.format_message().partition(" Did you mean ")
    near = getattr(error, "possibilities", None)
    if near:
        cause, question, suggestion = error.message, "?", " or ".join(f"'{name}'" for name in near) + "?"
    cause = cause[:1].lower() + cause[1:].rstrip(".")
    return InputError(cause, hint=f"did you mean {suggestion}" if question else f"see '{command} --help'")


def report_expected(error: QcenError | OSError) -> int:
    """Tells of an error that the user can act on, as one line of cause and one of hint; returns the exit code."""
    if isinstance(error, QcenError):
        console.error(error.line(), error.hint)
        return error.exit_code
    console.error(f"{error.filename or 'input or output'}: {error.strerror or error}")
    return QcenError.exit_code


def report_unexpected(kind: type[BaseException], error: BaseException, _: TracebackType | None) -> None:
    """Stands in for the traceback of an exception that nobody foresaw; Python then exits with 1."""
    console.error(f"internal error, {kind.__name__}: {error}", "run again with --debug for the traceback")
