"""Which videos and which results the player reads."""

import json

import pytest
from report_pages import made_up_figures, write_evaluation

from qcen_core.errors import InputError
from qcen_core.records import VideoRecord
from qcen_core.resultfile import read_results
from qcen_core.trackfile import read_annotations
from qcen_core.visualization.frames_place import frames_beside
from qcen_core.visualization.player import listed_videos, player_section, read_player, results_of

VIDEOS = tuple(VideoRecord(n, f"v{n}", 5, 7, ("a",)) for n in range(7))
QUALITY = {"v0": 0.5, "v1": 0.125, "v2": None, "v3": 0.75, "v4": 0.25, "v5": 1.0, "v6": 0.625}


def test_the_worst_come_first_then_a_typical_one_and_the_best():
    listed = listed_videos(VIDEOS, {"videos": QUALITY}, 2)
    assert [(video.name, note) for video, note in listed] == [
        ("v1", "IoU 12 %"),
        ("v4", "IoU 25 %"),
        ("v6", "typical, IoU 62 %"),
        ("v5", "best, IoU 100 %"),
    ]


def test_an_evaluation_names_the_worst():
    figures = {"videos": QUALITY, "worst": [{"video": "v3"}, {"video": "gone"}, {"video": "v2"}]}
    assert [video.name for video, _ in listed_videos(VIDEOS, figures, 5)] == ["v3", "v2", "v6", "v5"]


def test_without_figures_videos_stay_in_their_order():
    listed = listed_videos(VIDEOS, {}, 3)
    assert [(video.name, note) for video, note in listed] == [("v0", ""), ("v1", ""), ("v2", "")]


def test_results_of_some_videos_are_those_that_a_whole_reading_gives(tmp_path):
    truth_file, results_file = write_evaluation(tmp_path)
    truth = read_annotations(truth_file)
    whole = read_results(results_file, truth)
    for video in truth.videos:
        assert results_of(results_file, truth, [video]) == [r for r in whole if r.video_id == video.id]
    assert results_of(results_file, truth, truth.videos) == list(whole)
    fewer = json.loads(results_file.read_text())
    fewer[0]["segmentations"] = fewer[0]["segmentations"][:4]
    fewer[2]["segmentations"] += [None] * 3
    (tmp_path / "short.json").write_text(json.dumps(fewer))
    first, third = results_of(tmp_path / "short.json", truth, truth.videos[:1])
    assert first.segmentations == (*whole[0].segmentations[:4], None, None, None)
    assert third == whole[2]
    # A file with NaN is no JSON, but Python writes and reads it.
    odd = tmp_path / "odd.json"
    odd.write_text(results_file.read_text().replace('"score": 0.8', '"score": NaN'))
    assert "NaN" in odd.read_text()
    assert results_of(odd, truth, truth.videos[:1]) == [r for r in whole if r.video_id == 1]
    odd.write_text("{}")
    with pytest.raises(InputError, match="not a results file"):
        results_of(odd, truth, truth.videos)


def test_the_player_of_an_evaluation(tmp_path):
    truth, results = write_evaluation(tmp_path)
    data = read_player(results, truth, frames_beside(truth, results), made_up_figures())
    assert [video["name"] for video in data["videos"]] == ["v1", "v2"]
    assert all(video["images"] for video in data["videos"])
    strict = read_player(results, truth, None, made_up_figures() | {"shown_score": 0.7})
    assert [len(video["found"]) for video in strict["videos"]] == [1, 1]
    assert player_section(data) is not None
    assert player_section({"videos": []}) is None


def test_frames_lie_where_the_summary_says(tmp_path):
    truth, results = write_evaluation(tmp_path)
    assert frames_beside(truth) == tmp_path / "JPEGImages"
    summary = tmp_path / "summary.json"
    summary.write_text(json.dumps({"frames_root": "/elsewhere", "ground_truth": str(truth)}))
    assert str(frames_beside(truth, results)) == "/elsewhere"
    summary.write_text(json.dumps({"frames_root": "/elsewhere", "ground_truth": "/another.json"}))
    assert frames_beside(truth, results) == tmp_path / "JPEGImages"
    assert frames_beside(tmp_path / "JPEGImages" / "x.json") == tmp_path / "JPEGImages"
