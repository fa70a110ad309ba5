"""Whole YouTube-VIS files: against the other reader of such files, cut off, and what looks like them."""

import json
from dataclasses import replace
from itertools import groupby

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qcen_core.conversion.box_rows import collect_rows
from qcen_core.conversion.formats.recognise import recognise
from qcen_core.conversion.formats.youtubevis_file import YouTubeVisFile
from qcen_core.conversion.full_tracks import full_tracks
from qcen_core.conversion.problems import Problem
from qcen_core.errors import InputError
from qcen_core.ops import rle
from qcen_core.trackfile import read_annotations, write_annotations

HEIGHT, WIDTH = 23, 31


def runs_of(mask):
    runs = [(value, len(list(group))) for value, group in groupby(mask.flatten(order="F").tolist())]
    return [0] * bool(runs[0][0]) + [length for _, length in runs]


@st.composite
def masks(draw):
    x, y = draw(st.integers(0, WIDTH - 2)), draw(st.integers(0, HEIGHT - 2))
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[y : draw(st.integers(y, HEIGHT)), x : draw(st.integers(x + 1, WIDTH))] = True
    form = draw(st.sampled_from(["compressed", "uncompressed", "polygon"]))
    if form == "polygon" and mask.any():
        rows, columns = np.nonzero(mask)
        x1, x2, y1, y2 = (int(v) for v in (columns.min(), columns.max() + 1, rows.min(), rows.max() + 1))
        return [[x1, y1, x2, y1, x2, y2, x1, y2]]
    return {"size": [HEIGHT, WIDTH], "counts": runs_of(mask)} if form == "uncompressed" else rle.encode(mask)


@st.composite
def boxes(draw):
    x, y = draw(st.floats(0, WIDTH - 1)), draw(st.floats(0, HEIGHT - 1))
    return [x, y, draw(st.floats(0.5, WIDTH - x)), draw(st.floats(0.5, HEIGHT - y))]


@st.composite
def files(draw):
    lengths = draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    numbers = draw(st.lists(st.integers(-5, 10**6), min_size=len(lengths), max_size=len(lengths), unique=True))
    videos = [
        {"id": n, "width": WIDTH, "height": HEIGHT, "file_names": [f"c{n}/{i}.jpg" for i in range(length)]}
        for n, length in zip(numbers, lengths, strict=True)
    ]
    annotations = []
    for number in draw(st.lists(st.integers(1, 10**9), max_size=5, unique=True)):
        video = draw(st.sampled_from(videos))
        length = len(video["file_names"])
        item = {"id": number, "video_id": video["id"], "category_id": draw(st.sampled_from([30, 7]))}
        keys = draw(st.sampled_from([["bboxes"], ["segmentations"], ["bboxes", "segmentations"]]))
        for key, kind in (("bboxes", boxes()), ("segmentations", masks())):
            if key in keys:
                item[key] = draw(st.lists(st.none() | kind, min_size=length, max_size=length))
            elif draw(st.booleans()):
                item[key] = None
        item |= draw(st.sampled_from([{}, {"iscrowd": 1}, {"iscrowd": 0}, {"iscrowd": True, "areas": [1]}]))
        annotations.append(item)
    return {
        "info": {"year": 1},
        "categories": [{"id": 30, "name": "cat", "supercategory": "x"}, {"name": "dog", "id": 7}],
        "annotations": annotations,
        "videos": videos,
    }


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=files())
def test_two_independent_readers_agree(tmp_path, content):
    path = tmp_path / "instances.json"
    path.write_text(json.dumps(content, indent=len(content["annotations"]) % 2 or None))
    expected = read_annotations(path)
    assert recognise(path) == "youtubevis"
    file = YouTubeVisFile(path)
    assert (file.categories, file.videos) == (expected.categories, expected.videos)
    objects = list(file.objects())
    assert [(o.track, file.videos[o.video].id, o.class_id, o.ignore) for o in objects] == [
        (t.id, t.video_id, t.class_id, t.is_crowd) for t in expected.tracks
    ]
    for found, track in zip(objects, expected.tracks, strict=True):
        shown = {frame: box for frame, box in enumerate(track.boxes) if box is not None}
        assert list(found.frames) == sorted(shown)
        assert list(found.boxes) == [shown[frame] for frame in found.frames]
    with_masks = list(file.with_masks(range(len(file.videos))))
    assert [(o.frames, o.boxes) for o in with_masks] == [(o.frames, o.boxes) for o in objects]
    for found, track in zip(with_masks, expected.tracks, strict=True):
        known = {frame: mask for frame, mask in enumerate(track.segmentations or ()) if mask is not None}
        assert {f: m for f, m in zip(found.frames, found.masks or (), strict=False) if m is not None} == known
    # Rows and tracks hold the same labels.
    rows, problems = collect_rows(file)
    assert problems == []
    tracks = full_tracks(file, range(len(file.videos)))[0].tracks
    assert len(rows) == sum(box is not None for track in tracks for box in track.boxes)


WHOLE = {
    "videos": [{"id": 1, "width": WIDTH, "height": HEIGHT, "file_names": ["a/0.jpg", "a/1.jpg"]}],
    "categories": [{"id": 3, "name": "c\u00e4t"}],
    "annotations": [{"id": n, "video_id": 1, "category_id": 3, "bboxes": [[1, 2, 3, 4], None]} for n in (1, 2)],
}


def everything(path):
    recognise(path)
    file = YouTubeVisFile(path)
    return list(file.objects()) + list(file.with_masks([0]))


@pytest.mark.parametrize("indent", [None, 1])
def test_a_file_that_is_cut_off_anywhere_is_refused(tmp_path, indent):
    path = tmp_path / "instances.json"
    whole = json.dumps(WHOLE, indent=indent, ensure_ascii=False).encode()
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        for work in (recognise, YouTubeVisFile):
            with pytest.raises(InputError) as caught:
                work(path)
            assert caught.value.place == str(path)
            assert caught.value.hint
    path.write_bytes(whole)
    assert len(everything(path)) == 4


@pytest.mark.parametrize("change", [lambda t: b"\xef\xbb\xbf" + t, lambda t: b"\n\t " + t + b"\r\n"])
def test_marks_and_blanks_around_the_text_are_no_matter(tmp_path, change):
    path = tmp_path / "instances.json"
    path.write_bytes(change(json.dumps(WHOLE).encode()))
    assert len(everything(path)) == 4


BROKEN = [
    (b"{", b"{{"),
    (b"null]", b"nul]"),
    (b"[1, 2, 3, 4]", b"[1, 2, 3, 4,]"),
    (b"[1, 2, 3, 4]", b"[1, 2, 3, 4] // first"),
    (b"[1, 2, 3, 4]", b"[" * 100_000),
    (b"[1, 2, 3, 4]", b"[" * 100_000 + b"]" * 100_000),
    (b'"id": 1', b'"x": "\\q", "id": 1'),
    (b'"id": 1', b'"x": "\xff", "id": 1'),
    (b'"category_id": 3', b'"category_id": 3' + b"0" * 5000),
    (b'"bboxes": [[1', b'"segmentations": [{"size": [23, 31], "counts": "\xff"}, null], "bboxes": [[1'),
    (b'"bboxes": [[1', b'"segmentations": [{"size": [23, 31], "counts": "\\ud800"}, null], "bboxes": [[1'),
    (b'"bboxes": [[1', b'"segmentations": [{"size": [23, 31], "counts": "\\u0000"}, null], "bboxes": [[1'),
]


@pytest.mark.parametrize(("old", "new"), BROKEN, ids=range(len(BROKEN)))
def test_text_that_is_broken_somewhere_is_told(tmp_path, old, new):
    path = tmp_path / "instances.json"
    text = json.dumps(WHOLE).encode()
    head, tail = text.split(b'"annotations"')
    path.write_bytes(head + b'"annotations"' + tail.replace(old, new, 1))
    try:
        items = everything(path)
    except InputError as error:
        items = [Problem("refused", error.place, error.cause, error.hint)]
    problems = [item for item in items if isinstance(item, Problem)]
    # A byte that is no text, in a field that nobody reads, is nobody's problem.
    assert problems or b'"x": "\xff"' in new
    assert all(problem.place.startswith(str(path)) and "\n" not in problem.cause for problem in problems)


def test_what_looks_like_annotations_and_is_not(tmp_path):
    path = tmp_path / "file.json"
    result = {"video_id": 1, "category_id": 3, "score": 0.5, "segmentations": [None]}
    for made, cause in (
        ([result], "results file"),
        ([], "results file"),
        ({"images": [], "annotations": [], "categories": []}, None),
        ({**WHOLE, "images": []}, None),
        ("text", "no known format"),
        ({"a": 1}, "no known format"),
        ([1], "no known format"),
        ([[]], "no known format"),
    ):
        path.write_text(json.dumps(made))
        if cause is None:
            assert recognise(path) == "coco"
        else:
            with pytest.raises(InputError, match=cause):
                recognise(path)
    for made, cause in (([result], "results file"), ("text", "not YouTube-VIS"), ({}, "is missing")):
        path.write_text(json.dumps(made))
        with pytest.raises(InputError, match=cause):
            YouTubeVisFile(path)


def test_annotations_may_be_missing_and_the_lists_in_any_order(tmp_path):
    path = tmp_path / "file.json"
    path.write_text(json.dumps({**WHOLE, "annotations": None}))
    assert list(YouTubeVisFile(path).objects()) == []
    path.write_text(json.dumps({key: WHOLE[key] for key in ("annotations", "categories", "videos")}))
    assert len(list(YouTubeVisFile(path).objects())) == 2
    with pytest.raises(InputError, match="no such file"):
        YouTubeVisFile(tmp_path / "nowhere.json")
    with pytest.raises(InputError):
        YouTubeVisFile(tmp_path)


def test_a_folder_is_put_before_the_frame_files(tmp_path):
    path = tmp_path / "file.json"
    path.write_text(json.dumps(WHOLE))
    assert YouTubeVisFile(path, folder="train/JPEGImages/").videos[0].frame_files[1] == "train/JPEGImages/a/1.jpg"


def test_frames_that_nobody_labelled_stay_so_when_a_file_of_ours_is_read_again(tmp_path):
    frames = frozenset({1})
    (tmp_path / "file.json").write_text(json.dumps(WHOLE))
    source = read_annotations(tmp_path / "file.json")
    write_annotations(replace(source, videos=(replace(source.videos[0], unlabelled=frames),)), tmp_path / "gt.json")
    file = YouTubeVisFile(tmp_path / "gt.json")
    assert file.unlabelled == {0: frames}
    assert full_tracks(file, [0])[0].videos[0].unlabelled == frames
    assert YouTubeVisFile(tmp_path / "file.json").unlabelled == {}
