"""`qcen evaluate` on a small ground truth: figures on stdout, one JSON object, two report files."""

import csv
import json
import zipfile

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


def test_a_table_for_spreadsheets_holds_the_figures_of_the_report(run):
    main.execute(["evaluate"])
    report = json.loads((run / "report.json").read_text())
    with (run / "report.csv").open(newline="") as file:
        rows = {(row["name"], row["class"]): row["value"] for row in csv.DictReader(file)}
    for name in ("AP", "AP75", "AR100"):
        assert float(rows[name, ""]) == report[name]
    assert (rows["APl", ""], report["APl"]) == ("", None)
    assert float(rows["HOTA", ""]) == report["hota"]["HOTA"] == pytest.approx((2 / 3) ** 0.5)
    assert rows["IDSW", ""] == "0"
    assert float(rows["box tube_AP", "cat"]) == float(rows["AP", "cat"]) == float(rows["HOTA", "cat"]) == 1
    assert (rows["objects by twins: alone", ""], rows["AP by twins: 1 twin", ""]) == ("2", "")
    assert float(rows["calibration error", ""]) == report["calibration"]["ece"] == pytest.approx(0.1)
    assert set(rows) > {("AR100", "dog"), ("box frame_AP", ""), ("AR_heavy", ""), ("linked right", "")}


@pytest.mark.usefixtures("run")
def test_details_are_shown_on_request(capsys):
    main.execute(["evaluate"])
    plain = capsys.readouterr().out
    main.execute(["evaluate", "--details"])
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line]
    assert ["alone", "2", "50.0", "50.0", "50.0"] in lines
    assert ["by", "length,", "frames", "objects", "AP", "AP50", "AR100"] in lines
    assert "by twins" not in plain
    association = next(row for row in map(str.split, plain.splitlines()) if row[:1] == ["HOTA"])
    assert association[:7] == ["HOTA", "DetA", "AssA", "LocA", "IDF1", "identity", "switches"]


def test_results_are_packed_for_a_server(run, capsys):
    main.execute(["evaluate", "--zip", "--json"])
    assert json.loads(capsys.readouterr().out)["AP"] == pytest.approx(0.5)
    with zipfile.ZipFile(run / "submission.zip") as archive:
        assert archive.namelist() == ["results.json"]
        assert archive.read("results.json") == (run / "results.json").read_bytes()


def test_all_that_is_wrong_is_told(run, capsys):
    content = [{**record, "category_id": 4} for record in json.loads((run / "results.json").read_text()) * 23]
    content[0]["video_id"] = 77
    (run / "results.json").write_text(json.dumps(content))
    for options in ([], ["--zip"]):
        with pytest.raises(InputError, match="result 0: "):
            main.execute(["evaluate", "--gt", "truth.json", str(run), *options])
        told = capsys.readouterr().err.splitlines()
        assert len(told) == 21
        # The first record is wrong in two ways.
        assert [int(line.split(": ")[1].removeprefix("result ")) for line in told[:20]] == [0, 0, *range(1, 19)]
        assert told[-1].startswith("and 4 more; problems by kind: category 23")
    assert not (run / "submission.zip").exists()


def test_results_of_another_data_set_are_told_to_be(run, capsys):
    records = json.loads((run / "results.json").read_text())
    (run / "results.json").write_text(json.dumps([{**record, "video_id": 7} for record in records]))
    with pytest.raises(InputError, match="video_id 7 is unknown"):
        main.execute(["evaluate", "--zip"])
    assert "note: most of its videos are unknown" in capsys.readouterr().err
    assert {path.name for path in run.iterdir()} == {"results.json", "summary.json"}


def test_official_quirks_are_followed_on_request(run, capsys):
    truth = json.loads((run.parents[2] / "truth.json").read_text())
    truth["annotations"][0]["id"] = 0  # which the official program takes for nothing found
    (run.parents[2] / "truth.json").write_text(json.dumps(truth))
    main.execute(["evaluate", "--json"])
    assert json.loads(capsys.readouterr().out)["AP"] == pytest.approx(0.5)
    assert main.execute(["evaluate", "--official-quirks", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["AP"], told["official_quirks"]) == (0, True)
    with pytest.raises(InputError, match="one results file"):
        main.execute(["evaluate", str(run), str(run), "--official-quirks"])


def test_official_quirks_take_results_of_any_length(run):
    content = json.loads((run / "results.json").read_text())
    del content[0]["segmentations"][1]
    (run / "results.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="result 0"):
        main.execute(["evaluate"])
    assert main.execute(["evaluate", "--official-quirks"]) == 0
    assert json.loads((run / "report.json").read_text())["AP"] > 0
