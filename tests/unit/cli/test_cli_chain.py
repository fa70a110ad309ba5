"""The commands one after the other, each finding what the one before it left; a model too small to learn anything."""

import json
import sys

import cv2
import pytest

from qcen_cli import main
from qcen_core.errors import InputError

pytestmark = pytest.mark.slow
SMALL = ["data.workers=0", "model.queries=3", "train.save_every=1", "train.log_every=1", "train.precision=32-true"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder where the chain has run once."""
    with pytest.MonkeyPatch.context() as patch:
        place = tmp_path_factory.mktemp("chain")
        patch.chdir(place)
        shapes = ["prepare", "--dataset", "shapes", "--level", "easy", "--clips", "3", "--holdout-clips", "2"]
        assert main.execute([*shapes, "--height", "64", "--width", "96", "--length", "3"]) == 0
        settings = [word for setting in SMALL for word in ("--set", setting)]
        assert main.execute(["train", "--recipe", "shapes_tiny", "--steps", "2", *settings]) == 0
        assert main.execute(["infer", "--out", "overlay.mp4"]) == 0
        assert main.execute(["evaluate"]) == 0
        assert main.execute(["visualize"]) == 0
        yield place


@pytest.fixture
def call(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)

    def run(*arguments):
        assert main.execute(arguments) == 0
        return capsys.readouterr()

    return run


@pytest.mark.parametrize(
    "path",
    [
        "data/shapes/dataset.yaml",
        "runs/train/1/config.yaml",
        "runs/train/1/metrics.csv",
        "runs/train/1/best.safetensors",
        "runs/infer/1/results.json",
        "runs/infer/1/tracks.json",
        "runs/infer/1/report.json",
        "runs/infer/1/report.html",
        "runs/visualize/1/report.html",
        "overlay.mp4",
    ],
)
def test_what_the_chain_leaves(folder, path):
    assert (folder / path).stat().st_size > 0


def test_training_goes_on_where_it_stopped(call, folder):
    printed = call("train", "--resume", "--steps", "3", "--json")
    report = json.loads(printed.out)
    assert report["steps"] == 3
    assert report["run"] == "runs/train/1"
    assert {"seconds", "best", "losses"} <= set(report)
    assert printed.err.startswith("run: runs/train/1 (last written ")
    rows = (folder / "runs/train/1/metrics.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["step", "1", "2", "3"]


def test_a_plan_writes_nothing(call, folder):
    runs_before = sorted(folder.glob("runs/train/*"))
    plan = json.loads(call("train", "--dry-run", "--steps", "77", "--supervision", "box", "--json").out)
    assert (plan["videos"], plan["frames"], plan["categories"]) == (3, 9, 5)
    assert plan["config"]["train"]["steps"] == 77
    assert plan["config"]["data"]["root"] == str((folder / "data/shapes").resolve())
    assert sorted(folder.glob("runs/train/*")) == runs_before


def test_masks_that_were_not_kept_cannot_be_learned_from(call):
    with pytest.raises(InputError) as raised:
        call("train", "--supervision", "mask")
    assert "--keep-masks" in str(raised.value.hint)


def test_more_gpus_than_there_are(call, folder):
    with pytest.raises(InputError, match="9999 GPU"):
        call("train", "--gpus", "9999")
    assert not (folder / "runs/train/2").exists()


def test_infer_prints_one_object(call, folder):
    frames = folder / "data/shapes/frames"
    clip = sorted(path for path in frames.iterdir() if path.is_dir())[0]
    printed = call("infer", str(clip), "--conf", "0.9", "--run", "mine", "--device", "cpu", "--json")
    report = json.loads(printed.out)
    assert {"frames", "tracks", "fps", "outputs"} <= set(report)
    assert report["frames"] == 3
    assert report["outputs"]["results"] == "mine/results.json"
    assert printed.err.startswith("weights: runs/train/1/best.safetensors (trained ")
    with pytest.raises(InputError, match="without ground truth"):
        call("evaluate", "mine")


def test_the_checkpoint_tells_what_it_holds(call):
    described = json.loads(call("info", "runs/train/1/best.safetensors", "--json").out)
    assert described["categories"] == ["circle", "square", "triangle", "star", "cross"]
    assert described["supervision"] == ["box"]


def test_other_processes_of_a_run_make_no_folder_and_keep_quiet(call, folder, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    before = sorted(folder.glob("runs/infer/*"))
    assert call("train", "--dry-run", "--json") == ("", "")
    assert sorted(folder.glob("runs/infer/*")) == before


def test_demo(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["qcen"])
    assert main.execute(["demo", "--steps", "2", "--clips", "3", "--holdout-clips", "2", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert {"AP", "AP50", "seconds", "overlay", "report"} <= set(report)
    assert 0 <= report["AP"] <= report["AP50"] <= 1
    assert (tmp_path / report["overlay"]).stat().st_size > 0
    page = (tmp_path / report["report"]).read_text()
    assert "<video" in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    assert cv2.imread(str(tmp_path / report["film_strip"])).shape[1] > 1000
