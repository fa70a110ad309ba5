from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from qcen_core.conversion.annotations import ANY_CLASS, SourceObject
from qcen_core.conversion.formats.yolo import read_yolo
from qcen_core.conversion.frame_library import FoundVideo, FrameLibrary
from qcen_core.conversion.problems import Problem
from qcen_core.errors import InputError
from qcen_core.records import Category
from qcen_core.trackfile import read_annotations

WIDTH, HEIGHT = 31, 23
EXAMPLES = Path(__file__).parents[4] / "examples"
BOX = "0 0.5 0.5 0.2 0.4"


def write_picture(path, width=WIDTH, height=HEIGHT):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height)).save(path)


def write_text(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def write_set(root, labels, names=("cat", "dog"), suffix=".png"):
    """`labels`: path below `labels/` -> text, `None` for a frame without a label file."""
    for name, text in labels.items():
        write_picture(root / "images" / f"{name}{suffix}")
        if text is not None:
            write_text(root / "labels" / f"{name}.txt", text)
    if names is not None:
        write_text(root / "data.yaml", "names: [" + ", ".join(names) + "]\n")
    return root


def read(path, library=None):
    labels = read_yolo(path, library)
    annotations, root = labels.annotations, labels.frames_root
    assert labels.library.root == root
    objects = [item for item in annotations.objects() if isinstance(item, SourceObject)]
    problems = [item for item in annotations.objects() if isinstance(item, Problem)]
    for video in annotations.videos:
        for file in video.frame_files:
            assert not Path(file).is_absolute()
            assert ".." not in file
    return annotations, root, objects, problems


def one(tmp_path, text, names=("cat", "dog")):
    """What a single label file gives."""
    return read(write_set(tmp_path, {"v/1": text}, names))


def kinds(problems):
    return [problem.kind for problem in problems]


def test_a_set_by_hand(tmp_path):
    root = write_set(
        tmp_path,
        {
            "street/1": "1 0.5 0.5 0.2 0.4 7\n0 0.25 0.75 0.5 0.5 3\n",
            "street/2": "",
            "street/3": None,
            "street/10": "1 0.5 0.5 1 1 7",
        },
    )
    annotations, frames_root, objects, problems = read(root)
    assert problems == []
    assert annotations.categories == (Category(0, "cat"), Category(1, "dog"))
    (video,) = annotations.videos
    assert (video.id, video.name, video.height, video.width) == (1, "street", HEIGHT, WIDTH)
    assert video.frame_files == tuple(f"images/street/{n}.png" for n in (1, 2, 3, 10))
    assert frames_root == root
    assert annotations.unlabelled == {0: {2}}
    dog, cat = objects
    assert (dog.track, dog.class_id, list(dog.frames), dog.ignore) == (7, 1, [0, 3], False)
    np.testing.assert_allclose(dog.boxes, [(12.4, 6.9, 18.6, 16.1), (0, 0, 31, 23)])
    assert (cat.track, cat.class_id, list(cat.frames)) == (3, 0, [0])
    np.testing.assert_allclose(cat.boxes, [(0, 11.5, 15.5, 23)])


LABELS = st.dictionaries(
    st.tuples(st.sampled_from(["train/a", "train/b", "val/a"]), st.integers(0, 3), st.integers(0, 3)),
    st.tuples(*[st.floats(-0.5, 1.5)] * 4),
    min_size=1,
    max_size=16,
)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    boxes=LABELS,
    class_of=st.lists(st.integers(0, 2), min_size=4, max_size=4),
    tracked=st.booleans(),
    turned_around=st.booleans(),
)
def test_what_is_written_comes_back(tmp_path_factory, boxes, class_of, tracked, turned_around):
    root = tmp_path_factory.mktemp("yolo")

    def folder(kind, video):
        split, name = video.split("/")
        return root / split / kind / name if turned_around else root / kind / split / name

    texts = {}
    for (video, frame, track), (x, y, w, h) in boxes.items():
        line = f"{class_of[track]} {x!r} {y!r} {w!r} {h!r}" + (f" {track}" if tracked else "")
        texts.setdefault((video, frame), []).append(line)
    for video in {video for video, _, _ in boxes}:
        for frame in range(4):
            write_picture(folder("images", video) / f"f{frame:03d}.png")
    for (video, frame), lines in texts.items():
        write_text(folder("labels", video) / f"f{frame:03d}.txt", "\n".join(lines) + "\n")
    write_text(root / "classes.txt", "a\nb\nc\n")
    annotations, _, objects, problems = read(root)
    assert problems == []
    names = [video.name for video in annotations.videos]
    assert names == sorted({video.replace("/", "_") for video, _, _ in boxes})
    found = [
        (names[item.video], frame, item.class_id, item.track, *box)
        for item in objects
        for frame, box in zip(item.frames, item.boxes, strict=True)
    ]
    expected = [
        (
            video.replace("/", "_"),
            frame,
            class_of[track],
            track if tracked else None,
            (x - w / 2) * WIDTH,
            (y - h / 2) * HEIGHT,
            (x + w / 2) * WIDTH,
            (y + h / 2) * HEIGHT,
        )
        for (video, frame, track), (x, y, w, h) in boxes.items()
    ]
    assert len(found) == len(expected)
    ordered = [sorted(rows, key=lambda row: (*row[:3], str(row[3]), *row[4:])) for rows in (found, expected)]
    assert [row[:4] for row in ordered[0]] == [row[:4] for row in ordered[1]]
    np.testing.assert_allclose([row[4:] for row in ordered[0]], [row[4:] for row in ordered[1]], atol=1e-9)
    unlabelled = {(names[index], frame) for index, frames in annotations.unlabelled.items() for frame in frames}
    assert unlabelled == {(name, f) for name in names for f in range(4)} - {
        (video.replace("/", "_"), frame) for video, frame, _ in boxes
    }


@pytest.mark.parametrize("inner", ["", "data.yaml", "labels"])
def test_the_examples_are_the_true_labels(inner):
    annotations, root, objects, problems = read(EXAMPLES / "yolo" / inner, FrameLibrary(EXAMPLES / "frames"))
    truth = read_annotations(EXAMPLES / "youtubevis" / "instances.json")
    name_of = {video.id: video.name for video in truth.videos}
    expected = {
        (name_of[track.video_id], truth.categories[track.class_id].name, frame): box
        for track in truth.tracks
        for frame, box in enumerate(track.boxes)
        if box is not None
    }
    found = {
        (annotations.videos[item.video].name, annotations.categories[item.class_id].name, frame): box
        for item in objects
        for frame, box in zip(item.frames, item.boxes, strict=True)
    }
    assert (problems, root) == ([], EXAMPLES / "frames")
    assert len(objects) == len(truth.tracks)
    assert [video.frame_files for video in annotations.videos] == [video.frame_files for video in truth.videos]
    assert not any(annotations.unlabelled.values())
    assert found.keys() == expected.keys()
    for key, box in expected.items():
        np.testing.assert_allclose(found[key], box, atol=0.01)


def test_outlines_become_the_boxes_around_them(tmp_path):
    text = "\n".join(
        [
            "0 0.1 0.2 0.5 0.1 0.3 0.9",  # a triangle
            "1 0.5 0.1 0.9 0.5 0.5 0.9 0.1 0.5",  # a turned box
            "1 0.2 0.2 0.8 0.3 0.4 0.6 12",  # an outline with a track id
            "0 0.2 nan 0.8 0.3 0.4 0.6",
        ]
    )
    _, _, objects, problems = one(tmp_path, text)
    assert problems == []
    boxes = np.array([item.boxes[0] for item in objects]) / [WIDTH, HEIGHT, WIDTH, HEIGHT]
    np.testing.assert_allclose(boxes[:3], [(0.1, 0.1, 0.5, 0.9), (0.1, 0.1, 0.9, 0.9), (0.2, 0.2, 0.8, 0.6)])
    np.testing.assert_allclose(boxes[3], [0.2, np.nan, 0.8, np.nan])
    assert [item.track for item in objects] == [None, None, 12, None]


def test_poses_are_boxes_with_more(tmp_path):
    points = "0.9 0.9 2 0.1 0.1 1"
    root = write_set(tmp_path, {"v/1": f"{BOX} {points}\n{BOX} {points} 4\n{BOX}\n{BOX} 0.9 0.9\n"})
    write_text(root / "data.yaml", "names: [cat]\nkpt_shape: [2, 3]\n")
    _, _, objects, problems = read(root)
    assert (objects, kinds(problems)) == ([], ["malformed box"] * 2 + ["label beside a lost one"])
    write_text(root / "labels" / "v" / "1.txt", f"{BOX} {points}\n{BOX} {points} 4\n")
    _, _, objects, problems = read(root)
    assert ([item.track for item in objects], problems) == ([None, 4], [])
    for item in objects:
        np.testing.assert_allclose(item.boxes, [(12.4, 6.9, 18.6, 16.1)])


def test_confidences_are_no_track_ids(tmp_path):
    # A confidence of 1 is written without a point by some tools; a lone fraction among ids is no id.
    _, _, objects, (problem,) = one(tmp_path / "scores", f"{BOX} 0.93\n{BOX} 1\n{BOX} 0.5\n")
    assert [item.track for item in objects] == [None, None, None]
    assert (problem.kind, problem.loses_labels) == ("confidence", False)
    assert problem.cause.startswith("3 labels")
    _, _, objects, (problem,) = one(tmp_path / "ids", f"{BOX} 8\n{BOX} 1\n{BOX} 0.5\n")
    assert [item.track for item in objects] == [8, 1, None]
    assert problem.cause.startswith("1 labels")
    _, _, objects, (problem,) = one(tmp_path / "both", f"{BOX} 0.93 8\n{BOX} 0.5 1\n{BOX}\n")
    assert [item.track for item in objects] == [8, 1, None]
    assert objects[1].boxes == objects[2].boxes
    assert problem.cause.startswith("2 labels")


def test_boxes_are_handed_on_as_they_are(tmp_path):
    _, _, objects, problems = one(tmp_path, "0 nan 0.5 0.1 0.1\n0 0.5 0.5 inf 0.1\n0 0.5 0.5 -0.2 0\n0 9 9 1 1\n")
    assert problems == []
    assert np.isnan(objects[0].boxes[0][0])
    assert objects[1].boxes[0][2] == np.inf
    np.testing.assert_allclose(objects[2].boxes, [(18.6, 11.5, 12.4, 11.5)])
    np.testing.assert_allclose(objects[3].boxes, [(8.5 * WIDTH, 8.5 * HEIGHT, 9.5 * WIDTH, 9.5 * HEIGHT)])


@pytest.mark.parametrize(
    ("line", "kind", "cause"),
    [
        ("0 0.5 0.5 0.2", "malformed box", "4 columns"),
        ("0", "malformed box", "1 columns"),
        ("0 0.5 0.5 0.2 0.4 0.1 0.2 0.3", "malformed box", "'0.3' is not a whole number"),
        ("0 0.5 half 0.2 0.4", "malformed box", "'half' is not a number"),
        ("0 0.5 0.5 0.2 0.4 seven", "malformed box", "'seven' is not a number"),
        ("0 0.5 0.5 0.2 0.4 nan", "malformed box", "'nan' is not a whole number"),
        ("0,0.5,0.5,0.2,0.4", "malformed box", "1 columns"),
        ("\x00\x01\x02 \x03", "malformed box", "is not a number"),
        ("0 0.5 0.5 0.", "malformed box", "4 columns"),
        ("cat 0.5 0.5 0.2 0.4", "unknown category", "class cat has no name"),
        ("2 0.5 0.5 0.2 0.4", "unknown category", "class 2 has no name"),
        ("-1 0.5 0.5 0.2 0.4", "unknown category", "class -1 has no name"),
        ("0.5 0.5 0.5 0.2 0.4", "unknown category", "class 0.5 has no name"),
        ("nan 0.5 0.5 0.2 0.4", "unknown category", "class nan has no name"),
    ],
)
@pytest.mark.parametrize("last", [False, True])
def test_a_line_that_is_no_label(tmp_path, line, kind, cause, last):
    text = f"{BOX}\n{line}" if last else f"{line}\n\n{BOX}\n"
    annotations, _, objects, (problem, *others) = one(tmp_path, text)
    assert (problem.kind, problem.loses_labels) == (kind, True)
    assert cause in problem.cause
    assert problem.place == f"{tmp_path / 'labels' / 'v' / '1.txt'}: line {2 if last else 1}"
    if kind == "malformed box":  # nobody knows where the object is
        assert (objects, annotations.unlabelled) == ([], {0: {0}})
        assert [(other.kind, other.loses_labels, other.boxes) for other in others] == [
            ("label beside a lost one", True, 1)
        ]
    else:
        assert sorted((item.class_id, item.ignore, list(item.frames)) for item in objects) == [
            (ANY_CLASS, True, [0]),
            (0, False, [0]),
        ]
        assert (annotations.unlabelled, others) == ({0: set()}, [])


def test_duplicate_ids(tmp_path):
    labels = {"v/1": f"{BOX} 1\n{BOX} 2\n{BOX} 1\n", "v/2": f"{BOX} 1\n", "w/1": f"{BOX} 1\n{BOX} -1\n{BOX} -1\n"}
    _, _, objects, (problem,) = read(write_set(tmp_path, labels))
    assert [(item.video, item.track, list(item.frames)) for item in objects if not item.ignore] == [
        (0, 1, [0, 1]),
        (0, 2, [0]),
        (1, 1, [0]),
        (1, None, [0]),
        (1, None, [0]),
    ]
    assert (problem.kind, problem.loses_labels) == ("duplicate id", True)
    assert problem.place.endswith("1.txt: line 3")
    assert [(item.video, item.track, list(item.frames)) for item in objects if item.ignore] == [(0, 1, [0])]


def test_a_track_of_two_classes(tmp_path):
    labels = {"v/1": f"{BOX} 1\n", "v/2": f"1{BOX[1:]} 1\n"}
    _, _, objects, (problem,) = read(write_set(tmp_path, labels))
    assert [(item.track, item.class_id, list(item.frames)) for item in objects] == [(1, 0, [0]), (1, 1, [1])]
    assert (problem.kind, problem.loses_labels) == ("class changes", False)


def test_a_track_that_changes_often_is_told_once(tmp_path):
    labels = {f"v/{n}": f"{n % 2}{BOX[1:]} 1\n{n % 2}{BOX[1:]} 2\n" for n in range(6)}
    _, _, _, problems = read(write_set(tmp_path, labels))
    assert kinds(problems) == ["class changes"] * 2


def test_labels_without_frames(tmp_path):
    # The numbers of the frames have a gap, and a label file is called otherwise.
    root = write_set(tmp_path, {"v/1": BOX, "v/2": BOX, "v/4": BOX})
    write_text(root / "labels" / "v" / "3.txt", BOX)
    write_text(root / "labels" / "v" / "5.txt", BOX)
    write_text(root / "labels" / "w" / "1.txt", BOX)
    _, _, objects, problems = read(root)
    assert [list(item.frames) for item in objects] == [[0], [1], [2]]
    assert kinds(problems) == ["label without a frame"] * 3
    assert [problem.place for problem in problems] == [
        str(root / "labels" / f) for f in ("v/3.txt", "v/5.txt", "w/1.txt")
    ]
    assert all(problem.loses_labels for problem in problems)


def test_a_label_file_that_is_no_text(tmp_path):
    root = write_set(tmp_path, {"v/1": BOX, "v/2": BOX})
    (root / "labels" / "v" / "2.txt").write_bytes(b"\xff\xfe\x93\x00")
    annotations, _, (item,), (problem,) = read(root)
    assert list(item.frames) == [0]
    assert (problem.kind, problem.loses_labels) == ("unreadable label file", True)
    assert problem.place == str(root / "labels" / "v" / "2.txt")
    # Nobody knows whether the frame is empty.
    assert annotations.unlabelled == {0: {1}}


def test_two_label_files_for_a_frame(tmp_path):
    root = write_set(tmp_path, {"train/v/1": BOX})
    write_text(root / "train" / "labels" / "v" / "1.txt", BOX)
    annotations, _, objects, (problem, beside) = read(root)
    assert (problem.kind, problem.loses_labels) == ("two label files for a frame", True)
    assert (objects, annotations.unlabelled, beside.kind) == ([], {0: {0}}, "label beside a lost one")
    write_text(root / "train" / "labels" / "v" / "1.txt", "")
    annotations, _, objects, (problem,) = read(root)
    assert (len(objects), annotations.unlabelled, problem.kind) == (1, {0: set()}, "two label files for a frame")


def test_videos_without_labels_are_left_out(tmp_path):
    root = write_set(tmp_path, {"a/1": None, "b/1": BOX, "c/1": ""})
    annotations, _, (item,), (problem,) = read(root)
    assert [video.name for video in annotations.videos] == ["b", "c"]
    assert (item.video, problem.kind, problem.place, problem.loses_labels) == (0, "video without labels", "a", False)


def test_videos_that_share_a_folder(tmp_path):
    root = tmp_path / "set"
    write_set(
        root,
        {
            "harbour_frame_000002": f"{BOX} 5",
            "harbour_frame_000010": f"{BOX} 5",
            "meadow-1": f"{BOX} 5",
            "meadow-2": "",
            "alone": f"{BOX}",
        },
        suffix=".PNG",
    )
    for number in (1, 2):
        write_picture(root / "images" / f"meadow-{number}.PNG", 37, 29)
    annotations, _, objects, problems = read(root)
    assert problems == []
    shown = {video.name: (video.height, video.width, video.frame_files) for video in annotations.videos}
    assert shown == {
        "alone": (23, 31, ("images/alone.PNG",)),
        "harbour": (23, 31, ("images/harbour_frame_000002.PNG", "images/harbour_frame_000010.PNG")),
        "meadow": (29, 37, ("images/meadow-1.PNG", "images/meadow-2.PNG")),
    }
    names = [annotations.videos[item.video].name for item in objects]
    assert dict(zip(names, [list(item.frames) for item in objects], strict=True)) == {
        "alone": [0],
        "harbour": [0, 1],
        "meadow": [0],
    }
    box = objects[names.index("meadow")].boxes[0]
    np.testing.assert_allclose(box, (0.4 * 37, 0.3 * 29, 0.6 * 37, 0.7 * 29))


def test_numbered_pictures_of_different_sizes_are_no_video(tmp_path):
    root = write_set(tmp_path, {f"train2017/{n:012d}": BOX for n in (9, 25, 30)}, suffix=".jpg")
    write_picture(root / "images" / "train2017" / "000000000025.jpg", 37, 29)
    annotations, _, objects, problems = read(root)
    assert problems == []
    assert [(video.name, video.width, len(video.frame_files)) for video in annotations.videos] == [
        ("train2017_000000000009", WIDTH, 1),
        ("train2017_000000000025", 37, 1),
        ("train2017_000000000030", WIDTH, 1),
    ]
    np.testing.assert_allclose(objects[1].boxes, [(0.4 * 37, 0.3 * 29, 0.6 * 37, 0.7 * 29)])


def test_what_tools_add_to_names_is_no_part_of_them(tmp_path):
    hashed = {10: "pond_mp4-10_jpg.rf.0a1b2c", 9: "pond_mp4-9_jpg.rf.ff00aa", 2: "lake_mp4-2_jpg.rf.11"}
    copies = {f"sea-{n}_jpg.rf.{end}": BOX for n, end in ((1, "00"), (1, "11"), (2, "22"))}
    root = write_set(tmp_path, dict.fromkeys(hashed.values(), BOX) | copies, suffix=".jpg")
    annotations, _, objects, problems = read(root)
    shown = {video.name: [Path(file).stem for file in video.frame_files] for video in annotations.videos}
    assert problems == []
    assert shown["pond_mp4"] == [hashed[9], hashed[10]]
    assert shown["lake_mp4-2"] == [hashed[2]]
    assert [name for name in shown if name.startswith("sea")] == ["sea-1", "sea-1_2", "sea-2"]
    assert len(objects) == 6


def test_one_unreadable_picture_leaves_its_video_together(tmp_path):
    root = write_set(tmp_path, {f"a_{n}": BOX for n in range(3)} | {f"b_{n}": BOX for n in range(2)})
    (root / "images" / "a_1.png").write_bytes(b"nothing")
    annotations, _, _, problems = read(root)
    assert problems == []
    assert [(video.name, len(video.frame_files)) for video in annotations.videos] == [("a", 3), ("b", 2)]


def test_videos_are_not_compared_with_one_another(tmp_path, monkeypatch):
    """Of thousands of single pictures, that would take minutes."""

    root = write_set(tmp_path, {name: BOX if name < "d" else None for name in "abcdef"})
    monkeypatch.setattr(FoundVideo, "__eq__", lambda *_: pytest.fail("compared"))
    annotations, _, _, problems = read(root)
    assert [video.name for video in annotations.videos] == list("abc")
    assert kinds(problems) == ["video without labels"] * 3


def test_one_video_in_the_pictures_folder_itself(tmp_path):
    root = write_set(tmp_path / "my set", {"frame_000001": BOX, "frame_000002": BOX})
    annotations, _, objects, _ = read(root)
    assert [video.name for video in annotations.videos] == ["my_set"]
    assert [list(item.frames) for item in objects] == [[0], [1]]


def test_labels_beside_the_pictures(tmp_path):
    write_picture(tmp_path / "obj_train_data" / "f_0.jpg")
    write_text(tmp_path / "obj_train_data" / "f_0.txt", f"1{BOX[1:]}")
    write_text(tmp_path / "obj.names", "cat\n\ndog\n")
    write_text(tmp_path / "train.txt", "obj_train_data/f_0.jpg\n")
    write_text(tmp_path / "README.txt", "labels of cats")
    annotations, _, (region,), (problem,) = read(tmp_path)
    assert annotations.categories == (Category(0, "cat"), Category(2, "dog"))
    # The second line of the names is empty: class 1 has none, and dogs keep their number.
    assert (region.ignore, problem.kind) == (True, "unknown category")


def test_a_video_is_turned_as_it_is_seen(tmp_path):
    root = write_set(tmp_path, {"v/1": "0 0.5 0.5 1 1"}, suffix=".jpg")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (WIDTH, HEIGHT)).save(root / "images" / "v" / "1.jpg", exif=exif)
    annotations, _, (item,), _ = read(root)
    assert (annotations.videos[0].height, annotations.videos[0].width) == (WIDTH, HEIGHT)
    np.testing.assert_allclose(item.boxes, [(0, 0, HEIGHT, WIDTH)])


def test_a_picture_that_is_none(tmp_path):
    root = write_set(tmp_path, {"a": BOX, "b": BOX})
    (root / "images" / "b.png").write_bytes(b"nothing")
    annotations, _, objects, problems = read(root)
    assert [video.name for video in annotations.videos] == ["a"]
    assert len(objects) == 1
    assert kinds(problems) == ["unreadable frame file", "label without a frame"]


@pytest.mark.parametrize("label", ["train/{}/{:05d}", "{}/{:05d}", "{}/frame_{:06d}", "{}_{}", "train/{}-frame-{}"])
def test_frames_from_elsewhere(tmp_path, label):
    for name in ("harbour", "meadow"):
        for number in (3, 4, 6):
            write_picture(tmp_path / "frames" / "all" / name / f"{number:05d}.png")
        for number in (4, 6):
            write_text(tmp_path / "set" / "labels" / f"{label.format(name, number)}.txt", BOX)
    annotations, root, objects, problems = read(tmp_path / "set", FrameLibrary(tmp_path / "frames"))
    assert (problems, root) == ([], tmp_path / "frames")
    assert [video.name for video in annotations.videos] == ["all_harbour", "all_meadow"]
    assert [(item.video, list(item.frames)) for item in objects] == [(0, [1]), (0, [2]), (1, [1]), (1, [2])]
    assert annotations.unlabelled == {0: {0}, 1: {0}}


@pytest.mark.parametrize(
    ("numbers", "expected"), [((0, 1, 2), [0, 1, 2]), ((1, 2), [1, 2]), ((1, 3), [0, 2]), ((0, 3), [0])]
)
@pytest.mark.parametrize("form", ["frame_{:06d}", "clip_{}", "{:06d}", "clip/{:06d}"])
def test_frames_of_a_video_file(tmp_path, numbers, expected, form):
    clip = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"MJPG"), 5, (48, 32))
    for _ in range(3):
        writer.write(np.zeros((32, 48, 3), np.uint8))
    writer.release()
    for number in numbers:
        write_text(tmp_path / "set" / "labels" / f"{form.format(number)}.txt", BOX)
    annotations, _, objects, problems = read(tmp_path / "set", FrameLibrary(clip))
    assert [list(item.frames) for item in objects] == [[frame] for frame in expected]
    assert kinds(problems) == ["label without a frame"] * (len(numbers) - len(expected))
    assert [(video.name, len(video.frame_files)) for video in annotations.videos] == [("clip", 3)]


@pytest.mark.parametrize(
    "names",
    ["[cat, dog]", "{1: dog, 0: cat}", "{'0': cat, '1': dog}", "\n  - cat\n  - dog"],
)
def test_names_in_yaml(tmp_path, names):
    root = write_set(tmp_path, {"v/1": BOX}, names=None)
    write_text(root / "animals.yaml", f"train: images\nnames: {names}\n")
    write_text(root / "other.yaml", "services: [a, b]\n")
    for path in (root, root / "animals.yaml"):
        assert read(path)[0].categories == (Category(0, "cat"), Category(1, "dog"))


@pytest.mark.parametrize("place", ["classes.txt", "obj.names", "labels/classes.txt"])
def test_names_in_a_list(tmp_path, place):
    root = write_set(tmp_path, {"v/1": BOX}, names=None)
    write_text(root / place, "cat\nhot dog\n\n")
    annotations, _, _, problems = read(root)
    assert annotations.categories == (Category(0, "cat"), Category(1, "hot dog"))
    assert problems == []


def test_no_names_at_all(tmp_path):
    annotations, _, objects, problems = one(
        tmp_path, f"4{BOX[1:]}\n2{BOX[1:]}\n4.0{BOX[1:]}\n-2{BOX[1:]}\n", names=None
    )
    assert annotations.categories == (Category(2, "class 2"), Category(4, "class 4"))
    assert [item.class_id for item in objects] == [1, 0, 1, ANY_CLASS]
    assert kinds(problems) == ["unknown category"]


def test_a_label_that_says_ignore(tmp_path):
    annotations, _, objects, problems = one(tmp_path, f"{BOX}\n1{BOX[1:]}\n", names=("ignore", "dog"))
    assert (annotations.categories, problems) == ((Category(1, "dog"),), [])
    assert [(item.class_id, item.ignore) for item in objects] == [(ANY_CLASS, True), (0, False)]


def test_only_regions_to_ignore_give_no_categories(tmp_path):
    annotations, _, (region,), problems = one(tmp_path, BOX, names=("ignore",))
    assert (annotations.categories, region.ignore, problems) == ((), True, [])


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("names: [cat, cat]", "'cat' is the name of class 0, too"),
        ("names: [cat, no]", "False cannot be the name of class 1"),
        ("names: {first: cat}", "'cat' cannot be the name of class 'first'"),
        ("names: {0: [cat]}", "cannot be the name of class 0"),
        ("names: cat", "names is no list of names"),
        ("names: [cat, dog", "cannot be read as YAML"),
        ("names: [2001-01-99]", "cannot be read as YAML"),
        ("\x00\x07", "cannot be read as YAML"),
    ],
)
def test_names_that_cannot_be_used(tmp_path, text, cause):
    root = write_set(tmp_path, {"v/1": BOX}, names=None)
    write_text(root / "data.yaml", text)
    for path in (root, root / "data.yaml"):
        with pytest.raises(InputError, match=r"data\.yaml") as caught:
            read(path)
        assert cause in caught.value.cause
        assert "\n" not in caught.value.line()


@pytest.mark.parametrize("path", ["../set", "/set", "..", "C:\\sets", "a/../../set"])
def test_a_path_that_leads_outside(tmp_path, path):
    # What lies there must not be read; and where the labels are beside the file, nobody needs it.
    write_set(tmp_path / "set", {"v/1": BOX})
    text = f"path: {path}\ntrain: ../train/images\nval: /val\nnames: [cat]\n"
    write_text(tmp_path / "here" / "data.yaml", text)
    for given_path in (tmp_path / "here", tmp_path / "here" / "data.yaml"):
        with pytest.raises(InputError, match=r"data\.yaml: path: .* points outside the frames folder"):
            read(given_path)
    write_set(tmp_path / "here", {"w/1": BOX}, names=None)
    for given_path in (tmp_path / "here", tmp_path / "here" / "data.yaml"):
        annotations, _, _, problems = read(given_path)
        assert ([video.name for video in annotations.videos], problems) == (["w"], [])


def test_a_path_that_leads_inside(tmp_path):
    write_set(tmp_path / "set", {"v/1": BOX}, names=None)
    write_text(tmp_path / "data.yaml", "path: ./set\nnames: [cat]\n")
    annotations, root, objects, _ = read(tmp_path / "data.yaml")
    assert (root, annotations.videos[0].name, len(objects)) == (tmp_path / "set", "v", 1)


def test_sets_that_cannot_be_used(tmp_path):
    with pytest.raises(InputError, match="there are no label files in it"):
        read(tmp_path / "nowhere")
    write_picture(tmp_path / "images" / "v" / "1.png")
    with pytest.raises(InputError, match="there are no label files in it"):
        read(tmp_path)
    write_text(tmp_path / "labels" / "w" / "1.txt", BOX)
    with pytest.raises(InputError, match="none of the 1 label files belongs to a frame"):
        read(tmp_path)
    with pytest.raises(InputError, match="not a YOLO data set"):
        read(tmp_path / "labels" / "w" / "1.txt")
    with pytest.raises(InputError, match="neither frames nor videos"):
        read(tmp_path / "labels")
