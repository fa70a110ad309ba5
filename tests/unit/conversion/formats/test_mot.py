from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from qcen_core.conversion.annotations import ANY_CLASS, SourceObject
from qcen_core.conversion.formats.mot import read_mot
from qcen_core.conversion.frame_library import FrameLibrary
from qcen_core.conversion.problems import Problem
from qcen_core.errors import InputError
from qcen_core.records import Category
from qcen_core.trackfile import read_annotations

WIDTH, HEIGHT = 31, 23
EXAMPLES = Path(__file__).parents[4] / "examples"


def write_frames(folder, numbers, width=WIDTH, height=HEIGHT):
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        Image.new("RGB", (width, height)).save(folder / f"{number:06d}.png")


def write_sequence(folder, *lines, frames=range(1, 6), labels=None, info=None, end="\n"):
    (folder / "gt").mkdir(parents=True)
    (folder / "gt" / "gt.txt").write_text("\n".join(lines) + end)
    if labels is not None:
        (folder / "gt" / "labels.txt").write_text("\n".join(labels) + "\n")
    if info is not None:
        (folder / "seqinfo.ini").write_text("[Sequence]\n" + "\n".join(f"{k}={v}" for k, v in info.items()) + "\n")
    write_frames(folder / "img1", frames)
    return folder


def read(path, library=None):
    labels = read_mot(path, library)
    annotations, root = labels.annotations, labels.frames_root
    assert labels.library.root == root
    objects = [item for item in annotations.objects() if isinstance(item, SourceObject)]
    problems = [item for item in annotations.objects() if isinstance(item, Problem)]
    return annotations, root, objects, problems


def kinds(problems):
    return [problem.kind for problem in problems]


def test_a_sequence_by_hand(tmp_path):
    folder = write_sequence(
        tmp_path / "street",
        "2,7,10,5,4.5,6,1,2,0.5",
        "1, 7, 9, 4, 4, 6, 1, 2, 1",
        "1,3,0,0,31,23,0,1,1",
        "5,7,12,7,4,6,1,2,1,-1",
        labels=["cat", "dog", "bird"],
    )
    annotations, root, objects, problems = read(folder)
    assert problems == []
    assert annotations.categories == (Category(1, "cat"), Category(2, "dog"), Category(3, "bird"))
    assert annotations.unlabelled == {}
    (video,) = annotations.videos
    assert (video.id, video.name, video.height, video.width) == (1, "street", HEIGHT, WIDTH)
    assert [(root / file).is_file() for file in video.frame_files] == [True] * 5
    dog, cat = objects
    assert (dog.track, dog.class_id, dog.ignore, list(dog.frames)) == (7, 1, False, [0, 1, 4])
    assert list(dog.boxes) == [(9, 4, 13, 10), (10, 5, 14.5, 11), (12, 7, 16, 13)]
    assert (cat.track, cat.class_id, cat.ignore, list(cat.boxes)) == (3, 0, True, [(0, 0, 31, 23)])
    assert dog.place == f"{folder / 'gt' / 'gt.txt'}: track 7"


@pytest.mark.parametrize("given_path", ["set", "set/street", "set/street/gt", "set/street/gt/gt.txt"])
def test_what_may_be_passed(tmp_path, given_path, monkeypatch):
    write_sequence(tmp_path / "set" / "street", "1,1,1,1,2,2", "2,1,1,1,2,2")
    for path in (tmp_path / given_path, Path(given_path)):
        monkeypatch.chdir(tmp_path)
        annotations, root, objects, problems = read(path)
        assert [video.name for video in annotations.videos] == ["street"]
        assert (root / annotations.videos[0].frame_files[0]).is_file()
        assert [list(item.frames) for item in objects] == [[0, 1]]
        assert problems == []


def test_paths_within_the_working_folder(tmp_path, monkeypatch):
    folder = write_sequence(tmp_path / "street", "1,1,1,1,2,2")
    for inside, path in ((folder / "gt", "gt.txt"), (folder, "gt/gt.txt"), (folder, "."), (tmp_path, ".")):
        monkeypatch.chdir(inside)
        annotations, root, objects, _ = read(Path(path))
        assert [video.name for video in annotations.videos] == ["street"]
        assert (root / annotations.videos[0].frame_files[4]).is_file()
        assert len(objects) == 1


LINES = st.dictionaries(
    st.tuples(st.integers(0, 5), st.integers(0, 4)),  # frame, id
    st.tuples(*[st.floats(-50, 50).map(lambda v: round(v, 3))] * 4),
    max_size=20,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    boxes=LINES,
    class_of=st.lists(st.integers(0, 2), min_size=5, max_size=5),
    ignored=st.sets(st.integers(0, 4)),
    shuffled=st.randoms(use_true_random=False),
    from_zero=st.booleans(),
)
def test_what_is_written_comes_back(tmp_path_factory, boxes, class_of, ignored, shuffled, from_zero):
    from_zero = from_zero and any(frame == 0 for frame, _ in boxes)
    lines = [
        f"{frame + (not from_zero)},{track},{x},{y},{w},{h},{int(track not in ignored)},{class_of[track] + 1},1"
        for (frame, track), (x, y, w, h) in boxes.items()
    ]
    shuffled.shuffle(lines)
    folder = tmp_path_factory.mktemp("mot") / "clip"
    write_sequence(folder, *lines, frames=range(6), labels=["a", "b", "c"])
    _, _, objects, problems = read(folder)
    assert kinds(problems) == ["frames from 0"] * from_zero
    found = {}
    for item in objects:
        assert list(item.frames) == sorted(set(item.frames))
        assert item.class_id == class_of[item.track]
        assert item.ignore == (item.track in ignored)
        found |= {(f, item.track): box for f, box in zip(item.frames, item.boxes, strict=True)}
    assert len(objects) == len({track for _, track in boxes})
    assert found.keys() == boxes.keys()
    for key, (x, y, w, h) in boxes.items():
        np.testing.assert_allclose(found[key], (x, y, x + w, y + h), atol=1e-9)


def test_the_examples_are_the_true_labels():
    annotations, _, objects, problems = read(EXAMPLES / "mot", FrameLibrary(EXAMPLES / "frames"))
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
    assert problems == []
    assert len(objects) == len(truth.tracks)
    assert [video.frame_files for video in annotations.videos] == [video.frame_files for video in truth.videos]
    assert found.keys() == expected.keys()
    for key, box in expected.items():
        np.testing.assert_allclose(found[key], box, atol=0.01)


def test_a_line_of_frame_0_makes_all_count_from_0(tmp_path):
    folder = write_sequence(tmp_path / "s", "0,1,1,1,2,2", "4,1,1,1,2,2")
    _, _, (item,), (problem,) = read(folder)
    assert list(item.frames) == [0, 4]
    assert problem.kind == "frames from 0"
    assert not problem.loses_labels


def test_frames_beyond_the_sequence(tmp_path):
    folder = write_sequence(tmp_path / "s", "5,1,1,1,2,2", "6,1,1,1,2,2", "-1,1,1,1,2,2")
    _, _, (item,), problems = read(folder)
    assert list(item.frames) == [4]
    assert kinds(problems) == ["label without a frame"] * 2
    assert [problem.place.rpartition(": ")[2] for problem in problems] == ["line 2", "line 3"]
    assert all(problem.loses_labels for problem in problems)


def test_frames_that_are_missing_in_the_middle(tmp_path):
    folder = write_sequence(tmp_path / "s", "1,1,1,1,2,2", "3,1,1,1,2,2", "5,1,1,1,2,2", frames=[1, 2, 4, 5])
    _, _, (item,), problems = read(folder)
    assert list(item.frames) == [0, 3]
    assert kinds(problems) == ["label without a frame"]


def test_frames_that_are_missing_at_the_start(tmp_path):
    folder = write_sequence(
        tmp_path / "s", "1,1,1,1,2,2", "3,1,5,5,2,2", frames=[3, 4, 5], info={"seqLength": 5, "imDir": "img1"}
    )
    _, _, (item,), problems = read(folder)
    assert (list(item.frames), list(item.boxes)) == ([0], [(5, 5, 7, 7)])
    assert kinds(problems) == ["frame count mismatch", "label without a frame"]
    assert [problem.loses_labels for problem in problems] == [False, True]


@pytest.mark.parametrize("length", [4, None])
def test_one_frame_in_five(tmp_path, length):
    info = None if length is None else {"seqLength": length}
    folder = write_sequence(tmp_path / "s", "1,1,1,1,2,2", "3,1,5,5,2,2", frames=[0, 5, 10, 15], info=info)
    _, _, (item,), problems = read(folder)
    assert (list(item.frames), problems) == ([0, 2], [])


def test_all_frames_are_there_whatever_their_names(tmp_path):
    folder = write_sequence(tmp_path / "s", "1,1,1,1,2,2", "4,1,5,5,2,2", frames=[1, 2, 4, 9], info={"seqLength": 4})
    _, _, (item,), problems = read(folder)
    assert (list(item.frames), problems) == ([0, 3], [])


@pytest.mark.parametrize(("first", "frames"), [(1, [0, 3]), (0, [0, 3])])
def test_files_from_0_of_which_one_is_missing(tmp_path, first, frames):
    lines = f"{first},1,1,1,2,2", f"{first + 4},1,5,5,2,2", f"{first + 3},2,5,5,2,2"
    folder = write_sequence(tmp_path / "s", *lines, frames=[0, 1, 2, 4], info={"seqLength": 5})
    _, _, (item,), problems = read(folder)
    assert list(item.frames) == frames
    assert [kind for kind in kinds(problems) if kind != "frames from 0"] == [
        "frame count mismatch",
        "label without a frame",
    ]


def test_duplicate_ids(tmp_path):
    folder = write_sequence(tmp_path / "s", "1,1,1,1,2,2", "1,2,3,3,2,2", "1,1,9,9,2,2")
    _, _, objects, (problem,) = read(folder)
    assert [(list(item.boxes), item.ignore) for item in objects] == [
        ([(1, 1, 3, 3)], False),
        ([(3, 3, 5, 5)], False),
        ([(9, 9, 11, 11)], True),
    ]
    assert (problem.kind, problem.loses_labels) == ("duplicate id", True)
    assert problem.place.endswith("gt.txt: line 3")


def test_detections_have_no_identity(tmp_path):
    folder = tmp_path / "s"
    write_frames(folder / "img1", range(1, 4))
    (folder / "det").mkdir()
    (folder / "det" / "det.txt").write_text("1,-1,1,1,2,2,0.9\n1,-1,3,3,2,2,35.5\n2,-1,1,1,2,2,-0.3\n")
    annotations, _, objects, problems = read(folder / "det" / "det.txt")
    assert problems == []
    assert [(item.track, list(item.frames), item.ignore) for item in objects] == [
        (None, [0], False),
        (None, [0], False),
        (None, [1], False),
    ]
    assert annotations.categories == (Category(1, "object"),)


def test_boxes_are_handed_on_as_they_are(tmp_path):
    folder = write_sequence(tmp_path / "s", "1,1,nan,1,2,2", "2,1,1,inf,2,2", "3,1,5,5,-3,0", "4,1,-900,0,2,2")
    _, _, (item,), problems = read(folder)
    assert problems == []
    assert np.isnan(item.boxes[0][0])
    assert item.boxes[1][1] == np.inf
    assert list(item.boxes[2:]) == [(5, 5, 2, 5), (-900, 0, -898, 2)]


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("1,2,3,4,5", "5 columns"),
        ("1,2,3,4,5,6,1,1,1,-1,-1", "11 columns"),
        ("1,2,3,four,5,6,1,1,1", "'four' is not a number"),
        ("one,2,3,4,5,6,1,1,1", "'one' is not a number"),
        ("1.5,2,3,4,5,6,1,1,1", "'1.5' is not a whole number"),
        ("1,nan,3,4,5,6,1,1,1", "'nan' is not a whole number"),
        ("1,2,,4,5,6,1,1,1", "'' is not a number"),
        ("1,2,3,4,5,6,yes,1,1", "'yes' is not a number"),
        ("\x00\x01\x02", "1 columns"),
    ],
)
def test_a_line_that_is_no_box(tmp_path, line, cause):
    folder = write_sequence(tmp_path / "s", "1,1,1,1,2,2,1,1,1", line, "2,1,1,1,2,2,1,1,1")
    annotations, _, (item,), (problem, *others) = read(folder)
    told = line.startswith("1,")  # of which frame the line is
    assert list(item.frames) == ([1] if told else [0, 1])
    assert annotations.unlabelled == ({0: {0}} if told else {})
    assert [(other.kind, other.boxes) for other in others] == [("label beside a lost one", 1)] * told
    assert (problem.kind, problem.loses_labels) == ("malformed box", True)
    assert cause in problem.cause
    assert "\n" not in problem.cause + problem.hint
    assert problem.place == f"{folder / 'gt' / 'gt.txt'}: line 2"


@pytest.mark.parametrize("rest", ["2,1", "2,1,1,1,2,2", "2,1,1,1,2,2,1,1"])
def test_a_last_line_that_is_cut_off(tmp_path, rest):
    lines = ["1,1,1,1,2,2,1,12,1", "1,2,1,1,2,2,1,12,1"]
    folder = write_sequence(tmp_path / "s", *lines, rest, end="")
    _, _, objects, (problem,) = read(folder)
    assert len(objects) == 2
    assert problem.kind == "malformed box"


def test_other_ways_to_write_a_line(tmp_path):
    folder = write_sequence(tmp_path / "s", "1 1 1 1 2 2 1", "", "2.00,1.0,1,1,2,2,1,", "3,1,1,1,2,2,1\r")
    _, _, (item,), problems = read(folder)
    assert problems == []
    assert list(item.frames) == [0, 1, 2]


def test_an_empty_file_is_a_sequence_without_objects(tmp_path):
    annotations, _, objects, problems = read(write_sequence(tmp_path / "s", end=""))
    assert (len(annotations.videos), objects, problems, annotations.unlabelled) == (1, [], [], {})


def test_files_that_cannot_be_used(tmp_path):
    folder = write_sequence(tmp_path / "s", "frame id x", "hello")
    with pytest.raises(InputError, match=r"gt.txt: none of its 2 lines is a MOT box"):
        read(folder)
    (folder / "gt" / "gt.txt").write_bytes(b"\xff\xfe\x00\x93binary")
    with pytest.raises(InputError, match=r"gt.txt: cannot be read as text"):
        read(folder)
    with pytest.raises(InputError, match=r"there is no gt/gt\.txt in it"):
        read(folder / "img1")
    with pytest.raises(InputError, match=r"there is no gt/gt\.txt in it"):
        read(tmp_path / "nowhere")


def test_classes_without_names(tmp_path):
    folder = write_sequence(tmp_path / "s", "1,1,1,1,2,2,1,7,1", "1,2,1,1,2,2,1,3,1")
    annotations, _, objects, _ = read(folder)
    assert annotations.categories == (Category(3, "class 3"), Category(7, "class 7"))
    assert [item.class_id for item in objects] == [1, 0]


@pytest.mark.parametrize("rest", ["1", "1,-1", "1,-1,-1,-1", "1,-8.65,-12.4,0", ""])
def test_without_classes_all_is_one_category(tmp_path, rest):
    folder = write_sequence(tmp_path / "s", f"1,1,1,1,2,2,{rest}", f"2,1,1,1,2,2,{rest}")
    annotations, _, (item,), problems = read(folder)
    assert problems == []
    assert annotations.categories == (Category(1, "object"),)
    assert (item.class_id, list(item.frames)) == (0, [0, 1])


def test_a_class_beyond_the_names(tmp_path):
    lines = [
        "1,1,1,1,2,2,1,3,1",
        "1,2,1,1,2,2,1,2,1",
        "1,3,1,1,2,2,1,0,1",
        "1,4,1,1,2,2,1,1.5,1",
        "1,5,1,1,2,2,1,nan,1",
    ]
    folder = write_sequence(tmp_path / "s", *lines, labels=["cat", "dog"])
    annotations, _, objects, problems = read(folder)
    assert [(item.track, item.class_id, item.ignore) for item in objects] == [
        *((number, ANY_CLASS, True) for number in (1,)),
        (2, 1, False),
        *((number, ANY_CLASS, True) for number in (3, 4, 5)),
    ]
    assert kinds(problems) == ["unknown category"] * 4
    assert annotations.unlabelled == {}


def test_a_label_that_says_ignore(tmp_path):
    lines = ["1,1,1,1,2,2,1,1,1", "1,2,3,3,2,2,1,2,1"]
    annotations, _, objects, _ = read(write_sequence(tmp_path / "s", *lines, labels=["Ignore", "dog"]))
    assert annotations.categories == (Category(2, "dog"),)
    assert [(item.class_id, item.ignore) for item in objects] == [(ANY_CLASS, True), (0, False)]


def test_names_that_cannot_be_used(tmp_path):
    folder = write_sequence(tmp_path / "s", "1,1,1,1,2,2,1,1,1", labels=["cat", "dog", "cat"])
    with pytest.raises(InputError, match=r"labels.txt: class 3: 'cat' is the name of class 1, too"):
        read(folder)


def test_a_track_of_two_classes(tmp_path):
    folder = write_sequence(tmp_path / "s", "1,1,1,1,2,2,1,1,1", "2,1,1,1,2,2,1,2,1", "3,1,1,1,2,2,1,1,1")
    _, _, objects, (problem,) = read(folder)
    assert [(item.track, item.class_id, list(item.frames)) for item in objects] == [(1, 0, [0, 2]), (1, 1, [1])]
    assert (problem.kind, problem.loses_labels) == ("class changes", False)


@pytest.mark.parametrize("by_info", [False, True])
def test_official_sets_have_their_names_and_regions(tmp_path, by_info):
    lines = ["1,1,2,2,2,2,1,1,1", "1,2,1,1,2,2,0,7,1", "1,3,1,1,2,2,1,8,1", "1,4,1,1,2,2,0,13,1", "1,5,1,1,2,2,1,14,1"]
    folder = write_sequence(tmp_path / ("s" if by_info else "MOT17-02-FRCNN"), *lines, info={"name": "MOT17-02-FRCNN"})
    annotations, _, objects, problems = read(folder)
    # Classes without an entry that counts would only be empty ones; the index of what is ignored plays no part.
    assert annotations.categories == (Category(1, "pedestrian"),)
    assert [item.ignore for item in objects] == [False, True, True, True, True]
    # The official sets count pixels from 1.
    assert list(objects[0].boxes) == [(1, 1, 3, 3)]
    assert kinds(problems) == ["unknown category"]
    assert annotations.videos[0].name == "MOT17-02-FRCNN"


def test_own_names_win_over_official_ones(tmp_path):
    folder = write_sequence(tmp_path / "MOT17-02", "1,1,1,1,2,2,1,8,1", labels=list("abcdefgh"))
    annotations, _, (item,), _ = read(folder)
    assert annotations.categories[item.class_id].name == "h"
    assert not item.ignore
    assert list(item.boxes) == [(1, 1, 3, 3)]


def test_seqinfo_tells_frames_folder_and_size(tmp_path):
    folder = write_sequence(
        tmp_path / "s",
        "1,1,1,1,2,2",
        info={"name": "town", "imDir": "left", "seqLength": 2, "imWidth": 37, "imHeight": 29},
    )
    write_frames(folder / "left", range(1, 3))
    annotations, root, _, problems = read(folder)
    (video,) = annotations.videos
    assert problems == []
    assert (video.name, video.width, video.height) == ("town", 37, 29)
    assert [root / file for file in video.frame_files] == [folder / "left" / f"00000{n}.png" for n in (1, 2)]
    # The same from one folder up, where it is one of several sequences.
    write_sequence(tmp_path / "t", "1,1,1,1,2,2")
    annotations, root, _, _ = read(tmp_path)
    assert root / annotations.videos[0].frame_files[0] == folder / "left" / "000001.png"
    assert root / annotations.videos[1].frame_files[0] == tmp_path / "t" / "img1" / "000001.png"


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("[Sequence]\nimDir=../../elsewhere\n", "points outside the frames folder"),
        ("[Sequence]\nimDir=/etc\n", "points outside the frames folder"),
        ("[Sequence]\nimDir=C:\\pictures\n", "points outside the frames folder"),
        ("[Sequence]\nseqLength=many\n", "seqLength is 'many', not a number above 0"),
        ("[Sequence]\nimWidth=-3\n", "imWidth is '-3', not a number above 0"),
        ("no section\n", "cannot be read"),
    ],
)
def test_a_seqinfo_that_cannot_be_used(tmp_path, text, cause):
    folder = write_sequence(tmp_path / "s", "1,1,1,1,2,2")
    (folder / "seqinfo.ini").write_text(text)
    with pytest.raises(InputError, match=r"seqinfo\.ini") as caught:
        read(folder)
    assert cause in caught.value.cause
    assert "\n" not in caught.value.line()


def test_many_sequences_and_their_classes(tmp_path):
    write_sequence(tmp_path / "train" / "a", "1,1,1,1,2,2,1,1,1", "1,2,1,1,2,2,1,2,1", labels=["cat", "dog"])
    write_sequence(tmp_path / "train" / "b", "1,1,3,3,2,2,1,1,1", labels=["dog", "cow"])
    write_sequence(tmp_path / "val" / "a", "2,1,5,5,2,2", frames=[1, 2])
    (tmp_path / "test" / "c").mkdir(parents=True)
    (tmp_path / "test" / "c" / "seqinfo.ini").write_text("[Sequence]\nname=c\n")
    annotations, root, objects, (problem,) = read(tmp_path)
    assert [category.source_id for category in annotations.categories] == [1, 2, 3, 4]
    assert [(item.video, annotations.categories[item.class_id].name) for item in objects] == [
        (0, "cat"),
        (0, "dog"),
        (1, "dog"),
        (2, "object"),
    ]
    assert [video.name for video in annotations.videos] == ["a", "b", "a_2"]
    assert [video.frame_files[0] for video in annotations.videos] == [
        "train/a/img1/000001.png",
        "train/b/img1/000001.png",
        "val/a/img1/000001.png",
    ]
    assert root == tmp_path
    assert (problem.kind, problem.loses_labels) == ("sequence without ground truth", False)


def test_frames_from_elsewhere(tmp_path):
    write_sequence(tmp_path / "labels" / "a", "1,1,1,1,2,2", frames=())
    write_sequence(tmp_path / "labels" / "b", "1,1,3,3,2,2", frames=())
    write_frames(tmp_path / "frames" / "b", range(3))
    write_frames(tmp_path / "frames" / "other", range(3))
    library = FrameLibrary(tmp_path / "frames")
    annotations, root, (item,), (problem,) = read(tmp_path / "labels", library)
    assert (problem.kind, problem.loses_labels) == ("sequence without frames", True)
    assert problem.place == str(tmp_path / "labels" / "a" / "gt" / "gt.txt")
    assert annotations.videos[0].frame_files == ("b/000000.png", "b/000001.png", "b/000002.png")
    assert (item.video, list(item.boxes), root) == (0, [(3, 3, 5, 5)], tmp_path / "frames")
    with pytest.raises(InputError, match="there are no frames of 'a'"):
        read(tmp_path / "labels" / "a", library)
    # The only frames that there are must be those of the only sequence.
    annotations, _, _, _ = read(tmp_path / "labels" / "a", FrameLibrary(tmp_path / "frames" / "other"))
    assert annotations.videos[0].name == "a"


def test_a_sequence_whose_first_frame_is_no_picture(tmp_path):
    write_sequence(tmp_path / "a", "1,1,1,1,2,2")
    (tmp_path / "a" / "img1" / "000001.png").write_bytes(b"nothing")
    write_sequence(tmp_path / "b", "1,1,1,1,2,2")
    annotations, _, _, (problem,) = read(tmp_path)
    assert [video.name for video in annotations.videos] == ["b"]
    assert (problem.kind, problem.loses_labels) == ("sequence without frames", True)
    assert "000001.png" in problem.cause
