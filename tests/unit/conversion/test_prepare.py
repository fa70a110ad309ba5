import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from qcen_core.boxfile import read_boxes
from qcen_core.conversion.prepare import prepare
from qcen_core.errors import InputError
from qcen_core.ops import rle
from qcen_core.prepared import read_prepared
from qcen_core.trackfile import read_annotations

HEIGHT, WIDTH, FRAMES = 61, 101, 3
DAVIS = Path(__file__).resolve().parents[3] / ".." / "shared" / "data" / "davis" / "instances.json"


def box(x):
    return [x, 5, 20, 10]


def source(folder, videos=6):
    """A YouTube-VIS file with two objects a video, and its frames."""
    rng = np.random.default_rng(2)
    content = {"videos": [], "annotations": [], "categories": [{"id": 30, "name": "cat"}, {"id": 7, "name": "dog"}]}
    for v in range(videos):
        files = [f"clip{v}/{i}.jpg" for i in range(FRAMES)]
        (folder / "JPEGImages" / f"clip{v}").mkdir(parents=True)
        for file in files:
            image = rng.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
            cv2.imwrite(str(folder / "JPEGImages" / file), image)
        content["videos"].append(
            {"id": 10 + v, "width": WIDTH, "height": HEIGHT, "length": FRAMES, "file_names": files}
        )
        for category in (30, 7):
            boxes = [box(int(x)) for x in rng.integers(0, 80, FRAMES)]
            boxes[v % FRAMES] = None
            masks = []
            for b in boxes:
                mask = np.zeros((HEIGHT, WIDTH), bool)
                if b is not None:
                    mask[b[1] : b[1] + b[3], b[0] : b[0] + b[2]] = True
                masks.append(None if b is None else rle.encode(mask))
            content["annotations"].append(
                {
                    "id": len(content["annotations"]) + 1,
                    "video_id": 10 + v,
                    "category_id": category,
                    "iscrowd": 0,
                    "bboxes": boxes,
                    "segmentations": masks,
                }
            )
    return content


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "source"
    folder.mkdir()
    content = source(folder)

    def save():
        (folder / "instances.json").write_text(json.dumps(content))
        return folder / "instances.json"

    save()
    return folder, content, save


def test_what_is_written(data, tmp_path):
    folder, content, save = data
    calls = []
    report = prepare(
        annotations=save(), out=tmp_path / "zoo", holdout=0.34, on_progress=lambda *done: calls.append(done)
    )
    assert calls[-1] == (6, 6)
    assert (report.videos, report.held_out, report.frames, report.boxes) == (6, 2, 18, 24)
    assert (tuple(report.categories), report.dropped, report.out) == (("cat", "dog"), {}, tmp_path / "zoo")
    prepared = read_prepared(tmp_path / "zoo")
    assert prepared.name == "zoo"
    assert prepared.frames_root == folder / "JPEGImages"
    train, holdout = prepared.splits["train"], prepared.splits["holdout"]
    assert (len(train.videos), len(holdout.videos)) == (4, 2)
    assert not set(train.videos) & set(holdout.videos)
    assert train.strong is None
    assert train.ground_truth is None
    for split in (train, holdout):
        boxes = read_boxes(split.boxes, prepared.frames_root)
        assert tuple(video.name for video in boxes.videos) == split.videos
        for video in boxes.videos:
            for index, labels in enumerate(video.labels):
                stated = [a for a in content["annotations"] if a["video_id"] == video.id and a["bboxes"][index]]
                expected = sorted(
                    ((x, y, x + w, y + h), {30: 0, 7: 1}[a["category_id"]])
                    for a in stated
                    for x, y, w, h in [a["bboxes"][index]]
                )
                found = zip(map(tuple, labels.boxes.tolist()), labels.class_ids.tolist(), strict=True)
                assert sorted(found) == expected
                assert (prepared.frames_root / video.frame_files[index]).is_file()
    truth = read_annotations(holdout.ground_truth)
    assert tuple(video.name for video in truth.videos) == holdout.videos
    assert len(truth.tracks) == 4
    assert all(track.segmentations for track in truth.tracks)
    assert sorted(path.name for path in (tmp_path / "zoo").iterdir()) == [
        "dataset.yaml",
        "holdout.json",
        "holdout_gt.json",
        "train.json",
    ]


def test_twice_the_same_but_for_the_time(data, tmp_path):
    _, _, save = data
    for name in ("one", "two"):
        prepare(annotations=save(), out=tmp_path / name, name="zoo", seed=4)
    for file in ("train.json", "holdout.json", "holdout_gt.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    described = [yaml.safe_load((tmp_path / name / "dataset.yaml").read_text()) for name in ("one", "two")]
    assert [d.pop("created") is None for d in described] == [False, False]
    assert described[0] == described[1]


def test_no_holdout(data, tmp_path):
    _, _, save = data
    prepare(annotations=save(), out=tmp_path / "zoo", holdout=0)
    prepared = read_prepared(tmp_path / "zoo")
    assert list(prepared.splits) == ["train"]
    assert prepared.holdout_sha256 == ""


@pytest.mark.parametrize("masks", [True, False])
@pytest.mark.parametrize("ids", [True, False])
def test_strong_labels_only_where_asked_for(data, tmp_path, masks, ids):
    _, _, save = data
    prepare(annotations=save(), out=tmp_path / "zoo", keep_masks=masks, keep_ids=ids)
    strong = read_prepared(tmp_path / "zoo").splits["train"].strong
    if not (masks or ids):
        assert strong is None
        return
    text = strong.read_text()
    assert ("counts" in text) == masks
    tracks = read_annotations(strong).tracks
    assert len(tracks) == (10 if ids else 20)


def first(content):
    return content["annotations"][0]


# What is spoilt, the kind it is counted under, the cause, the record, and how many boxes are lost by leaving it out.
WRONG = [
    (lambda c: first(c)["bboxes"].__setitem__(1, [90, 5, 20, 10]), "box outside the frame", "leaves", "frame 1", 1),
    (lambda c: first(c)["bboxes"].__setitem__(1, [102, 5, 2, 9]), "box outside the frame", "leaves", "frame 1", 1),
    (lambda c: first(c)["bboxes"].__setitem__(2, [9, 5, 0, 10]), "zero-area box", "no area", "frame 2", 1),
    (lambda c: first(c)["bboxes"].__setitem__(2, [9, 5, 4]), "malformed box", "four numbers", "frame 2", 1),
    (lambda c: first(c).update(category_id=8), "unknown category", "category_id 8", "annotation 1", 2),
    (lambda c: first(c).update(category_id=[8]), "unknown category", "category_id [8]", "annotation 1", 2),
    (lambda c: first(c).update(video_id=99), "unknown video", "video_id 99", "annotation 1", 2),
    (lambda c: first(c).update(id=2), "duplicate id", "id 2 occurs twice", "annotation 2", 2),
    (lambda c: first(c)["bboxes"].pop(), "frame count mismatch", "bboxes has 2 frames", "annotation 1", 2),
    (lambda c: c["videos"][0].update(file_names=[]), "video without frames", "no frames", "video 10", 4),
    (lambda c: c["videos"][0].update(length=9), "frame count mismatch", "length is 9", "video 10", 4),
]


@pytest.mark.parametrize(("spoil", "kind", "cause", "place", "lost"), WRONG)
def test_wrong_annotations(data, tmp_path, spoil, kind, cause, place, lost):
    _, content, save = data
    spoil(content)
    path = save()
    with pytest.raises(InputError) as caught:
        prepare(annotations=path, out=tmp_path / "zoo")
    assert cause in caught.value.cause
    assert caught.value.place.startswith(str(path))
    assert caught.value.place.endswith(place)
    assert "--skip-bad" in caught.value.hint
    assert not (tmp_path / "zoo").exists()
    report = prepare(annotations=path, out=tmp_path / "zoo", skip_bad=True)
    assert report.dropped == {kind: 1}
    assert report.boxes == 24 - lost
    checked = prepare(annotations=path, out=tmp_path / "other", check_only=True)
    assert checked.dropped == {kind: 1}
    assert checked.out is None
    assert sorted(p.name for p in tmp_path.iterdir()) == ["source", "zoo"]


def cut_off(path):
    path.write_bytes(path.read_bytes()[:-20])


def other_size(path):
    cv2.imwrite(str(path), np.zeros((WIDTH, HEIGHT, 3), np.uint8))


@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        (Path.unlink, "missing frame file"),
        (cut_off, "unreadable frame file"),
        (lambda path: path.write_bytes(b""), "unreadable frame file"),
        (lambda path: path.write_text("not a picture"), "unreadable frame file"),
        (other_size, "wrong frame size"),
    ],
)
def test_wrong_frames(data, tmp_path, spoil, kind):
    folder, _, save = data
    path = folder / "JPEGImages" / "clip2" / "1.jpg"
    spoil(path)
    with pytest.raises(InputError) as caught:
        prepare(annotations=save(), out=tmp_path / "zoo")
    assert caught.value.place == f"{path}: video 12, frame 1"
    report = prepare(annotations=save(), out=tmp_path / "zoo", skip_bad=True)
    assert report.dropped == {kind: 1}
    assert (report.videos, report.boxes) == (5, 20)


def test_all_problems_are_counted_at_once(data, tmp_path):
    folder, content, save = data
    content["categories"].append({"id": 55, "name": "owl"})
    content["annotations"][1]["bboxes"] = [[-9, 0, 30, 10], [0, 0, 0, 5], [0, 50, 10, 30]]
    (folder / "JPEGImages" / "clip5" / "0.jpg").unlink()
    checked = prepare(annotations=save(), out=tmp_path / "zoo", check_only=True)
    assert checked.dropped == {"box outside the frame": 2, "zero-area box": 1, "missing frame file": 1}
    assert {p.kind for p in checked.problems if not p.loses_labels} == {"unused category"}
    with pytest.raises(InputError) as caught:
        prepare(annotations=save(), out=tmp_path / "zoo")
    assert "2 more" in caught.value.hint


def test_boxes_within_a_pixel_of_the_border_are_clipped(data, tmp_path):
    _, content, save = data
    content["annotations"][0]["bboxes"][1] = [-0.75, 5, 102.5, 56.5]
    prepare(annotations=save(), out=tmp_path / "zoo", holdout=0)
    boxes = read_boxes(tmp_path / "zoo" / "train.json", tmp_path).videos[0].labels[1].boxes.tolist()
    assert [0.0, 5.0, 101.0, 61.0] in boxes


def test_crowds_become_regions_to_ignore(data, tmp_path):
    _, content, save = data
    content["annotations"][0]["iscrowd"] = 1
    prepare(annotations=save(), out=tmp_path / "zoo", holdout=0)
    labels = read_boxes(tmp_path / "zoo" / "train.json", tmp_path).videos[0].labels[1]
    assert labels.ignore.sum() == 1
    assert labels.class_ids[labels.ignore] == [0]


def test_boxes_alone_are_enough(data, tmp_path):
    _, content, save = data
    for annotation in content["annotations"]:
        del annotation["segmentations"]
    assert prepare(annotations=save(), out=tmp_path / "zoo").boxes == 24
    truth = read_annotations(tmp_path / "zoo" / "holdout_gt.json")
    assert all(track.segmentations is None for track in truth.tracks)
    with pytest.raises(InputError, match="no masks"):
        prepare(annotations=save(), out=tmp_path / "other", keep_masks=True)


def test_nothing_is_overwritten_silently(data, tmp_path):
    folder, _, save = data
    out = tmp_path / "zoo"
    prepare(annotations=save(), out=out)
    with pytest.raises(InputError, match="there already"):
        prepare(annotations=save(), out=out)
    prepare(annotations=save(), out=out, overwrite=True, seed=3)
    assert read_prepared(out).seed == 3
    (folder / "dataset.yaml").write_text("ours")
    with pytest.raises(InputError, match="is to be prepared"):
        prepare(annotations=save(), out=folder, overwrite=True)
    assert (folder / "instances.json").is_file()


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        ({"dataset": "ytvis2039"}, "no data set is called"),
        ({"dataset": "ovis"}, "no such file or folder"),
        ({}, "annotation file"),
        ({"annotations": Path("nowhere.json")}, "no such file"),
        ({"dataset": "shapes", "level": "harder"}, "no level"),
        ({"dataset": "shapes", "clips": 0}, "cannot be made"),
        ({"dataset": "shapes", "size": (8, 8)}, "too small"),
        ({"dataset": "shapes", "check_only": True}, "nothing to check"),
    ],
)
def test_wrong_options(tmp_path, options, cause):
    with pytest.raises(InputError, match=cause) as caught:
        prepare(out=tmp_path / "zoo", **options)
    assert caught.value.hint
    assert not list(tmp_path.iterdir())


def test_wrong_files(data, tmp_path):
    folder, content, save = data
    path = save()
    with pytest.raises(InputError, match="no such folder"):
        prepare(annotations=path, out=tmp_path / "zoo", frames=folder / "nowhere")
    with pytest.raises(InputError, match="no share"):
        prepare(annotations=path, out=tmp_path / "zoo", holdout=1.5)
    content["annotations"] = []
    with pytest.raises(InputError, match="not one box"):
        prepare(annotations=save(), out=tmp_path / "zoo")
    path.write_text('{"images": [], "annotations": [], "categories": []}')
    with pytest.raises(InputError, match="no categories"):
        prepare(annotations=path, out=tmp_path / "zoo")
    path.write_text("[]")
    with pytest.raises(InputError, match="results file"):
        prepare(annotations=path, out=tmp_path / "zoo")
    assert not (tmp_path / "zoo").exists()


def test_frames_beside_the_file(data, tmp_path):
    folder, _, save = data
    path = save()
    for clip in (folder / "JPEGImages").iterdir():
        clip.rename(folder / clip.name)
    (folder / "JPEGImages").rmdir()
    prepare(annotations=path, out=tmp_path / "zoo")
    assert read_prepared(tmp_path / "zoo").frames_root == folder


def test_shapes(tmp_path):
    report = prepare(
        dataset="shapes", out=tmp_path / "set", level="easy", clips=3, holdout_clips=2, size=(53, 89), length=4
    )
    assert (report.videos, report.frames) == (5, 20)
    prepared = read_prepared(tmp_path / "set")
    assert prepared.frames_root == tmp_path / "set" / "frames"
    assert (len(prepared.splits["train"].videos), len(prepared.splits["holdout"].videos)) == (3, 2)
    boxes = read_boxes(prepared.splits["train"].boxes, prepared.frames_root)
    image = cv2.imread(str(prepared.frames_root / boxes.videos[2].frame_files[3]))
    assert image.shape == (53, 89, 3)
    truth = read_annotations(prepared.splits["holdout"].ground_truth)
    counted = sum(len(labels.boxes) for video in boxes.videos for labels in video.labels)
    counted += sum(b is not None for track in truth.tracks for b in track.boxes)
    assert counted == report.boxes
    again = prepare(
        dataset="shapes", out=tmp_path / "two", level="easy", clips=3, holdout_clips=2, size=(53, 89), length=4
    )
    assert again.boxes == report.boxes
    assert (tmp_path / "two" / "holdout.json").read_text().replace('"two"', '"set"') == (
        tmp_path / "set" / "holdout.json"
    ).read_text()


@pytest.mark.skipif(not DAVIS.exists(), reason="needs DAVIS, which is no part of the project")
def test_davis(tmp_path):
    report = prepare(annotations=DAVIS, out=tmp_path / "davis", holdout=0.25)
    assert (report.videos, report.frames, report.boxes, report.dropped) == (12, 879, 879, {})
    prepared = read_prepared(tmp_path / "davis")
    source_file = read_annotations(DAVIS)
    names = set(prepared.splits["train"].videos) | set(prepared.splits["holdout"].videos)
    assert names == {video.name for video in source_file.videos}
    assert len(prepared.splits["holdout"].videos) == 3
    for split in prepared.splits.values():
        for video in read_boxes(split.boxes, prepared.frames_root).videos:
            (track,) = [track for track in source_file.tracks if track.video_id == video.id]
            for labels, expected in zip(video.labels, track.boxes, strict=True):
                np.testing.assert_allclose(labels.boxes, [expected] if expected else np.zeros((0, 4)), atol=1e-3)
