import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qcen_core.boxfile import read_boxes, write_boxes
from qcen_core.errors import InputError
from qcen_core.prepared import PreparedData, PreparedSplit, read_prepared, write_prepared
from qcen_core.records import BoxDataset, Category, FrameBoxes, VideoRecord

CATEGORIES = (Category(7, "cat"), Category(3, "dog"), Category(11, "owl"))
WIDTH, HEIGHT = 101, 61


def labels(boxes, class_ids, ignore=None, labelled=True):
    count = len(boxes)
    return FrameBoxes(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(class_ids, np.int64),
        np.array(ignore if ignore is not None else [False] * count, np.bool_),
        labelled,
    )


def dataset(*frames):
    files = tuple(f"pond/{i:05d}.jpg" for i in range(len(frames)))
    video = VideoRecord(5, "pond", HEIGHT, WIDTH, files, tuple(frames))
    return BoxDataset("zoo", Path("frames"), CATEGORIES, (video,))


@st.composite
def frame_boxes(draw):
    if draw(st.booleans()) and draw(st.booleans()):
        return labels([], [], labelled=False)
    count = draw(st.integers(0, 5))
    boxes = []
    for _ in range(count):
        x1 = draw(st.floats(0, WIDTH - 1, width=32))
        y1 = draw(st.floats(0, HEIGHT - 1, width=32))
        boxes.append((x1, y1, draw(st.floats(x1 + 0.5, WIDTH)), draw(st.floats(y1 + 0.5, HEIGHT))))
    class_ids = draw(st.lists(st.integers(0, 2), min_size=count, max_size=count))
    return labels(boxes, class_ids, draw(st.lists(st.booleans(), min_size=count, max_size=count)))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frames=st.lists(frame_boxes(), min_size=1, max_size=4))
def test_round_trip(tmp_path, frames):
    written = dataset(*frames)
    write_boxes(written, tmp_path / "train.json")
    read = read_boxes(tmp_path / "train.json", Path("frames"))
    assert (read.name, read.frames_root, read.categories) == (written.name, written.frames_root, written.categories)
    (video,) = read.videos
    assert replace(video, labels=None) == replace(written.videos[0], labels=None)
    for ours, theirs in zip(frames, video.labels, strict=True):
        np.testing.assert_allclose(theirs.boxes, ours.boxes, atol=1.5e-4)
        np.testing.assert_array_equal(theirs.class_ids, ours.class_ids)
        np.testing.assert_array_equal(theirs.ignore, ours.ignore)
        assert theirs.labelled == ours.labelled
        assert (theirs.boxes >= 0).all()
        assert (theirs.boxes <= [WIDTH, HEIGHT, WIDTH, HEIGHT]).all()
        assert theirs.boxes.dtype == np.float32


def test_the_file_holds_these_values_and_no_others(tmp_path):
    write_boxes(dataset(labels([(2, 3, 12, 30.5)], [1], [True]), labels([], [], labelled=False)), tmp_path / "t.json")
    assert json.loads((tmp_path / "t.json").read_text()) == {
        "format": "qcen-boxes",
        "version": 1,
        "name": "zoo",
        "categories": [{"id": 7, "name": "cat"}, {"id": 3, "name": "dog"}, {"id": 11, "name": "owl"}],
        "videos": [
            {
                "id": 5,
                "name": "pond",
                "width": WIDTH,
                "height": HEIGHT,
                "frames": [
                    {
                        "file": "pond/00000.jpg",
                        "labelled": True,
                        "boxes": [[2.0, 3.0, 10.0, 27.5]],
                        "category_ids": [3],
                        "ignore": [True],
                    },
                    {"file": "pond/00001.jpg", "labelled": False},
                ],
            }
        ],
    }


def test_a_video_without_labels_is_read_as_unlabelled_frames(tmp_path):
    written = dataset(labels([], []))
    bare = replace(written, videos=(replace(written.videos[0], labels=None),))
    write_boxes(bare, tmp_path / "t.json")
    (frame,) = read_boxes(tmp_path / "t.json", Path()).videos[0].labels
    assert not frame.labelled


def content():
    """A right file, to be spoilt."""
    frame = {
        "file": "a.jpg",
        "labelled": True,
        "boxes": [[1, 2, 30, 40], [0, 0, WIDTH, HEIGHT]],
        "category_ids": [3, 7],
        "ignore": [False, False],
    }
    video = {"id": 5, "name": "pond", "width": WIDTH, "height": HEIGHT, "frames": [frame]}
    categories = [{"id": 7, "name": "cat"}, {"id": 3, "name": "dog"}]
    return {"format": "qcen-boxes", "version": 1, "name": "zoo", "categories": categories, "videos": [video]}


def frame_of(file):
    return file["videos"][0]["frames"][0]


SPOILT = [
    (lambda f: f.update(format="coco"), "not a box-only file", ""),
    (lambda f: f.update(version=2), "version 2", ""),
    (lambda f: f.pop("categories"), '"categories" is missing', ""),
    (lambda f: f["videos"][0].pop("width"), '"width" is missing', "video 5"),
    (lambda f: frame_of(f).pop("boxes"), '"boxes" is missing', "video 5, frame 0"),
    (lambda f: frame_of(f).pop("labelled"), '"labelled" is missing', "video 5, frame 0"),
    (lambda f: frame_of(f)["category_ids"].__setitem__(1, 4), "category id 4 is unknown", "frame 0, box 1"),
    (lambda f: frame_of(f)["category_ids"].__setitem__(1, [3]), "a category id is a whole number", "frame 0, box 1"),
    (lambda f: frame_of(f)["category_ids"].__setitem__(1, 3.0), "a category id is a whole number", "frame 0, box 1"),
    (lambda f: frame_of(f)["boxes"].__setitem__(1, [80, 0, 30, 10]), "leaves the 101 x 61 frame", "frame 0, box 1"),
    (lambda f: frame_of(f)["boxes"].__setitem__(0, [-1, 0, 30, 10]), "leaves the 101 x 61 frame", "frame 0, box 0"),
    (lambda f: frame_of(f)["boxes"].__setitem__(1, [5, 6, 0, 10]), "no area", "frame 0, box 1"),
    (lambda f: frame_of(f)["boxes"].__setitem__(1, [5, 6, 10, -1]), "no area", "frame 0, box 1"),
    (lambda f: frame_of(f)["boxes"].__setitem__(1, [5, 6, 10]), "four numbers", "frame 0, box 1"),
    (lambda f: frame_of(f)["boxes"].__setitem__(0, ["1", 2, 3, 4]), "four numbers", "frame 0, box 0"),
    (lambda f: frame_of(f)["ignore"].pop(), "2 boxes, 2 category_ids and 1 ignore", "frame 0"),
    (lambda f: f["videos"].append({**f["videos"][0], "name": "lake"}), "occurs 2 times", "video 5"),
    (lambda f: f["videos"].append({**f["videos"][0], "id": 6}), "occurs 2 times", "video pond"),
    (lambda f: f["videos"][0].update(frames=[]), "no frames", "video 5"),
    (lambda f: f["videos"][0].update(height=0), "101 x 0", "video 5"),
    (lambda f: f["categories"].append({"id": 7, "name": "bat"}), "occurs 2 times", "category 7"),
]


@pytest.mark.parametrize(("spoil", "cause", "place"), SPOILT)
def test_a_wrong_file_is_named_with_its_record(tmp_path, spoil, cause, place):
    path = tmp_path / "train.json"
    file = content()
    path.write_text(json.dumps(file))
    read_boxes(path, tmp_path)
    spoil(file)
    path.write_text(json.dumps(file))
    with pytest.raises(InputError) as caught:
        read_boxes(path, tmp_path)
    assert cause in caught.value.cause
    assert caught.value.place.startswith(str(path))
    assert caught.value.place.endswith(place)
    assert caught.value.hint
    assert "\n" not in caught.value.line()


@pytest.mark.parametrize(
    ("text", "cause"),
    [(None, "no such file"), ("", "empty"), ('{"format": \n 1,,}', "line 2, column 4"), ("[1]", "not a box-only file")],
)
def test_a_file_that_is_no_such_file(tmp_path, text, cause):
    path = tmp_path / "train.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=cause) as caught:
        read_boxes(path, tmp_path)
    assert str(path) in caught.value.place


def prepared(root, frames_root):
    return PreparedData(
        root=root,
        name="zoo: größe",
        frames_root=frames_root,
        categories=CATEGORIES,
        splits={
            "train": PreparedSplit(root / "train.json", root / "train_strong.json", None, ("a", "b")),
            "holdout": PreparedSplit(root / "holdout.json", None, root / "holdout_gt.json", ("1", "no")),
        },
        source="instances.json",
        seed=13,
        created="2030-01-02T03:04:05+00:00",
        holdout_sha256="ab" * 32,
    )


@pytest.mark.parametrize("inside", [True, False])
def test_prepared_round_trip(tmp_path, inside):
    root = tmp_path / "zoo"
    frames_root = (root if inside else tmp_path) / "frames"
    root.mkdir()
    frames_root.mkdir()
    data = prepared(root, frames_root)
    write_prepared(data)
    assert read_prepared(root) == data
    assert [path.name for path in root.iterdir() if path.is_file()] == ["dataset.yaml"]


def test_a_moved_folder_finds_its_own_frames_again(tmp_path):
    root = tmp_path / "zoo"
    (root / "frames").mkdir(parents=True)
    write_prepared(prepared(root, root / "frames"))
    moved = root.rename(tmp_path / "moved")
    data = read_prepared(moved)
    assert data.frames_root == moved / "frames"
    assert data.splits["holdout"].ground_truth == moved / "holdout_gt.json"


def test_prepared_errors(tmp_path):
    with pytest.raises(InputError, match=r"dataset\.yaml is missing"):
        read_prepared(tmp_path)
    path = tmp_path / "dataset.yaml"
    for text, cause in [
        ("a: [1, 2", r"not valid YAML, line \d"),
        ("- 1", "not a mapping"),
        ("format: other", "not a prepared data set"),
        ("format: qcen-dataset\nversion: 9", "version 9"),
        ("format: qcen-dataset\nversion: 1", '"splits" is missing'),
        ("format: qcen-dataset\nversion: 1\nsplits: [1]", "not a mapping"),
        ("format: qcen-dataset\nversion: 1\nsplits: {train: 3}", "not a mapping"),
        ("format: qcen-dataset\nversion: 1\nsplits: {train: {}}", '"boxes" is missing'),
    ]:
        path.write_text(text)
        with pytest.raises(InputError, match=cause) as caught:
            read_prepared(tmp_path)
        assert str(path) in caught.value.place


def test_frames_that_are_gone_are_told(tmp_path):
    frames = tmp_path / "frames"
    frames.mkdir()
    root = tmp_path / "zoo"
    root.mkdir()
    write_prepared(prepared(root, frames))
    frames.rmdir()
    with pytest.raises(InputError, match="is gone"):
        read_prepared(root)
