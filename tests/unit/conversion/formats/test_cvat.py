import math
from pathlib import Path
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from qcen_core.conversion.annotations import ANY_CLASS, SourceObject
from qcen_core.conversion.formats.cvat import read_cvat
from qcen_core.conversion.frame_library import FrameLibrary
from qcen_core.errors import InputError

HEIGHT, WIDTH = 31, 53


def make_frames(folder, names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.new("RGB", (WIDTH, HEIGHT)).save(folder / f"{name}.png")
    return folder


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Ten frames of a single video."""
    return make_frames(tmp_path_factory.mktemp("frames") / "pond", [f"{i:05d}" for i in range(10)]).parent


@pytest.fixture(scope="module")
def pond(root):
    return FrameLibrary(root)


def box(frame, corners, outside=0, keyframe=1, inside="", **more):
    sides = dict(zip(("xtl", "ytl", "xbr", "ybr"), corners, strict=True))
    fields = {"frame": frame, "outside": outside, "keyframe": keyframe, "occluded": 0, **sides, **more}
    return f"<box {' '.join(f'{k}={quoteattr(str(v))}' for k, v in fields.items())}>{inside}</box>"


def track(*shapes, label="duck", number=0, task=None):
    of_task = "" if task is None else f" task_id='{task}'"
    return f"<track id='{number}' label='{label}'{of_task}>{''.join(shapes)}</track>"


def task(name="pond", number=1, size=10, labels=("duck", "fish"), more=""):
    listed = "".join(f"<label><name>{label}</name></label>" for label in labels)
    count = "" if size is None else f"<size>{size}</size>"
    return f"<task><id>{number}</id><name>{name}</name>{count}{more}<labels>{listed}</labels></task>"


def document(*tracks, meta=None):
    meta = task() if meta is None else meta
    return f"<annotations><version>1.1</version><meta>{meta}</meta>{''.join(tracks)}</annotations>"


def read(tmp_path, library, text):
    path = tmp_path / "annotations.xml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    labels = read_cvat(path, library)
    assert labels.library is library
    assert labels.frames_root == library.root
    return labels.annotations


def split(annotations):
    items = list(annotations.objects())
    return [i for i in items if isinstance(i, SourceObject)], [i for i in items if not isinstance(i, SourceObject)]


def only_object(annotations):
    objects, problems = split(annotations)
    assert problems == []
    (found,) = objects
    return found


A, B, C = (1.0, 2.0, 11.0, 12.0), (5.0, 2.0, 15.0, 20.0), (0.5, 0.25, 3.0, 4.0)


def test_interpolates_between_key_frames_and_ends_at_an_outside_shape(tmp_path, pond):
    shapes = box(0, A), box(4, B), box(6, B, outside=1), box(8, C), box(9, C, outside=1)
    found = only_object(read(tmp_path, pond, document(track(*shapes))))
    assert list(found.frames) == [0, 1, 2, 3, 4, 5, 8]
    expected = [A, (2, 2, 12, 14), (3, 2, 13, 16), (4, 2, 14, 18), B, B, C]
    assert [tuple(b) for b in found.boxes] == expected


def test_moves_towards_an_outside_shape_as_cvat_does(tmp_path, pond):
    found = only_object(read(tmp_path, pond, document(track(box(0, A), box(4, B, outside=1)))))
    assert list(found.frames) == [0, 1, 2, 3]
    assert tuple(found.boxes[3]) == (4, 2, 14, 18)


@pytest.mark.parametrize(
    ("tracks", "last"),
    [
        ([track(box(2, A), box(4, B))], 9),
        ([track(box(2, A))], 9),
        ([track(box(2, A), box(3, B))], 3),
        ([track(box(2, A), box(3, A, keyframe=0))], 3),
        ([track(box(2, A), box(4, B)), track(box(0, A, keyframe=0), number=1)], 4),
        ([track(box(2, A), box(3, B)), track(box(5, A), box(8, A, outside=1), number=1)], 9),
        ([track(box(2, A)), track(box(5, A), box(6, A, outside=1), number=1)], 9),
    ],
)
def test_the_last_shape_stays_only_in_files_of_key_frames(tmp_path, pond, tracks, last):
    objects, problems = split(read(tmp_path, pond, document(*tracks)))
    assert problems == []
    assert objects[0].frames[-1] == last


def test_frames_count_from_zero_as_in_the_source_video(tmp_path, pond):
    annotations = read(tmp_path, pond, document(track(box(0, A, keyframe=0), box(10, A, keyframe=0))))
    objects, problems = split(annotations)
    assert [list(o.frames) for o in objects] == [list(range(10))]
    assert [(p.kind, p.place.rpartition(": ")[2]) for p in problems] == [("label without a frame", "track 0, frame 10")]


PART = "<start_frame>2</start_frame><stop_frame>8</stop_frame><frame_filter>step=3</frame_filter>"


def test_a_task_that_uses_some_frames_of_the_whole_video(tmp_path, pond):
    meta = task(size=3, more=PART)
    annotations = read(tmp_path, pond, document(track(box(2, A), box(8, B)), meta=meta))
    found = only_object(annotations)
    assert list(found.frames) == [2, 5, 8]
    assert tuple(found.boxes[1]) == (3, 2, 13, 16)
    assert annotations.unlabelled == {0: {0, 1, 3, 4, 6, 7, 9}}


@pytest.mark.parametrize("names", [["frame_000002", "frame_000005", "frame_000008"], ["a", "b", "c"]])
def test_the_frames_of_a_task_alone(tmp_path, names):
    library = FrameLibrary(make_frames(tmp_path / "pond", names))
    annotations = read(tmp_path, library, document(track(box(5, A), box(8, B)), meta=task(size=3, more=PART)))
    assert list(only_object(annotations).frames) == [1, 2]
    assert annotations.unlabelled == {}


def test_a_frame_that_the_step_leaves_out(tmp_path, pond):
    _, problems = split(read(tmp_path, pond, document(track(box(2, A), box(4, B)), meta=task(size=3, more=PART))))
    assert [p.kind for p in problems] == ["label without a frame"]


def test_too_few_frames_for_a_step(tmp_path):
    library = FrameLibrary(make_frames(tmp_path / "pond", "ab"))
    with pytest.raises(InputError, match="uses 3 frames, one in 3, but only 2"):
        read(tmp_path, library, document(track(box(2, A)), meta=task(size=3, more=PART)))


def test_a_gap_in_the_frames(tmp_path):
    library = FrameLibrary(make_frames(tmp_path / "pond", [f"{i:03d}" for i in (0, 1, 3, 4)]))
    meta = task(size=5)
    _, problems = split(annotations := read(tmp_path, library, document(track(box(0, A), box(4, B)), meta=meta)))
    assert problems == []
    found = only_object(annotations)
    assert list(found.frames) == [0, 1, 2, 3]
    assert tuple(found.boxes[2]) == (4, 2, 14, 18)  # that of frame 3


def test_labels_come_from_the_list(tmp_path, pond):
    annotations = read(
        tmp_path, pond, document(track(box(0, A), label="fish"), track(box(0, A), label="boat", number=1))
    )
    objects, problems = split(annotations)
    assert [(c.source_id, c.name) for c in annotations.categories] == [(1, "duck"), (2, "fish")]
    assert [(o.class_id, o.ignore) for o in objects] == [(1, False), (ANY_CLASS, True)]
    assert [(p.kind, p.loses_labels) for p in problems] == [("unknown category", True)]
    assert "'boat'" in problems[0].cause


def test_labels_in_order_of_appearance_without_a_list(tmp_path, pond):
    tracks = track(box(0, A), label="fish"), track(box(0, A), label="Ignore", number=1), track(box(0, A), number=2)
    annotations = read(tmp_path, pond, document(*tracks, meta=""))
    objects, _ = split(annotations)
    assert [c.name for c in annotations.categories] == ["fish", "duck"]
    assert [(o.class_id, o.ignore) for o in objects] == [(0, False), (ANY_CLASS, True), (1, False)]


def test_a_shape_can_be_ignored_for_a_while(tmp_path, pond):
    ignored = "<attribute name='ignore'>true</attribute>"
    shapes = box(0, A), box(1, A, inside=ignored), box(2, A, inside="<attribute name='ignore'>false</attribute>")
    objects, problems = split(read(tmp_path, pond, document(track(*shapes))))
    assert problems == []
    assert [(list(o.frames), o.ignore, o.track) for o in objects] == [([0, 2], False, 1), ([1], True, 1)]


def test_turned_boxes_and_the_shorter_way_round(tmp_path, pond):
    shapes = (
        box(0, (10, 10, 30, 20), rotation=90),
        box(2, (10, 10, 20, 20), rotation=350),
        box(4, (10, 10, 20, 20), rotation=10),
    )
    found = only_object(read(tmp_path, pond, document(track(*shapes))))
    assert found.boxes[0] == pytest.approx((15, 5, 25, 25))
    assert found.boxes[3] == pytest.approx((10, 10, 20, 20))  # half way from 350 to 370 degrees


def test_other_shapes(tmp_path, pond):
    polygon = "<polygon frame='0' outside='0' keyframe='1' points='3.5,4;10,2;7,9.25'/>"
    ellipse = "<ellipse frame='0' outside='0' keyframe='1' cx='10' cy='12' rx='6' ry='2' rotation='90'/>"
    mask = "<mask frame='0' outside='0' keyframe='1' rle='0, 12' left='3' top='4' width='4' height='3'/>"
    line = "<polyline frame='0' points='1,1;2,2'/><polyline frame='1' points='1,1;2,2'/>"
    bones = "<skeleton frame='0' keyframe='1'><points label='eye' points='1,1'/></skeleton>"
    ends = box(1, A, outside=1)
    tracks = [track(shape, ends) for shape in (polygon, ellipse, mask)] + [track(line), track(bones)]
    objects, problems = split(
        read(tmp_path, pond, document(*(t.replace("id='0'", f"id='{i}'") for i, t in enumerate(tracks))))
    )
    assert [o.boxes[0] for o in objects] == [
        (3.5, 2, 10, 9.25), pytest.approx((8, 6, 12, 18)), (3, 4, 7, 7)
    ]  # fmt: skip
    assert [(p.kind, p.cause.split(",")[0]) for p in problems] == [
        ("not a box", "2 of kind polyline"), ("not a box", "1 of kind skeleton")
    ]  # fmt: skip


@pytest.mark.parametrize("tag", ["task", "job"])
def test_source_video_and_job(tmp_path, root, tag):
    make_frames(root / "lake", ["0"])
    part = "<size>2</size><start_frame>4</start_frame><source>up/pond.mp4</source>"
    meta = f"<{tag}><id>3</id><name>day 2</name>{part}</{tag}>"
    annotations = read(tmp_path, FrameLibrary(root), document(track(box(4, A), box(5, B)), meta=meta))
    assert list(only_object(annotations).frames) == [4, 5]
    assert [v.name for v in annotations.videos] == ["pond"]
    assert annotations.unlabelled == {0: {0, 1, 2, 3, 6, 7, 8, 9}}


def test_a_project_of_several_tasks(tmp_path):
    for name in ("pond", "lake/a b"):
        make_frames(tmp_path / "frames" / name, "0123")
    tasks = task("pond", 7, 4) + task("a b", 8, 2) + task("sea", 9, 4)
    meta = f"<project><id>1</id><tasks>{tasks}</tasks></project>"
    tracks = [track(box(1, A), box(2, A), number=i, task=t) for i, t in enumerate((8, 7, 9, None))]
    annotations = read(tmp_path, FrameLibrary(tmp_path / "frames"), document(*tracks, meta=meta))
    objects, problems = split(annotations)
    assert [v.name for v in annotations.videos] == ["pond", "lake_a_b"]
    assert [(o.video, list(o.frames)) for o in objects] == [(1, [1]), (0, [1, 2])]
    assert [p.kind for p in problems] == ["video without frames"] + ["label without a frame"] * 3
    assert annotations.unlabelled == {1: {2, 3}}


def test_frames_that_are_not_there(tmp_path):
    for name in ("lake", "sea"):
        make_frames(tmp_path / "frames" / name, "0")
    with pytest.raises(InputError, match="no frames of 'pond'") as caught:
        read(tmp_path, FrameLibrary(tmp_path / "frames"), document(track(box(0, A))))
    assert "lake, sea" in str(caught.value.hint)


def test_frames_of_another_size(tmp_path, pond):
    more = "<original_size><width>106</width><height>62</height></original_size>"
    _, problems = split(read(tmp_path, pond, document(track(box(0, A)), meta=task(more=more))))
    assert [(p.kind, p.video) for p in problems] == [("wrong frame size", 0)]


def test_an_empty_task_is_labelled(tmp_path, pond):
    annotations = read(tmp_path, pond, document())
    assert (len(annotations.videos), annotations.items, annotations.unlabelled) == (1, (), {})


def test_wrong_values_are_handed_on(tmp_path, pond):
    wrong = [("nan", 1, 2, 3), (-5, -6, -1, -2), (9, 9, 3, 3), (1, 1, 1, 1), ("inf", 0, 1, 1)]
    found = only_object(read(tmp_path, pond, document(track(*(box(i, b) for i, b in enumerate(wrong))))))
    assert math.isnan(found.boxes[0][0])
    assert found.boxes[1:] == ((-5, -6, -1, -2), (9, 9, 3, 3), (1, 1, 1, 1), (math.inf, 0, 1, 1))
    turned = only_object(read(tmp_path, pond, document(track(box(0, A, rotation="inf")))))
    assert all(math.isnan(v) for v in turned.boxes[0])


@pytest.mark.parametrize(
    ("shape", "kind"),
    [
        ("<box frame='3' outside='0' xtl='1' ytl='2' xbr='3'/>", "malformed box"),
        (box(3, ("a", 1, 2, 3)), "malformed box"),
        (box(3, ("", 1, 2, 3)), "malformed box"),
        ("<polygon frame='3' points='1,2;3'/>", "malformed box"),
        ("<polygon frame='3'/>", "malformed box"),
        ("<ellipse frame='3' cx='1' cy='1' rx='1'/>", "malformed box"),
        ("<box outside='0' xtl='1' ytl='2' xbr='3' ybr='4'/>", "label without a frame"),
        (box("x", A), "label without a frame"),
        (box(-1, A), "label without a frame"),
        (box("9" * 30, A), "label without a frame"),
        (box(10**12, A), "label without a frame"),
        (box(0, B), "duplicate frame"),
    ],
)
def test_one_bad_shape_costs_itself(tmp_path, pond, shape, kind):
    shapes = box(0, A, keyframe=1), box(1, A, keyframe=0)
    annotations = read(tmp_path, pond, document(track(*shapes, shape), track(box(5, B), number=4)))
    objects, problems = split(annotations)
    assert [(p.kind, p.loses_labels) for p in problems] == [(kind, True)]
    # Somewhere between its last readable shape and that one, the object is nobody knows where.
    assert annotations.unlabelled == ({0: {2, 3}} if kind == "malformed box" else {})
    assert "track 0" in problems[0].place
    assert list(objects[0].boxes[:2]) == [A, A]
    assert list(objects[1].frames) == [5]


def test_tracks_without_label_or_with_the_same_id(tmp_path, pond):
    tracks = "<track id='5'>" + box(0, A) + "</track>", track(box(0, A), number=3), track(box(0, B), number=3)
    objects, problems = split(read(tmp_path, pond, document(*tracks)))
    assert [(o.boxes[0], o.class_id, o.ignore) for o in objects] == [
        (A, ANY_CLASS, True), (A, 0, False), (B, 0, False)
    ]  # fmt: skip
    assert len({o.track for o in objects}) == 3
    assert [(p.kind, p.loses_labels) for p in problems] == [("duplicate id", False), ("unknown category", True)]


def test_other_boxes_at_the_frames_of_a_shape_that_cannot_be_read(tmp_path, pond):
    shapes = box(1, A, keyframe=0), box(2, ("x", 1, 2, 3)), box(3, A, keyframe=0)
    other = track(*(box(i, B, keyframe=0) for i in range(4)), number=4)
    annotations = read(tmp_path, pond, document(track(*shapes), other))
    objects, (problem, beside) = split(annotations)
    assert annotations.unlabelled == {0: {2}}
    assert [list(o.frames) for o in objects] == [[1, 3], [0, 1, 3]]
    assert (problem.kind, beside.kind, beside.boxes) == ("malformed box", "label beside a lost one", 2)


BOMB = "<!DOCTYPE annotations [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;'>]>" + document().replace("pond", "&b;")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (document(track(box(0, A)))[:-30], "not valid XML"),
        ("", "not valid XML"),
        ("{}", "not valid XML"),
        (b"<annotations>\xff\xfe</annotations>", "not valid XML"),
        ("<?xml version='1.0' encoding='klingon'?><annotations/>", "not valid XML"),
        ("<annotation><object/></annotation>", "the root is 'annotation'"),
        ("<annotations/>", "neither tracks nor images"),
        (BOMB, "document type or entities"),
        ("<!DOCTYPE annotations SYSTEM 'http://example.org/a.dtd'>" + document(), "document type or entities"),
        ("<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>" + document(meta="&x;"), "document type or entities"),
        (document(meta=task(more="<start_frame>two</start_frame>")), "start_frame is 'two'"),
        (document(meta=task(size="9" * 40)), "not a number of frames"),
        (document(meta=task(more="<frame_filter>step=0</frame_filter>")), "frame_filter"),
        (document(track(box(0, A)), "<image id='0' name='00000.png'/>"), "both tracks and images"),
    ],
)
def test_files_that_cannot_be_used(tmp_path, pond, text, message):
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path, pond, text)
    assert "annotations.xml" in str(caught.value.place)
    assert caught.value.hint


def test_no_such_file(tmp_path, pond):
    with pytest.raises(InputError, match="cannot be read"):
        read_cvat(tmp_path / "none.xml", pond)


def image(name, *shapes, number=0, size=(HEIGHT, WIDTH)):
    return f"<image id='{number}' name='{name}' height='{size[0]}' width='{size[1]}'>{''.join(shapes)}</image>"


def still(corners, label="duck"):
    return box(0, corners, label=label)


def test_images_of_several_videos(tmp_path):
    for name in ("pond", "lake"):
        make_frames(tmp_path / "frames" / name, "0123")
    images = (
        image("pond/2.png", still(A), still(B, "ignored"), "<tag label='duck'/>"),
        image("lake/0.png", number=1),
        image("pond/0.png", still(C, "fish"), still(C, "boat"), number=2),
        image("lake/7.png", still(C), number=3),
    )
    annotations = read(tmp_path, FrameLibrary(tmp_path / "frames"), document(*images))
    objects, problems = split(annotations)
    assert [v.name for v in annotations.videos] == ["pond", "lake"]
    assert [(o.video, o.frames, o.boxes, o.class_id, o.ignore, o.track) for o in objects] == [
        (0, (2,), (A,), 0, False, None),
        (0, (2,), (B,), ANY_CLASS, True, None),
        (0, (0,), (C,), 1, False, None),
        (0, (0,), (C,), ANY_CLASS, True, None),
    ]
    assert [p.kind for p in problems] == ["unknown category", "label without a frame", "not a box"]
    assert annotations.unlabelled == {0: {1, 3}, 1: {1, 2, 3}}


def test_images_of_a_folder_that_is_not_there(tmp_path):
    make_frames(tmp_path / "a", "0123")
    images = image("a/0.png", still(A)), image("b/0.png", still(B), number=1), image("b/1.png", number=2)
    for library in (FrameLibrary(tmp_path), FrameLibrary(tmp_path / "a")):
        for meta in (task(), task("a")):
            annotations = read(tmp_path, library, document(*images, meta=meta))
            objects, problems = split(annotations)
            assert [o.boxes for o in objects] == [(A,)]
            assert [(p.kind, p.place.rpartition(": ")[2]) for p in problems] == [
                ("label without a frame", "image 1, shape 0")
            ]
            assert annotations.unlabelled == {0: {1, 2, 3}}


def test_images_of_several_tasks_and_one_video(tmp_path, pond):
    images = [image("00000.png", still(c), number=i) for i, c in enumerate((A, B))]
    images = [text.replace("<image", f"<image task_id='{t}'") for t, text in zip((7, 8), images, strict=True)]
    objects, problems = split(read(tmp_path, pond, document(*images, meta=task("pond", 7) + task("lake", 8))))
    assert [o.boxes for o in objects] == [(A,)]
    assert [p.kind for p in problems] == ["label without a frame"]


def test_two_images_for_a_frame(tmp_path, pond):
    images = image("00000.png", still(A)), image("frame_000000", still(B), number=1), image("00001.png", number=2)
    annotations = read(tmp_path, pond, document(*images, image("00001.jpg", number=3)))
    objects, (lost, nothing, beside) = split(annotations)
    assert [(p.kind, p.loses_labels) for p in (lost, nothing)] == [
        ("two images for a frame", True), ("two images for a frame", False)
    ]  # fmt: skip
    assert lost.place.endswith("image 1")
    assert (objects, beside.kind) == ([], "label beside a lost one")
    assert annotations.unlabelled == {0: {0, *range(2, 10)}}


def test_an_image_with_a_shape_that_cannot_be_read(tmp_path, pond):
    images = image("00000.png", still(A), still(("x", 1, 2, 3))), image("00001.png", still(B), number=1)
    annotations = read(tmp_path, pond, document(*images))
    objects, problems = split(annotations)
    assert [o.boxes for o in objects] == [(B,)]
    assert [p.kind for p in problems] == ["malformed box", "label beside a lost one"]
    assert annotations.unlabelled == {0: {0, *range(2, 10)}}


def test_images_called_by_the_number_of_the_frame(tmp_path, pond):
    images = image("frame_000000", still(A)), image("frame_000009", still(B), number=9, size=(7, 7))
    objects, problems = split(annotations := read(tmp_path, pond, document(*images)))
    assert [o.frames for o in objects] == [(0,), (9,)]
    assert [(p.kind, p.video) for p in problems] == [("wrong frame size", 0)]
    assert annotations.unlabelled == {0: set(range(1, 9))}


@pytest.mark.parametrize("name", ["../pond/00000.png", "/pond/00000.png", "C:\\pond\\00000.png"])
def test_images_outside_the_frames(tmp_path, pond, name):
    with pytest.raises(InputError, match="points outside the frames folder"):
        read(tmp_path, pond, document(image(name, still(A))))


def test_images_of_another_set(tmp_path, pond):
    with pytest.raises(InputError, match="none of the images"):
        read(tmp_path, pond, document(image("other.png", still(A))))


NUMBERS = st.integers(-200, 6000).map(lambda n: n / 100)
BOXES = st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS)
TRACKS = st.lists(
    st.tuples(st.sampled_from(["duck", "fish"]), st.dictionaries(st.integers(0, 9), BOXES, min_size=1)), max_size=5
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tracks=TRACKS)
def test_what_cvat_writes_comes_back(tmp_path, pond, tracks):
    """As CVAT lists it: all visible frames, the first after them outside."""
    written = []
    for number, (label, boxes) in enumerate(tracks):
        shapes = []
        for frame in range(10):
            if frame in boxes:
                shapes.append(box(frame, boxes[frame], keyframe=int(frame - 1 not in boxes)))
            elif frame - 1 in boxes:
                shapes.append(box(frame, boxes[frame - 1], outside=1))
        written.append(track(*shapes, label=label, number=number))
    listed = track(box(0, A), box(1, A, keyframe=0), box(2, A, outside=1), number=99)
    objects, problems = split(read(tmp_path, pond, document(*written, listed)))
    assert problems == []
    names = ["duck", "fish"]
    got = [(names[o.class_id], dict(zip(o.frames, map(tuple, o.boxes), strict=True))) for o in objects[:-1]]
    assert got == tracks


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=200) | st.binary(max_size=200), cut=st.integers(0, 400))
def test_rubbish_is_an_input_error_or_a_problem(tmp_path, pond, text, cut):
    whole = document(track(box(0, A), box(4, B))).encode()
    for content in (text, whole[:cut]):
        with pytest.raises(InputError):
            read(tmp_path, pond, content)


def test_the_example():
    example = Path(__file__).parents[4] / "examples"
    annotations = read_cvat(
        example / "cvat" / "annotations.xml", FrameLibrary(example / "frames" / "harbour")
    ).annotations
    objects, problems = split(annotations)
    assert problems == []
    assert [len(o.frames) for o in objects] == [6, 6]
    assert objects[0].boxes[0] == (68, 28, 111, 71)
