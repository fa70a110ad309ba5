import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO

from qcen_core.conversion.annotations import ANY_CLASS, SourceObject
from qcen_core.conversion.formats.coco import read_coco
from qcen_core.conversion.frame_library import FrameLibrary
from qcen_core.conversion.problems import Problem
from qcen_core.errors import InputError
from qcen_core.ops import rle

HEIGHT, WIDTH = 61, 101
CATEGORIES = [{"id": 30, "name": "cat"}, {"id": 7, "name": "dog"}]
EXAMPLES = Path(__file__).resolve().parents[4] / "examples"
REAL = Path(__file__).resolve().parents[4] / ".." / "shared" / "data" / "coco"


def picture(path, size=(HEIGHT, WIDTH)):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((*size, 3), 90, np.uint8))


def image(number, file, **more):
    return {"id": number, "file_name": file, "height": HEIGHT, "width": WIDTH} | more


def label(number, image_id, **more):
    return {"id": number, "image_id": image_id, "category_id": 7, "bbox": [1, 2, 30, 40]} | more


def write(folder, images, annotations=(), name="instances.json", **more):
    content = {"images": images, "annotations": list(annotations), "categories": CATEGORIES} | more
    (folder / name).write_text(json.dumps(content))
    return folder / name


def read(folder, images, annotations=(), **more):
    """Reads a file of these records; its first image lies beside it."""
    if images and isinstance(images[0], dict) and not (folder / images[0]["file_name"]).exists():
        picture(folder / images[0]["file_name"])
    return read_coco(write(folder, images, annotations, **more), None).annotations


def objects(annotations):
    return [item for item in annotations.objects() if isinstance(item, SourceObject)]


def problems(annotations):
    return [item for item in annotations.objects() if isinstance(item, Problem)]


def only_problem(annotations):
    (problem,) = problems(annotations)
    return problem


def block(x1, y1, x2, y2, size=(HEIGHT, WIDTH)):
    mask = np.zeros(size, bool)
    mask[y1:y2, x1:x2] = True
    return mask


def uncompressed(mask):
    flat = mask.T.ravel()
    runs = np.diff(np.concatenate([[0], np.flatnonzero(np.diff(flat)) + 1, [flat.size]])).tolist()
    return {"size": list(mask.shape), "counts": ([0] if flat[0] else []) + runs}


# --- COCO-VID -------------------------------------------------------------------------------------------------------


def test_video_frames_are_ordered_by_frame_id_and_not_by_name(tmp_path):
    images = [
        image(11, "x/9.jpg", video_id=5, frame_id=1),
        image(12, "x/1.jpg", video_id=5, frame_id=3),
        image(13, "y/0.jpg", video_id=2, frame_id=0),
        image(14, "x/5.jpg", video_id=5, frame_id=2),
    ]
    labels = [
        label(1, 12, instance_id=4, bbox=[10, 20, 5, 7]),
        label(2, 11, track_id=4, category_id=30),
        label(3, 13, attributes={"track_id": 8}, iscrowd=1),
    ]
    found = read(tmp_path, images, labels, videos=[{"id": 2, "name": "a/b c"}, {"id": 5, "name": "pond"}])
    assert [video.name for video in found.videos] == ["a_b_c", "pond"]
    assert found.videos[1].frame_files == ("x/9.jpg", "x/5.jpg", "x/1.jpg")
    assert [(v.id, v.height, v.width) for v in found.videos] == [(1, HEIGHT, WIDTH), (2, HEIGHT, WIDTH)]
    assert not problems(found)
    assert not found.unlabelled
    first, second, third = objects(found)
    assert (first.video, first.frames, first.boxes, first.class_id) == (1, (2,), ((10, 20, 15, 27),), 1)
    assert (second.video, second.frames, second.class_id) == (1, (0,), 0)
    assert first.track == second.track == 4
    assert (third.video, third.frames, third.track) == (0, (0,), 8)
    assert [item.ignore for item in (first, second, third)] == [False, False, True]
    assert first.place == f"{found.path}: annotation 1"


def test_gaps_are_told_once_and_the_listed_frames_are_the_video(tmp_path):
    images = [image(i, f"{i}.jpg", video_id=i // 4, frame_id=10 * i) for i in range(8)]
    found = read(tmp_path, images, [label(1, 6)], videos=[{"id": 0, "name": "a"}, {"id": 1, "name": "b"}])
    problem = only_problem(found)
    assert (problem.kind, problem.loses_labels, problem.video) == ("gaps between frames", False, None)
    assert "2 of 2 videos" in problem.cause
    assert [len(video.frame_files) for video in found.videos] == [4, 4]
    assert objects(found)[0].frames == (2,)


def test_images_of_no_video_lose_their_labels_aloud(tmp_path):
    images = [image(1, "1.jpg", video_id=9, frame_id=0), image(2, "2.jpg", video_id=1, frame_id="0")]
    images += [image(3, "3.jpg", video_id=1, frame_id=0), image(4, "4.jpg")]
    found = read(tmp_path, images, [label(i, i) for i in (1, 2, 3, 4)], videos=[{"id": 1}, {"id": 3, "name": "n"}])
    kinds = [problem.kind for problem in problems(found)]
    assert kinds[:4] == ["unknown video", "malformed image", "unknown video", "video without frames"]
    assert kinds[4:] == ["label without a frame"] * 3
    assert [video.name for video in found.videos] == ["video_1"]
    assert [item.place for item in objects(found)] == [f"{found.path}: annotation 3"]


def test_what_cannot_be_ordered_is_no_video(tmp_path):
    images = [image(1, "1.jpg", video_id=1, frame_id=3), image(2, "2.jpg", video_id=1, frame_id=3)]
    images += [image(3, "3.jpg", video_id=2, frame_id=0)]
    videos = [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}, {"id": 2, "name": "c"}, {"name": "d"}]
    found = read(tmp_path, images, videos=videos)
    malformed, same_frame, same_id = problems(found)
    assert (malformed.kind, malformed.video) == ("malformed video", None)
    assert (same_frame.kind, same_frame.video) == ("duplicate frame", 0)
    assert (same_id.kind, same_id.video) == ("duplicate id", 1)


# --- plain COCO: which images are a video ---------------------------------------------------------------------------


def grouped(folder, files, **sizes):
    images = [image(i, file, **sizes.get(file, {})) for i, file in enumerate(files, start=1)]
    return {video.name: list(video.frame_files) for video in read(folder, images).videos}


def test_folders_are_videos(tmp_path):
    files = ["b/frame10.jpg", "a/img1/000001.jpg", "b/frame9.jpg", "b/other.jpg", "a/img1/000000.jpg"]
    assert grouped(tmp_path, files) == {
        "b": ["b/frame9.jpg", "b/frame10.jpg", "b/other.jpg"],
        "a": ["a/img1/000000.jpg", "a/img1/000001.jpg"],
    }


def test_series_of_a_flat_folder_are_videos_and_the_rest_are_stills(tmp_path):
    files = ["pond_000012.jpg", "cat.jpg", "lake-frame9.png", "pond_000003.jpg", "lake-frame12.png", "sea_0001.jpg"]
    assert grouped(tmp_path, files) == {
        "pond": ["pond_000003.jpg", "pond_000012.jpg"],
        "cat": ["cat.jpg"],
        "lake-frame": ["lake-frame9.png", "lake-frame12.png"],
        "sea_0001": ["sea_0001.jpg"],
    }


def test_one_folder_of_one_video(tmp_path):
    assert grouped(tmp_path, ["meadow/2.jpg", "meadow/10.jpg"]) == {"meadow": ["meadow/2.jpg", "meadow/10.jpg"]}


def test_several_series_in_each_of_several_folders(tmp_path):
    files = [f"{split}/{video}_{i}.jpg" for split in ("train", "val") for video in ("a", "b") for i in (1, 2)]
    assert list(grouped(tmp_path, files)) == ["a", "b", "a_2", "b_2"]


def test_pictures_of_different_sizes_are_no_series(tmp_path):
    files = ["000001.jpg", "000004.jpg", "000009.jpg"]
    assert len(grouped(tmp_path, files, **{"000009.jpg": {"width": 89}})) == 3
    assert len(grouped(tmp_path, files)) == 1


def test_what_tools_add_to_names_is_no_part_of_them(tmp_path):
    roboflow = ["pond_mp4-12_jpg.rf.0a1b2c3d4e.jpg", "pond_mp4-3_jpg.rf.ff00aa.jpg"]
    assert grouped(tmp_path, roboflow) == {"pond_mp4": [roboflow[1], roboflow[0]]}
    label_studio = ["images/0f3a9c21-pond_02.png", "images/77aa00ff-pond_01.png"]
    assert grouped(tmp_path, label_studio) == {"pond": [label_studio[1], label_studio[0]]}


def test_copies_of_one_frame_are_no_series(tmp_path):
    files = ["a-1_jpg.rf.00.jpg", "a-1_jpg.rf.11.jpg", "a-2_jpg.rf.22.jpg"]
    assert len(grouped(tmp_path, files)) == 3


def test_a_picture_that_is_listed_twice_is_one_frame(tmp_path):
    images = [image(1, "a_1.jpg"), image(2, "a_2.jpg"), image(3, "a_1.jpg")]
    found = read(tmp_path, images, [label(1, 1), label(2, 3)])
    assert [video.frame_files for video in found.videos] == [("a_1.jpg", "a_2.jpg")]
    assert [item.frames for item in objects(found)] == [(0,), (0,)]
    assert only_problem(found).kind == "picture listed twice"
    assert not only_problem(found).loses_labels


def test_frames_of_one_folder_with_different_sizes_are_no_video(tmp_path):
    images = [image(1, "a/1.jpg"), image(2, "a/2.jpg", width=89), image(3, "b/1.jpg")]
    problem = only_problem(read(tmp_path, images))
    assert (problem.kind, problem.video) == ("different frame sizes", 0)
    assert f"{WIDTH} x {HEIGHT} and 89 x {HEIGHT}" in problem.cause


# --- labels ---------------------------------------------------------------------------------------------------------


def test_images_without_annotations_are_labelled_and_empty(tmp_path):
    found = read(tmp_path, [image(1, "a_1.jpg"), image(2, "a_2.jpg")])
    assert (len(found.videos), list(found.objects()), dict(found.unlabelled)) == (1, [], {})


def test_ids_need_no_order(tmp_path):
    images = [image(10**20, "a_1.jpg"), image("three", "a_2.jpg")]
    found = read(tmp_path, images, [label(900, "three"), label(-5, 10**20)])
    assert [item.frames for item in objects(found)] == [(1,), (0,)]


@pytest.mark.parametrize("more", [{"iscrowd": 1}, {"ignore": 1}, {"iscrowd": 0, "ignore": True}])
def test_regions_to_ignore(tmp_path, more):
    assert objects(read(tmp_path, [image(1, "a.jpg")], [label(1, 1, **more)]))[0].ignore


def test_identities(tmp_path):
    labels = [label(1, 1, track_id=7), label(2, 1, track_id="ann"), label(3, 1, instance_id=-1), label(4, 1)]
    labels += [label(5, 1, track_id="bob"), label(6, 1, track_id="ann"), label(7, 1, track_id=[3])]
    found = read(tmp_path, [image(1, "a.jpg")], labels)
    assert [item.track for item in objects(found)] == [7, 8, None, None, 9, 8, None]
    assert (only_problem(found).kind, only_problem(found).loses_labels) == ("malformed identity", False)


@pytest.mark.parametrize(
    "segmentation",
    [
        [[20, 10, 50, 10, 50, 40, 20, 40]],
        [[20, 10, 30, 10, 30, 40, 20, 40], [30, 10, 50, 10, 50, 40, 30, 40]],
        rle.encode(block(20, 10, 50, 40)),
        uncompressed(block(20, 10, 50, 40)),
    ],
)
@pytest.mark.parametrize("bbox", [{}, {"bbox": None}, {"bbox": []}])
def test_boxes_of_masks(tmp_path, segmentation, bbox):
    record = {"id": 1, "image_id": 1, "category_id": 7, "segmentation": segmentation} | bbox
    found = read(tmp_path, [image(1, "a.jpg")], [record])
    assert objects(found)[0].boxes == ((20, 10, 50, 40),)
    assert objects(found)[0].masks is None
    (masked,) = found.with_masks({0})
    assert masked.boxes == ((20, 10, 50, 40),)
    assert (rle.decode(masked.masks[0]) == block(20, 10, 50, 40)).all()


def test_masks_are_those_of_the_videos_asked_for(tmp_path):
    mask = block(3, 4, 9, 8)
    labels = [label(i, i, segmentation=uncompressed(mask)) for i in (1, 2)] + [label(3, 2)]
    found = read(tmp_path, [image(1, "a.jpg"), image(2, "b.jpg")], labels)
    with_mask, without = found.with_masks([1])
    assert with_mask.boxes == ((1, 2, 31, 42),)  # as stated, not as the mask says
    assert (rle.decode(with_mask.masks[0]) == mask).all()
    assert without.masks is None
    assert not list(found.with_masks([]))


BAD_MASKS = [
    {"size": [HEIGHT, WIDTH + 1], "counts": [HEIGHT * (WIDTH + 1)]},
    {"size": [HEIGHT, WIDTH], "counts": [5, 6]},
    {"size": [HEIGHT, WIDTH], "counts": "~~"},
    {"counts": "abc"},
    [[1, 2, 3, 4]],
    [[1, 2, "x", 4, 5, 6]],
    [[1, 2, float("nan"), 4, 5, 6]],
    [7],
    "mask",
    True,
]


@pytest.mark.parametrize("segmentation", BAD_MASKS)
def test_unreadable_masks(tmp_path, segmentation):
    stated = label(1, 1, segmentation=segmentation)
    found = read(tmp_path, [image(1, "a.jpg")], [stated, stated | {"id": 2, "bbox": None}])
    problem, beside = problems(found)
    assert (problem.kind, problem.place) == ("unreadable mask", f"{found.path}: annotation 2")
    # Nobody knows where that object is: its image cannot be learned from.
    assert (objects(found), found.unlabelled, beside.kind) == ([], {0: {0}}, "label beside a lost one")
    assert list(found.with_masks({0})) == []
    found = read(tmp_path, [image(1, "a.jpg")], [stated])
    assert [item.place for item in objects(found)] == [f"{found.path}: annotation 1"]
    assert (problems(found), found.unlabelled) == ([], {})
    problem, item = found.with_masks({0})
    assert (problem.kind, problem.place) == ("unreadable mask", f"{found.path}: annotation 1")
    assert item.masks is None


@pytest.mark.parametrize(
    "bbox", [[1, 2, 3], [1, 2, 3, 4, 5], [1, 2, 3, "4"], [1, 2, 3, None], "1 2 3 4", {"x": 1}, [True, 2, 3, 4], 5]
)
def test_malformed_boxes(tmp_path, bbox):
    images = [image(1, "a_1.jpg"), image(2, "a_2.jpg")]
    found = read(tmp_path, images, [label(1, 1, bbox=bbox), label(2, 1), label(3, 1), label(4, 2)])
    problem, beside = problems(found)
    assert (problem.kind, problem.loses_labels) == ("malformed box", True)
    assert (beside.kind, beside.loses_labels, beside.boxes) == ("label beside a lost one", True, 2)
    assert found.unlabelled == {0: {0}}
    assert [item.frames for item in objects(found)] == [(1,)]
    assert [item.frames for item in found.with_masks({0})] == [(1,)]


def test_annotation_with_neither_box_nor_mask(tmp_path):
    labels = [label(1, 1, bbox=None), label(2, 1, bbox=None, segmentation=[])]
    labels += [label(3, 1, bbox=None, segmentation=uncompressed(block(0, 0, 0, 0)))]
    assert [problem.kind for problem in problems(read(tmp_path, [image(1, "a.jpg")], labels))] == ["malformed box"] * 3


def test_odd_values_are_handed_on(tmp_path):
    boxes = [[-5, 3, -2, 9], [1e9, 0, 0, 0], [float("nan"), 1, 2, 3], [1, 2, float("inf"), 3]]
    found = read(tmp_path, [image(1, "a.jpg")], [label(i, 1, bbox=b) for i, b in enumerate(boxes)])
    given_boxes = [item.boxes[0] for item in objects(found)]
    assert given_boxes[:2] == [(-5, 3, -7, 12), (1e9, 0, 1e9, 0)]
    assert math.isnan(given_boxes[2][0])
    assert given_boxes[3] == (1, 2, math.inf, 5)
    assert not problems(found)


def test_wrong_labels_are_problems(tmp_path):
    labels = [label(1, 9), label(2, 1, category_id=8), label(3, 1), label(3, 1), label(4, 1, iscrowd="no")]
    labels += [label(5, [1]), label(6, 1, category_id={}), {"image_id": 1, "bbox": [1, 2, 3, 4]}, label([], 1)]
    found = read(tmp_path, [image(1, "a.jpg")], labels)
    assert [(problem.kind, problem.place.split(": ")[1]) for problem in problems(found)] == [
        ("label without a frame", "annotation 1"),
        ("unknown category", "annotation 2"),
        ("duplicate id", "annotation 3"),
        ("malformed annotation", "annotation 4"),
        ("label without a frame", "annotation 5"),
        ("unknown category", "annotation 6"),
        ("unknown category", "annotation number 7"),
    ]
    assert all(problem.loses_labels and problem.video is None for problem in problems(found))
    for items in (objects(found), list(found.with_masks({0}))):
        assert [(item.place.split(": ")[1], item.class_id) for item in items if not item.ignore] == [
            ("annotation 3", 1),
            ("annotation number 8", 1),
        ]
        # What is there is neither an object of a known class nor background.
        assert [(item.place.split(": ")[1], item.class_id) for item in items if item.ignore] == [
            ("annotation 2", ANY_CLASS),
            ("annotation 3", 1),
            ("annotation 4", 1),
            ("annotation 6", ANY_CLASS),
            ("annotation number 7", ANY_CLASS),
        ]
    assert found.unlabelled == {}


def test_wrong_images_are_problems(tmp_path):
    images = [image(1, "a.jpg"), image(None, "b.jpg"), image(2, ""), image(3, 5), image(4, "c.jpg"), image(4, "d.jpg")]
    found = read(tmp_path, images, [label(1, 4)])
    assert [problem.kind for problem in problems(found)] == ["malformed image"] * 3 + ["duplicate id"]
    assert problems(found)[-1].video == objects(found)[0].video == 1


def test_one_name_is_one_class(tmp_path):
    categories = [{"id": 0, "name": "fish"}, {"id": 4, "name": "crab"}, {"id": 9, "name": "fish"}]
    labels = [label(i, 1, category_id=c) for i, c in enumerate((9, 4, 0))]
    found = read(tmp_path, [image(1, "a.jpg")], labels, categories=categories)
    assert [(category.source_id, category.name) for category in found.categories] == [(0, "fish"), (4, "crab")]
    assert [item.class_id for item in objects(found)] == [0, 1, 0]


# --- sizes and folders ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "size", [{}, {"height": 0, "width": 0}, {"height": "61", "width": 101.0}, {"height": 10**30, "width": 9}]
)
def test_sizes_that_are_not_stated_are_read(tmp_path, size):
    picture(tmp_path / "a.jpg", (47, 73))
    found = read(tmp_path, [{"id": 1, "file_name": "a.jpg"} | size, {"id": 2, "file_name": "b.jpg"} | size])
    assert (found.videos[0].height, found.videos[0].width) == (47, 73)
    assert (only_problem(found).kind, only_problem(found).video) == ("unreadable frame file", 1)


def test_labels_of_an_image_of_unknown_size(tmp_path):
    images = [image(1, "a.jpg"), {"id": 2, "file_name": "gone.jpg"}]
    polygon = {"bbox": None, "segmentation": [[1, 1, 9, 1, 9, 9]]}
    found = read(tmp_path, images, [label(1, 2), label(2, 2, **polygon)])
    assert [problem.kind for problem in problems(found)] == [
        "unreadable frame file",
        "unreadable mask",
        "label beside a lost one",
    ]
    assert (objects(found), found.unlabelled) == ([], {1: {0}})


@pytest.mark.parametrize("name", ["/etc/a.jpg", "../a.jpg", "a/../../b.jpg", "C:\\a.jpg", "\\a.jpg", "..\\a.jpg"])
def test_file_names_that_lead_out_of_the_folder(tmp_path, name):
    path = write(tmp_path, [image(4, name)])
    with pytest.raises(InputError, match="points outside the frames folder") as error:
        read_coco(path, None)
    assert error.value.place == f"{path}: image 4"


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("annotations/instances_train.json", "train"),
        ("annotations/instances_train.json", "annotations/train"),
        ("annotations/instances_default.json", "images"),
        ("annotations/instances_default.json", "images/default"),
        ("result.json", "images"),
        ("_annotations.coco.json", ""),
        ("annotations/instances_train.json", ""),
    ],
)
def test_folders_beside_the_file(tmp_path, name, folder):
    (tmp_path / "annotations").mkdir()
    picture(tmp_path / folder / "x" / "b.jpg")
    path = write(tmp_path, [image(1, "x\\a.jpg"), image(2, "./x/b.jpg")], name=name)
    labels = read_coco(path, None)
    found, root = labels.annotations, labels.frames_root
    assert root.resolve() == (tmp_path / folder).resolve()
    assert found.videos[1].frame_files == ("x/b.jpg",)


def test_frames_that_are_passed(tmp_path):
    picture(tmp_path / "frames" / "train" / "a.jpg")
    path = write(tmp_path, [image(1, "a.jpg")], name="instances_train.json")
    assert read_coco(path, FrameLibrary(tmp_path / "frames")).frames_root == tmp_path / "frames" / "train"
    assert read_coco(path, FrameLibrary(tmp_path / "frames" / "train")).frames_root == tmp_path / "frames" / "train"


def test_missing_images_folder(tmp_path):
    path = write(tmp_path, [image(1, "a.jpg"), image(2, "b" * 400)], name="instances_train.json")
    with pytest.raises(InputError, match=r"none of its 2 images, such as a\.jpg, is in ") as error:
        read_coco(path, None)
    assert str(tmp_path) in error.value.cause
    assert "--frames" in error.value.hint
    picture(tmp_path / "frames" / "other.jpg")
    with pytest.raises(InputError, match="frames/train"):
        read_coco(path, FrameLibrary(tmp_path / "frames"))


# --- files that cannot be used --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "the file is empty"),
        ('{"images": [{"id": 1, "file_na', "not valid JSON"),
        ("[]", "not a COCO annotation file"),
        ('{"videos": [], "annotations": []}', '"images" is missing'),
        ('{"images": {}, "categories": []}', '"images" is not a list'),
        ('{"images": [], "categories": [{"id": 1, "name": "a"}]}', "no image that can be used"),
        ('{"images": []}', '"categories" is missing'),
        ('{"images": [], "categories": []}', "no categories"),
        ('{"images": [5], "categories": []}', "not a JSON object"),
        ('{"images": [], "categories": [], "annotations": 3}', '"annotations" is not a list'),
        ('{"images": [], "categories": [], "annotations": [null]}', "not a JSON object"),
        ('{"images": [], "categories": [], "videos": "all"}', '"videos" is not a list'),
        ('{"images": [], "categories": ["cat"]}', "not a JSON object"),
        ('{"images": [], "categories": [{"id": "1", "name": "a"}]}', "not a whole number"),
        ('{"images": [], "categories": [{"id": 1, "name": 3}]}', "not a text"),
        ('{"images": [], "categories": [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]}', "occurs 2 times"),
        ("\ud800", "cannot be read as text"),
    ],
)
def test_useless_files(tmp_path, text, cause):
    path = tmp_path / "instances.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(InputError, match=cause) as error:
        read_coco(path, None)
    assert str(path) in error.value.place
    assert error.value.hint


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_coco(tmp_path / "instances.json", None)


def test_byte_order_mark_and_nan_make_no_difference(tmp_path):
    labels = [label(1, 1, segmentation=uncompressed(block(3, 4, 9, 8)), track_id=6, iscrowd=1)]
    images = [image(1, "a_1.jpg", video_id=1, frame_id=4), image(2, "a_2.jpg", video_id=1, frame_id=2)]
    plain = read(tmp_path, images, labels, videos=[{"id": 1, "name": "v"}])
    expected = plain.videos, list(plain.objects()), list(plain.with_masks({0}))
    for text in ("\ufeff" + plain.path.read_text(), plain.path.read_text()[:-1] + ', "info": NaN}'):
        plain.path.write_text(text, encoding="utf-8")
        again = read_coco(plain.path, None).annotations
        assert (again.videos, list(again.objects()), list(again.with_masks({0}))) == expected


# --- round trip -----------------------------------------------------------------------------------------------------

NUMBERS = st.floats(-50, 150, width=32)
TRACKS = st.lists(
    st.tuples(
        st.integers(0, 2),  # video
        st.integers(0, 1),  # class
        st.booleans(),  # ignore
        st.dictionaries(st.integers(0, 3), st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS), min_size=1),
    ),
    max_size=6,
)


@settings(max_examples=60)
@given(tracks=TRACKS, stated=st.booleans(), shuffled=st.randoms(use_true_random=False))
def test_round_trip(tmp_path_factory, tracks, stated, shuffled):
    folder = tmp_path_factory.mktemp("round")
    images = [
        image(100 - 10 * v - f, f"v{v}/{f if not stated else 9 - f}.jpg", video_id=7 - v, frame_id=1 + f)
        for v in range(3)
        for f in range(4)
    ]
    labels, expected = [], []
    for number, (video, class_id, ignore, boxes) in enumerate(tracks):
        for frame, box in boxes.items():
            more = {"category_id": CATEGORIES[class_id]["id"], "track_id": number, "iscrowd": int(ignore)}
            labels.append(label(len(labels), 100 - 10 * video - frame, bbox=list(box), **more))
            x, y, w, h = box
            expected.append((f"v{video}", frame, class_id, number, ignore, (x, y, x + w, y + h)))
    shuffled.shuffle(images)
    shuffled.shuffle(labels)
    videos = [{"id": 7 - v, "name": f"v{v}"} for v in range(3)] if stated else None
    found = read(folder, images, labels, **({"videos": videos} if stated else {}))
    assert not problems(found)
    assert all(len(video.frame_files) == 4 for video in found.videos)
    read_back = [
        (found.videos[o.video].name, o.frames[0], o.class_id, o.track, o.ignore, o.boxes[0]) for o in objects(found)
    ]
    assert sorted(read_back) == sorted(expected)
    assert [o.boxes for o in found.with_masks(range(3))] == [o.boxes for o in objects(found)]


# --- files of others ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["coco", "coco_vid"])
def test_examples_hold_the_true_labels(name):
    truth = json.loads((EXAMPLES / "youtubevis" / "instances.json").read_text())
    expected = sorted(
        (annotation["video_id"] - 1, frame, annotation["category_id"] - 1, x, y, x + w, y + h)
        for annotation in truth["annotations"]
        for frame, box in enumerate(annotation["bboxes"])
        if box is not None
        for x, y, w, h in [box]
    )
    path = EXAMPLES / name / "instances.json"
    labels = read_coco(path, FrameLibrary(EXAMPLES / "frames"))
    found, root = labels.annotations, labels.frames_root
    assert root == EXAMPLES / "frames"
    assert [video.frame_files for video in found.videos] == [tuple(v["file_names"]) for v in truth["videos"]]
    assert [video.name for video in found.videos] == ["harbour", "meadow"]
    assert not problems(found)
    assert sorted((o.video, o.frames[0], o.class_id, *o.boxes[0]) for o in objects(found)) == expected
    tracks = {(o.video, o.track) for o in objects(found)}
    assert len(tracks) == (len(truth["annotations"]) if name == "coco_vid" else 2)


@pytest.mark.skipif(not REAL.is_dir(), reason="needs images and annotations of COCO, which are no part of the project")
@pytest.mark.parametrize("split", ["train2017", "val2017"])
def test_agrees_with_cocos_own_reader(split, capsys):
    path = REAL / "annotations" / f"instances_{split}.json"
    labels = read_coco(path, None)
    found, root = labels.annotations, labels.frames_root
    own = COCO(str(path))
    capsys.readouterr()
    assert root.resolve() == (REAL / split).resolve()
    assert len(found.videos) == len(own.imgs)
    assert all(len(video.frame_files) == 1 for video in found.videos)
    assert not problems(found)
    names = [category.name for category in found.categories]
    expected = []
    for annotation in own.anns.values():
        shown = own.imgs[annotation["image_id"]]
        (category,) = own.loadCats(annotation["category_id"])
        x, y, w, h = annotation["bbox"]
        box = (x, y, x + w, y + h)
        expected.append((shown["file_name"], category["name"], bool(annotation["iscrowd"]), *box))
    read_back = [
        (found.videos[o.video].frame_files[0], names[o.class_id], o.ignore, *o.boxes[0]) for o in objects(found)
    ]
    assert sorted(read_back) == sorted(expected)
    wanted = range(0, len(found.videos), 9)
    for item in found.with_masks(wanted):
        annotation = own.anns[int(item.place.rsplit(" ", 1)[1])]
        assert rle.area(item.masks[0]) == rle.area(own.annToRLE(annotation))
