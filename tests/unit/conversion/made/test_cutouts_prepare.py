"""`prepare(dataset="cutouts")`: a tiny COCO folder becomes a box-only data set."""

import json
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from coco_folder import build

from qcen_cli import main
from qcen_core.boxfile import read_boxes
from qcen_core.conversion.prepare import prepare
from qcen_core.errors import InputError
from qcen_core.ops import rle
from qcen_core.prepared import read_prepared
from qcen_core.trackfile import read_annotations

COCO = Path(__file__).resolve().parents[4] / ".." / "shared" / "data" / "coco"
SIZE = (53, 71)


def make(source, out, **changes):
    options = {"clips": 5, "holdout_clips": 3, "size": SIZE, "length": 4}
    return prepare(dataset="cutouts", annotations=source, out=out, **(options | changes))


def colours(out):
    """Mean RGB of the frames of every clip."""
    means = {}
    for folder in sorted((out / "frames").iterdir()):
        images = [cv2.imread(str(file))[..., ::-1] for file in sorted(folder.iterdir())]
        means[folder.name] = np.mean(images, axis=(0, 1, 2))
    return means


def contents(out):
    files = sorted(file for file in out.rglob("*") if file.is_file() and file.name != "dataset.yaml")
    return {file.relative_to(out): file.read_bytes() for file in files}


def test_a_data_set_like_shapes(tmp_path):
    report = make(build(tmp_path / "coco", missing=2), tmp_path / "set", keep_masks=True, keep_ids=True)
    assert (report.videos, report.held_out, report.frames) == (8, 3, 32)
    assert tuple(report.categories) == ("object",)
    assert report.dropped == {"image without file": 4}
    prepared = read_prepared(tmp_path / "set")
    assert "6 objects" in prepared.source
    boxes = read_boxes(prepared.splits["train"].boxes, prepared.frames_root)
    text = prepared.splits["train"].boxes.read_text()
    assert not any(word in text for word in ("segmentation", "track", "rle", "counts"))
    strong, truth = (
        read_annotations(file) for file in (prepared.splits["train"].strong, prepared.splits["holdout"].ground_truth)
    )
    assert len(strong.videos) == 5
    assert len(truth.videos) == 3
    for tracks in (strong, truth):
        for track in tracks.tracks:
            for box, mask in zip(track.boxes, track.segmentations, strict=True):
                if box is not None:
                    assert rle.bounding_box(mask) == box
    for video in boxes.videos:
        mine = [track for track in strong.tracks if track.video_id == video.id]
        for frame, labels in enumerate(video.labels):
            known = sorted(track.boxes[frame] for track in mine if track.boxes[frame] is not None)
            assert sorted(map(tuple, labels.boxes.tolist())) == known


def test_the_order_of_boxes_tells_no_identity(tmp_path):
    make(build(tmp_path / "coco"), tmp_path / "set", clips=12, length=8, keep_masks=True, keep_ids=True)
    prepared = read_prepared(tmp_path / "set")
    strong = read_annotations(prepared.splits["train"].strong)
    kept = swapped = 0
    for video in read_boxes(prepared.splits["train"].boxes, prepared.frames_root).videos:
        tracks = [track for track in strong.tracks if track.video_id == video.id]
        orders = []
        for frame, labels in enumerate(video.labels):
            owner = {track.boxes[frame]: track.id for track in tracks if track.boxes[frame] is not None}
            orders.append([owner[tuple(box)] for box in labels.boxes.tolist()])
        for before, after in pairwise(orders):
            common = [i for i in before if i in after]
            for a in range(len(common)):
                for b in range(a + 1, len(common)):
                    same = after.index(common[a]) < after.index(common[b])
                    kept, swapped = kept + same, swapped + (not same)
    assert kept + swapped > 80
    assert abs(kept / (kept + swapped) - 0.5) < 0.15


def test_held_out_clips_are_made_of_val_images_only(tmp_path):
    make(build(tmp_path / "coco"), tmp_path / "set")
    for name, (red, green, _) in colours(tmp_path / "set").items():
        wanted, other = (red, green) if name.startswith("train") else (green, red)
        assert wanted > 25
        assert other < 8  # noise and JPEG


def test_one_annotation_file_is_split_by_image(tmp_path):
    root = build(tmp_path / "coco", images=8, splits=("train",), missing=0)
    file = root / "annotations" / "instances_train2017.json"
    seen = set()
    for seed in range(3):
        make(root, tmp_path / f"set{seed}", seed=seed, keep_ids=True)
        seen.add(read_prepared(tmp_path / f"set{seed}").source.split("a clip, ")[1])
    sides = [[int(word) for word in text.split() if word.isdigit()] for text in seen]
    assert all(train + held == 12 for train, _, held, _ in sides)
    make(file, tmp_path / "by_file", seed=0, keep_ids=True, name="set0")
    assert contents(tmp_path / "by_file") == contents(tmp_path / "set0")


def test_a_held_out_image_is_never_trained_on(tmp_path):
    root = build(tmp_path / "coco", images=8, splits=("train",), missing=0)
    sides = {}
    for number, file in enumerate(sorted((root / "train2017").iterdir())):
        pixels = cv2.imread(str(file))
        blue = np.zeros_like(pixels)
        blue[..., 0] = pixels[..., 2]
        grey = np.repeat(pixels[..., 2:], 3, axis=2)
        cv2.imwrite(str(file), grey)  # only this image has green and blue
        make(root, tmp_path / "set", seed=1, clips=9, holdout_clips=9, length=1, overwrite=True)
        shown = {name.split("_")[0] for name, mean in colours(tmp_path / "set").items() if mean[1] > 12}
        sides[number] = shown
        cv2.imwrite(str(file), pixels)
    assert all(len(shown) <= 1 for shown in sides.values())
    assert {side for shown in sides.values() for side in shown} == {"train", "holdout"}


def test_deterministic_for_a_seed(tmp_path):
    root = build(tmp_path / "coco")
    for name, seed in (("a", 4), ("b", 4), ("c", 5)):
        make(root, tmp_path / name, seed=seed, clips=2, holdout_clips=1, name="same", keep_masks=True)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert contents(tmp_path / "a") != contents(tmp_path / "c")


def test_the_most_frequent_categories(tmp_path):
    root = build(tmp_path / "coco")
    one = make(root, tmp_path / "one", categories=1, keep_ids=True, keep_masks=True)
    assert tuple(one.categories) == ("dog",)
    assert "4 objects" in read_prepared(tmp_path / "one").source
    more = make(root, tmp_path / "more", categories=5, keep_ids=True, clips=9)
    assert tuple(more.categories) == ("dog", "car")  # chairs are listed, but there is none
    tracks = read_annotations(read_prepared(tmp_path / "more").splits["train"].strong)
    assert [category.source_id for category in tracks.categories] == [18, 3]
    assert {track.class_id for track in tracks.tracks} == {0, 1}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"annotations": None}, "COCO folder"),
        ({"level": "easy"}, "no level called easy"),
        ({"clips": 0}, "cannot be made"),
        ({"size": (8, 80)}, "too small"),
        ({"categories": -1}, "-1 categories"),
        ({"check_only": True}, "nothing to check"),
        ({"size": (300, 500)}, "no part without objects is large enough"),
    ],
)
def test_options_that_cannot_be(tmp_path, changes, message):
    root = build(tmp_path / "coco")
    options = {"annotations": root, "out": tmp_path / "set", "clips": 1, "holdout_clips": 1, "size": SIZE} | changes
    with pytest.raises(InputError, match=message):
        prepare(dataset="cutouts", **options)
    assert not (tmp_path / "set").exists()


def only(kind):
    def edit(content):
        content["annotations"] = [a for a in content["annotations"] if kind(a)]

    return edit


@pytest.mark.parametrize(
    ("edit", "categories", "message"),
    [
        (only(lambda _: False), 0, "no object is shown large and whole among its 4 images"),
        (only(lambda a: a["iscrowd"]), 0, "no object is shown"),
        (only(lambda a: a["category_id"] == 3), 1, "no object of the chosen categories"),
    ],
)
def test_a_val_file_without_objects_of_use(tmp_path, edit, categories, message):
    root = build(tmp_path / "coco")
    file = root / "annotations" / "instances_val2017.json"
    content = json.loads(file.read_text())
    edit(content)
    file.write_text(json.dumps(content))
    with pytest.raises(InputError, match=message):
        make(root, tmp_path / "set", categories=categories)
    assert not list(tmp_path.glob(".set*"))


def test_damaged_images_are_counted(tmp_path):
    root = build(tmp_path / "coco", missing=0)
    (root / "train2017" / f"{11:012d}.png").write_bytes(b"nothing")
    assert make(root, tmp_path / "set", clips=1).dropped == {"unreadable image": 1}


def test_on_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = [
        "prepare",
        "--dataset",
        "cutouts",
        str(build(tmp_path / "coco")),
        "--clips",
        "2",
        "--holdout-clips",
        "1",
    ]
    main.execute([*arguments, "--height", "53", "--width", "71", "--length", "3", "--categories", "2", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert (report["videos"], report["frames"], report["out"]) == (3, 9, "data/cutouts")
    assert report["categories"] == ["dog", "car"]
    assert report["dropped"] == {"image without file": 2}
    with pytest.raises(InputError, match="COCO folder"):
        main.execute(["prepare", "--dataset", "cutouts", "--out", "other"])
    with pytest.raises(InputError, match="shapes has no annotation file"):
        main.execute(["prepare", "--dataset", "shapes", "some.json"])


def test_a_folder_is_not_overwritten_by_its_own_product(tmp_path):
    root = build(tmp_path / "coco")
    make(root, tmp_path / "set", clips=1)
    root.rename(tmp_path / "set" / "inside")
    with pytest.raises(InputError, match="which is to be prepared"):
        make(tmp_path / "set" / "inside", tmp_path / "set", clips=1, overwrite=True)


@pytest.mark.skipif(not COCO.is_dir(), reason="needs images and annotations of COCO, which are no part of the project")
def test_real_images(tmp_path):
    report = make(COCO, tmp_path / "set", size=(96, 160), clips=2, holdout_clips=1, keep_masks=True, keep_ids=True)
    assert (report.videos, report.held_out, report.frames, tuple(report.categories)) == (3, 1, 12, ("object",))
    truth = read_annotations(read_prepared(tmp_path / "set").splits["train"].strong)
    counts = [sum(track.video_id == video.id for track in truth.tracks) for video in truth.videos]
    assert all(1 <= count <= 4 for count in counts)
