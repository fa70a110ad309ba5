"""The evaluator against a slow plain restatement of the official definition, and against COCO's own code."""

import contextlib
import io
import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from qcen_core.evaluation.evaluate import OFFICIAL_FIGURES, evaluate
from qcen_core.ops import rle
from qcen_core.records import Category, ObjectTrack, TrackDataset, TrackResult, VideoRecord
from qcen_core.trackfile import write_annotations

HEIGHT, WIDTH = 331, 347
LIMITS = (128**2, 256**2)


# A track is written as one rectangle (x1, y1, x2, y2) a frame, or None. Rectangles make the reference plain:
# a mask is its set of pixels, and the number of common pixels of two rectangles is a product.


def pixels(box):
    return 0 if box is None else max(0, box[2] - box[0]) * max(0, box[3] - box[1])


def common(a, b):
    if a is None or b is None:
        return 0
    return pixels((max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3]))) * (
        pixels(a) > 0 and pixels(b) > 0
    )


def video_iou(a, b):
    shared = union = 0
    # The official program looks at pairs as far as both sides go. Without quirks they are equally long.
    for x, y in zip(a, b, strict=False):
        shared += common(x, y)
        union += pixels(x) + pixels(y) - common(x, y)
    return shared / union if union > 0 else 0.0


def size(boxes):
    seen = [pixels(box) for box in boxes if pixels(box) > 0]
    return sum(seen) / len(seen) if seen else 0


def stated_size(track):
    seen = [area for area in track["areas"] if area]
    return sum(seen) / len(seen) if seen else 0


def occlusion(track):
    """The mean of the more hidden half of the frames that tell it."""
    told = sorted((value for value in track["occlusion"] if value is not None), reverse=True)
    half = told[: math.ceil(len(told) / 2)]
    return sum(half) / len(half)


def assign(found, true, threshold, low, high, hidden, quirks):
    """The fate of each result of one video and class, best score first: a list of (score, fate)."""
    measure = stated_size if quirks else lambda t: size(t["boxes"])
    skip = [t["crowd"] or not low <= measure(t) <= high for t in true]
    if hidden is not None:
        skip = [s or not hidden[0] <= occlusion(t) <= hidden[1] for s, t in zip(skip, true, strict=True)]
    order = [i for i, s in enumerate(skip) if not s] + [i for i, s in enumerate(skip) if s]
    taken, fates = set(), []
    for result in sorted(found, key=lambda r: -r["score"])[:100]:
        best, least = None, min(threshold, 1 - 1e-10)
        for i in order:
            if i in taken and not true[i]["crowd"]:
                continue
            if best is not None and not skip[best] and skip[i]:
                break
            overlap = video_iou(result["boxes"], true[i]["boxes"])
            if overlap >= least:
                best, least = i, overlap
        if best is not None:
            taken.add(best)
        if best is not None and skip[best]:
            fates.append((result["score"], "skip"))
        elif best is not None and not (quirks and true[best]["id"] == 0):
            fates.append((result["score"], "hit"))
        else:
            fates.append((result["score"], "miss" if low <= size(result["boxes"]) <= high else "skip"))
    return fates, skip.count(False)


def curve(found, true, videos, threshold, band, cap, quirks=False):
    """Precision at the 101 recall points and the recall reached, or None without ground truth."""
    fates, objects = [], 0
    for video in videos:
        here, count = assign(
            [r for r in found if r["video"] == video],
            [t for t in true if t["video"] == video],
            threshold,
            *band,
            quirks,
        )
        fates += here[:cap]
        objects += count
    if objects == 0:
        return None
    points, hits, misses = [], 0, 0
    for _, fate in sorted(fates, key=lambda f: -f[0]):
        hits += fate == "hit"
        misses += fate == "miss"
        points.append((hits / objects, hits / (hits + misses) if hits + misses else 0.0))
    levels = np.linspace(0, 1, 101).tolist()
    precision = [max((p for r, p in points if r >= level), default=0.0) for level in levels]
    return precision, hits / objects


def reference(found, true, videos, classes, quirks=False):
    bands = {
        "": (0, 1e10, None),
        "s": (0, LIMITS[0], None),
        "m": (LIMITS[0], LIMITS[1], None),
        "l": (LIMITS[1], 1e10, None),
        "_light": (0, 1e10, (0, 0.25)),
        "_medium": (0, 1e10, (0.25, 0.5)),
        "_heavy": (0, 1e10, (0.5, 1)),
    }
    thresholds = np.linspace(0.5, 0.95, 10).tolist()

    def over(wanted, band, cap, part):
        values = []
        for threshold, kind in itertools.product(wanted, classes):
            of_class = [[x for x in side if x["class"] == kind] for side in (found, true)]
            if (found_curve := curve(*of_class, videos, threshold, bands[band], cap, quirks)) is not None:
                values += found_curve[0] if part == "AP" else [found_curve[1]]
        return math.fsum(values) / len(values) if values else None

    return {
        "AP": over(thresholds, "", 100, "AP"),
        "AP50": over(thresholds[:1], "", 100, "AP"),
        "AP75": over(thresholds[5:6], "", 100, "AP"),
        **{f"AP{b}": over(thresholds, b, 100, "AP") for b in "sml"},
        **{f"AR{cap}": over(thresholds, "", cap, "AR") for cap in (1, 10, 100)},
        **{f"AR{b}": over(thresholds, b, 100, "AR") for b in "sml"},
        **(
            {f"{part}{b}": over(thresholds, b, 100, part) for part in ("AP", "AR") for b in bands if b.startswith("_")}
            if true and all(t.get("occlusion") for t in true)
            else {}
        ),
    }


def by_class(found, true, videos, kind):
    """AP at each threshold of one class, or None without ground truth."""
    of_class = [[x for x in side if x["class"] == kind] for side in (found, true)]
    curves = [curve(*of_class, videos, t, (0, 1e10, None), 100) for t in np.linspace(0.5, 0.95, 10).tolist()]
    return None if None in curves else [math.fsum(points) / 101 for points, _ in curves]


def mask(box):
    if box is None:
        return None
    array = np.zeros((HEIGHT, WIDTH), dtype=bool)
    array[box[1] : box[3], box[0] : box[2]] = True
    return rle.encode(array)


def truth_of(true, lengths, classes):
    videos = tuple(
        VideoRecord(number, f"v{number}", HEIGHT, WIDTH, tuple(f"{number}/{i}.jpg" for i in range(length)))
        for number, length in lengths.items()
    )
    tracks = tuple(
        ObjectTrack(
            id=t.get("id", index),
            video_id=t["video"],
            class_id=t["class"],
            boxes=tuple(t["boxes"]),
            segmentations=tuple(mask(box) for box in t["boxes"]),
            is_crowd=t["crowd"],
            occlusion=t.get("occlusion"),
            areas=t.get("areas"),
        )
        for index, t in enumerate(true)
    )
    categories = tuple(Category(10 * kind + 3, f"c{kind}") for kind in classes)
    return TrackDataset(categories, videos, tracks)


def ours(found, true, lengths, classes, **options):
    results = [
        TrackResult(r["video"], index + 1, r["class"], r["score"], tuple(mask(box) for box in r["boxes"]))
        for index, r in enumerate(found)
    ]
    return evaluate(results, truth_of(true, lengths, classes), **options)


def ours_of_files(folder, found, true, lengths, classes, **options):
    """As `ours`, by way of files; empty masks are written as masks, and records of videos come mixed."""
    truth = truth_of(true, lengths, classes)
    write_annotations(truth, folder / "truth.json")
    if options.get("official_quirks"):
        written = json.loads((folder / "truth.json").read_text())
        for annotation, t in zip(written["annotations"], true, strict=True):
            annotation["areas"] = t["areas"]
        (folder / "truth.json").write_text(json.dumps(written))
    records = [
        {
            "segmentations": [mask(box) for box in r["boxes"]],
            "category_id": 10 * r["class"] + 3,
            "video_id": r["video"],
            "score": r["score"],
        }
        for r in found
    ]
    (folder / "results.json").write_text(json.dumps(records))
    return evaluate(folder / "results.json", folder / "truth.json", **options)


def require_equal(report, expected):
    for name in expected:
        value = report.occlusion[name] if "_" in name else getattr(report, name)
        assert (value is None) == (expected[name] is None), (name, value, expected[name])
        if value is not None:
            assert value == pytest.approx(expected[name], abs=1e-9), name


# Few corners, so that results often fit ground truth well, equal each other, and tie; three bands of size.
GROUND = [(10, 10, 70, 83), (20, 5, 190, 205), (0, 0, 300, 290), (40, 30, 100, 103), (200, 220, 201, 221)]
SHIFTS = [(0, 0, 0, 0), (0, 0, 0, 0), (5, 3, 5, 3), (0, 10, 0, 0), (0, 0, 20, 0), (17, 0, 0, 29)]


HIDDEN = st.sampled_from([None, 0, 0.25, 0.75])


@st.composite
def moved(draw, box):
    """The box, a little off, or empty, or absent."""
    kind = draw(st.integers(0, 9))
    if box is None or kind == 0:
        return None
    if kind == 1:
        return (box[0], box[1], box[0], box[1])
    return tuple(a + b for a, b in zip(box, draw(st.sampled_from(SHIFTS)), strict=True))


@st.composite
def cases(draw):
    lengths = draw(st.dictionaries(st.integers(0, 9), st.integers(1, 3), min_size=1, max_size=3))
    videos, classes = sorted(lengths), range(3)
    kinds = st.sampled_from([0, 0, 1, 2])
    true, found = [], []
    for number in draw(st.permutations(range(5)))[: draw(st.integers(0, 5))]:
        video = draw(st.sampled_from(videos))
        boxes = [draw(st.sampled_from([*GROUND, None])) for _ in range(lengths[video])]
        true.append(
            {
                "id": number,
                "video": video,
                "class": draw(kinds),
                "boxes": boxes,
                "crowd": draw(st.integers(0, 5)) == 0,
                # Not always those of the masks: the official program believes them.
                "areas": [draw(st.sampled_from([pixels(box), pixels(box), None, 40000])) for box in boxes],
                "occlusion": [draw(st.sampled_from([0, 0.25, 0.75])), *[draw(HIDDEN) for _ in boxes[1:]]],
            }
        )
    for _ in range(draw(st.integers(0, 9))):
        if true and draw(st.integers(0, 4)):
            model = draw(st.sampled_from(true))
        else:
            video = draw(st.sampled_from(videos))
            model = {"video": video, "class": draw(kinds), "boxes": [GROUND[0]] * lengths[video]}
        boxes = [draw(moved(box)) for box in model["boxes"]]
        score = draw(st.sampled_from([0.1, 0.3, 0.5, 0.5, 0.9]))
        found.append({"video": model["video"], "class": model["class"], "boxes": boxes, "score": score})
    return found, true, lengths, classes


@settings(max_examples=150)
@given(cases())
def test_all_figures_are_those_of_the_definition(case):
    found, true, lengths, classes = case
    report = ours(*case)
    require_equal(report, reference(found, true, sorted(lengths), classes))
    for kind in classes:
        expected = by_class(found, true, sorted(lengths), kind)
        assert report.per_class_at[f"c{kind}"] == (None if expected is None else pytest.approx(expected, abs=1e-9))


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cases(), st.data())
def test_with_quirks_figures_are_those_of_the_official_program(tmp_path, case, data):
    found, true, lengths, classes = case
    for result in found:
        change = data.draw(st.sampled_from([0, 0, 0, -1, 1]))
        result["boxes"] = [*result["boxes"], GROUND[1]][: len(result["boxes"]) + change]
    expected = reference(found, true, sorted(lengths), classes, quirks=True)
    require_equal(ours(*case, official_quirks=True), expected)
    require_equal(ours_of_files(tmp_path, *case, official_quirks=True), expected)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cases())
def test_files_give_the_figures_of_what_they_hold(tmp_path, case):
    report = ours_of_files(tmp_path, *case)
    assert report == ours(*case)
    require_equal(report, reference(case[0], case[1], sorted(case[2]), case[3]))


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_share_the_work_without_changing_it(tmp_path, processes):
    rng = np.random.default_rng(3)
    lengths = dict.fromkeys((7, 2, 5), 2)
    true = [
        {"video": v, "class": k, "boxes": [GROUND[k]] * 2, "crowd": False, "id": 10 * v + k}
        for v in lengths
        for k in (0, 1)
    ]
    found = [
        {"video": int(v), "class": int(k), "boxes": [GROUND[k], GROUND[k + d]], "score": float(s)}
        for v, k, d, s in zip(
            rng.permutation([2, 5, 7] * 9),
            rng.integers(0, 2, 27),
            rng.integers(0, 2, 27),
            rng.integers(0, 5, 27) / 5,
            strict=True,
        )
    ]
    shared = ours_of_files(tmp_path, found, true, lengths, range(2), processes=processes)
    assert shared == ours(found, true, lengths, range(2))
    require_equal(shared, reference(found, true, sorted(lengths), range(2)))


@pytest.mark.parametrize("seed", range(3))
def test_more_results_than_the_cap(seed):
    rng = np.random.default_rng(seed)
    true = [{"video": v, "class": 0, "boxes": [GROUND[i]] * 2, "crowd": False} for v in (1, 2) for i in (0, 1, 2)]
    found = []
    for v in (1, 2):
        # The better a result, the lower its score tends to be: some objects are found beyond the cap only.
        for shift in range(113):
            x1, y1, x2, y2 = GROUND[rng.integers(3)]
            score = float(rng.integers(shift, shift + 40)) / 160
            found.append({"video": v, "class": 0, "boxes": [(x1, y1 + shift // 2, x2, y2)] * 2, "score": score})
    figures = reference(found, true, [1, 2], range(1))
    assert figures["AR100"] > figures["AR10"]
    require_equal(ours(found, true, {1: 2, 2: 2}, range(1)), figures)


TWINS = [{"video": 1, "class": 0, "boxes": [(x, 0, x + 100, 100)], "crowd": False} for x in (0, 20)]
BETWEEN = [
    {"video": 1, "class": 0, "boxes": [(x, 0, x + 100, 100)], "score": score} for x, score in ((10, 0.9), (0, 0.8))
]


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_equally_near_objects_the_last_is_taken(order):
    true = TWINS[::order]
    report = ours(BETWEEN, true, {1: 1}, range(1))
    require_equal(report, reference(BETWEEN, true, [1], range(1)))
    require_equal(report, coco_figures(BETWEEN, true, {1: 1}, range(1)))


def coco_figures(found, true, lengths, classes):
    """What COCO's own code says of videos of one frame, with the bands of YouTube-VIS."""
    truth, quiet = COCO(), io.StringIO()
    truth.dataset = {
        "images": [{"id": number, "height": HEIGHT, "width": WIDTH} for number in lengths],
        "categories": [{"id": kind, "name": str(kind)} for kind in classes],
        "annotations": [
            {
                "id": index + 1,
                "image_id": t["video"],
                "category_id": t["class"],
                "segmentation": mask(t["boxes"][0]),
                "area": pixels(t["boxes"][0]),
                "bbox": list(t["boxes"][0]),
                "iscrowd": 0,
            }
            for index, t in enumerate(true)
        ],
    }
    rows = [
        {
            "image_id": r["video"],
            "category_id": r["class"],
            "score": r["score"],
            "segmentation": mask(r["boxes"][0]),
        }
        for r in found
    ]
    with contextlib.redirect_stdout(quiet):
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(rows), "segm")
        low, high = (float(limit) for limit in LIMITS)
        evaluation.params.areaRng = [[0, 1e10], [0, low], [low, high], [high, 1e10]]
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return dict(zip(OFFICIAL_FIGURES, (None if s == -1 else s for s in evaluation.stats), strict=True))


@settings(max_examples=100)
@given(cases())
def test_one_frame_is_an_image_to_coco(case):
    found, true, lengths, classes = case
    lengths = dict.fromkeys(lengths, 1)
    true = [t | {"boxes": [t["boxes"][0] or GROUND[0]], "crowd": False} for t in true]
    found = [r | {"boxes": [r["boxes"][0] or GROUND[0]]} for r in found]
    found.append({"video": min(lengths), "class": 2, "boxes": [GROUND[4]], "score": 0.7})
    require_equal(ours(found, true, lengths, classes), coco_figures(found, true, lengths, classes))


@settings(max_examples=100)
@given(cases())
def test_boxes_of_frames_are_boxes_of_images_to_coco(case):
    found, true, lengths, classes = case
    found = [*found, {"video": min(lengths), "class": 2, "boxes": [GROUND[4]] * lengths[min(lengths)], "score": 0.7}]
    truth, quiet = COCO(), io.StringIO()

    def rows(tracks):
        for track in tracks:
            for frame, box in enumerate(track["boxes"]):
                if pixels(box) > 0:
                    place = [box[0], box[1], box[2] - box[0], box[3] - box[1]]
                    yield (
                        track,
                        {
                            "image_id": 10 * track["video"] + frame,
                            "category_id": track["class"],
                            "bbox": place,
                            "area": pixels(box),
                        },
                    )

    truth.dataset = {
        "images": [{"id": 10 * video + frame} for video, length in lengths.items() for frame in range(length)],
        "categories": [{"id": kind, "name": str(kind)} for kind in classes],
        "annotations": [
            row | {"id": index + 1, "iscrowd": int(track["crowd"])} for index, (track, row) in enumerate(rows(true))
        ],
    }
    with contextlib.redirect_stdout(quiet):
        truth.createIndex()
        results = truth.loadRes([row | {"score": track["score"]} for track, row in rows(found)])
        evaluation = COCOeval(truth, results, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    report = ours(found, true, lengths, classes)
    for name, expected in zip(("frame_AP", "frame_AP50"), evaluation.stats[:2], strict=True):
        assert report.box[name] == (None if expected == -1 else pytest.approx(expected, abs=1e-9))
