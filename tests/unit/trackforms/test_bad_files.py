"""Files that cannot be used: one line that names file and record, and nothing left behind."""

import json

import numpy as np
import pytest
from PIL import Image

from qcen_core.errors import InputError
from qcen_core.ops import rle
from qcen_core.trackforms.convert import convert
from qcen_core.trackforms.csv_table import CSV_COLUMNS

MASK = rle.encode(np.eye(3, 5, dtype=bool))
GOOD, OTHER_SIZE = MASK["counts"], rle.encode(np.eye(5, 7, dtype=bool))
CATEGORIES = [{"id": 1, "name": "cat"}]
VIDEO = {"id": 1, "name": "film", "width": 5, "height": 3, "length": 2, "file_names": ["a.png", "b.png"]}
IMAGES = [{"id": n, "video_id": 1, "frame_id": n, "file_name": f"{n}.png", "width": 5, "height": 3} for n in (1, 2)]
ROW = ["0", "", "1", "cat", "0.5", "0", "0", "3", "3", "3", "film", "", "3", "5", GOOD]
HEAD = {
    "format": "qcen-frames",
    "version": 1,
    "video": {"id": 1, "name": "film", "height": 3, "width": 5, "frame_rate": "5", "time_base": "1/5"},
    "categories": CATEGORIES,
    "confidence": 0.3,
}


def annotation(**changes):
    return {"id": 1, "video_id": 1, "category_id": 1, "segmentations": [MASK, None]} | changes


def tracks(*annotations, **changes):
    return json.dumps({"videos": [VIDEO], "categories": CATEGORIES, "annotations": list(annotations)} | changes)


def coco(*annotations, **changes):
    content = {"videos": [VIDEO], "images": IMAGES, "categories": CATEGORIES, "annotations": list(annotations)}
    return json.dumps(content | changes)


def found(**changes):
    return {"id": 5, "image_id": 1, "category_id": 1, "instance_id": 1, "segmentation": MASK} | changes


def table(*rows):
    return "\n".join(",".join(row) for row in (CSV_COLUMNS, *rows))


def row(**changes):
    return [str(changes.get(name, value)) for name, value in zip(CSV_COLUMNS, ROW, strict=True)]


def log(*instances, frame=0, head=HEAD):
    stated = [{"track_id": 1, "class": "cat", "score": 0.5, "bbox": [0, 0, 3, 3], "mask": GOOD} | i for i in instances]
    line = {"frame": frame, "time_s": 0.0, "ticks": 0, "file": None, "instances": stated}
    return "".join(json.dumps(part, separators=(",", ":")) + "\n" for part in (head, line))


def results(**changes):
    return json.dumps([{"video_id": 1, "category_id": 1, "score": 0.5, "segmentations": [MASK, None]} | changes])


WRONG = {
    "tracks that are cut off": ("x.json", tracks(annotation())[:-30], "x.json", "cut off"),
    "more after the end": ("x.json", tracks() + "]", "x.json", "more follows"),
    "an empty file": ("x.json", "", "x.json", "neither|empty|no known form"),
    "no JSON inside": (
        "x.json",
        '{"videos": [], "categories": [{"id": 1,, }], "annotations": []}',
        "category 0",
        "JSON",
    ),
    "NaN": ("x.json", tracks(annotation(score=float("nan"))), "annotation 0", "JSON"),
    "JSON of something else": ("x.json", '{"a": 1}', "x.json", "no known form"),
    "unknown category": ("x.json", tracks(annotation(category_id=9)), "annotation 1", "category_id 9"),
    "unknown video": ("x.json", tracks(annotation(video_id=9)), "annotation 1", "video_id 9"),
    "mask of another size": (
        "x.json",
        tracks(annotation(segmentations=[{"size": [5, 7], "counts": OTHER_SIZE["counts"]}, None])),
        "annotation 1, frame 0",
        "size",
    ),
    "runs of another size": (
        "x.json",
        tracks(annotation(segmentations=[{"size": [3, 5], "counts": OTHER_SIZE["counts"]}, None])),
        "annotation 1, frame 0",
        "runs do not fill",
    ),
    "too few frames": ("x.json", tracks(annotation(segmentations=[MASK])), "annotation 1", "1 frames"),
    "a track twice": ("x.json", tracks(annotation(track_id=4), annotation(id=2, track_id=4)), "annotation 2", "twice"),
    "a score that is none": ("x.json", tracks(annotation(scores=["a", None])), "annotation 1, frame 0", "score"),
    "a rate that is none": ("x.json", tracks(videos=[VIDEO | {"frame_rate": "1/0"}]), "video 1", "frame_rate"),
    "frames outside": ("x.json", tracks(videos=[VIDEO | {"file_names": ["../a", "b"]}]), "video 1", "outside"),
    "COCO without videos": ("x.json", coco(videos=None).replace('"videos": null, ', ""), "x.json", "without videos"),
    "COCO, unknown image": ("x.json", coco(found(image_id=7)), "annotation 5", "image_id 7"),
    "COCO, unknown category": ("x.json", coco(found(category_id=7)), "annotation 5", "category_id 7"),
    "COCO, twice in a frame": ("x.json", coco(found(), found(id=6)), "annotation 6", "twice in one frame"),
    "COCO, two classes": (
        "x.json",
        coco(found(), found(id=6, image_id=2, category_id=2), categories=[*CATEGORIES, {"id": 2, "name": "dog"}]),
        "annotation 6",
        "another class",
    ),
    "COCO, runs": ("x.json", coco(found(segmentation=MASK | {"counts": OTHER_SIZE["counts"]})), "annotation 5", "runs"),
    "COCO, size": ("x.json", coco(found(segmentation=OTHER_SIZE)), "annotation 5", "size"),
    "COCO, an image twice": ("x.json", coco(images=[IMAGES[0], IMAGES[0]]), "image 1", "twice"),
    "COCO, a frame twice": ("x.json", coco(images=[IMAGES[0], IMAGES[1] | {"frame_id": 1}]), "image 2", "frame_id 1"),
    "COCO, sizes": ("x.json", coco(images=[IMAGES[0], IMAGES[1] | {"width": 6}]), "video 1", "differ in size"),
    "COCO, image of nothing": ("x.json", coco(images=[*IMAGES, IMAGES[0] | {"id": 8, "video_id": 3}]), "image 8", "3"),
    "results, no score": ("x.json", results(score=None), "result 0", "score"),
    "results, no size": ("x.json", results(segmentations=[None, None]), "result 0", "size"),
    "results, runs": ("x.json", results(segmentations=[MASK | {"counts": "zz"}, None]), "result 0, frame 0", "runs"),
    "results, no object": ("x.json", "[3]", "result 0", "not a JSON object"),
    "results, cut off": ("x.json", results()[:-9], "x.json", "cut off"),
    "results, cut off in a text": ("x.json", results()[:95], "x.json", "cut off"),
    "a table, cut off": ("x.csv", table(row())[:-2], "line 2", "runs"),
    "a table, a column less": ("x.csv", table(row()[:-1]), "line 2", "14 columns"),
    "a table, of something else": ("x.csv", "frame,time_s,track_id,class,b\n", "x.csv", "without score, x"),
    "a table, twice in a frame": ("x.csv", table(row(), row()), "line 3", "twice in one frame"),
    "a table, size of a mask": ("x.csv", table(row(), row(track_id=2, height=4)), "line 3", "a mask of 5 x 4"),
    "a table, two classes": ("x.csv", table(row(), row(frame=1, **{"class": "dog"})), "line 3", "another class"),
    "a table, not in order": ("x.csv", table(row(frame=3), row()), "line 3", "frame 0 after frame 3"),
    "a table, no number": ("x.csv", table(row(frame="a")), "line 2", "'a'"),
    "a table, path": ("x.csv", table(row(video="../film")), "line 2", "no name for files"),
    "a log, runs": ("x.jsonl", log({"mask": OTHER_SIZE["counts"]}), "frame 0, track 1", "runs do not fill"),
    "a log, twice in a frame": ("x.jsonl", log({}, {}), "frame 0", "twice in one frame"),
    "a log, frames": ("x.jsonl", log({}, frame=3), "frame 3", "frame 0 is due"),
    "a log, version": ("x.jsonl", log({}, head=HEAD | {"version": 99}), "x.jsonl", "99"),
    "a log, name": ("x.jsonl", log(head=HEAD | {"video": HEAD["video"] | {"name": "/etc"}}), "line 1", "no name"),
    "MOTS, runs": ("x.txt", f"1 1001 1 3 5 {GOOD}\n2 1001 1 3 5 {OTHER_SIZE['counts']}", "line 2", "runs"),
    "MOTS, size": ("x.txt", f"1 1001 1 3 5 {GOOD}\n2 1001 1 5 7 {OTHER_SIZE['counts']}", "line 2", "7 x 5"),
    "MOTS, cut off": ("x.txt", f"1 1001 1 3 5 {GOOD}\n2 1001 1 3", "line 2", "4 columns"),
    "MOTS, class": ("x.txt", f"1 1001 2 3 5 {GOOD}", "line 1", "id 1001 is not of class 2"),
    "MOTS, no class": ("x.txt", f"1 7 0 3 5 {GOOD}", "x.txt", "id 7 has no class"),
    "MOTS, twice in a frame": ("x.txt", f"1 1001 1 3 5 {GOOD}\n" * 2, "line 2", "twice in one frame"),
    "MOT without a size": ("x.txt", "1,1,0,0,3,3,1,1,1\n", "x.txt", "size of its frames"),
    "something else": ("x.txt", "hello\n", "x.txt", "no known form"),
    "a zip": ("x.zip", "PK\x03\x04", "x.zip", "zip"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_files(case, tmp_path):
    name, text, place, cause = WRONG[case]
    (tmp_path / name).write_text(text)
    for target in ("new/deep/out.csv", "tracks.json"):
        with pytest.raises(InputError, match=cause) as refused:
            convert(tmp_path / name, tmp_path / target)
        assert refused.value.place.startswith(str(tmp_path / name))
        assert place in refused.value.place
        assert "\n" not in refused.value.line()
        assert refused.value.hint
    assert [file.name for file in tmp_path.iterdir()] == [name]


def sequence(folder, text, **info):
    (folder / "film" / "gt").mkdir(parents=True)
    (folder / "film" / "gt" / "gt.txt").write_text(text)
    lines = [f"{key}={value}" for key, value in ({"imWidth": 5, "imHeight": 3, "seqLength": 2} | info).items()]
    (folder / "film" / "seqinfo.ini").write_text("\n".join(["[Sequence]", *lines]))


@pytest.mark.parametrize(
    ("text", "info", "place", "cause"),
    [
        ("1,1,0,0,3,3,1,1,1\n1,1,0,0,3,3,1,1,1", {}, "line 2", "twice in one frame"),
        ("1,1,0,0,3,3,1,1,1\n2,1,0,0", {}, "line 2", "4 columns"),
        ("1,1,0,0,3,3,1,1,1\n2,1,0,0,3,3,1,2,1", {}, "line 2", "another class"),
        ("1,1,0,0,3,nan,1,1,1", {}, "line 1", "'nan'"),
        ("1,1,0,0,3,-3,1,1,1", {}, "line 1", "a box of"),
        ("3,1,0,0,3,3,1,1,1", {}, "gt.txt", "frame 3, the video has 2"),
        ("1,1,0,0,3,3,1,1,1", {"imWidth": "wide"}, "seqinfo.ini", "imWidth"),
    ],
)
def test_wrong_mot(text, info, place, cause, tmp_path):
    sequence(tmp_path / "mot", text, **info)
    with pytest.raises(InputError, match=cause) as refused:
        convert(tmp_path / "mot", tmp_path / "out.csv")
    assert place in refused.value.place
    assert [file.name for file in tmp_path.iterdir()] == ["mot"]


@pytest.mark.parametrize(
    ("pixels", "cause"),
    [
        (np.zeros((3, 5, 3), np.uint8), "of one number a pixel"),
        (np.zeros((5, 3), np.uint8), "3 x 5 in a video of 5 x 3"),
        (None, "cannot be read as a picture"),
    ],
)
def test_wrong_png(pixels, cause, tmp_path):
    folder = tmp_path / "png" / "film"
    folder.mkdir(parents=True)
    Image.fromarray(np.ones((3, 5), np.uint8)).save(folder / "1.png")
    if pixels is None:
        (folder / "2.png").write_bytes((folder / "1.png").read_bytes()[:48])
    else:
        Image.fromarray(pixels).save(folder / "2.png")
    with pytest.raises(InputError, match=cause) as refused:
        convert(tmp_path / "png", tmp_path / "out.csv")
    assert refused.value.place == str(folder / "2.png")
    assert [file.name for file in tmp_path.iterdir()] == ["png"]


def test_a_folder_whose_first_png_is_none(tmp_path):
    (tmp_path / "png").mkdir()
    (tmp_path / "png" / "1.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match="cannot be read as a picture"):
        convert(tmp_path / "png", tmp_path / "out.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no PNG in it"):
        convert(tmp_path / "empty", tmp_path / "out.csv")


def test_a_palette_png_is_no_mots(tmp_path):
    (tmp_path / "png").mkdir()
    Image.fromarray(np.ones((3, 5), np.uint8)).save(tmp_path / "png" / "1.png")
    with pytest.raises(InputError, match="id 1 has no class"):
        convert(tmp_path / "png", tmp_path / "out.csv", from_="mots-png")


def test_videos_that_are_not_those_of_like(tmp_path):
    (tmp_path / "known.json").write_text(tracks())
    (tmp_path / "x.csv").write_text(table(row(video="other")))
    with pytest.raises(InputError, match="video other is unknown"):
        convert(tmp_path / "x.csv", tmp_path / "tracks.json", like=tmp_path / "known.json")
    (tmp_path / "x.csv").write_text(table(row(frame=2)))
    with pytest.raises(InputError, match="frame 2 of video film, which has 2"):
        convert(tmp_path / "x.csv", tmp_path / "tracks.json", like=tmp_path / "known.json")
    with pytest.raises(InputError, match="states its videos itself"):
        convert(tmp_path / "known.json", tmp_path / "y.csv", like=tmp_path / "known.json")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["known.json", "x.csv"]
