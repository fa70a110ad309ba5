"""The kinds of errors: hand-made cases, properties of the gains, and TIDE's own program on videos of one frame."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qcen_core.evaluation.average_precision import (
    ANY_SIZE,
    RECALL_POINTS,
    Bands,
    join,
    mean_where_defined,
    precision_recall,
)
from qcen_core.evaluation.error_split import ERRORS, find_errors, mended_precision, split_errors
from qcen_core.evaluation.tube_iou import box_overlap, box_table
from qcen_core.evaluation.video_comparison import FoundTrack, VideoComparison, compare_video, judge_box_tubes
from qcen_core.ops import rle
from qcen_core.records import ObjectTrack, VideoRecord

CLASSES = 3
FRAMES = 10
HERE, THERE, FAR = (0, 0, 10, 10), (50, 0, 60, 10), (0, 50, 10, 60)


def shifted(box, by):
    return (box[0] + by, box[1], box[2] + by, box[3])


def video(results, truths, crowd=()):
    """Results are (boxes, class, score), truths (boxes, class)."""
    frames = len((*results, *truths)[0][0])
    found, true = (box_table([row[0] for row in rows], frames) for rows in (results, truths))
    return VideoComparison(
        name="v",
        scores=np.array([row[2] for row in results], float),
        result_classes=np.array([row[1] for row in results], int),
        truth_classes=np.array([row[1] for row in truths], int),
        crowd=np.array([g in crowd for g in range(len(truths))], bool),
        boxes=box_overlap(found, true),
        masks=None,
        result_sizes=np.zeros(len(results)),
        truth_sizes=np.zeros(len(truths)),
        occlusion=np.full(len(truths), np.nan),
        quirks=None,
    )


def verdicts(results, truths, crowd=()):
    return find_errors(video(results, truths, crowd))


OBJECT = ([HERE] * FRAMES, 0)
OTHER = ([THERE] * FRAMES, 0)
ALONE = {
    "right": [([HERE] * FRAMES, 0, 0.5)],
    "right, of exactly one half": [([HERE] * 5 + [None] * 5, 0, 0.5)],
    "classification": [([HERE] * FRAMES, 1, 0.5)],
    "localisation": [([shifted(HERE, 5)] * FRAMES, 0, 0.5)],  # 50 of 150
    "association, a piece of a track": [([HERE] * 4 + [None] * 6, 0, 0.5)],
    "association, over two objects": [([HERE] * 5 + [THERE] * 5, 0, 0.5)],  # 1 / 3 with each
    "localisation, lost for more than half of its frames": [([HERE] * 4 + [FAR] * 6, 0, 0.5)],
    "association, lost for less than half of its frames": [([HERE] * 6 + [FAR] * 4, 0, 0.5)],  # 6 of 14
    "background": [([FAR] * FRAMES, 0, 0.5)],
    "background, barely an overlap": [([shifted(HERE, 9)] * FRAMES, 0, 0.5)],  # 10 of 190
    "background, loosely on another class": [([shifted(HERE, 5)] * FRAMES, 2, 0.5)],
}


@pytest.mark.parametrize("name", ALONE)
def test_each_kind_alone_is_named_so(name):
    kind = name.split(",")[0]
    found = verdicts(ALONE[name], [OBJECT, OTHER])
    assert found.kinds.tolist() == [kind]
    assert found.objects.tolist() == [-1 if kind == "background" else 0]
    assert found.missed.tolist() == [kind == "background", True]
    assert found.mends.tolist() == [kind not in {"right", "background"}]
    counts = {"missed": 1 + (kind == "background")} | ({} if kind == "right" else {kind: 1})
    assert found.counts() == dict.fromkeys(ERRORS, 0) | counts


def test_an_extent_in_time_that_is_wrong_is_association():
    found = verdicts([([HERE] * 10, 0, 0.5)], [([HERE] * 4 + [None] * 6, 0)])
    assert found.kinds.tolist() == ["association"]


def test_the_worse_of_two_is_a_duplicate_whatever_their_order():
    found = verdicts([([shifted(HERE, 1)] * FRAMES, 0, 0.3), ([shifted(HERE, 2)] * FRAMES, 0, 0.7)], [OTHER, OBJECT])
    assert found.kinds.tolist() == ["duplicate", "right"]
    assert found.objects.tolist() == [1, 1]
    assert found.mends.tolist() == [False, False]


def test_among_objects_covered_alike_the_last_is_taken():
    found = verdicts([([HERE] * FRAMES, 0, 0.3)], [OBJECT, OBJECT, OTHER])
    assert found.objects.tolist() == [1]
    assert found.missed.tolist() == [True, False, True]


def test_crowds_and_results_beyond_the_hundredth_excuse():
    on_crowd = ([THERE] * FRAMES, 0, 0.9)
    found = verdicts([on_crowd, on_crowd, ([FAR] * FRAMES, 0, 0.1)], [OBJECT, OTHER], crowd=(1,))
    assert found.kinds.tolist() == ["excused", "excused", "background"]
    assert found.missed.tolist() == [True, False]
    many = [([FAR] * FRAMES, 0, 0.9)] * 100
    found = verdicts([*many, ([HERE] * FRAMES, 0, 0.5), ([HERE] * FRAMES, 1, 0.5)], [OBJECT])
    assert found.kinds[-2:].tolist() == ["excused", "classification"]


def test_nothing_on_either_side():
    assert verdicts([], [OBJECT]).missed.tolist() == [True]
    assert verdicts([([HERE] * FRAMES, 0, 0.5)], []).kinds.tolist() == ["background"]
    assert set(split_errors([verdicts([([HERE] * FRAMES, 0, 0.5)], [])], CLASSES).gains.values()) == {None}
    assert split_errors([], CLASSES).AP50 is None


def test_gains_worked_out_by_hand():
    """Class 0: a background above one right of two, the other found as class 1. Class 1: its object is missed."""
    results = [([FAR] * FRAMES, 0, 0.9), ([HERE] * FRAMES, 0, 0.8), ([THERE] * FRAMES, 1, 0.7)]
    found = [verdicts(results, [OBJECT, OTHER, ([shifted(FAR, 70)] * FRAMES, 1)])]
    split = split_errors(found, CLASSES)
    # Precision 1/2 up to a recall of 1/2: 51 of 101 points. Class 1 has one false result and finds nothing.
    base = 51 / 101 / 2 / 2
    assert pytest.approx(base) == split.AP50
    assert split.counts == dict.fromkeys(ERRORS, 0) | {"classification": 1, "background": 1, "missed": 1}
    assert split.gains == pytest.approx(
        {
            "classification": (51 * 2 / 3 + 50 * 2 / 3) / 101 / 2 - base,  # both of two found below one false
            "localisation": 0,
            "association": 0,
            "duplicate": 0,
            "background": 51 / 101 / 2 - base,
            "missed": 0,  # class 1 is left without an object, and with a false result
        }
    )
    assert mended_precision(found, CLASSES, ("classification", "missed")) == pytest.approx((2 / 3 + 1) / 2)


def test_one_error_of_an_object_is_made_right_and_the_others_go():
    results = [([shifted(HERE, 5)] * FRAMES, 0, 0.4), ([HERE] * FRAMES, 1, 0.8), ([shifted(HERE, 6)] * FRAMES, 0, 0.9)]
    found = [verdicts(results, [OBJECT])]
    assert found[0].mends.tolist() == [False, False, True]
    split = split_errors(found, CLASSES)
    assert (split.AP50, split.gains["localisation"], split.gains["classification"]) == (0, 1, 0)


def box(scale):
    numbers = st.tuples(*[st.integers(0, 6)] * 2, *[st.integers(1, 5)] * 2)
    return numbers.map(lambda n: (scale * n[0], scale * n[1], scale * (n[0] + n[2]), scale * (n[1] + n[3])))


def tracks(frames):
    steady = st.tuples(box(3), st.lists(st.integers(0, 4), min_size=frames, max_size=frames))
    return steady.map(lambda drawn: [None if step == 4 else shifted(drawn[0], step) for step in drawn[1]])


def sets(frames, *, crowds):
    kind, score = st.integers(0, CLASSES - 1), st.integers(1, 9).map(lambda n: n / 10)
    truths = st.lists(st.tuples(tracks(frames), kind), min_size=1, max_size=5)
    results = st.lists(st.tuples(tracks(frames), kind, score), max_size=7)
    crowd = st.sets(st.integers(1, 4)) if crowds else st.just(frozenset())
    return st.lists(st.builds(video, results, truths, crowd), min_size=1, max_size=3)


@settings(max_examples=150)
@given(sets(5, crowds=True))
def test_no_gain_is_negative_and_mending_all_is_perfect(videos):
    found = [find_errors(one) for one in videos]
    split = split_errors(found, CLASSES)
    judged = join([judge_box_tubes(one, CLASSES, Bands((ANY_SIZE,))) for one in videos])
    assert pytest.approx(mean_where_defined(precision_recall(judged).precision[0])) == split.AP50
    assert min(split.gains.values()) >= -1e-12
    assert mended_precision(found, CLASSES, ERRORS) == 1
    for one in found:
        held = one.objects[one.kinds == "right"].tolist()
        assert len(held) == len(set(held))
        about = set(one.objects.tolist())
        assert all(g in about for g in np.flatnonzero(~one.missed & ~one.crowd).tolist())
        assert not about & set(np.flatnonzero(one.missed | one.crowd).tolist())


@settings(max_examples=30)
@given(sets(5, crowds=False), st.data())
def test_perfect_results_have_no_errors(videos, data):
    for one in videos:
        areas = one.boxes.truth_areas
        shown = areas.sum(axis=0) > 0
        boxes = [
            [(0, 20 * g, int(area), 20 * g + 1) if area else None for area in areas[:, g]] for g in range(len(shown))
        ]
        truths = [(rows, kind) for rows, kind, there in zip(boxes, one.truth_classes, shown, strict=True) if there]
        if truths:
            score = data.draw(st.floats(0, 1))
            split = split_errors([verdicts([(*truth, score) for truth in truths], truths)], CLASSES)
            assert split.AP50 == 1
            assert set(split.gains.values()) == set(split.counts.values()) == {0}


def filled(box):
    mask = np.zeros((61, 67), dtype=bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    return rle.encode(mask)


def blob(random):
    x, y = random.integers(0, 30, 2).tolist()
    return x, y, x + int(random.integers(3, 31)), y + int(random.integers(3, 31))


@pytest.mark.parametrize("with_masks", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_scores_too_low_to_be_shown_get_the_same_verdicts(seed, with_masks):
    """Overlap with other classes is measured for them only where there may be much of it."""
    random = np.random.default_rng(seed)
    record = VideoRecord(1, "v", 61, 67, tuple("abcde"))
    rows = [tuple(blob(random) for _ in range(5)) for _ in range(3)]
    covers = [tuple(map(filled, row)) if with_masks else None for row in rows]
    truths = [ObjectTrack(g + 1, 1, g % 2, row, covers[g]) for g, row in enumerate(rows)]
    results = []
    for place in range(37):
        boxes = [blob(random) if random.random() < place % 7 / 8 else box for box in rows[place % 3]]
        masks = [filled(box)["counts"] if random.random() < 0.9 else None for box in boxes]
        results.append(FoundTrack(place % 5, float(random.random()), masks))
    found, exact = (
        find_errors(compare_video(record, results, truths, with_masks=with_masks, shown_score=score))
        for score in (0.9, 0)
    )
    assert {"classification", "background"} < set(exact.kinds[exact.scores < 0.9].tolist())
    assert found.kinds.tolist() == exact.kinds.tolist()
    assert found.objects.tolist() == exact.objects.tolist()


def scene(random, classes):
    """One frame with objects of all classes, and boxes that lie on or near them, or anywhere."""
    corners = random.uniform(0, 80, (7, 2))
    boxes = np.concatenate([corners, corners + random.uniform(8, 30, (7, 2))], axis=1)
    truths = [
        ([tuple(row)], int(kind))
        for row, kind in zip(boxes, [*range(classes), *random.integers(0, classes, 4)], strict=True)
    ]
    near = boxes[random.integers(0, 7, 13)] + random.normal(0, random.choice([0.5, 4, 9], (13, 1)), (13, 4))
    near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)
    results = [
        ([tuple(row)], int(kind), float(score))
        for row, kind, score in zip(near, random.integers(0, classes, 13), random.random(13), strict=True)
    ]
    return [*results, *[(*truth, float(random.random())) for truth in truths[:classes]]], truths


def plain_ap50(data):
    """AP of what TIDE says is true and false: its own differs where a recall falls on a point by rounding."""
    values = []
    for kind in data.objs.values():
        found = [true for _, true, _ in sorted(kind.data_points.values(), key=lambda point: -point[0])]
        hits = np.cumsum(found)
        curve = [(hit / kind.num_gt_positives, hit / (place + 1)) for place, hit in enumerate(hits)]
        values.append(np.mean([max([p for r, p in curve if r >= point], default=0) for point in RECALL_POINTS]))
    return np.mean(values)


@pytest.mark.parametrize("seed", range(7))
def test_tide_finds_the_same_in_videos_of_one_frame(seed):
    from tidecv import TIDE, Data
    from tidecv.errors import main_errors as tide

    random = np.random.default_rng(seed)
    scenes = [scene(random, CLASSES) for _ in range(5)]
    sides = Data("gt"), Data("results")
    for number, (results, truths) in enumerate(scenes):
        for (x1, y1, x2, y2), kind in ((row[0][0], row[1]) for row in truths):
            sides[0].add_ground_truth(number, kind, box=[x1, y1, x2 - x1, y2 - y1])
        for (x1, y1, x2, y2), kind, score in ((row[0][0], *row[1:]) for row in results):
            sides[1].add_detection(number, kind, score, box=[x1, y1, x2 - x1, y2 - y1])
    run = TIDE(mode=TIDE.BOX).evaluate(*sides)
    found = [verdicts(*one) for one in scenes]
    split = split_errors(found, CLASSES)

    groups = {
        "classification": (tide.ClassError,),
        "localisation": (tide.BoxError,),
        "duplicate": (tide.DuplicateError,),
        "background": (tide.BackgroundError, tide.OtherError),
        "missed": (tide.MissedError,),
    }
    count = run.count_errors()
    theirs = {kind: sum(count[error] for error in group) for kind, group in groups.items()}
    assert split.counts == {"association": 0} | theirs
    assert min(theirs.values()) > 0
    assert pytest.approx(plain_ap50(run.ap_data)) == split.AP50
    assert pytest.approx(run.ap / 100, abs=0.01) == split.AP50
    for kind, group in groups.items():
        mended = run.fix_errors(lambda error, group=group: isinstance(error, group))
        assert split.gains[kind] == pytest.approx(plain_ap50(mended) - split.AP50, abs=1e-12), kind
