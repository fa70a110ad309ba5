"""Precision of groups of objects: against COCO's program, whose areas are made what objects are grouped by."""

import io
from contextlib import redirect_stdout
from dataclasses import replace

import numpy as np
import pytest
from made_tracks import HEIGHT, NAMES, WIDTH, found_track, report_of, truth_track
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from qcen_core.evaluation.breakdown import covered_shares
from qcen_core.ops import rle

FRAMES = (13, 29, 7)
MODES = ("mask", "box")


def random_boxes(rng, frames):
    first, last = sorted(rng.integers(0, frames + 1, 2).tolist())
    width, height = rng.integers(31, (WIDTH - 37, HEIGHT - 37))
    x, y = rng.integers(0, 3, frames).cumsum(), rng.integers(0, 3, frames).cumsum()
    x0, y0 = rng.integers(0, (WIDTH - width, HEIGHT - height))
    boxes = np.stack([x0 + x, y0 + y, (x0 + x + width), (y0 + y + height)], axis=1).clip(0, [WIDTH, HEIGHT] * 2)
    return [tuple(map(float, box)) if first <= frame <= last else None for frame, box in enumerate(boxes)]


def shaken(rng, boxes):
    shift = float(rng.integers(0, 9))
    return [None if box is None or rng.random() < 0.1 else (box[0] + shift, *box[1:]) for box in boxes]


def random_case(seed):
    rng = np.random.default_rng(seed)
    truths, results = [], []
    for video, frames in enumerate(FRAMES, start=1):
        for _ in range(5):
            boxes = random_boxes(rng, frames)
            if not any(boxes):
                continue
            kind = int(rng.integers(2))
            truths.append(truth_track(len(truths) + 1, boxes, kind, video))
            for copy in range(rng.integers(3)):
                there = shaken(rng, boxes) if copy else boxes
                results.append(found_track(len(results) + 1, there, kind, rng.random(), video))
        for _ in range(3):
            boxes = random_boxes(rng, frames)
            results.append(found_track(len(results) + 1, boxes, int(rng.integers(2)), rng.random(), video))
    return truths, results


def pixels(track):
    """(F, H, W) bool."""
    masks = np.zeros((len(track.segmentations), HEIGHT, WIDTH), bool)
    for mask, box in zip(masks, boxes_of(track), strict=True):
        x1, y1, x2, y2 = map(int, box or (0, 0, 0, 0))
        mask[y1:y2, x1:x2] = True
    return masks


def boxes_of(track):
    return [None if mask is None else rle.bounding_box(mask) for mask in track.segmentations]


def length(track, _truths):
    return sum(mask is not None for mask in track.segmentations)


def size(track, _truths):
    areas = pixels(track).sum(axis=(1, 2))
    return areas[areas > 0].mean() if areas.any() else 0


def twins(track, truths):
    return sum(t.video_id == track.video_id and t.class_id == track.class_id for t in truths) - 1


def occlusion(track, truths):
    mine = pixels(track)
    others = [pixels(t) for t in truths if t.video_id == track.video_id and t is not track]
    shares = sorted(max((mask & o[f]).sum() for o in others) / mask.sum() for f, mask in enumerate(mine) if mask.any())
    worst = shares[len(shares) // 2 :]
    return sum(worst) / len(worst)


class TubeEval(COCOeval):
    """COCO's evaluation of whole tracks, whose IoU is told."""

    def computeIoU(self, imgId, catId):  # noqa: N802, N803  # its names
        found, true = self._dts[imgId, catId], self._gts[imgId, catId]
        order = np.argsort([-d["score"] for d in found], kind="mergesort")
        return np.array([[self.table[found[d]["id"] - 1, t["id"] - 1] for t in true] for d in order])


def coco_figures(truths, results, truth_values, result_values, table, low, high):
    """AP, AP50, AR100 and number of objects of a band of values, as the program for images finds them."""

    def row(track, value, **more):
        box = [0, 0, float(value), 1]
        return {"image_id": track.video_id, "category_id": track.class_id + 1, "bbox": box, "area": box[2], **more}

    truth = COCO()
    truth.dataset = {
        "images": [{"id": video + 1} for video in range(len(FRAMES))],
        "categories": [{"id": 1}, {"id": 2}],
        "annotations": [
            row(track, value, id=number, iscrowd=0)
            for number, (track, value) in enumerate(zip(truths, truth_values, strict=True), start=1)
        ],
    }
    with redirect_stdout(io.StringIO()):
        truth.createIndex()
        found = truth.loadRes([row(r, v, score=r.score) for r, v in zip(results, result_values, strict=True)])
        program = TubeEval(truth, found, "bbox")
        program.table = table
        program.params.areaRng, program.params.areaRngLbl = [[low, high]], ["band"]
        program.evaluate()
        program.accumulate()
    precision, recall = program.eval["precision"][..., 0, -1], program.eval["recall"][:, :, 0, -1]
    inside = sum(low <= value <= high for value in truth_values)
    means = [part[part > -1].mean() if (part > -1).any() else None for part in (precision, precision[0], recall)]
    return (*means, inside)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("quality", [length, size, twins, occlusion])
def test_bands_are_what_coco_makes_of_areas(quality, mode):
    truths, results = random_case(5)
    tubes = [pixels(track) for track in results], [pixels(track) for track in truths]
    table = np.zeros((len(results), len(truths)))
    for d, g in np.ndindex(table.shape):
        if results[d].video_id == truths[g].video_id:
            union = (tubes[0][d] | tubes[1][g]).sum()
            table[d, g] = (tubes[0][d] & tubes[1][g]).sum() / union if union else 0
    values = [quality(track, truths) for track in truths]
    own = [quality(track, truths) for track in results] if quality in (length, size) else None
    rows = report_of(results, truths, mode, FRAMES).breakdown[quality.__name__]
    assert sum(row["objects"] > 0 for row in rows) >= 2
    for row in rows:
        high = 1e10 if row["to"] is None else row["to"]
        theirs = own or [row["from"]] * len(results)
        expected = coco_figures(truths, results, values, theirs, table, row["from"], high)
        ours = (row["AP"], row["AP50"], row["AR100"], row["objects"])
        assert ours == tuple(None if value is None else pytest.approx(value) for value in expected)


@pytest.mark.parametrize("mode", MODES)
def test_bands_by_hand(mode):
    """A cat that is found and one that is not, a lone dog over many frames, and a crowd that is no twin."""
    box, other = (10.0, 10.0, 50.0, 60.0), (100.0, 10.0, 350.0, 310.0)
    frames = 12
    truths = [
        truth_track(1, [box] * 3 + [None] * 9),
        truth_track(2, [(60.0, 10.0, 90.0, 60.0)] * frames),
        truth_track(3, [other] * frames, class_id=1),
        truth_track(4, [(0.0, 0.0, 400.0, 300.0)] * frames, class_id=1, crowd=True),
    ]
    results = [found_track(1, [box] * 3 + [None] * 9), found_track(2, [other] * frames, class_id=1)]
    found = report_of(results, truths, mode, (frames,)).breakdown
    told = {
        kind: [(row["label"], row["objects"], row["AP"]) for row in rows if row["objects"]]
        for kind, rows in found.items()
    }
    assert told == {
        "length": [("1 to 10 frames", 1, 1), ("11 to 20", 2, 0.5)],
        "size": [("small", 2, pytest.approx(51 / 101)), ("large", 1, 1)],
        "occlusion": [("light", 3, pytest.approx((1 + 51 / 101) / 2))],
        "twins": [("alone", 1, 1), ("1 twin", 2, pytest.approx(51 / 101))],
    }
    assert [(row["from"], row["to"]) for row in found["twins"]] == [(0, 0), (1, 1), (2, 3), (4, None)]
    assert found["size"][2]["to"] is None
    empty = [row for rows in found.values() for row in rows if not row["objects"]]
    assert {row[name] for row in empty for name in ("AP", "AP50", "AR100")} == {None}
    assert NAMES[1] == "dog"


@pytest.mark.parametrize("mode", MODES)
def test_occlusion_that_is_told_is_believed(mode):
    box = (10.0, 10.0, 50.0, 60.0)
    truths = [replace(truth_track(1, [box] * 3), occlusion=(0.75, 0.75, 0.0))]
    found = report_of([], truths, mode).breakdown["occlusion"]
    assert [row["objects"] for row in found] == [0, 0, 1]


def test_a_box_is_covered_by_the_other_that_covers_most():
    boxes = np.array([[[0, 0, 10, 10], [5, 0, 15, 10], [0, 0, 3, 10], [0, 0, 99, 99], [0, 0, 0, 0]]], float)
    shares = covered_shares(boxes, np.array([False, False, False, True, False]))
    assert shares[:3].tolist() == [0.5, 0.5, 1]
    assert np.isnan(shares[3:]).all()
