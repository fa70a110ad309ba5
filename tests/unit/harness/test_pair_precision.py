"""Pairs from boxes alone, judged by hand."""

import json

from typer.testing import CliRunner

from benchmarks.pair_precision import Seen, app, figures_of

LEFT, RIGHT = (0.0, 0.0, 10.0, 10.0), (50.0, 0.0, 60.0, 10.0)


def test_twins_that_changed_places_are_paired_wrongly_and_strangers_rightly():
    first = Seen([LEFT, RIGHT, (0.0, 30.0, 9.0, 39.0)], [0, 0, 1], [7, 8, 9])
    second = Seen([LEFT, RIGHT, (50.0, 30.0, 59.0, 39.0)], [0, 0, 1], [8, 7, 9])
    found = figures_of(first, second, 1)
    assert [float(part) for part in found["pair_precision"]] == [2.0, 6.0]  # both directions of three pairs
    assert [float(part) for part in found["pair_recall"]] == [2.0, 6.0]


def test_the_command_tells_every_distance(tmp_path):
    file = tmp_path / "clips.json"
    boxes = [[0, 0, 10, 10], [2, 0, 10, 10], None, [6, 0, 10, 10]]
    names = [f"a/{i}.jpg" for i in range(4)]
    video = {"id": 1, "width": 64, "height": 32, "length": 4, "file_names": names}
    track = {"id": 1, "video_id": 1, "category_id": 1, "bboxes": boxes, "iscrowd": 0}
    file.write_text(json.dumps({"videos": [video], "categories": [{"id": 1, "name": "disc"}], "annotations": [track]}))
    result = CliRunner().invoke(app, [str(file), "--most", "3"])
    assert result.exit_code == 0, result.output
    assert result.output.count("100.0") == 6
