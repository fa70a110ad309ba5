"""`qcen evaluate` with several results: what is shown, what is written, and what is refused."""

import json

import numpy as np
import pytest

from qcen_cli import comparison, main
from qcen_core.errors import InputError
from qcen_core.ops import rle
from qcen_core.records import Category, ObjectTrack, TrackDataset, TrackResult, VideoRecord
from qcen_core.resultfile import write_results
from qcen_core.trackfile import write_annotations

HEIGHT, WIDTH = 29, 43
CATEGORIES = (Category(3, "cat"), Category(8, "dog"))


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """Three runs on seven videos of a cat and a dog each: perfect, without dogs, and on two of the videos only."""
    monkeypatch.chdir(tmp_path)
    videos = tuple(VideoRecord(n, f"v{n}", HEIGHT, WIDTH, ("a.jpg",)) for n in range(1, 8))
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[2:13, 5:18] = True
    masks = (rle.encode(mask),)
    tracks = [
        ObjectTrack(2 * video.id + kind, video.id, kind, ((5.0, 2.0, 18.0, 13.0),), masks)
        for video in videos
        for kind in (0, 1)
    ]
    write_annotations(TrackDataset(CATEGORIES, videos, tuple(tracks)), tmp_path / "truth.json")
    perfect = [TrackResult(track.video_id, track.id, track.class_id, 0.9, masks) for track in tracks]
    runs = [perfect, [row for row in perfect if row.class_id == 0], perfect[:4]]
    for number, results in enumerate(runs, start=1):
        run = tmp_path / "runs" / "infer" / str(number)
        run.mkdir(parents=True)
        write_results(results, CATEGORIES, run / "results.json")
        (run / "summary.json").write_text(json.dumps({"ground_truth": str(tmp_path / "truth.json")}))
    return tmp_path


def printed_rows(capsys):
    return [line.split() for line in capsys.readouterr().out.splitlines() if line]


def test_two_results_are_compared(folder, capsys):
    assert main.execute(["evaluate", "runs/infer/1", "runs/infer/2"]) == 0
    rows = printed_rows(capsys)
    assert rows[:2] == [["a:", "runs/infer/1"], ["b:", "runs/infer/2"]]
    assert ["masks", "a", "b", "b", "-", "a", "from", "to", "videos"] in rows
    assert ["AP", "100.0", "50.0", "-50.0", "-50.0", "-50.0", "7"] in rows
    assert ["cat", "100.0", "100.0", "0.0", "0.0", "0.0", "7"] in rows
    assert ["dog", "100.0", "0.0", "-100.0", "-100.0", "-100.0", "7"] in rows
    assert "by b in 0 videos, by a in 7" in " ".join(rows[-3])
    assert "7 videos drawn anew 1000 times, seed 0" in " ".join(rows[-2])
    assert rows[-1] == ["comparison:", "runs/infer/2/comparison.html"]
    told = json.loads((folder / "runs/infer/2/comparison.json").read_text())
    assert told["names"] == ["runs/infer/1", "runs/infer/2"]
    assert told["figures"]["AP"]["difference"] == pytest.approx(-0.5)
    assert told["per_video"]["v3"] == {"a": 1, "b": 0.5, "difference": -0.5}
    assert not (folder / "runs/infer/2/report.json").exists()


def test_one_json_object_tells_all(folder, capsys):
    files = ["runs/infer/2/results.json", "runs/infer/1"]
    assert main.execute(["evaluate", *files, "--gt", "truth.json", "--out", "elsewhere", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == json.loads((folder / "elsewhere" / "comparison.json").read_text())
    assert told["per_class"]["dog"]["low"] == 1


def test_more_results_are_compared_with_the_first(folder, capsys):
    assert main.execute(["evaluate", "runs/infer/1", "runs/infer/2", "runs/infer/3"]) == 0
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert lines[0].split()[:2] == ["results", "AP"]
    assert lines[1].split()[:2] == ["runs/infer/1", "100.0"]
    assert lines[2].split()[:6] == ["runs/infer/2", "50.0", "-50.0", "(-50.0", "to", "-50.0)"]
    assert lines[3].startswith("runs/infer/3")
    assert "note: runs/infer/3 has no result in 5 of the videos where runs/infer/1 has some" in printed.err
    told = json.loads((folder / "runs/infer/3/comparison.json").read_text())
    assert [one["names"][1] for one in told["comparisons"]] == ["runs/infer/2", "runs/infer/3"]


def test_runs_on_different_ground_truth_are_refused(folder):
    (folder / "other.json").write_text((folder / "truth.json").read_text())
    (folder / "runs/infer/2/summary.json").write_text(json.dumps({"ground_truth": "other.json"}))
    with pytest.raises(
        InputError, match=r"runs/infer/2/results.json: .* in other.json, those of .*truth.json"
    ) as raised:
        main.execute(["evaluate", "runs/infer/1", "runs/infer/2"])
    assert "--gt" in str(raised.value.hint)
    assert main.execute(["evaluate", "runs/infer/1", "runs/infer/2", "--gt", "other.json"]) == 0


@pytest.mark.parametrize(("video", "cause"), [(77, "77"), (7, "has results in 5 videos, runs/infer/3 in 2 others")])
def test_results_of_other_videos_are_refused(folder, video, cause):
    path = folder / "runs/infer/2/results.json"
    rows = [row for row in json.loads(path.read_text()) if row["video_id"] > 2]
    rows[-1]["video_id"] = video
    path.write_text(json.dumps(rows))
    with pytest.raises(InputError) as raised:
        main.execute(["evaluate", "runs/infer/3", "runs/infer/2"])
    assert "runs/infer/2" in raised.value.line()
    assert cause in raised.value.line()
    assert not path.with_name("comparison.json").exists()


@pytest.mark.usefixtures("folder")
def test_a_missing_one_of_several_is_named():
    with pytest.raises(InputError, match="runs/infer/9: no such file"):
        main.execute(["evaluate", "runs/infer/1", "runs/infer/9"])


def test_what_rounds_to_nothing_has_no_sign():
    assert [comparison._signed(value) for value in (-0.0004, 0.0004, -0.0006, 0.5, None)] == [
        "0.0", "0.0", "-0.1", "+50.0", "-"
    ]  # fmt: skip
