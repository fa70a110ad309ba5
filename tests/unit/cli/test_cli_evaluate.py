"""`qcen evaluate` on a small ground truth: figures on stdout, one JSON object, two report files."""

import json

import numpy as np
import pytest

from qcen_cli import main
from qcen_core.errors import InputError
from qcen_core.ops import rle
from qcen_core.records import Category, ObjectTrack, TrackDataset, TrackResult, VideoRecord
from qcen_core.resultfile import write_results
from qcen_core.trackfile import write_annotations

HEIGHT, WIDTH = 29, 43
CATEGORIES = (Category(3, "cat"), Category(8, "dog"))


def square(x, y):
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[y : y + 11, x : x + 13] = True
    return rle.encode(mask)


@pytest.fixture
def run(monkeypatch, tmp_path):
    """An infer run whose results are perfect for the cat and miss the dog."""
    monkeypatch.chdir(tmp_path)
    videos = (VideoRecord(1, "a", HEIGHT, WIDTH, ("a/0.jpg", "a/1.jpg")),)
    cat, dog = (square(1, 2), square(3, 2)), (square(20, 9), None)
    boxes = [tuple(None if mask is None else rle.bounding_box(mask) for mask in masks) for masks in (cat, dog)]
    tracks = (ObjectTrack(1, 1, 0, boxes[0], cat), ObjectTrack(2, 1, 1, boxes[1], dog))
    write_annotations(TrackDataset(CATEGORIES, videos, tracks), tmp_path / "truth.json")
    folder = tmp_path / "runs" / "infer" / "1"
    folder.mkdir(parents=True)
    write_results([TrackResult(1, 1, 0, 0.9, cat)], CATEGORIES, folder / "results.json")
    (folder / "summary.json").write_text(json.dumps({"ground_truth": str(tmp_path / "truth.json")}))
    return folder


def test_the_latest_run_is_evaluated_against_its_ground_truth(run, capsys):
    assert main.execute(["evaluate", "--json"]) == 0
    printed = capsys.readouterr()
    figures = json.loads(printed.out)
    assert figures["AP"] == pytest.approx(0.5)
    assert figures["per_class"] == {"cat": pytest.approx(1.0), "dog": pytest.approx(0.0)}
    assert figures["APl"] is None
    assert {"AP50", "AP75", "AR1", "AR100", "ARs", "box", "association"} <= set(figures)
    chosen = printed.err.splitlines()
    assert chosen[0].startswith("results: runs/infer/1/results.json (written ")
    assert chosen[1].startswith("ground truth: ")
    assert json.loads((run / "report.json").read_text())["AP"] == figures["AP"]
    page = (run / "report.html").read_text()
    assert "<svg" in page
    assert "50.0" in page


def test_the_table(run, capsys):
    main.execute(["evaluate", str(run), "--gt", "truth.json", "--out", "elsewhere"])
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line]
    assert lines[0][:3] == ["AP", "AP50", "AP75"]
    assert lines[1][:3] == ["50.0", "50.0", "50.0"]
    assert ["cat", "100.0"] in lines
    assert ["dog", "0.0"] in lines
    assert lines[-1] == ["report:", "elsewhere/report.html"]
    assert not (run / "report.html").exists()


def test_what_the_weights_learned_from_is_told(run, capsys):
    """A claim to need boxes only depends on it."""
    summary = json.loads((run / "summary.json").read_text())
    labels = ["ImageNet labels", "COCO masks", "box"]
    (run / "summary.json").write_text(json.dumps({**summary, "supervision": labels}))
    main.execute(["evaluate"])
    assert "the weights learned from: ImageNet labels, COCO masks, box" in capsys.readouterr().out.splitlines()
    assert json.loads((run / "report.json").read_text())["supervision"] == labels
    assert "ImageNet labels, COCO masks, box" in (run / "report.html").read_text()
    main.execute(["evaluate", "--json"])
    assert json.loads(capsys.readouterr().out)["supervision"] == labels


def test_a_place_in_use_is_not_written_to(run, tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "report.json").write_text("mine")
    with pytest.raises(InputError, match="is not empty"):
        main.execute(["evaluate", "--out", "kept"])
    with pytest.raises(InputError, match="is a file"):
        main.execute(["evaluate", "--out", "truth.json"])
    assert (tmp_path / "kept" / "report.json").read_text() == "mine"
    assert main.execute(["evaluate", "--out", "kept", "--overwrite"]) == 0
    assert json.loads((tmp_path / "kept" / "report.json").read_text())["AP"] == pytest.approx(0.5)
    assert not (run / "report.json").exists()


def test_no_result_at_all_is_a_result(run, capsys):
    write_results([], CATEGORIES, run / "results.json")
    assert main.execute(["evaluate", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["AP"] == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("summary", "cause"),
    [
        (None, "no summary.json"),
        ("{", "not the summary"),
        ("[]", "not the summary"),
        ('{"ground_truth": null}', "without ground truth"),
        ('{"ground_truth": "gone.json"}', "gone.json is gone"),
    ],
)
def test_unknown_ground_truth(run, summary, cause):
    (run / "summary.json").unlink()
    if summary is not None:
        (run / "summary.json").write_text(summary)
    with pytest.raises(InputError, match=cause) as raised:
        main.execute(["evaluate"])
    assert "--gt" in str(raised.value.hint)
    assert not (run / "report.json").exists()


def test_results_of_another_set(run):
    content = json.loads((run / "results.json").read_text())
    content[0]["video_id"] = 77
    (run / "results.json").write_text(json.dumps(content))
    with pytest.raises(InputError) as raised:
        main.execute(["evaluate"])
    assert "results.json" in raised.value.line()
    assert "77" in raised.value.line()
    assert not (run / "report.json").exists()


def test_a_later_run_on_a_free_video_is_passed_over(run, capsys):
    later = run.parent / "2"
    later.mkdir()
    (later / "results.json").write_text("[]")
    (later / "summary.json").write_text(json.dumps({"ground_truth": None}))
    main.execute(["evaluate"])
    assert capsys.readouterr().err.startswith("results: runs/infer/1/results.json")


def test_only_a_free_video_has_no_ground_truth_to_be_found(run):
    (run / "summary.json").write_text(json.dumps({"ground_truth": None}))
    with pytest.raises(InputError, match="without ground truth"):
        main.execute(["evaluate"])
