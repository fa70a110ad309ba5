"""`prepare(dataset="coco")`: the images of a COCO folder become clips with labels that follow the camera."""

import json

import cv2
import numpy as np
import pytest
from coco_folder import build

from qcen_core.boxfile import read_boxes
from qcen_core.conversion.prepare import prepare
from qcen_core.errors import InputError
from qcen_core.ops import rle
from qcen_core.prepared import read_prepared
from qcen_core.trackfile import read_annotations


def make(source, out, **changes):
    return prepare(dataset="coco", annotations=source, out=out, skip_bad=True, **({"length": 4} | changes))


def colours(out, split):
    """Mean RGB of the clips of a split: red images are for training, green ones for validation."""
    prepared = read_prepared(out)
    dataset = read_boxes(prepared.splits[split].boxes, prepared.frames_root)
    files = [prepared.frames_root / video.frame_files[0] for video in dataset.videos]
    return [cv2.imread(str(file))[..., ::-1].mean(axis=(0, 1)) for file in files]


def test_each_image_becomes_a_clip_and_validation_images_are_held_out(tmp_path):
    report = make(build(tmp_path / "coco"), tmp_path / "set", holdout=0.5)
    assert (report.videos, report.held_out, report.frames) == (6, 2, 24)
    assert report.dropped == {"missing frame file": 2}
    assert set(report.categories) == {"dog", "car", "chair"}
    assert all(red > green for red, green, _ in colours(tmp_path / "set", "train"))
    assert all(green > red for red, green, _ in colours(tmp_path / "set", "holdout"))


def test_boxes_fit_their_masks_and_crowds_are_regions_to_ignore(tmp_path):
    make(build(tmp_path / "coco"), tmp_path / "set", keep_masks=True, keep_ids=True, holdout=0)
    prepared = read_prepared(tmp_path / "set")
    split = prepared.splits["train"]
    tracks = read_annotations(split.strong)
    moved = 0
    for track in tracks.tracks:
        for box, mask in zip(track.boxes, track.segmentations, strict=True):
            assert (box is None) == (mask is None)
            assert box is None or box == rle.bounding_box(mask)
        seen = {box for box in track.boxes if box is not None}
        moved += len(seen) > 1
    assert moved > len(tracks.tracks) / 2  # the camera moves
    assert any(track.is_crowd for track in tracks.tracks)
    for video in read_boxes(split.boxes, prepared.frames_root).videos:
        image = cv2.imread(str(prepared.frames_root / video.frame_files[0]))
        assert image.shape == (video.height, video.width, 3)
        for labels in video.labels:
            assert not labels.ignore.all()


def test_of_a_single_file_a_share_of_the_images_is_held_out(tmp_path):
    source = build(tmp_path / "coco", images=7, splits=("train",), missing=0)
    file = source / "annotations" / "instances_train2017.json"
    report = make(file, tmp_path / "set", holdout=0.3)
    assert (report.videos, report.held_out) == (7, 2)
    report = make(file, tmp_path / "few", clips=3, holdout_clips=1, holdout=0.3)
    assert (report.videos, report.held_out) == (4, 1)


def test_without_masks_boxes_are_enough(tmp_path):
    source = build(tmp_path / "coco", splits=("train",), missing=0)
    file = source / "annotations" / "instances_train2017.json"
    content = json.loads(file.read_text())
    for annotation in content["annotations"]:
        if isinstance(annotation["segmentation"], list):  # the dog: its outline spans 11..83 by 20..91
            annotation["bbox"] = [11, 20, 72, 71]
            del annotation["segmentation"]
    content["annotations"] = [a for a in content["annotations"] if "bbox" in a]
    file.write_text(json.dumps(content))
    report = make(file, tmp_path / "set", holdout=0)
    assert report.boxes > 0
    with pytest.raises(InputError, match="no masks"):
        make(file, tmp_path / "other", holdout=0, keep_masks=True)


def test_the_same_seed_makes_the_same_clips(tmp_path):
    source = build(tmp_path / "coco", splits=("train",), missing=0)
    for name in ("one", "two"):
        make(source, tmp_path / name, seed=3, name="zoo")
    make(source, tmp_path / "three", seed=4, name="zoo")
    texts = [(tmp_path / name / "train.json").read_bytes() for name in ("one", "two", "three")]
    assert texts[0] == texts[1] != texts[2]
    frames = [sorted((tmp_path / name / "frames").rglob("*.jpg")) for name in ("one", "two")]
    for ours, theirs in zip(*frames, strict=True):
        np.testing.assert_array_equal(np.fromfile(ours, np.uint8), np.fromfile(theirs, np.uint8))


def test_what_is_wrong_stops_it_unless_it_may_be_left_out(tmp_path):
    source = build(tmp_path / "coco", splits=("train",))
    with pytest.raises(InputError, match="no such frame file") as raised:
        prepare(dataset="coco", annotations=source, out=tmp_path / "set", length=4)
    assert "--skip-bad" in raised.value.hint
    assert not (tmp_path / "set").exists()
    with pytest.raises(InputError, match="none is named"):
        prepare(dataset="coco", out=tmp_path / "set")


def test_no_image_is_lost_between_the_splits(tmp_path):
    source = build(tmp_path / "coco", images=13, splits=("train",), missing=0)
    for share, out in ((0.1, "a"), (0.4, "b")):
        report = make(source, tmp_path / out, holdout=share, length=2)
        assert report.videos == 13
        assert report.held_out == round(share * 13)


def test_the_hold_out_does_not_depend_on_where_the_images_lie(tmp_path):
    hashes = []
    for folder in ("here", "there"):
        source = build(tmp_path / folder, images=9, splits=("train",), missing=0)
        make(source, tmp_path / f"set {folder}", holdout=0.3, length=1)
        hashes.append(read_prepared(tmp_path / f"set {folder}").holdout_sha256)
    make(source, tmp_path / "other seed", holdout=0.3, length=1, seed=8)
    assert hashes[0] == hashes[1] != read_prepared(tmp_path / "other seed").holdout_sha256
