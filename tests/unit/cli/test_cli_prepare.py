"""`qcen prepare` on small real files: what it prints, what it writes, how it refuses."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from qcen_cli import main
from qcen_core.errors import InputError, QcenError

HEIGHT, WIDTH, FRAMES = 23, 37, 3


@pytest.fixture
def own_data(monkeypatch, tmp_path):
    """Ten videos of three frames with one object each, as a labelling tool would write them."""
    monkeypatch.chdir(tmp_path)
    videos, annotations = [], []
    for number in range(1, 11):
        names = [f"v{number}/{frame:05d}.png" for frame in range(FRAMES)]
        (tmp_path / "JPEGImages" / f"v{number}").mkdir(parents=True)
        for name in names:
            cv2.imwrite(str(tmp_path / "JPEGImages" / name), np.full((HEIGHT, WIDTH, 3), 7 * number, np.uint8))
        videos.append({"id": number, "width": WIDTH, "height": HEIGHT, "length": FRAMES, "file_names": names})
        annotations.append(
            {
                "id": number,
                "video_id": number,
                "category_id": 5 + number % 2,
                "iscrowd": 0,
                "bboxes": [[number, 2, 11, 13], None, [number + 1, 2, 11, 13]],
            }
        )
    return {
        "videos": videos,
        "categories": [{"id": 5, "name": "cat"}, {"id": 6, "name": "dog"}],
        "annotations": annotations,
    }


def write(content, name="pets.json"):
    Path(name).write_text(json.dumps(content), encoding="utf-8")
    return name


def test_json_is_all_that_is_on_stdout(own_data, capsys):
    main.execute(["prepare", write(own_data), "--holdout", "0.2", "--json"])
    printed = capsys.readouterr()
    report = json.loads(printed.out)
    assert {key: report[key] for key in ("videos", "held_out", "frames", "boxes", "categories", "dropped", "out")} == {
        "videos": 10,
        "held_out": 2,
        "frames": 30,
        "boxes": 20,
        "categories": ["cat", "dog"],
        "dropped": {},
        "out": "data/pets",
    }
    assert "prepare: 10/10 videos" in printed.err


def test_the_result_is_a_table_and_the_place(own_data, capsys, tmp_path):
    assert main.execute(["prepare", write(own_data), "--out", "mine", "--name", "pets"]) == 0
    out = capsys.readouterr().out
    head, counts, _, density, densities, _, *table = out.splitlines()
    assert head.split() == ["videos", "held", "out", "frames", "boxes", "categories"]
    assert counts.split() == ["10", "1", "30", "20", "2"]
    assert density.split()[:3] == ["labelled", "frames", "empty"]
    assert densities.split() == ["30", "10", "0", "0.667", "1"]
    assert [line.split() for line in table[:3]] == [
        ["category", "boxes", "videos"],
        ["cat", "10", "5"],
        ["dog", "10", "5"],
    ]
    assert table[-2:] == ["sheet: mine/contact_sheet.png", "data: mine"]
    assert cv2.imread("mine/contact_sheet.png").shape[2] == 3
    assert (tmp_path / "mine" / "dataset.yaml").is_file()
    assert not (tmp_path / "data").exists()


def test_nothing_is_overwritten_silently(own_data):
    name = write(own_data)
    main.execute(["prepare", name])
    with pytest.raises(InputError) as raised:
        main.execute(["prepare", name])
    assert "data/pets" in raised.value.line()
    assert "--overwrite" in str(raised.value.hint)
    main.execute(["prepare", name, "--overwrite"])


def test_a_wrong_box_names_file_and_record_and_writes_nothing(own_data, tmp_path):
    own_data["annotations"][6]["bboxes"][2] = [30, 2, 11, 13]
    with pytest.raises(InputError) as raised:
        main.execute(["prepare", write(own_data)])
    assert raised.value.exit_code == 2
    assert "pets.json" in raised.value.line()
    assert "annotation 7" in raised.value.line()
    assert not list(tmp_path.glob("data/*"))


def test_skip_bad_counts_what_was_dropped(own_data, capsys):
    own_data["annotations"][6]["bboxes"][2] = [30, 2, 11, 13]
    main.execute(["prepare", write(own_data), "--skip-bad", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert report["boxes"] == 19
    assert sum(report["dropped"].values()) == 1


def test_check_fails_where_labels_would_be_lost(own_data, capsys, tmp_path):
    name = write(own_data)
    assert main.execute(["prepare", name, "--check"]) == 0
    own_data["annotations"][6]["bboxes"][2] = [30, 2, 11, 13]
    own_data["annotations"][3]["category_id"] = 99
    capsys.readouterr()
    with pytest.raises(QcenError) as raised:
        main.execute(["prepare", write(own_data), "--check"])
    assert raised.value.exit_code == 1
    out = capsys.readouterr().out
    assert "annotation 7" in out
    assert "annotation 4" in out
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("left", ["videos", "boxes"])
def test_check_refuses_what_prepare_would(own_data, left):
    own_data["annotations"] = []
    if left == "videos":
        own_data["videos"] = []
    for options in (["--check"], []):
        with pytest.raises(InputError, match="no usable video" if left == "videos" else "not one box"):
            main.execute(["prepare", write(own_data), *options])


def test_check_without_any_frame_asks_for_their_folder(own_data):
    Path("JPEGImages").rename("elsewhere")
    with pytest.raises(QcenError) as raised:
        main.execute(["prepare", write(own_data), "--check"])
    assert "--frames" in raised.value.hint
    assert main.execute(["prepare", "pets.json", "--check", "--frames", "elsewhere"]) == 0


def test_malformed_json(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.json").write_text('{"videos": [}')
    with pytest.raises(InputError) as raised:
        main.execute(["prepare", "bad.json"])
    assert raised.value.exit_code == 2
    assert raised.value.line().startswith("bad.json")
    assert "line 1" in raised.value.line()


def test_shapes_are_made_on_the_spot(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = ["prepare", "--dataset", "shapes", "--level", "easy", "--clips", "3", "--holdout-clips", "2"]
    main.execute([*arguments, "--height", "32", "--width", "64", "--length", "2", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert (report["videos"], report["frames"], report["out"]) == (5, 10, "data/shapes")
    image = cv2.imread(str(next((tmp_path / "data" / "shapes").rglob("*.jpg"))))
    assert image.shape == (32, 64, 3)


def test_a_contact_sheet_overwrites_nothing(own_data, tmp_path):
    name = write(own_data)
    before = (tmp_path / name).read_bytes()
    Path("old.png").write_text("a picture")
    for path, cause in ((name, "a .png file"), ("old.png", "there already")):
        with pytest.raises(InputError, match=cause):
            main.execute(["prepare", name, "--check", "--sheet", path])
    assert (tmp_path / name).read_bytes() == before
    assert Path("old.png").read_text() == "a picture"
    main.execute(["prepare", name, "--check", "--sheet", "new.png"])
    assert cv2.imread("new.png") is not None
    assert not (tmp_path / "data").exists()


def test_lost_boxes_are_counted_and_videos_that_are_left_out_are_named(own_data, capsys):
    own_data["annotations"][3]["category_id"] = 99
    Path("JPEGImages/v2/00000.png").unlink()
    main.execute(["prepare", write(own_data), "--skip-bad", "--json"])
    printed = capsys.readouterr()
    report = json.loads(printed.out)
    assert report["dropped"] == {"unknown category": 1, "missing frame file": 1}
    assert report["lost_boxes"] == {"unknown category": 2, "missing frame file": 2}
    assert report["boxes"] == 16
    assert "left out as a whole: 1 of 10 videos with 3 frames: v2" in printed.err


@pytest.mark.parametrize(
    "options", [["--source", "x"], ["--level", "easy"], ["--clips", "3"], ["--name", "../x"], ["--holdout-clips", "1"]]
)
def test_options_that_mean_nothing_here_are_refused(own_data, options):
    with pytest.raises(InputError):
        main.execute(["prepare", write(own_data), *options])
    assert not Path("data").exists()
