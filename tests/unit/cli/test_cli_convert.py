"""`qcen convert` as a person calls it."""

import json

import pytest

TRACKS = {
    "videos": [{"id": 1, "name": "film", "width": 7, "height": 5, "length": 1, "file_names": ["film/a.png"]}],
    "categories": [{"id": 1, "name": "cat"}],
    "annotations": [
        {"id": 1, "video_id": 1, "category_id": 1, "bboxes": [[0, 1, 2, 3]], "score": 0.5, "scores": [0.25]}
    ],
}


@pytest.fixture
def call(monkeypatch, tmp_path, run_qcen):
    """Runs `qcen` with arguments beside a file of tracks; returns exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tracks.json").write_text(json.dumps(TRACKS))
    return run_qcen


def test_what_was_written_and_what_got_lost(call, tmp_path):
    code, out, err = call("convert", "tracks.json", "mot")
    assert code == 0
    assert out == "mot: mot\n1 video, 1 track, 1 sighting\n"
    assert err == "note: MOTChallenge text: no place for 1 score of tracks\n"
    assert (tmp_path / "mot" / "film" / "gt" / "gt.txt").read_text() == "1,1,0,1,2,3,0.25,1,1\n"


def test_json(call):
    code, out, err = call("convert", "tracks.json", "x", "--to", "coco-vid", "--conf", "0.3", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == {
        "target": "x",
        "from": "tracks",
        "to": "coco-vid",
        "videos": 1,
        "tracks": 0,
        "sightings": 0,
        "lost": ["left out: 1 sighting below the confidence"],
    }


@pytest.mark.parametrize(
    ("arguments", "cause", "hint"),
    [
        (["tracks.json", "x"], "x: its name does not say which form to write", "pass --to"),
        (["tracks.json", "x", "--to", "gif"], "there is no form 'gif'", "forms are frames, results"),
        (["none.json", "x.csv"], "none.json: there is no such file", "check the path"),
        (["tracks.json", "tracks.json", "--overwrite"], "source and target are the same", "another place"),
        (["tracks.json", "x.csv", "--conf", "2"], "--conf", "see 'qcen convert --help'"),
        (["tracks.json", "x.csv", "--like", "tracks.json"], "states its videos itself", "leave out --like"),
    ],
)
def test_wrong_usage_is_one_line_and_a_hint(call, tmp_path, arguments, cause, hint):
    code, out, err = call("convert", *arguments)
    assert (code, out) == (2, "")
    first, second = err.splitlines()
    assert first.startswith("error: ")
    assert cause in first
    assert second.startswith("hint: ")
    assert hint in second
    assert [file.name for file in tmp_path.iterdir()] == ["tracks.json"]


def test_overwrite(call, tmp_path):
    assert call("convert", "tracks.json", "tracks.csv")[0] == 0
    assert call("convert", "tracks.json", "tracks.csv")[0] == 2
    assert call("convert", "tracks.json", "tracks.csv", "--overwrite")[0] == 0
    # Back again, the first file telling of the videos.
    assert call("convert", "tracks.csv", "back.json", "--to", "tracks", "--like", "tracks.json")[0] == 0
    back = json.loads((tmp_path / "back.json").read_text())
    assert back["videos"] == TRACKS["videos"]
    assert back["annotations"][0]["bboxes"] == [[0, 1, 2, 3]]
