import sys

import pytest
import typer

from benchmarks.command_line import run_app
from qcen_core.errors import InputError, QcenError


def app_that_raises(error):
    app = typer.Typer(add_completion=False)

    @app.command()
    def work():
        if error is not None:
            raise error

    return app


@pytest.fixture(autouse=True)
def no_arguments(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["work"])
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # Typer puts its own in place


@pytest.mark.parametrize(
    ("error", "code", "lines"),
    [
        (InputError("no results", place="a/[b]", hint="run it"), 2, ["a/[b]: no results", "run it"]),
        (QcenError("1 runs failed"), 1, ["1 runs failed", ""]),
    ],
)
def test_an_error_is_cause_and_hint_and_its_exit_code(error, code, lines, capsys):
    assert run_app(app_that_raises(error)) == code
    assert capsys.readouterr().out.splitlines() == lines


def test_success_ends_with_zero():
    with pytest.raises(SystemExit) as end:
        run_app(app_that_raises(None))
    assert end.value.code == 0


def test_an_error_in_the_code_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        run_app(app_that_raises(ZeroDivisionError()))
