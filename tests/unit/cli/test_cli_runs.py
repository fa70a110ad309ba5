"""Numbered run folders, and what a command takes when it is not told."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from qcen_cli import console, runs
from qcen_core.errors import InputError


@pytest.fixture(autouse=True)
def empty_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


def make(path, age=0.0, text=""):
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    then = file.stat().st_mtime - age
    os.utime(file, (then, then))
    return file


def claim(verb="train"):
    with runs.run_folder(verb, None, overwrite=False) as folder:
        (folder / "file").touch()
        return folder


def test_runs_are_numbered_from_one_and_never_reused():
    assert [claim(), claim()] == [Path("runs/train/1"), Path("runs/train/2")]
    Path("runs/train/41").mkdir()
    Path("runs/train/notes").mkdir()
    assert claim() == Path("runs/train/42")
    assert claim("infer") == Path("runs/infer/1")


def test_two_processes_never_share_a_number():
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda _: claim(), range(23)))
    assert len(set(folders)) == 23


@pytest.mark.parametrize("out", [None, Path("mine/here")])
def test_a_failure_leaves_no_empty_folder(out):
    with pytest.raises(InputError), runs.run_folder("infer", out, overwrite=False):
        raise InputError("no")
    assert not Path("runs/infer/1").exists()
    assert not Path("mine/here").exists()


def test_a_failure_keeps_what_was_there():
    Path("mine").mkdir()
    with pytest.raises(InputError), runs.run_folder("infer", Path("mine"), overwrite=False):
        raise InputError("no")
    assert Path("mine").is_dir()


def test_out_that_is_not_empty_needs_overwrite():
    make("mine/file")
    with pytest.raises(InputError, match="mine: is not empty"), runs.run_folder("infer", Path("mine"), False):
        pass
    with runs.run_folder("infer", Path("mine"), overwrite=True) as folder:
        assert folder == Path("mine")
    assert Path("mine/file").exists()
    with pytest.raises(InputError, match="is a file"), runs.run_folder("infer", Path("mine/file"), True):
        pass


def test_the_latest_run_that_holds_the_file():
    make("runs/train/9/best.safetensors")
    make("runs/train/10/last.safetensors")
    make("runs/train/11/config.yaml")
    assert runs.latest_file("train", "best.safetensors", "last.safetensors") == Path("runs/train/10/last.safetensors")
    assert runs.latest_file("train", "best.safetensors") == Path("runs/train/9/best.safetensors")
    make("runs/train/10/best.safetensors")
    assert runs.latest_file("train", "best.safetensors", "last.safetensors") == Path("runs/train/10/best.safetensors")
    with pytest.raises(InputError, match=r"no results.json in any folder of runs/infer/"):
        runs.latest_file("infer", "results.json")


def test_the_run_that_was_written_to_last():
    for name, age in (("train/3", 50), ("infer/1", 7), ("evaluate/1", 0)):
        folder = make(f"runs/{name}/file").parent
        then = folder.stat().st_mtime - age
        os.utime(folder, (then, then))
    assert runs.latest_run("train", "infer") == Path("runs/infer/1")


def test_a_run_is_named_by_number_or_by_folder():
    make("runs/train/3/config.yaml")
    assert runs.find_run("train", Path("3")) == Path("runs/train/3")
    assert runs.find_run("train", Path("runs/train/3")) == Path("runs/train/3")


def test_the_only_data_set_is_taken():
    make("data/ovis/dataset.yaml")
    make("data/unfinished/train.json")
    assert runs.choose_data(None) == Path("data/ovis")


def test_several_data_sets_are_listed():
    make("data/ovis/dataset.yaml", age=7300)
    make("data/cats/dataset.yaml", age=130)
    with pytest.raises(InputError) as raised:
        runs.choose_data(None)
    assert "data/cats (prepared 2 min ago), data/ovis (prepared 2 h ago)" in raised.value.cause
    assert raised.value.hint == "choose one, e.g. --data data/cats"
    assert raised.value.exit_code == 2
    assert runs.choose_data(Path("data/ovis")) == Path("data/ovis")
    assert runs.choose_data(Path("data/ovis/dataset.yaml")) == Path("data/ovis")


def test_the_choice_is_told_on_stderr(capsys):
    file = make("data/shapes/dataset.yaml", age=2 * 3600 + 5)
    runs.tell_choice("data", file.parent, "prepared", file)
    assert capsys.readouterr() == ("", "data: data/shapes (prepared 2 h ago)\n")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59, "59 s"), (61, "1 min"), (7300, "2 h"), (5 * 86400, "5 days")]
)
def test_durations(seconds, text):
    assert console.duration(seconds) == text
