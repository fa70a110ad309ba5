"""What goes to stdout, what to stderr, and how often."""

import json
import re
import sys
from pathlib import Path

import pytest

from qcen_cli import console


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("qcen_cli.console.time.monotonic", lambda: now[0])
    return now


def test_progress_lines_come_every_few_seconds(clock, capsys):
    with console.progress("train", "steps") as update:
        for step in range(1, 14):
            clock[0] += 1
            update(step, 13, f"loss {step}")
    lines = capsys.readouterr()
    assert lines.out == ""
    assert lines.err.splitlines() == [
        "train: 5/13 steps  1.0/s  8 s left  loss 5",
        "train: 10/13 steps  1.0/s  3 s left  loss 10",
        "train: 13/13 steps  1.0/s  loss 13",
    ]


def test_progress_with_an_unknown_end(clock, capsys):
    with console.progress("infer", "frames") as update:
        update(1, None)
        clock[0] += 2
        update(8, None)
    assert capsys.readouterr().err == "infer: 8 frames  3.5/s\n"


def test_the_speed_of_work_that_goes_on_counts_new_steps_only(clock, capsys):
    with console.progress("train", "steps") as update:
        for step in range(501, 511):
            clock[0] += 2
            update(step, 520)
    assert capsys.readouterr().err.splitlines()[-1] == "train: 510/520 steps  0.5/s  20 s left"


def test_no_progress_no_line(capsys):
    with console.progress("infer", "frames"):
        pass
    assert capsys.readouterr() == ("", "")


def test_a_bar_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with console.progress("train", "steps") as update:
        update(3, 7, "loss [2]")
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "train" in shown.err
    assert "3/7" in shown.err


def test_json_is_one_object(capsys):
    console.json_object({"out": Path("a/b"), "AP": None, "n": 3})
    assert json.loads(capsys.readouterr().out) == {"out": "a/b", "AP": None, "n": 3}


def test_json_has_no_nan():
    with pytest.raises(ValueError, match="JSON"):
        console.json_object({"AP": float("nan")})


def test_errors_are_one_line_each(capsys):
    console.error("first\n  second", "do\nthis")
    assert capsys.readouterr() == ("", "error: first second\nhint: do this\n")


ROWS = [["class", "AP"], ["cat", "7.1"], ["zebra [crossing]", "100.0"]]


def test_a_table_in_a_pipe_is_plain(capsys):
    console.table(ROWS)
    assert capsys.readouterr().out == (
        "class                AP\n"
        "cat                 7.1\n"
        "zebra [crossing]  100.0\n\n"
    )  # fmt: skip


def test_a_table_on_a_terminal_holds_the_same_cells(monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    console.table(ROWS)
    shown = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert [line.split() for line in shown.splitlines() if line.strip(" \u2500")] == [
        ["class", "AP"],
        ["cat", "7.1"],
        ["zebra", "[crossing]", "100.0"],
    ]


@pytest.mark.parametrize("terminal", [False, True])
def test_only_the_first_process_prints_a_table(monkeypatch, capsys, terminal):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    monkeypatch.setenv("LOCAL_RANK", "1")
    console.table(ROWS)
    assert capsys.readouterr() == ("", "")


def test_percent():
    assert [console.percent(value) for value in (None, 0.0, 0.2714)] == ["-", "0.0", "27.1"]


def test_one_is_not_many():
    assert [console.counted(number, "track") for number in (0, 1, 2)] == ["0 tracks", "1 track", "2 tracks"]
