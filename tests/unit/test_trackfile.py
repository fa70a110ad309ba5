"""YouTube-VIS files: what is read, what is written, and what is refused in which words."""

import copy
import json
import os
import pickle
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qcen_core.errors import InputError
from qcen_core.ops import rle
from qcen_core.records import Category, ObjectTrack, TrackDataset, TrackResult, VideoRecord
from qcen_core.resultfile import MOST_LISTED, ResultsError, check_results, read_results, write_results, write_submission
from qcen_core.trackfile import read_annotations, write_annotations

DATA = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
HEIGHT, WIDTH = 11, 13


def rectangle(x1, y1, x2, y2):
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[y1:y2, x1:x2] = True
    return rle.encode(mask)


def content():
    """Two videos of three and two frames, categories 7 and 3, one object with masks, one with boxes."""
    return {
        "videos": [
            {"id": 5, "width": WIDTH, "height": HEIGHT, "length": 3, "file_names": [f"cat/{i}.jpg" for i in range(3)]},
            {"id": 2, "width": WIDTH, "height": HEIGHT, "file_names": ["dog/0.jpg", "dog/1.jpg"]},
        ],
        "categories": [{"id": 7, "name": "cat"}, {"id": 3, "name": "dog"}],
        "annotations": [
            {
                "id": 4,
                "video_id": 5,
                "category_id": 7,
                "iscrowd": 0,
                "segmentations": [rectangle(2, 1, 5, 4), None, rectangle(0, 0, 1, 1)],
                "bboxes": [[2, 1, 3, 3], None, [0, 0, 1, 1]],
            },
            {"id": 9, "video_id": 2, "category_id": 3, "iscrowd": 1, "bboxes": [None, [1.5, 2, 3, 4.25]]},
        ],
    }


def results():
    return [
        {"video_id": 5, "category_id": 3, "score": 0.5, "segmentations": [None, rectangle(1, 1, 3, 4), None]},
        {"video_id": 2, "category_id": 7, "score": 0.25, "segmentations": [rectangle(0, 0, 3, 4), None]},
        {"video_id": 5, "category_id": 7, "score": 1, "segmentations": [None, None, None]},
    ]


@pytest.fixture
def folder(tmp_path):
    def save(value, name="instances.json"):
        path = tmp_path / name
        path.write_text(value if isinstance(value, str) else json.dumps(value))
        return path

    return save


def test_annotations_are_read(folder):
    dataset = read_annotations(folder(content()))
    assert dataset.categories == (Category(7, "cat"), Category(3, "dog"))
    assert [(v.id, v.name, v.height, v.width, len(v.frame_files)) for v in dataset.videos] == [
        (5, "cat", HEIGHT, WIDTH, 3),
        (2, "dog", HEIGHT, WIDTH, 2),
    ]
    first, second = dataset.tracks
    assert (first.id, first.video_id, first.class_id, first.is_crowd) == (4, 5, 0, False)
    assert first.boxes == ((2, 1, 5, 4), None, (0, 0, 1, 1))
    assert first.segmentations == (rectangle(2, 1, 5, 4), None, rectangle(0, 0, 1, 1))
    assert (second.class_id, second.is_crowd, second.segmentations) == (1, True, None)
    assert second.boxes == (None, (1.5, 2, 4.5, 6.25))


@pytest.mark.parametrize("bboxes", ["absent", None, [None, None, None], [[0, 0, 0, 0], None, []]])
def test_missing_boxes_come_from_masks(folder, bboxes):
    value = content()
    value["annotations"][0]["bboxes"] = bboxes
    if bboxes == "absent":
        del value["annotations"][0]["bboxes"]
    assert read_annotations(folder(value)).tracks[0].boxes == ((2, 1, 5, 4), None, (0, 0, 1, 1))


@pytest.mark.parametrize("segmentations", [None, [None, None, None], [[], None, []]])
def test_boxes_alone_are_boxes_alone(folder, segmentations):
    value = content()
    value["annotations"][0]["segmentations"] = segmentations
    track = read_annotations(folder(value)).tracks[0]
    assert track.segmentations is None
    assert track.boxes == ((2, 1, 5, 4), None, (0, 0, 1, 1))


def test_every_form_of_mask_is_the_same_mask(folder):
    value = content()
    runs = [2 * HEIGHT + 1, 3, HEIGHT - 3, 3, HEIGHT - 3, 3]
    runs.append(HEIGHT * WIDTH - sum(runs))
    value["annotations"][0]["segmentations"] = [
        {"size": [HEIGHT, WIDTH], "counts": runs},
        [[2, 1, 5, 1, 5, 4, 2, 4]],
        rle.encode(np.zeros((HEIGHT, WIDTH), dtype=bool)),
    ]
    value["annotations"][0]["bboxes"] = None
    track = read_annotations(folder(value)).tracks[0]
    assert track.segmentations == (rectangle(2, 1, 5, 4), rectangle(2, 1, 5, 4), None)
    assert track.boxes == ((2, 1, 5, 4), (2, 1, 5, 4), None)


@pytest.mark.parametrize("annotations", [None, [], "absent"])
def test_a_file_without_annotations_has_no_tracks(folder, annotations):
    value = content() | {"annotations": annotations}
    if annotations == "absent":
        del value["annotations"]
    assert read_annotations(folder(value)).tracks == ()


@pytest.mark.parametrize(
    ("videos", "names"),
    [
        ([["train/a b/0.jpg", "train/a b/1.jpg"], ["c/0.jpg"]], ["a_b", "c"]),
        ([["x/a/0.jpg"], ["y/A/1.jpg"]], ["0", "1"]),
        ([["a_0.jpg", "a_1.jpg"], ["b_0.jpg"]], ["a_0", "b_0"]),
        ([["p/0.jpg", "q/1.jpg"], ["r/0.jpg", "s/0.jpg"]], ["video_11", "video_12"]),
        ([["./0.jpg"], ["é/1.jpg"]], ["0", "é"]),
        ([["x/0.jpg"], ["z/x.jpg", "w/y.jpg"]], ["x_11", "x_12"]),
        ([["a\\0.jpg"], ["b\\0.jpg"]], ["a", "b"]),
    ],
)
def test_video_names_are_distinct_and_safe(folder, videos, names):
    value = content() | {"annotations": []}
    value["videos"] = [{"id": 11 + i, "width": 3, "height": 5, "file_names": files} for i, files in enumerate(videos)]
    assert [video.name for video in read_annotations(folder(value)).videos] == names


def test_results_are_read(folder):
    dataset = read_annotations(folder(content()))
    read = read_results(folder(results(), "results.json"), dataset)
    assert read == (
        TrackResult(5, 1, 1, 0.5, (None, rectangle(1, 1, 3, 4), None)),
        TrackResult(2, 1, 0, 0.25, (rectangle(0, 0, 3, 4), None)),
        TrackResult(5, 2, 0, 1.0, (None, None, None)),
    )


def test_no_results_are_results(folder):
    assert read_results(folder([], "results.json"), read_annotations(folder(content()))) == ()


def test_written_results_have_the_submission_form(tmp_path):
    empty = rle.encode(np.zeros((HEIGHT, WIDTH), dtype=bool))
    result = TrackResult(5, 3, 1, np.float32(0.5), (rectangle(1, 1, 3, 4), None, empty))
    write_results([result], (Category(7, "cat"), Category(3, "dog")), tmp_path / "results.json")
    assert json.loads((tmp_path / "results.json").read_text()) == [
        {"video_id": 5, "category_id": 3, "score": 0.5, "segmentations": [rectangle(1, 1, 3, 4), None, None]}
    ]


def test_written_annotations_have_the_official_fields(folder, tmp_path):
    path = tmp_path / "written.json"
    write_annotations(read_annotations(folder(content())), path)
    written = json.loads(path.read_text())
    assert set(written) == {"info", "videos", "categories", "annotations"}
    first, second = written["annotations"]
    assert first["areas"] == [9, None, 1]
    assert first["bboxes"] == [[2, 1, 3, 3], None, [0, 0, 1, 1]]
    assert (first["category_id"], first["iscrowd"], first["length"]) == (7, 0, 3)
    assert "segmentations" not in second
    assert (second["areas"], second["iscrowd"]) == ([None, 12.75], 1)
    assert [video["length"] for video in written["videos"]] == [3, 2]


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "results.json"
    path.write_text("[]")
    with pytest.raises(ValueError, match="float"):
        write_results([TrackResult(5, 1, 0, float("nan"), (None,))], (Category(1, "cat"),), path)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("results.json", "[]")]


quarters = st.integers(0, 40).map(lambda n: n / 4)
boxes = st.tuples(quarters, quarters, quarters, quarters).map(lambda b: (b[0], b[1], b[0] + b[2] + 1, b[1] + b[3] + 1))
masks = st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(7, 11), st.integers(7, 11)).map(
    lambda b: rectangle(*b)
)


@st.composite
def datasets(draw):
    ids = draw(st.lists(st.integers(0, 99), unique=True, min_size=1, max_size=3))
    videos = tuple(
        VideoRecord(number, f"v{number}", HEIGHT, WIDTH, tuple(f"v{number}/{i}.jpg" for i in range(1 + number % 3)))
        for number in ids
    )
    categories = tuple(Category(n, f"c{n}") for n in draw(st.lists(st.integers(0, 50), unique=True, min_size=1)))
    tracks = []
    for number in draw(st.lists(st.integers(0, 99), unique=True, max_size=4)):
        video = draw(st.sampled_from(videos))
        found = [draw(st.none() | masks) for _ in video.frame_files]
        with_masks = any(found) and draw(st.booleans())
        shown = [None if m is None else rle.bounding_box(m) for m in found] if with_masks else None
        tracks.append(
            ObjectTrack(
                id=number,
                video_id=video.id,
                class_id=draw(st.integers(0, len(categories) - 1)),
                boxes=tuple(shown or [draw(st.none() | boxes) for _ in video.frame_files]),
                segmentations=tuple(found) if with_masks else None,
                is_crowd=draw(st.booleans()),
            )
        )
    return TrackDataset(categories, videos, tuple(tracks))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(datasets(), st.data())
def test_files_go_there_and_back(tmp_path, dataset, data):
    write_annotations(dataset, tmp_path / "instances.json")
    assert read_annotations(tmp_path / "instances.json") == dataset
    found = [
        TrackResult(track.video_id, 1, track.class_id, data.draw(st.floats(0, 1)), tuple(None for _ in track.boxes))
        for track in dataset.tracks
    ]
    numbered = [
        replace(result, track_id=1 + sum(other.video_id == result.video_id for other in found[:index]))
        for index, result in enumerate(found)
    ]
    write_results(numbered, dataset.categories, tmp_path / "results.json")
    assert read_results(tmp_path / "results.json", dataset) == tuple(numbered)


def changed(value, keys, new):
    """The value with the entry at the path of keys replaced, or removed where new is `...`."""
    value = copy.deepcopy(value)
    target = value
    for key in keys[:-1]:
        target = target[key]
    if new is ...:
        del target[keys[-1]]
    else:
        target[keys[-1]] = new
    return value


A = ("annotations", 0)
V = ("videos", 0)
CASES = [
    (("videos",), ..., "", '"videos" is missing'),
    (("categories",), {}, "", '"categories" is not a list'),
    (("annotations",), 3, "", '"annotations" is not a list'),
    (A, 3, "annotation 0", "not a JSON object"),
    ((*A, "id"), ..., "annotation 0", '"id" is missing'),
    ((*A, "id"), "four", "annotation four", "not a whole number"),
    ((*A, "id"), 9, "annotation 9", "occurs 2 times"),
    ((*A, "video_id"), 6, "annotation 4", "video_id 6 is unknown"),
    ((*A, "category_id"), 1, "annotation 4", "category_id 1 is unknown"),
    (("annotations", 1, "bboxes"), None, "annotation 9", "neither segmentations nor bboxes"),
    ((*A, "segmentations"), [None], "annotation 4", "segmentations has 1 frames, video 5 has 3"),
    ((*A, "segmentations"), "x", "annotation 4", '"segmentations" is not a list'),
    ((*A, "bboxes"), [None] * 4, "annotation 4", "bboxes has 4 frames, video 5 has 3"),
    ((*A, "bboxes", 2), [1, 2, 3], "annotation 4, frame 2", "a box is four numbers"),
    ((*A, "bboxes", 0), [1, 2, 3, float("inf")], "annotation 4, frame 0", "a box is four numbers"),
    ((*A, "segmentations", 2, "size"), [13, 11], "annotation 4, frame 2", "its size is"),
    ((*A, "segmentations", 2, "size"), None, "annotation 4, frame 2", "neither run lengths nor polygons"),
    ((*A, "segmentations", 2, "counts"), "04", "annotation 4, frame 2", "the runs do not fill 11 x 13"),
    ((*A, "segmentations", 2, "counts"), [1, 2], "annotation 4, frame 2", "the runs do not fill"),
    ((*A, "segmentations", 2, "counts"), ["a"], "annotation 4, frame 2", "unreadable mask"),
    ((*A, "segmentations", 2), 5, "annotation 4, frame 2", "neither run lengths nor polygons"),
    ((*A, "segmentations", 2), [1, 2, 3], "annotation 4, frame 2", "unreadable mask"),
    ((*A, "segmentations", 2), [[1, 2, 3, 4]], "annotation 4, frame 2", "three or more pairs"),
    ((*V, "id"), 2, "video 2", "occurs 2 times"),
    ((*V, "file_names"), [], "video 5", "no frames"),
    ((*V, "file_names"), ["a", 3], "video 5", "no file name"),
    ((*V, "file_names"), ..., "video 5", '"file_names" is missing'),
    ((*V, "length"), 7, "video 5", "length is 7 but file_names lists 3"),
    ((*V, "height"), 0, "video 5", "pixels"),
    ((*V, "width"), ..., "video 5", '"width" is missing'),
    (("categories", 1, "id"), 7, "category 7", "occurs 2 times"),
    (("categories", 1, "name"), "cat", "category cat", "occurs 2 times"),
    (("categories", 1, "name"), "", "category 3", "not a text"),
]


@pytest.mark.parametrize(("keys", "new", "record", "cause"), CASES)
def test_bad_annotations_name_file_and_record(folder, keys, new, record, cause):
    path = folder(changed(content(), keys, new))
    with pytest.raises(InputError) as caught:
        read_annotations(path)
    assert caught.value.place == (f"{path}: {record}" if record else str(path))
    assert cause in caught.value.cause
    assert caught.value.hint
    assert "\n" not in caught.value.line()


RESULT_CASES = [
    ((1,), None, "result 1", "not a JSON object"),
    ((1, "video_id"), 77, "result 1", "video_id 77 is unknown"),
    ((1, "category_id"), 77, "result 1", "category_id 77 is unknown"),
    ((1, "score"), float("nan"), "result 1", "not a finite number"),
    ((1, "score"), "high", "result 1", "not a finite number"),
    ((1, "score"), ..., "result 1", '"score" is missing'),
    ((1, "segmentations"), ..., "result 1", '"segmentations" is missing'),
    ((1, "segmentations"), [None] * 3, "result 1", "segmentations has 3 frames, video 2 has 2"),
    ((1, "segmentations", 0, "size"), [12, 13], "result 1, frame 0", "its size is [12, 13]"),
]


@pytest.mark.parametrize(("keys", "new", "record", "cause"), RESULT_CASES)
def test_bad_results_name_file_and_record(folder, keys, new, record, cause):
    dataset = read_annotations(folder(content()))
    path = folder(changed(results(), keys, new), "results.json")
    with pytest.raises(InputError) as caught:
        read_results(path, dataset)
    assert caught.value.place == f"{path}: {record}"
    assert cause in caught.value.cause
    assert caught.value.hint


def test_all_that_is_wrong_with_results_is_told_by_record(folder):
    dataset = read_annotations(folder(content()))
    bad = [
        results()[0],
        "no record",
        {"video_id": 77, "category_id": 77, "score": "high"},
        {**results()[1], "segmentations": [{"size": [HEIGHT, WIDTH], "counts": "04"}, None]},
        {**results()[1], "score": float("inf"), "segmentations": [rectangle(0, 0, 3, 4)]},
    ]
    path = folder(bad, "results.json")
    problems = check_results(path, dataset)
    places = [(error.place.removeprefix(f"{path}: "), error.cause.split(",")[0]) for error in problems.errors]
    assert places == [
        ("result 1", "not a JSON object"),
        ("result 2", "video_id 77 is unknown"),
        ("result 2", "category_id 77 is unknown"),
        ("result 2", "score is 'high'"),
        ("result 2", '"segmentations" is missing'),
        ("result 3, frame 0", "unreadable mask: the runs do not fill 11 x 13 pixels"),
        ("result 4", "score is inf"),
        ("result 4", "segmentations has 1 frames"),
    ]
    assert (problems.records, problems.count) == (5, 8)
    assert problems.kinds == {"record": 1, "video": 1, "category": 1, "score": 2, "segmentations": 3}
    with pytest.raises(ResultsError) as caught:
        read_results(path, dataset)
    assert caught.value.problems.lines() == problems.lines()
    assert caught.value.line() == problems.lines()[0]
    assert "7 more problems" in caught.value.hint
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301
    assert again.problems.lines() == problems.lines()


def test_many_problems_are_counted_and_the_first_are_listed(folder):
    dataset = read_annotations(folder(content()))
    path = folder([{**results()[0], "video_id": 100 + i} for i in range(29)] + results(), "results.json")
    problems = check_results(path, dataset)
    assert (problems.records, problems.count, len(problems.errors)) == (32, 29, MOST_LISTED)
    assert len(problems.lines()) == MOST_LISTED + 1
    assert problems.lines()[0] == f"{path}: result 0: video_id 100 is unknown"
    assert problems.lines()[-1] == "and 9 more; problems by kind: video 29"
    assert any("another data set" in note for note in problems.notes)


def test_what_is_odd_without_being_wrong_is_noted(folder):
    dataset = read_annotations(folder(content()))
    path = folder([{**results()[0], "score": score} for score in (-0.5, 0, 1, 7)], "results.json")
    problems = check_results(path, dataset)
    assert (problems.errors, problems.notes) == ([], ["2 of 4 scores are not between 0 and 1"])
    assert check_results(folder([], "results.json"), dataset).notes == ["there are no results"]
    assert check_results(folder(results(), "results.json"), dataset).notes == []


def test_a_submission_is_an_archive_of_the_results_alone(folder, tmp_path):
    dataset = read_annotations(folder(content()))
    path = folder(results(), "mine.json")
    assert write_submission(path, tmp_path / "a.zip", dataset).errors == []
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.namelist() == ["results.json"]
        assert archive.read("results.json") == path.read_bytes()
    os.utime(path, (1e9, 1e9))
    write_submission(path, tmp_path / "b.zip", dataset)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_wrong_results_make_no_submission(folder, tmp_path):
    dataset = read_annotations(folder(content()))
    path = folder([{**results()[0], "score": None}], "results.json")
    with pytest.raises(ResultsError, match="result 0: score is None"):
        write_submission(path, tmp_path / "a.zip", dataset)
    assert not (tmp_path / "a.zip").exists()


def test_occlusion_and_areas_are_read_where_they_are_told(folder, tmp_path):
    value = content()
    value["annotations"][0]["occlusion"] = ["slight_occlusion", None, "severe_occlusion"]
    value["annotations"][0]["areas"] = [9, None, 7]
    first, second = read_annotations(folder(value)).tracks
    assert (first.occlusion, first.areas) == ((0.25, None, 0.75), (9, None, 7))
    assert (second.occlusion, second.areas) == (None, None)
    write_annotations(read_annotations(folder(value)), tmp_path / "again.json")
    assert read_annotations(tmp_path / "again.json").tracks[0].occlusion == first.occlusion
    for odd in (["slight_occlusion", None], ["a bit", None, None], [None] * 3, "no_occlusion"):
        value["annotations"][0] |= {"occlusion": odd, "areas": ["x", None, 3]}
        track = read_annotations(folder(value)).tracks[0]
        assert (track.occlusion, track.areas) == (None, None)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (" \n", "empty"),
        ('{"videos": [\n  1,, ]}', "line 2, column 5"),
        ("[]", "a results file, not annotations"),
        ('{"images": [], "annotations": []}', "a COCO file of images"),
        ("3", "not YouTube-VIS annotations"),
    ],
)
def test_files_of_another_kind_are_told_apart(folder, text, cause):
    with pytest.raises(InputError, match=cause):
        read_annotations(folder(text))


def test_missing_and_binary_files(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_annotations(tmp_path / "absent.json")
    (tmp_path / "mask.png").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(InputError, match="cannot be read as text"):
        read_annotations(tmp_path / "mask.png")


def test_frames_that_nobody_labelled_are_told_and_not_judged(folder, tmp_path):
    value = content()
    value["videos"][0]["unlabelled"] = [1]
    dataset = read_annotations(folder(value))
    assert [video.unlabelled for video in dataset.videos] == [frozenset({1}), frozenset()]
    write_annotations(dataset, tmp_path / "again.json")
    assert read_annotations(tmp_path / "again.json").videos == dataset.videos
    predicted = results()
    predicted[0]["segmentations"][0] = rectangle(0, 0, 2, 2)
    predicted.append({**predicted[0], "segmentations": [None, rectangle(1, 1, 3, 4), None]})
    read = read_results(folder(predicted, "results.json"), dataset)
    # The last one is seen at that frame alone: nothing of it is left to be judged.
    assert [[mask is not None for mask in result.segmentations] for result in read] == [
        [True, False, False], [True, False], [False, False, False],
    ]  # fmt: skip
    for wrong in ([3], [-1], [1, 1], ["1"]):
        value["videos"][0]["unlabelled"] = wrong
        with pytest.raises(InputError, match="not a list of the video's frames"):
            read_annotations(folder(value))


def test_annotations_are_not_results(folder):
    path = folder(content())
    with pytest.raises(InputError, match="not a results file"):
        read_results(path, read_annotations(path))


@pytest.mark.skipif(not (DATA / "davis").is_dir(), reason="needs DAVIS, which is no part of the project")
def test_davis_goes_there_and_back(tmp_path):
    dataset = read_annotations(DATA / "davis" / "instances.json")
    assert (len(dataset.videos), len(dataset.tracks), dataset.videos[0].name) == (12, 12, "blackswan")
    write_annotations(dataset, tmp_path / "again.json")
    assert read_annotations(tmp_path / "again.json") == dataset
