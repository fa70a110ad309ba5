"""`prepare(dataset="ytvis2021")`: a published set, as it was downloaded, becomes a data set with splits to run on."""

import json
import zipfile

import cv2
import numpy as np
import pytest

from qcen_core.boxfile import read_boxes
from qcen_core.conversion.prepare import prepare
from qcen_core.conversion.published.categories import OVIS, YTVIS2021
from qcen_core.errors import InputError
from qcen_core.prepared import read_prepared
from qcen_core.trackfile import read_annotations

HEIGHT, WIDTH, FRAMES, VIDEOS = 13, 17, 2, 5
PICTURE = cv2.imencode(".jpg", np.full((HEIGHT, WIDTH, 3), 90, np.uint8))[1].tobytes()


def split_files(split, annotations, frames, categories=YTVIS2021, *, labelled=True):
    """Path -> bytes of one split, its videos all named as in the other splits."""
    videos, labels, files = [], [], {}
    for number in range(1, VIDEOS + 1):
        names = [f"{split}{number:03d}/{5 * frame:05d}.jpg" for frame in range(FRAMES)]
        videos.append({"id": number, "file_names": names, "length": FRAMES, "height": HEIGHT, "width": WIDTH})
        boxes = [[number, 2, 3, 4], None]
        labels.append({"id": number, "video_id": number, "category_id": 2, "iscrowd": 0, "bboxes": boxes})
        files |= {f"{frames}/{name}": PICTURE for name in names}
    content = {
        "videos": videos,
        "categories": [{"id": i, "name": name} for i, name in enumerate(categories, 1)],
        "annotations": labels if labelled else None,
    }
    return files | {annotations: json.dumps(content).encode()}


def lay(folder, files):
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


TRAIN = split_files("t", "train/instances.json", "train/JPEGImages")
VALID = split_files("v", "valid/instances.json", "valid/JPEGImages", labelled=False)


def require_frames(out):
    """Every split's frames are where the data set says; returns the names of the splits."""
    prepared = read_prepared(out)
    for split in prepared.splits.values():
        dataset = read_boxes(split.boxes, prepared.frames_root)
        assert tuple(video.name for video in dataset.videos) == split.videos
        for video in dataset.videos:
            for file in video.frame_files:
                assert (prepared.frames_root / file).is_file()
    return set(prepared.splits)


def test_a_folder_with_a_split_to_run_on(tmp_path):
    source = lay(tmp_path / "ytvis", TRAIN | VALID)
    report = prepare(dataset="ytvis2021", source=source, out=tmp_path / "set", holdout=0.4)
    assert (report.videos, report.held_out, report.boxes) == (VIDEOS, 2, VIDEOS)
    assert report.inference == {"valid": VIDEOS}
    assert any("5 of 2,985" in note for note in report.notes)
    assert require_frames(tmp_path / "set") == {"train", "holdout", "valid"}
    prepared = read_prepared(tmp_path / "set")
    assert prepared.frames_root == source
    valid = prepared.splits["valid"]
    assert (valid.strong, valid.ground_truth) == (None, None)
    for video in read_boxes(valid.boxes, source).videos:
        assert not any(labels.labelled for labels in video.labels)
    truth = read_annotations(prepared.splits["holdout"].ground_truth)
    assert {video.name for video in truth.videos} == set(prepared.splits["holdout"].videos)


def test_ovis_where_annotations_lie_apart(tmp_path):
    files = split_files("a", "annotations_train.json", "train", OVIS)
    report = prepare(dataset="ovis", source=lay(tmp_path / "OVIS", files), out=tmp_path / "set")
    assert report.categories["Bird"] == (VIDEOS, VIDEOS)
    assert require_frames(tmp_path / "set") == {"train", "holdout"}


def test_a_zip_is_unpacked_into_the_data_set(tmp_path):
    path = tmp_path / "download" / "train.zip"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as written:
        for name, data in TRAIN.items():
            written.writestr(name, data)
    report = prepare(dataset="ytvis2021", source=path.parent, out=tmp_path / "set")
    assert report.videos == VIDEOS
    assert require_frames(tmp_path / "set") == {"train", "holdout"}
    prepared = read_prepared(tmp_path / "set")
    assert prepared.frames_root.is_relative_to(tmp_path / "set" / "frames")
    assert str(path.parent) in prepared.source
    # A data set that was moved keeps its frames.
    (tmp_path / "set").rename(tmp_path / "moved")
    require_frames(tmp_path / "moved")


def test_a_cut_off_zip_leaves_nothing(tmp_path):
    path = tmp_path / "train.zip"
    with zipfile.ZipFile(path, "w") as written:
        for name, data in TRAIN.items():
            written.writestr(name, data)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError) as raised:
        prepare(dataset="ytvis2021", source=path, out=tmp_path / "set")
    assert str(path) in raised.value.place
    assert list(tmp_path.iterdir()) == [path]


def test_the_usual_place_is_looked_at_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as raised:
        prepare(dataset="ytvis2021", out=tmp_path / "set")
    assert "datasets/ytvis2021" in raised.value.place
    assert "https://youtube-vos.org/dataset/vis/" in raised.value.hint
    assert "train.zip" in raised.value.hint
    lay(tmp_path / "datasets" / "ytvis2021", TRAIN)
    assert prepare(dataset="ytvis2021", out=tmp_path / "set").videos == VIDEOS


def test_a_check_writes_nothing(tmp_path):
    source = lay(tmp_path / "ytvis", TRAIN | VALID)
    report = prepare(dataset="ytvis2021", source=source, out=tmp_path / "set", check_only=True)
    assert (report.videos, report.out) == (VIDEOS, None)
    assert list(tmp_path.iterdir()) == [source]


def test_the_wrong_set_is_named(tmp_path):
    source = lay(tmp_path / "ytvis", TRAIN)
    with pytest.raises(InputError, match="ytvis2021, not of ytvis2019") as raised:
        prepare(dataset="ytvis2019", source=source, out=tmp_path / "set")
    assert "--dataset ytvis2021" in raised.value.hint


def test_frames_out_of_a_zip_and_frames_on_disk_are_not_mixed(tmp_path):
    source = lay(tmp_path / "download", VALID)
    with zipfile.ZipFile(source / "train.zip", "w") as written:
        for name, data in TRAIN.items():
            written.writestr(name, data)
    report = prepare(dataset="ytvis2021", source=source, out=tmp_path / "set")
    assert report.inference == {}
    assert any(note.startswith("valid: left out") for note in report.notes)
    assert require_frames(tmp_path / "set") == {"train", "holdout"}
    assert ".part" not in (tmp_path / "set" / "train.json").read_text()
