import json
import math
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from qcen_core.conversion.annotations import ANY_CLASS, SourceObject
from qcen_core.conversion.formats.labelstudio import read_labelstudio
from qcen_core.conversion.frame_library import FrameLibrary
from qcen_core.errors import InputError

HEIGHT, WIDTH, FRAMES = 31, 53, 8


def make_frames(root, *names):
    for name in names:
        (root / name).mkdir(parents=True)
        for i in range(FRAMES):
            Image.new("RGB", (WIDTH, HEIGHT)).save(root / name / f"{i:05d}.png")
    return FrameLibrary(root)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return make_frames(tmp_path_factory.mktemp("frames"), "pond", "lake")


def key(frame, x=10.0, y=20.0, width=30.0, height=40.0, enabled=True, **more):
    sides = {"x": x, "y": y, "width": width, "height": height}
    return {"frame": frame, "enabled": enabled, "rotation": 0, "time": 0.1, **sides, **more}


def region(*sequence, labels=("duck",), number="a", count=FRAMES):
    value = {"framesCount": count, "duration": 1.0, "sequence": list(sequence)}
    if labels is not None:
        value["labels"] = list(labels)
    return {"id": number, "type": "videorectangle", "from_name": "box", "to_name": "video", "value": value}


def annotation(*result, cancelled=False):
    return {"id": 1, "was_cancelled": cancelled, "result": list(result)}


def task(*annotations, url="/data/upload/1/ab12cd34-pond.mp4", number=1):
    return {"id": number, "data": {"video": url}, "annotations": list(annotations), "predictions": []}


def read(tmp_path, library, content):
    path = tmp_path / "tasks.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    labels = read_labelstudio(path, library)
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


def pixels(x, y, width, height):
    corners = (x * WIDTH, y * HEIGHT, (x + width) * WIDTH, (y + height) * HEIGHT)
    return pytest.approx(tuple(v / 100 for v in corners))


def test_per_cent_become_pixels_and_frames_count_from_one(tmp_path, library):
    found = only_object(read(tmp_path, library, [task(annotation(region(key(1, enabled=False))))]))
    assert found.frames == [0]
    assert found.boxes[0] == pytest.approx((5.3, 6.2, 21.2, 18.6))


def test_moves_evenly_and_is_last_seen_at_a_key_frame_that_is_not_enabled(tmp_path, library):
    sequence = key(6, x=50), key(2, x=10), key(4, x=14, enabled=False), key(7, x=60, y=0, enabled=False)
    found = only_object(read(tmp_path, library, [task(annotation(region(*sequence)))]))
    assert found.frames == [1, 2, 3, 5, 6]
    expected = [(10, 20), (12, 20), (14, 20), (50, 20), (60, 0)]
    assert found.boxes == [pixels(x, y, 30, 40) for x, y in expected]


def test_stays_to_the_end_of_the_video(tmp_path, library):
    found = only_object(read(tmp_path, library, [task(annotation(region(key(2, x=10), key(4, x=30))))]))
    assert found.frames == list(range(1, FRAMES))
    assert [found.boxes[i] for i in (1, -1)] == [pixels(20, 20, 30, 40), pixels(30, 20, 30, 40)]


def test_an_export_that_lists_every_frame_gives_the_same(tmp_path, library):
    keys = [key(2, x=10), key(5, x=40, enabled=False), key(7, x=0)]
    listed = [key(2, x=10), *(key(f, x=10 * (f - 1), auto=True) for f in (3, 4)), *keys[1:], key(8, x=0, auto=True)]
    few, all_frames = (only_object(read(tmp_path, library, [task(annotation(region(*s)))])) for s in (keys, listed))
    assert few.frames == all_frames.frames == [1, 2, 3, 4, 6, 7]
    for ours, theirs in zip(few.boxes, all_frames.boxes, strict=True):
        assert ours == pytest.approx(theirs)


def test_turned_about_the_corner(tmp_path, library):
    """A quarter turn, clockwise: what was the width hangs down from the corner, what was the height is left of it."""
    found = only_object(read(tmp_path, library, [task(annotation(region(key(8, x=50, y=10, rotation=90))))]))
    x, y, width, height = 0.5 * WIDTH, 0.1 * HEIGHT, 0.3 * WIDTH, 0.4 * HEIGHT
    assert found.boxes[0] == pytest.approx((x - height, y, x, y + width))


@pytest.mark.parametrize(
    "url",
    [
        "pond.mp4",
        "/data/upload/1/ab12cd34-pond.mp4",
        "/data/local-files/?d=clips/2024/pond.mp4",
        "https://example.org/a/pond.mp4?signature=1&x=2",
        "s3://bucket/clips/pond.webm",
        "C:\\clips\\pond.mp4",
        "http://[not-an-address/pond.mp4",
    ],
)
def test_the_video_is_found_by_the_end_of_its_address(tmp_path, library, url):
    annotations = read(tmp_path, library, [task(annotation(region(key(1))), url=url)])
    assert [v.name for v in annotations.videos] == ["pond"]


def test_a_name_that_only_looks_like_an_upload(tmp_path):
    library = make_frames(tmp_path / "frames", "ab12cd34-pond", "pond")
    annotations = read(tmp_path, library, [task(annotation(region(key(1))))])
    assert [v.name for v in annotations.videos] == ["ab12cd34-pond"]


def test_the_field_of_the_video_may_have_another_name(tmp_path, library):
    content = [{"id": 1, "data": {"note": "windy", "clip": "lake.mp4"}, "annotations": [annotation(region(key(1)))]}]
    assert [v.name for v in read(tmp_path, library, content).videos] == ["lake"]


def test_labels_of_other_results_and_missing_ones(tmp_path, library):
    result = (
        region(key(1), labels=None, number="a"),
        {"id": "a", "type": "labels", "value": {"labels": ["fish"]}},
        region(key(1), labels=None, number="b"),
        {"id": "b", "type": "choices", "value": {"choices": ["duck"]}},
        region(key(1), labels=None, number="c"),
        region(key(1), labels=["ignore"], number="d"),
        region(key(1), labels=["fish", "duck"], number="e"),
        {"type": "choices", "value": {"choices": ["sunny"]}},
    )
    annotations = read(tmp_path, library, [task(annotation(*result))])
    objects, problems = split(annotations)
    assert [(c.source_id, c.name) for c in annotations.categories] == [(1, "fish"), (2, "duck")]
    assert [(o.class_id, o.ignore, o.track) for o in objects] == [
        (0, False, 1), (1, False, 2), (ANY_CLASS, True, 3), (ANY_CLASS, True, 4), (0, False, 5)
    ]  # fmt: skip
    assert [(p.kind, p.place.rpartition(", ")[2]) for p in problems] == [
        ("unknown category", "region c"), ("several labels", "region e")
    ]  # fmt: skip


def test_the_last_annotation_that_is_not_cancelled_counts(tmp_path, library):
    old, new = annotation(region(key(1))), annotation(region(key(2)))
    cancelled = annotation(region(key(3)), cancelled=True)
    objects, problems = split(read(tmp_path, library, [task(old, new, cancelled)]))
    assert [o.frames[0] for o in objects] == [1]
    assert [(p.kind, p.loses_labels) for p in problems] == [("annotation left out", False)]
    assert problems[0].cause.startswith("2 more")


def test_tasks_without_annotation_are_unlabelled_and_empty_ones_are_not(tmp_path, library):
    cancelled = task(annotation(region(key(1)), cancelled=True), url="lake.mp4", number=2)
    for unfinished in (cancelled, task(url="lake.mp4", number=2), {"id": 2, "data": {"video": "lake.mp4"}}):
        annotations = read(tmp_path, library, [task(annotation()), unfinished])
        assert annotations.items == ()
        assert [v.name for v in annotations.videos] == ["pond", "lake"]
        assert annotations.unlabelled == {1: set(range(FRAMES))}


def test_json_min(tmp_path, library):
    value = region(key(1), key(3, enabled=False))["value"]
    content = [
        {"video": "/data/upload/ab12cd34-pond.mp4", "id": 3, "box": [value], "weather": "sunny", "annotation_id": 1},
        {"video": "lake.mp4", "id": 4, "box": [region(key(8))["value"]], "annotation_id": 2},
        {"video": "/data/upload/ab12cd34-pond.mp4", "id": 3, "box": [value, {**value, "labels": ["fish"]}]},
    ]
    objects, problems = split(annotations := read(tmp_path, library, content))
    assert [(o.video, list(o.frames), o.class_id) for o in objects] == [
        (0, [0, 1, 2], 0), (0, [0, 1, 2], 1), (1, [7], 0)
    ]  # fmt: skip
    assert [v.name for v in annotations.videos] == ["pond", "lake"]
    assert [(p.kind, p.loses_labels) for p in problems] == [("annotation left out", False)]


def test_a_video_in_two_tasks(tmp_path, library):
    tasks = [task(annotation(region(key(1)))), task(annotation(region(key(2))), number=2)]
    objects, problems = split(read(tmp_path, library, tasks))
    assert [o.frames[0] for o in objects] == [0]
    assert [(p.kind, p.loses_labels) for p in problems] == [("video labelled twice", True)]


@pytest.mark.parametrize(
    ("count", "kinds"), [(7, []), (9, []), (6, ["wrong frame count"]), (10, ["wrong frame count"])]
)
def test_frames_that_label_studio_counted(tmp_path, library, count, kinds):
    objects, problems = split(read(tmp_path, library, [task(annotation(region(key(1), count=count)))]))
    assert [(p.kind, p.loses_labels) for p in problems] == [(kind, False) for kind in kinds]
    assert objects[0].frames == list(range(FRAMES))


@pytest.mark.parametrize("frame", [0, -3, 9, 10**12])
def test_frames_that_are_not_there(tmp_path, library, frame):
    sequence = key(frame, enabled=False), key(4, enabled=False)
    objects, problems = split(read(tmp_path, library, [task(annotation(region(*sequence)))]))
    assert [list(o.frames) for o in objects] == [[3]]
    assert [(p.kind, p.place.endswith(f"frame {frame}")) for p in problems] == [("label without a frame", True)]
    assert "from 1 to 8" in problems[0].cause


def test_wrong_values_are_handed_on(tmp_path, library):
    sequence = key(1, x=math.nan), key(2, x=-100, width=50), key(3, width=-10), key(4, width=0)
    turned = key(5, rotation=math.inf, enabled=False)
    found = only_object(read(tmp_path, library, [task(annotation(region(*sequence, turned)))]))
    assert math.isnan(found.boxes[0][0])
    assert found.boxes[1:4] == [pixels(-100, 20, 50, 40), pixels(10, 20, -10, 40), pixels(10, 20, 0, 40)]
    assert all(math.isnan(v) for v in found.boxes[4])


@pytest.mark.parametrize(
    ("entry", "kind"),
    [
        ({"frame": 3, "x": 1, "y": 1, "width": 1}, "malformed box"),
        (key(3, x="1"), "malformed box"),
        (key(3, y=True), "malformed box"),
        (key(3, y=10**400), "malformed box"),
        (key(3, rotation="left"), "malformed box"),
        (key("3"), "label without a frame"),
        (key(None), "label without a frame"),
        (key(2.5), "label without a frame"),
        ("nothing", "label without a frame"),
        (key(1), "duplicate frame"),
    ],
)
def test_one_bad_key_frame_costs_itself(tmp_path, library, entry, kind):
    result = region(key(1), entry, key(5, enabled=False)), region(key(8), number="b")
    objects, (problem, *others) = split(annotations := read(tmp_path, library, [task(annotation(*result))]))
    assert (problem.kind, problem.loses_labels) == (kind, True)
    if kind == "malformed box":  # at frames 1 to 3 the object is nobody knows where
        assert annotations.unlabelled == {0: {1, 2, 3}}
        assert [o.frames for o in objects] == [[0, 4], [7]]
        assert [(p.kind, p.boxes) for p in others] == [("label beside a lost one", 3)]
    else:
        assert [o.frames for o in objects] == [[0, 1, 2, 3, 4], [7]]
        assert (annotations.unlabelled, others) == ({}, [])


@pytest.mark.parametrize(
    ("sequence", "unlabelled"),
    [
        ([key(3, x="1")], {2, 3, 4, 5, 6, 7}),
        ([key(2), key(5, x="1")], {2, 3, 4, 5, 6, 7}),
        ([key(4, x="1"), key(6, enabled=False)], {3, 4}),
        ([key(2), key(4, x="1"), key(6, x="1"), key(8)], {2, 3, 4, 5, 6}),
    ],
)
def test_frames_that_a_lost_key_frame_leaves_open(tmp_path, library, sequence, unlabelled):
    annotations = read(tmp_path, library, [task(annotation(region(*sequence)))])
    assert annotations.unlabelled == {0: unlabelled}
    assert not {frame for o in split(annotations)[0] for frame in o.frames} & unlabelled


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        ("nothing", "malformed record"),
        ({"id": 2, "type": "videorectangle", "value": []}, "malformed record"),
        ({"id": 2, "type": "videorectangle", "value": {"labels": ["duck"], "sequence": {}}}, "malformed record"),
        ({"id": 2, "type": "timelinelabels", "value": {"ranges": [], "timelinelabels": ["run"]}}, "not a box"),
        ({"id": 2, "type": "videorectangle", "value": {"labels": "duck", "sequence": [key(1)]}}, "unknown category"),
        ({"id": 2, "type": "videorectangle", "value": {"labels": [7], "sequence": [key(1)]}}, "unknown category"),
    ],
)
def test_one_bad_result_costs_itself(tmp_path, library, bad, kind):
    content = [task(annotation(bad, region(key(8)))), task(annotation(region(key(8))), url="lake.mp4", number=2)]
    annotations = read(tmp_path, library, content)
    objects, (problem, *others) = split(annotations)
    assert (problem.kind, problem.loses_labels) == (kind, True)
    if kind == "malformed record":  # an object nobody knows where
        assert annotations.unlabelled == {0: set(range(FRAMES))}
        assert [(o.video, o.frames) for o in objects] == [(1, [7])]
        assert [(p.kind, p.boxes) for p in others] == [("label beside a lost one", 1)]
    else:
        assert (annotations.unlabelled, others) == ({}, [])
        assert [(o.video, o.frames) for o in objects if not o.ignore] == [(0, [7]), (1, [7])]
        assert all(o.class_id == ANY_CLASS and o.video == 0 for o in objects if o.ignore)
        assert any(o.ignore for o in objects) == (kind == "unknown category")


@pytest.mark.parametrize(
    "bad",
    [None, 3, {"id": 9}, {"id": 9, "data": {"video": "pond.mp4"}, "annotations": "none"}, task({"result": "x"}),
     task(3)],
)  # fmt: skip
def test_one_bad_task_costs_itself(tmp_path, library, bad):
    objects, problems = split(read(tmp_path, library, [bad, task(annotation(region(key(8))), url="lake.mp4")]))
    assert [p.kind for p in problems] == ["malformed record"]
    assert [o.frames for o in objects] == [[7]]


@pytest.mark.parametrize("result", [None, "none", {"value": 3}])
def test_a_result_that_is_no_list_leaves_its_video_unlabelled(tmp_path, library, result):
    bad = task({"id": 1, "was_cancelled": False, "result": result})
    annotations = read(tmp_path, library, [bad, task(annotation(), url="lake.mp4", number=2)])
    assert [p.kind for p in split(annotations)[1]] == ["malformed record"]
    assert [v.name for v in annotations.videos] == ["pond", "lake"]
    assert annotations.unlabelled == {0: set(range(FRAMES))}


def test_a_video_without_frames(tmp_path, library):
    tasks = [task(annotation(region(key(1))), url="sea.mp4"), task(url="sky.mp4", number=2)]
    objects, problems = split(read(tmp_path, library, [*tasks, task(annotation(region(key(8))))]))
    assert len(objects) == 1
    assert [(p.kind, p.loses_labels) for p in problems] == [
        ("video without frames", True), ("video without frames", False)
    ]  # fmt: skip
    with pytest.raises(InputError, match=r"no frames of 'sea\.mp4'") as caught:
        read(tmp_path, library, tasks)
    assert "lake, pond" in str(caught.value.hint)


def test_a_single_video_needs_no_name(tmp_path):
    library = make_frames(tmp_path / "frames", "pond")
    annotations = read(tmp_path, library, [task(annotation(region(key(1))), url="/data/upload/sea.mp4")])
    assert len(only_object(annotations).frames) == FRAMES


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (json.dumps([task(annotation(region(key(1))))])[:-20], "not valid JSON"),
        ("", "empty"),
        ("<annotations/>", "not valid JSON"),
        ("3", "no video tasks"),
        ("[]", "no video tasks"),
        ("{}", "no video tasks"),
        ('[{"image": "a.jpg"}]', "no video tasks"),
    ],
)
def test_files_that_cannot_be_used(tmp_path, library, content, message):
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path, library, content)
    assert "tasks.json" in str(caught.value.place)
    assert caught.value.hint


SIDE = st.integers(-50, 1500).map(lambda n: n / 10)
BOXES = st.tuples(SIDE, SIDE, SIDE, SIDE)
TRACKS = st.lists(
    st.tuples(st.sampled_from(["duck", "fish"]), st.dictionaries(st.integers(0, FRAMES - 1), BOXES, min_size=1)),
    max_size=5,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tracks=TRACKS, order=st.randoms(use_true_random=False))
def test_what_is_written_frame_by_frame_comes_back(tmp_path, library, tracks, order):
    result = []
    for label, boxes in tracks:
        sequence = []
        for frame, (x1, y1, x2, y2) in boxes.items():
            sides = x1 / WIDTH * 100, y1 / HEIGHT * 100, (x2 - x1) / WIDTH * 100, (y2 - y1) / HEIGHT * 100
            sequence.append(key(frame + 1, *sides, enabled=frame + 1 in boxes))
        if FRAMES - 1 in boxes:
            sequence[list(boxes).index(FRAMES - 1)]["enabled"] = order.random() < 0.5
        order.shuffle(sequence)
        result.append(region(*sequence, labels=[label]))
    annotations = read(tmp_path, library, [task(annotation(*result))])
    objects, problems = split(annotations)
    assert problems == []
    names = [category.name for category in annotations.categories]
    assert [names[o.class_id] for o in objects] == [label for label, _ in tracks]
    for found, (_, boxes) in zip(objects, tracks, strict=True):
        assert list(found.frames) == sorted(boxes)
        for frame, corners in zip(found.frames, found.boxes, strict=True):
            assert corners == pytest.approx(boxes[frame], abs=1e-9)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["frame", "x", "labels", "id"]), inner),
    max_leaves=6,
)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), junk=JSON)
def test_wrong_types_anywhere_are_problems(tmp_path, library, data, junk):
    """One value, anywhere in a sound file, becomes something else."""
    content = [task(annotation(region(key(1), key(3)))), task(annotation(region(key(2))), url="lake.mp4", number=2)]
    at, steps = content, []
    while isinstance(at, dict | list) and at and (not steps or data.draw(st.booleans())):
        choices = sorted(at) if isinstance(at, dict) else range(len(at))
        steps.append((at, data.draw(st.sampled_from(choices))))
        at = at[steps[-1][1]]
    holder, name = steps[-1]
    holder[name] = junk
    annotations = read(tmp_path, library, content)
    objects, _ = split(annotations)
    assert objects
    for found in objects:
        assert all(len(box) == 4 for box in found.boxes)
        assert len(found.boxes) == len(found.frames)


def test_the_example():
    example = Path(__file__).parents[4] / "examples"
    annotations = read_labelstudio(example / "labelstudio" / "tasks.json", FrameLibrary(example / "frames")).annotations
    objects, problems = split(annotations)
    assert problems == []
    assert [len(o.frames) for o in objects] == [6, 6, 6, 6, 6, 6, 3]
    assert objects[0].boxes[0] == pytest.approx((68, 28, 111, 71), abs=0.01)
