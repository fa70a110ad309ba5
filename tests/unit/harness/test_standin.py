"""Small stand-ins, read by who did not write them."""

import json
from collections import Counter

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask

from benchmarks.standin import (
    STANDINS,
    Standin,
    blobs,
    frame_files,
    picture,
    share_out,
    write_annotations,
    write_frames,
)
from qcen_core.conversion.published.finder import find_published
from qcen_core.trackfile import read_annotations

SMALL = Standin(7, 61, 23, (97, 151), STANDINS["ytvis2021"].categories)


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    path = tmp_path_factory.mktemp("standin") / "train.json"
    write_annotations(path, SMALL, seed=3)
    return json.loads(path.read_text())


def test_counts(content):
    assert [len(content[key]) for key in ("videos", "categories", "annotations")] == [7, 40, 23]
    names = [name for video in content["videos"] for name in video["file_names"]]
    assert len(names) == len(set(names)) == 61
    assert [video["length"] for video in content["videos"]] == [len(video["file_names"]) for video in content["videos"]]
    assert set(Counter(track["video_id"] for track in content["annotations"])) == set(range(1, 8))
    assert sorted(track["id"] for track in content["annotations"]) == list(range(1, 24))


def test_boxes_and_areas_are_those_of_the_masks(content):
    lengths = {video["id"]: video["length"] for video in content["videos"]}
    for track in content["annotations"]:
        for key in ("bboxes", "areas", "segmentations"):
            assert len(track[key]) == lengths[track["video_id"]]
        for box, area, mask in zip(track["bboxes"], track["areas"], track["segmentations"], strict=True):
            assert (box is None) == (area is None) == (mask is None)
            if mask is not None:
                assert mask["size"] == [97, 151]
                assert coco_mask.toBbox(mask).tolist() == box
                assert int(coco_mask.area(mask)) == area > 0


def test_objects_come_and_go(tmp_path):
    write_annotations(tmp_path / "a.json", Standin(20, 400, 200, (31, 37), ("a", "b")))
    tracks = json.loads((tmp_path / "a.json").read_text())["annotations"]
    seen = [[box is not None for box in track["bboxes"]] for track in tracks]
    assert all(any(frames) for frames in seen)
    assert 60 <= sum(not all(frames) for frames in seen) <= 140
    assert {track["category_id"] for track in tracks} == {1, 2}


def test_the_project_reads_it(tmp_path):
    write_annotations(tmp_path / "train.json", SMALL)
    assert write_frames(tmp_path / "train" / "JPEGImages", SMALL, videos=7) == 61
    dataset = read_annotations(tmp_path / "train.json")
    for video in dataset.videos:
        for name in video.frame_files:
            assert cv2.imread(str(tmp_path / "train" / "JPEGImages" / name)).shape == (97, 151, 3)
    found = find_published("ytvis2021", tmp_path, None)
    assert found.splits[0].labelled
    assert not any("official categories" in note for note in found.notes)


def test_frames_of_the_first_videos_only(tmp_path):
    names = [name for video in frame_files(SMALL, 5)[:3] for name in video]
    for copies in (False, True, False):  # a second run takes the place of the first
        assert write_frames(tmp_path, SMALL, 3, seed=5, copies=copies) == len(names)
        written = {path.relative_to(tmp_path).as_posix(): path for path in tmp_path.rglob("*.jpg")}
        assert set(written) == set(names)
        assert (max(path.stat().st_nlink for path in written.values()) == 1) == copies
    assert len({path.read_bytes() for path in written.values()}) == 16


def test_the_same_seed_the_same_file(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_annotations(tmp_path / name, SMALL, seed=seed)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").read_bytes() != (tmp_path / "c").read_bytes()


@pytest.mark.parametrize(("total", "parts"), [(7, 7), (61, 7), (90_160, 2985)])
def test_shares(total, parts):
    shares = share_out(total, parts, np.random.default_rng(0))
    assert (len(shares), shares.sum(), shares.min() >= 1) == (parts, total, True)
    assert shares.max() <= 1 + 1.6 * total / parts + 1


def test_blobs_and_pictures():
    rng = np.random.default_rng(0)
    masks = blobs(50, (97, 151), rng)
    assert all(mask.any() for mask in masks)
    assert max(mask.sum() for mask in masks) > 20 * min(mask.sum() for mask in masks)
    image = picture((97, 151), rng)
    assert (image.shape, image.dtype) == ((97, 151, 3), np.uint8)
    assert image.std() > 20


def test_presets_have_the_official_sizes():
    assert (STANDINS["ytvis2021"].videos, STANDINS["ytvis2021"].tracks) == (2985, 6283)
    assert (STANDINS["ovis"].videos, len(STANDINS["ovis"].categories)) == (607, 25)
