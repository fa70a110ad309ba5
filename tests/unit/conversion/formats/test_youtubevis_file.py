import copy
import json
from itertools import groupby

import numpy as np
import pytest

from qcen_core.conversion.annotations import SourceObject
from qcen_core.conversion.box_rows import collect_rows
from qcen_core.conversion.check_rows import check_boxes
from qcen_core.conversion.formats.recognise import recognise
from qcen_core.conversion.formats.youtubevis_file import YouTubeVisFile
from qcen_core.conversion.problems import Problem
from qcen_core.errors import InputError
from qcen_core.ops import rle
from qcen_core.records import Category

HEIGHT, WIDTH = 61, 101


def mask_of(x, y, width, height):
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[y : y + height, x : x + width] = True
    return mask


def compressed(*box):
    return rle.encode(mask_of(*box))


def uncompressed(*box):
    runs = [(value, len(list(group))) for value, group in groupby(mask_of(*box).flatten(order="F").tolist())]
    return {"size": [HEIGHT, WIDTH], "counts": [0] * bool(runs[0][0]) + [length for _, length in runs]}


def polygon(x, y, width, height):
    return [[x, y, x + width, y, x + width, y + height, x, y + height]]


def clip(number, frames=3, **more):
    files = [f"clip{number}/{i}.jpg" for i in range(frames)]
    return {"id": number, "width": WIDTH, "height": HEIGHT, "length": frames, "file_names": files, **more}


def annotation(number=1, video=8, category=30, **more):
    return {"id": number, "video_id": video, "category_id": category, "iscrowd": 0, **more}


def content(*annotations, videos=None):
    categories = [{"id": 30, "name": "cat"}, {"id": 7, "name": "dog"}]
    return {"videos": videos or [clip(8)], "categories": categories, "annotations": list(annotations)}


def write(tmp_path, what):
    path = tmp_path / "instances.json"
    path.write_bytes(what if isinstance(what, bytes) else json.dumps(what).encode())
    return path


def split(items):
    items = list(items)
    return [i for i in items if isinstance(i, SourceObject)], [i for i in items if isinstance(i, Problem)]


def read(tmp_path, what, **more):
    """Objects and problems, those that the values of boxes have among them; masks are read as well."""
    file = YouTubeVisFile(write(tmp_path, what), **more)
    rows, problems = collect_rows(file)
    problems += check_boxes(rows, file.videos)[0]
    objects, _ = split(file.objects())
    return file, objects, problems, split(file.with_masks(range(len(file.videos))))


A, B, C = (3, 5, 20, 10), (40, 7, 11, 13), (60, 30, 41, 31)
CORNERS = {box: (box[0], box[1], box[0] + box[2], box[1] + box[3]) for box in (A, B, C)}


@pytest.mark.parametrize("form", [compressed, uncompressed, polygon])
def test_boxes_are_stated_or_those_of_masks(tmp_path, form):
    made = content(
        annotation(1, bboxes=[A, None, list(B)]),
        annotation(2, category=7, segmentations=[None, form(*C), form(*A)], iscrowd=1),
        annotation(3, bboxes=[None, [1, 2.5, 3, 4], None], segmentations=[form(*A), form(*B), None], ignore=1),
    )
    file, objects, problems, (masked, more) = read(tmp_path, made)
    assert (problems, more) == ([], [])
    assert (file.categories, file.unlabelled) == ((Category(30, "cat"), Category(7, "dog")), {})
    assert [(o.frames, o.boxes) for o in objects] == [
        ([0, 2], [CORNERS[A], CORNERS[B]]),
        ([1, 2], [CORNERS[C], CORNERS[A]]),
        ([0, 1], [CORNERS[A], (1, 2.5, 4, 6.5)]),  # null with a mask is the mask's box; a stated box is left as it is
    ]
    assert [(o.track, o.class_id, o.video, o.ignore) for o in objects] == [
        (1, 0, 0, False),
        (2, 1, 0, True),
        (3, 0, 0, True),
    ]
    assert [o.place for o in objects] == [f"{file.path}: annotation {n}" for n in (1, 2, 3)]
    assert all(o.masks is None for o in objects)
    assert [(o.frames, o.boxes) for o in masked] == [(o.frames, o.boxes) for o in objects]
    assert [o.masks for o in masked] == [None, [compressed(*C), compressed(*A)], [compressed(*A), compressed(*B)]]


def test_masks_without_pixels_are_absent_objects(tmp_path):
    empty = rle.encode(np.zeros((HEIGHT, WIDTH), bool))
    made = content(annotation(segmentations=[empty, compressed(*A), []], bboxes=[None, None, list(B)]))
    _, objects, problems, (masked, _) = read(tmp_path, made)
    assert problems == []
    assert [(o.frames, o.boxes) for o in objects] == [([1, 2], [CORNERS[A], CORNERS[B]])]
    assert masked[0].masks == [compressed(*A), None]


def test_masks_come_of_the_chosen_videos_only_and_objects_come_again(tmp_path):
    made = content(
        *(annotation(n, video=v, segmentations=[compressed(*A)]) for n, v in enumerate((8, 9, 5, 8), start=1)),
        videos=[clip(8, 1), clip(9, 1), clip(5, 1)],
    )
    file = YouTubeVisFile(write(tmp_path, made))
    assert [o.track for o in file.with_masks({2, 0})] == [1, 3, 4]
    assert list(file.with_masks(())) == []
    assert list(file.objects()) == list(file.objects())
    assert [o.video for o in file.objects()] == [0, 1, 2, 0]


def test_numbers_that_are_none_are_told_with_annotation_and_frame(tmp_path):
    for literal in (b"NaN", b"Infinity", b"-Infinity", b"1e400", b"1" + b"0" * 400):
        text = json.dumps(content(annotation(1, bboxes=[A, A, None]), annotation(4, bboxes=[A, B, None]))).encode()
        text = text.replace(b"[40, 7", b"[" + literal + b", 7")
        file, objects, problems, _ = read(tmp_path, text)
        assert [(p.kind, p.place) for p in problems] == [("malformed box", f"{file.path}: annotation 4, frame 1")]
        assert objects[0].boxes == [CORNERS[A], CORNERS[A]]
        assert objects[1].boxes[0] == CORNERS[A]


@pytest.mark.parametrize("box", [[1, 2, 3], [1, 2, 3, 4, 5], "1 2 3 4", 7, [1, 2, None, 4], ["1", 2, 3, 4], {"x": 1}])
def test_what_is_not_four_numbers_costs_that_frame_and_its_mask(tmp_path, box):
    made = content(annotation(4, bboxes=[A, box, B], segmentations=[compressed(*A), compressed(*C), compressed(*B)]))
    file, objects, problems, (masked, more) = read(tmp_path, made)
    assert [(p.kind, p.place) for p in problems] == [("malformed box", f"{file.path}: annotation 4, frame 1")]
    assert more == []
    assert [o.frames for o in (*objects, *masked)] == [[0, 2], [0, 2]]
    assert masked[0].masks == [compressed(*A), compressed(*B)]


CUT = compressed(*A)["counts"]
UNREADABLE = [
    {"size": [WIDTH, HEIGHT], "counts": CUT},
    {"size": [HEIGHT], "counts": CUT},
    {"size": [HEIGHT, WIDTH], "counts": CUT[:-1]},
    {"size": [HEIGHT, WIDTH], "counts": CUT[:3]},
    {"size": [HEIGHT, WIDTH], "counts": CUT + "111"},
    {"size": [HEIGHT, WIDTH], "counts": ""},
    {"size": [HEIGHT, WIDTH], "counts": "o" * 40},
    {"size": [HEIGHT, WIDTH], "counts": "\u00e9\U0001f600"},
    {"size": [HEIGHT, WIDTH], "counts": "\x00\x01\x7f"},
    {"size": [HEIGHT, WIDTH], "counts": "N0O1"},
    {"size": [HEIGHT, WIDTH], "counts": [1, 2]},
    {"size": [HEIGHT, WIDTH], "counts": [-1, HEIGHT * WIDTH + 1]},
    {"size": [HEIGHT, WIDTH], "counts": [10**30]},
    {"size": [HEIGHT, WIDTH], "counts": None},
    {"counts": CUT},
    {"size": [HEIGHT, WIDTH]},
    [[1, 2, 3, 4]],
    [[1, 2, 3, 4, 5, 6, 7]],
    [[1e9, 2, 3, 4, 5, 6]],
    ["abc"],
    "abc",
    7,
]


@pytest.mark.parametrize("mask", UNREADABLE, ids=repr)
@pytest.mark.parametrize("stated", [None, B])
def test_unreadable_masks_are_told_once(tmp_path, mask, stated):
    made = content(annotation(4, bboxes=[A, stated, None], segmentations=[compressed(*A), mask, None]))
    file, objects, problems, (masked, more) = read(tmp_path, made)
    assert [(p.kind, p.place) for p in (*problems, *more)] == [
        ("unreadable mask", f"{file.path}: annotation 4, frame 1")
    ]
    assert objects[0].frames == masked[0].frames == ([0] if stated is None else [0, 1])
    assert masked[0].masks == [compressed(*A)] + [None] * (stated is not None)


VALUES = [None, True, -1, 1.5, 10**30, "x", "", [], [1], [[1]], [None], {}, {"a": 1}, "../x.jpg", "gone"]


def places(value, path=()):
    """Paths of everything inside a JSON value."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield (*path, key)
        yield from places(value[key], (*path, key))


MASKS = [compressed(*A), polygon(*B), None]
WHOLE = content(
    annotation(1, ignore=0, bboxes=[[1, 2, 3, 4], None, None], segmentations=MASKS), videos=[clip(8, name="pond")]
)


def refusal(work, *arguments, **more):
    """The error for people that something ends with, if it does; any other is let through."""
    try:
        work(*arguments, **more)
    except InputError as error:
        return error
    return None


@pytest.mark.parametrize("place", list(places(WHOLE)), ids=lambda place: ".".join(map(str, place)))
def test_wrong_types_anywhere_raise_nothing_but_errors_for_people(tmp_path, place):
    for value in VALUES:
        made = copy.deepcopy(WHOLE)
        inner = made
        for key in place[:-1]:
            inner = inner[key]
        if value == "gone":
            del inner[place[-1]]
        else:
            inner[place[-1]] = value
        path = write(tmp_path, made)
        for error in (refusal(recognise, path), refusal(read, tmp_path, made)):
            assert error is None or error.place.startswith(str(path))
            assert error is None or "\n" not in error.cause


def test_two_things_wrong_with_a_video_at_once(tmp_path):
    videos = [clip(8), {**clip(9), "id": [9], "file_names": []}, {**clip(10), "length": 4}, {"id": 11}]
    made = content(annotation(1, bboxes=[A] * 3), annotation(2, video=10, bboxes=[A] * 3), videos=videos)
    file, objects, problems, _ = read(tmp_path, made)
    assert [video.id for video in file.videos] == [8]
    assert [o.track for o in objects] == [1]
    assert sorted(p.kind for p in problems) == ["frame count mismatch", "video without frames", "video without frames"]


def test_ids_need_not_follow_on_and_must_not_occur_twice(tmp_path):
    twice = (annotation(900, video=77, bboxes=[A]), annotation(-3, 2, bboxes=[B]), annotation(900, 2, bboxes=[C]))
    made = content(*twice, videos=[clip(77, 1), clip(2, 1)])
    file, objects, problems, _ = read(tmp_path, made)
    assert [(o.track, o.video) for o in objects] == [(900, 0), (-3, 1)]
    assert [(p.kind, p.place) for p in problems] == [("duplicate id", f"{file.path}: annotation 900")]
    with pytest.raises(InputError, match="video 2: occurs 2 times"):
        YouTubeVisFile(write(tmp_path, content(videos=[clip(2), clip(2)])))


@pytest.mark.parametrize("name", ["/a/0.jpg", "../0.jpg", "a/../../0.jpg", "C:\\a\\0.jpg", "a\\..\\0.jpg"])
def test_frames_outside_the_folder_are_refused(tmp_path, name):
    with pytest.raises(InputError, match="points outside the frames folder"):
        YouTubeVisFile(write(tmp_path, content(videos=[clip(8, 2, file_names=["a/0.jpg", name])])))
