"""The report that `qcen evaluate` leaves behind."""

import json
import re

import pytest
from report_pages import FRAMES, write_evaluation

from qcen_cli.report import write_report
from qcen_core.evaluation.evaluate import evaluate


@pytest.mark.parametrize("frames", ["found", "given", "gone"])
def test_the_report_plays_the_videos_that_were_evaluated(tmp_path, frames):
    truth, results = write_evaluation(tmp_path)
    root = None
    if frames == "given":
        root = (tmp_path / "JPEGImages").rename(tmp_path / "elsewhere")
    elif frames == "gone":
        (tmp_path / "summary.json").write_text("{")
    page = write_report(evaluate(results, truth), results, truth, tmp_path / "out", ["box"], root)
    html = page.read_text(encoding="utf-8")
    assert "the weights learned from box" in html
    figures = json.loads((tmp_path / "out" / "report.json").read_text())
    assert figures["supervision"] == ["box"]
    (data,) = re.findall("id='page-data'>(.*?)</script>", html)
    videos = {video["name"]: video for video in json.loads(data)["videos"]}
    assert set(videos) == {"v1", "v2"}
    images = None if frames == "gone" else FRAMES
    assert all((video["images"] and len(video["images"])) == images for video in videos.values())
    # What the evaluation matched has one colour, as far as it goes with the ids that the player knows.
    (true,), (found,) = videos["v2"]["truth"], videos["v2"]["found"]
    assert true["color"] == found["color"]
    assert [track["verdict"] for track in videos["v1"]["found"]] == ["background", "right"]
    assert found["verdict"] == "right"
