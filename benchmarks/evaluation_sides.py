"""What evaluation is measured against: the least that reading must cost, and the official procedure done plainly."""

import json
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from pycocotools import mask as coco_mask

from qcen_core.evaluation.average_precision import IOU_THRESHOLDS, RECALL_POINTS, VIDEO_BANDS

Track = dict[str, Any]


def read_and_count(results: Path, truth: Path) -> None:
    """The floor: both files parsed, and the area of every mask of the results taken in two processes."""
    orjson.loads(truth.read_bytes())
    records = orjson.loads(results.read_bytes())
    child = os.fork()
    for record in records[: len(records) // 2] if child else records[len(records) // 2 :]:
        # One by one in C, not in Python: all masks of a record at once.
        coco_mask.area([mask for mask in record["segmentations"] if mask is not None])
    if not child:
        os._exit(0)
    os.waitpid(child, 0)


def official_procedure(results: Path, truth: Path) -> dict[str, float]:
    """AP of masks by the definition, pair by pair and frame by frame, in the order of steps of the official program."""
    ground = json.loads(truth.read_text(encoding="utf-8"))
    found = json.loads(results.read_text(encoding="utf-8"))
    for track in found:
        track["areas"] = [None if mask is None else coco_mask.area(mask) for mask in track["segmentations"]]
        track["bboxes"] = [None if mask is None else coco_mask.toBbox(mask) for mask in track["segmentations"]]
    sides: list[defaultdict[tuple[int, int], list[Track]]] = [defaultdict(list), defaultdict(list)]
    for side, tracks in zip(sides, (found, ground["annotations"]), strict=True):
        for track in tracks:
            seen = [area for area in track["areas"] if area]
            track["size"] = sum(seen) / len(seen) if seen else 0.0
            side[track["video_id"], track["category_id"]].append(track)
    videos = sorted(video["id"] for video in ground["videos"])
    kinds = sorted(category["id"] for category in ground["categories"])
    similarity = {}
    for key in ((video, kind) for video in videos for kind in kinds):
        sides[0][key].sort(key=lambda track: -track["score"])
        sides[0][key] = sides[0][key][:100]
        similarity[key] = [[video_iou(d, g) for g in sides[1][key]] for d in sides[0][key]]
    precisions: list[list[float]] = []
    for low, high in VIDEO_BANDS:
        for kind in kinds:
            keys = [(video, kind) for video in videos]
            fates = [match(sides[0][k], sides[1][k], similarity[k], low, high) for k in keys]
            precisions += precision_curves(fates)
    return {"AP": float(np.mean(precisions)) if precisions else 0.0}


def video_iou(result: Track, truth: Track) -> float:
    shared = union = 0.0
    for a, b in zip(result["segmentations"], truth["segmentations"], strict=True):
        if a is not None and b is not None:
            shared += float(coco_mask.area(coco_mask.merge([a, b], intersect=True)))
            union += float(coco_mask.area(coco_mask.merge([a, b])))
        elif a is not None or b is not None:
            union += float(coco_mask.area(a if b is None else b))
    return shared / union if union else 0.0


def match(
    results: list[Track], truths: list[Track], similarity: list[list[float]], low: float, high: float
) -> tuple[list[float], list[list[str]], int]:
    """Scores, the fate of each result at each threshold, and the number of truths in the band."""
    skip = [bool(t["iscrowd"]) or not low <= t["size"] <= high for t in truths]
    order = sorted(range(len(truths)), key=lambda place: skip[place])
    fates = []
    for threshold in IOU_THRESHOLDS:
        taken, row = set(), []
        for place, result in enumerate(results):
            best, least = -1, min(threshold, 1 - 1e-10)
            for g in order:
                if g in taken and not truths[g]["iscrowd"]:
                    continue
                if best >= 0 and not skip[best] and skip[g]:
                    break
                if similarity[place][g] >= least:
                    best, least = g, similarity[place][g]
            if best >= 0:
                taken.add(best)
                row.append("skipped" if skip[best] else "hit")
            else:
                row.append("miss" if low <= result["size"] <= high else "skipped")
        fates.append(row)
    return [result["score"] for result in results], fates, skip.count(False)


def precision_curves(fates: list[tuple[list[float], list[list[str]], int]]) -> list[list[float]]:
    """Precision at the recall points, one curve a threshold; none where there is no truth."""
    truths = sum(count for _, _, count in fates)
    if not truths:
        return []
    order = np.argsort([-score for scores, _, _ in fates for score in scores], kind="stable")
    curves = []
    for threshold in range(len(IOU_THRESHOLDS)):
        row = np.array([fate for _, rows, _ in fates for fate in rows[threshold]], dtype=object)[order]
        hits, misses = np.cumsum(row == "hit"), np.cumsum(row == "miss")
        recall = hits / truths
        precision = (hits / np.maximum(hits + misses, 1)).tolist()
        for place in range(len(precision) - 1, 0, -1):
            precision[place - 1] = max(precision[place - 1], precision[place])
        places = np.searchsorted(recall, RECALL_POINTS, side="left")
        curves.append([precision[place] if place < len(precision) else 0.0 for place in places.tolist()])
    return curves
