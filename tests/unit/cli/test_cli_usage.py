"""How the program answers: exit codes, one line of cause and one of hint, never a traceback."""

import io
import json
import subprocess
import sys
from typing import get_args

import pytest
from typer.main import get_command

from qcen_cli import main, options
from qcen_core import config
from qcen_core.conversion.made import shapes_scene

VERBS = ["prepare", "train", "infer", "evaluate", "visualize", "convert", "weights", "export", "demo", "info"]


@pytest.fixture
def call(monkeypatch, tmp_path, run_qcen):
    """Runs `qcen` with arguments in an empty folder; returns exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    return run_qcen


def test_help_lists_the_verbs_in_the_order_of_their_use(call):
    code, out, err = call("--help")
    assert (code, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines() if line.startswith("  ") and line.split()[0] in VERBS] == VERBS
    assert "..." not in out.partition("Commands:")[2], "a description does not fit its line"


def test_no_arguments_show_the_help(call):
    assert call() == call("--help")


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_is_explained(verb):
    command = get_command(main.app).commands[verb]
    for parameter in command.params:
        assert parameter.help or parameter.name == "help", parameter.name


@pytest.mark.parametrize(
    ("arguments", "cause", "hint"),
    [
        (["trian"], "no such command 'trian'", "did you mean 'train'?"),
        (["train", "--recipie", "x"], "no such option: --recipie", "did you mean '--recipe'?"),
        (["frobnicate"], "no such command 'frobnicate'", "see 'qcen --help'"),
        (["train", "--steps", "0"], "--steps", "see 'qcen train --help'"),
        (["train", "--steps", "many"], "--steps", "see 'qcen train --help'"),
        (["train", "--supervision", "boxes"], "'box', 'box+id', 'mask', 'mask+id'", "see 'qcen train --help'"),
        (["train"], "no prepared data set", "qcen prepare"),
        (["train", "7"], "names a run to go on with", "--resume"),
        (["train", "--resume"], "no config.yaml", "qcen train"),
        (["train", "--resume", "7"], "7: no such run", "runs/train"),
        (["train", "--resume", "--out", "here"], "--out does not go with --resume", "leave it out"),
        (["train", "--data", "nowhere"], "nowhere: is not a prepared data set", "qcen prepare"),
        (["prepare"], "either an annotation file or --dataset", "qcen prepare --dataset shapes"),
        (["prepare", "a.json", "--dataset", "shapes"], "shapes has no annotation file", "leave the annotation file"),
        (["prepare", "missing.json"], "missing.json", None),
        (["infer"], "no prepared data set", "qcen prepare"),
        (["infer", "missing.mp4"], "missing.mp4: no such file", "video file"),
        (["infer", "a.mp4", "--data", "data/x"], "either a source or --data", None),
        (["evaluate"], "no results.json in any folder of runs/infer", "qcen infer"),
        (["evaluate", "missing.json"], "missing.json: no such file", "qcen infer"),
        (["visualize"], "there is no run", "qcen train"),
        (["visualize", "missing"], "missing: no such file", None),
        (["info", "missing.safetensors"], "missing.safetensors", None),
    ],
)
def test_wrong_usage(call, tmp_path, arguments, cause, hint):
    code, out, err = call(*arguments)
    assert code == 2
    assert out == ""
    lines = err.splitlines()
    assert lines[0].startswith("error: ")
    assert cause in lines[0]
    assert len(lines) <= 2
    assert hint is None or (lines[1].startswith("hint: ") and hint in lines[1])
    assert not list(tmp_path.rglob("*")), "something was left behind"


def test_debug_shows_the_traceback_and_keeps_the_exit_code(call):
    code, out, err = call("train", "--debug")
    assert (code, out) == (2, "")
    assert err.startswith("Traceback")
    assert err.splitlines()[-2].startswith("error: no prepared data set")


def test_a_source_in_use_is_not_written_over(call, tmp_path):
    (tmp_path / "clip.mp4").write_bytes(b"0")
    (tmp_path / "last.safetensors").write_bytes(b"0")
    (tmp_path / "overlay.mp4").write_bytes(b"mine")
    code, _, err = call("infer", "clip.mp4", "--weights", "last.safetensors", "--out", "overlay.mp4")
    assert code == 2
    assert "overlay.mp4: exists already" in err
    assert (tmp_path / "overlay.mp4").read_bytes() == b"mine"


def test_an_unforeseen_error_is_one_line():
    code = (
        "import sys\n"
        "from qcen_cli import main, runs\n"
        "def fail(data): raise ZeroDivisionError('a\\nb')\n"
        "runs.choose_data = fail\n"
        "main.run()"
    )
    run = subprocess.run([sys.executable, "-c", code, "train"], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stdout == ""
    assert run.stderr.splitlines() == [
        "error: internal error, ZeroDivisionError: a b",
        "hint: run again with --debug for the traceback",
    ]


def test_interruption(call, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("qcen_cli.runs.choose_data", interrupt)
    code, out, err = call("train")
    assert (code, out) == (130, "")
    assert err.splitlines()[-1] == "interrupted"
    assert "Traceback" not in err


def test_a_failing_disk_is_one_line(call, monkeypatch):
    def fail(_):
        raise OSError(28, "No space left on device", "data/shapes")

    monkeypatch.setattr("qcen_cli.runs.choose_data", fail)
    assert call("train") == (1, "", "error: data/shapes: No space left on device\n")


def test_version_and_json(call):
    assert call("--version")[1].startswith("qcen ")
    code, out, err = call("info", "--json")
    assert (code, err) == (0, "")
    assert {"versions", "devices", "codecs"} <= set(json.loads(out))


def test_choices_are_those_of_the_engine():
    assert get_args(options.Supervision) == get_args(config.Supervision)
    assert get_args(options.Tracker) == get_args(config.TrackerConfig.model_fields["kind"].annotation)
    assert set(get_args(options.Level)) == set(shapes_scene.LEVELS)


def test_completion_offers_commands_and_options():
    command = get_command(main.app)
    context = command.make_context("qcen", [], resilient_parsing=True)
    assert [item.value for item in command.shell_complete(context, "in")] == ["infer", "info"]
    train = command.commands["train"].make_context("train", [], parent=context, resilient_parsing=True)
    assert "--supervision" in {item.value for item in train.command.shell_complete(train, "--su")}


def test_output_that_nobody_reads_any_more(monkeypatch, tmp_path):
    """`qcen ... | head` ends quietly."""

    class Closed(io.StringIO):
        def write(self, _):
            raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdout", Closed())
    with pytest.raises(SystemExit) as leaving:
        main.execute(["info"])
    assert leaving.value.code == 1
