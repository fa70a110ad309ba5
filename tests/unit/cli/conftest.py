"""What the tests of all commands share."""

import sys

import pytest

from qcen_cli import main


@pytest.fixture
def run_qcen(monkeypatch, capsys):
    """Runs `qcen` with arguments in the current folder; returns exit code, stdout and stderr."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["qcen", *map(str, arguments)])
        monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # put back after the test
        with pytest.raises(SystemExit) as leaving:
            main.run()
        printed = capsys.readouterr()
        return leaving.value.code, printed.out, printed.err

    return run
