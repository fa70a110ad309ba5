"""What goes to stdout, what to stderr, and how often."""

import contextlib
import json
import os
import re
import struct
import subprocess
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


@pytest.fixture
def terminal(monkeypatch, capsys):
    """Makes stderr a terminal of 80 columns; then a call tells what stands on it, and what went to stdout."""

    def begin():
        # In the test itself: between fixtures and test pytest puts another stderr in place.
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
        for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", "80")
        return read

    def read():
        written = capsys.readouterr()
        return standing(written.err), written.out

    return begin


def standing(written: str) -> list[str]:
    """The lines that stand on a terminal in the end: what is written over, or erased, is gone."""
    lines, row, column = [""], 0, 0
    for command, up, char in re.findall(r"(\x1b\[(\d*)[?\d;]*[A-Za-z])|(.)", written, flags=re.DOTALL):
        if command.endswith("A"):
            row -= int(up or 1)
        elif command.endswith("2K"):
            lines[row] = ""
        elif char == "\n":
            row, column = row + 1, 0
            lines += [""] * (row + 1 - len(lines))
        elif char == "\r":
            column = 0
        elif char:
            lines[row] = lines[row][:column].ljust(column) + char + lines[row][column + 1 :]
            column += 1
    return [line.rstrip() for line in lines if line.strip()]


def words(line: str) -> list[str]:
    """The words beside the bar."""
    return re.sub(r"[^ -~]+", " ", line).split()


LONG_REMARK = "loss 1.234  evaluating video 17 of 40 [holdout] of the data set with quite a long name, and no end"


def test_a_bar_on_a_terminal(terminal):
    shown = terminal()
    with console.progress("train", "steps") as update:
        update(3, 7, "loss [2]")
    (bar, remark), out = shown()
    assert words(bar)[:2] == ["train", "3/7"]
    assert remark == "loss [2]"
    assert out == ""


def test_a_bar_tells_speed_and_time_of_new_steps_only(clock, terminal):
    shown = terminal()
    clock[0] += 30  # what it takes to begin is no part of the speed
    with console.progress("train", "steps") as update:
        for step in range(500, 511):
            clock[0] += 2
            update(step, 520)
    (bar,), _ = shown()
    assert words(bar) == ["train", "510/520", "0.50", "steps/s", "0:00:22", "0:00:20", "left"]


def test_a_bar_that_is_full_goes_on_telling_the_time(clock, terminal):
    shown = terminal()
    with console.progress("train", "steps") as update:
        update(5, 13)
        clock[0] += 2
        update(13, 13)
        clock[0] += 3605
        update(13, 13, "evaluating")
    (bar, remark), _ = shown()
    assert words(bar) == ["train", "13/13", "4.0", "steps/s", "1:00:07"]
    assert remark == "evaluating"


def test_a_bar_without_an_end(clock, terminal):
    shown = terminal()
    with console.progress("infer", "frames") as update:
        update(1, None)
        clock[0] += 2
        update(8, None, "camera")
    (bar, remark), _ = shown()
    assert words(bar) == ["infer", "8", "3.5", "frames/s", "0:00:02"]
    assert remark == "camera"


def test_a_long_remark_is_shown_in_full(terminal):
    shown = terminal()
    with console.progress("prepare", "videos") as update:
        update(59_000, 60_000, "short")
        update(59_001, 60_000, LONG_REMARK)
    (bar, *remark), _ = shown()
    assert words(bar)[1] == "59001/60000"
    assert "\u2026" not in bar
    assert " ".join(remark) == LONG_REMARK
    assert len(remark) == 2


def test_notes_stand_above_a_bar_and_results_stay_on_stdout(terminal):
    shown = terminal()
    with console.progress("train", "steps") as update:
        update(1, 7, LONG_REMARK)
        console.note("a note")
        console.result("a result")
        update(2, 7)
    (note, bar), out = shown()
    assert note == "a note"
    assert words(bar)[1] == "2/7"
    assert out == "a result\n"


def test_a_bar_that_never_began_leaves_nothing(terminal):
    shown = terminal()
    with pytest.raises(ValueError, match="no such file"), console.progress("train", "steps"):
        raise ValueError("no such file")
    assert shown() == ([], "")


def test_a_dumb_terminal_gets_lines(terminal, monkeypatch):
    shown = terminal()
    monkeypatch.setenv("TERM", "dumb")
    with console.progress("train", "steps") as update:
        update(3, 7)
    assert shown() == (["train: 3/7 steps"], "")


def test_the_bar_fits_a_real_terminal():
    pty = pytest.importorskip("pty")
    fcntl, termios = pytest.importorskip("fcntl"), pytest.importorskip("termios")
    above, below = pty.openpty()
    fcntl.ioctl(below, termios.TIOCSWINSZ, struct.pack("4H", 24, 53, 0, 0))
    code = f"""
from qcen_cli import console
with console.progress("train", "steps") as update:
    update(1, 7, {LONG_REMARK!r})
    update(2, 7, {LONG_REMARK!r})
"""
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    command = [sys.executable, "-c", code]
    subprocess.run(command, stdin=below, stderr=below, env=environment | {"TERM": "xterm"}, check=True, timeout=60)
    os.close(below)
    written = b""
    with contextlib.suppress(OSError):  # which is how a terminal ends
        while part := os.read(above, 4096):
            written += part
    os.close(above)
    bar, *remark = standing(written.decode())
    assert words(bar)[:2] == ["train", "2/7"]
    assert " ".join(remark) == LONG_REMARK
    assert max(map(len, (bar, *remark))) <= 53


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
