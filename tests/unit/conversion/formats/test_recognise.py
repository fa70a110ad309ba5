import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from qcen_core.conversion.annotations import SourceObject
from qcen_core.conversion.formats.recognise import FORMATS, read_own_data, recognise
from qcen_core.errors import InputError

EXAMPLES = Path(__file__).resolve().parents[4] / "examples"

LISTS = {"videos": [], "annotations": [], "categories": []}
TASK = {"id": 1, "data": {"video": "a.mp4"}, "annotations": []}
CONTENT = {
    "youtubevis": [
        json.dumps(LISTS),
        json.dumps({"info": {}, "licenses": [], **LISTS}, indent=1),
        '{"annotations": [], "categories": [{"id": 1, "name": "x"}]}',
        '{"videos": [], "annotations": [{"bboxes": [[NaN, 1, 2, 3]]}]}',
        '{"videos": [{"name": "\\ud800"}]}',
    ],
    "coco": [
        json.dumps({**LISTS, "images": []}),
        '{"images": [{"id": 1}], "annotations": [{"bbox": [Infinity, 1, 2, 3]}]}',
        '{"annotations": [], "images": []}',
    ],
    "labelstudio": [
        json.dumps([TASK, TASK]),
        json.dumps([{"video": "a.mp4", "box": [], "id": 1}]),
        '[{"data": {"video": "a.mp4"}, "annotations": [{"result": [{"value": {"x": NaN}}]}]}]',
        json.dumps([{"annotations": [], "id": 3}]),
    ],
    "cvat": [
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version></annotations>',
        "<annotations/>",
        "  \n<!-- by hand -->\n<annotations></annotations>",
    ],
    "mot": [
        "1,1,10,20,30,40,1,1,1.0\n2,1,10,20,30,40,1,1,1.0\n",
        "1, 1, 10.5, 20, 30, 40, 1, -1, -1, -1\r\n",
        "1,-1,1e1,20,30,40",
        "\n\n  12,3,794.2,47.5,71.2,174.8,67.5,-1,-1,-1",
    ],
}
CASES = [(form, text) for form, texts in CONTENT.items() for text in texts]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "with a byte order mark"])
@pytest.mark.parametrize("name", ["right", "labels.txt", "annotations", "x.dat", "x.backup.JSON", "a b.xml.old"])
@pytest.mark.parametrize(("form", "text"), CASES)
def test_content_tells_the_format_whatever_the_ending(tmp_path, form, text, name, mark):
    if name == "right":
        name = {"cvat": "x.xml", "mot": "gt.txt"}.get(form, "x.json")
    if name.lower().endswith(".json") and form == "mot":
        name = "x.csv"
    path = tmp_path / name
    path.write_bytes(mark + text.encode())
    assert recognise(path) == form


@pytest.mark.parametrize(
    ("name", "content", "cause"),
    [
        ("x.json", b"", "empty"),
        ("x.txt", b"", "no known format"),
        ("x", b" \n\n", "no known format"),
        ("x.json", b" \n\n", "empty"),
        ("x.json", bytes(range(256)) * 40, "cannot be read as text"),
        ("x.bin", bytes(range(256)) * 40, "no known format"),
        ("x.png", b"\x89PNG\r\n\x1a\n" + bytes(100), "no known format"),
        ("x.zip", b"PK\x03\x04" + bytes(100), "a zip file"),
        ("x.json", b"PK\x03\x04" + bytes(100), "a zip file"),
        ("x.txt", b"0 0.5 0.5 0.2 0.2\n", "labels of a single frame"),
        ("x.txt", b"12 .5 5e-1 0.2 +0.2 3\n0 0.5 0.5 0.1 0.1", "labels of a single frame"),
        ("x.txt", b"17 0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8", "labels of a single frame"),
        ("x.txt", b"frame,id,x,y,w,h\n1,1,2,3,4,5", "no known format"),
        ("x.txt", b"1,1,2,3,4", "no known format"),
        ("x.txt", b"1 2 3", "no known format"),
        ("x.json", b'{"videos": [', "not valid JSON"),
        ("x.json", b'[{"data": "\xff"}]', "cannot be read as text"),
        ("x.json", b'{"\xff": 1, "videos": []', "cannot be read as text"),
        ("x.json", b"[" * 200_000, "nested too deeply"),
        ("x.json", b'"text"', "no known format"),
        ("x.json", b"[[1, 2], [3]]", "no known format"),
        ("x.json", b'{"shapes": [], "imagePath": "a.jpg"}', "no known format"),
        ("x.json", b'[{"image_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}]', "no known format"),
        ("x.json", b'[{"video_id": 1, "segmentations": [], "score": 0.5}]', "a results file"),
        ("x.json", b"[]", "a results file"),
        ("x.json", b"1,1,10,20,30,40,1", "not valid JSON"),
    ],
)
def test_what_is_no_annotation_file_is_refused_with_a_hint(tmp_path, name, content, cause):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=cause) as caught:
        recognise(path)
    assert caught.value.place == str(path)
    assert caught.value.hint
    assert "\n" not in caught.value.cause


def test_nothing_there(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        recognise(tmp_path / "nowhere.json")


@pytest.mark.parametrize(
    ("files", "form"),
    [
        (["gt/gt.txt"], "mot"),
        (["gt.txt"], "mot"),
        (["MOT17-02/gt/gt.txt", "MOT17-02/img1/000001.jpg"], "mot"),
        (["train/MOT17-02/gt/gt.txt"], "mot"),
        (["seqinfo.ini"], "mot"),
        (["labels/harbour/000000.txt", "data.yaml"], "yolo"),
        (["labels/train/a_000000.txt"], "yolo"),
        (["train/labels/a_000000.txt", "train/images/a_000000.jpg"], "yolo"),
        (["data.yml"], "yolo"),
        (["000000.txt", "000001.txt"], "yolo"),
        (["data.yaml"], "yolo"),
    ],
)
def test_folders(tmp_path, files, form):
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("")
    assert recognise(tmp_path) == form
    for file in files:
        if file.endswith((".yaml", ".yml")):
            assert recognise(tmp_path / file) == "yolo"


def test_folders_that_hold_no_annotations_or_several(tmp_path):
    with pytest.raises(InputError, match="without annotations") as caught:
        recognise(tmp_path)
    assert all(words in caught.value.hint for words in FORMATS.values())
    for name in ("b.json", "a.xml", "c.png"):
        (tmp_path / name).write_text("")
    with pytest.raises(InputError, match="without annotations") as caught:
        recognise(tmp_path)
    assert caught.value.hint == "it holds a.xml, b.json: pass one of them"


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("youtubevis/instances.json", "youtubevis"),
        ("coco/instances.json", "coco"),
        ("coco_vid/instances.json", "coco"),
        ("cvat/annotations.xml", "cvat"),
        ("labelstudio/tasks.json", "labelstudio"),
        ("mot", "mot"),
        ("mot/harbour", "mot"),
        ("mot/harbour/gt/gt.txt", "mot"),
        ("yolo", "yolo"),
        ("yolo/data.yaml", "yolo"),
    ],
)
def test_examples_are_recognised_and_read(path, form):
    assert recognise(EXAMPLES / path) == form
    own = read_own_data(EXAMPLES / path, EXAMPLES / "frames")
    assert own.form == FORMATS[form]
    assert own.frames_root == EXAMPLES / "frames"
    items = list(own.annotations.objects())
    assert items
    assert all(isinstance(item, SourceObject) for item in items)
    assert {video.name for video in own.annotations.videos} <= {"harbour", "meadow"}
    for video in own.annotations.videos:
        assert (video.height, video.width) == (96, 160)
        assert all((own.frames_root / file).is_file() for file in video.frame_files)


def test_frames_of_a_youtubevis_file_are_beside_it_or_named(tmp_path):
    path = tmp_path / "x.json"
    video = {"id": 1, "width": 11, "height": 7, "file_names": ["a/0.png"]}
    path.write_text(json.dumps({"videos": [video], "categories": [{"id": 1, "name": "x"}], "annotations": []}))
    assert read_own_data(path, None).frames_root == tmp_path
    frames = tmp_path / "JPEGImages"
    frames.mkdir()
    Image.fromarray(np.zeros((7, 11, 3), np.uint8)).save(frames / "0.png")
    assert read_own_data(path, None).frames_root == frames
    other = tmp_path / "other"
    for wrong in (other, path):
        with pytest.raises(InputError, match="no such folder of frames"):
            read_own_data(path, wrong)
    other.mkdir()
    assert read_own_data(path, other).frames_root == other


LABELS = {
    "cvat": ("x.xml", "<annotations><meta/><track id='0' label='a'><box frame='1' {}/></track></annotations>".format(
        " ".join(f"{side}='{value}'" for side, value in zip(("xtl", "ytl", "xbr", "ybr"), (1, 2, 11, 12), strict=True))
    )),
    "labelstudio": ("x.json", json.dumps([{**TASK, "data": {"video": "pond.avi"}, "annotations": [{"result": []}]}])),
    "mot": ("pond/gt/gt.txt", "2,1,1,2,10,10,1,1,1\n"),
    "yolo": ("labels/pond/frame_000001.txt", "0 0.5 0.5 0.2 0.4\n"),
}  # fmt: skip


def make_video(path):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 5, (48, 32))
    for _ in range(3):
        writer.write(np.zeros((32, 48, 3), np.uint8))
    writer.release()


@pytest.mark.parametrize("form", LABELS)
def test_video_files_beside_the_labels(tmp_path, form):
    make_video(tmp_path / "pond.avi")
    name, text = LABELS[form]
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(text)
    own = read_own_data(tmp_path if form in ("mot", "yolo") else tmp_path / name, None)
    assert (own.form, own.frames_root) == (FORMATS[form], tmp_path)
    assert [video.video_file for video in own.library.opened] == [tmp_path / "pond.avi"]
    assert [video.frame_files for video in own.annotations.videos] == [own.library.opened[0].files]
    assert not [item for item in own.annotations.objects() if not isinstance(item, SourceObject)]


def test_a_sequence_opens_no_frames_but_its_own(tmp_path):
    for folder in ("img1", "spare/img1"):
        (tmp_path / "pond" / folder).mkdir(parents=True)
        Image.fromarray(np.zeros((7, 11, 3), np.uint8)).save(tmp_path / "pond" / folder / "000001.png")
    make_video(tmp_path / "pond" / "pond.avi")
    (tmp_path / "pond" / "gt").mkdir()
    (tmp_path / "pond" / "gt" / "gt.txt").write_text("1,1,1,2,3,3,1,1,1\n")
    own = read_own_data(tmp_path, None)
    assert [video.files for video in own.library.opened] == [("pond/img1/000001.png",)]


@pytest.mark.parametrize(
    "path", ["cvat/annotations.xml", "labelstudio/tasks.json", "mot", "yolo", "coco/instances.json"]
)
def test_frames_that_are_not_there(tmp_path, path):
    for wrong, cause in ((tmp_path / "nowhere", "no such folder of frames"), (tmp_path, "neither frames nor videos")):
        with pytest.raises(InputError, match=cause):
            read_own_data(EXAMPLES / path, wrong)
