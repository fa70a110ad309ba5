"""A small evaluation to make pages of: two videos, their results, and the figures as `report.json` has them."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from qcen_core.ops.rle import bounding_box, encode
from qcen_core.records import Category, ObjectTrack, TrackDataset, TrackResult, VideoRecord
from qcen_core.resultfile import write_results
from qcen_core.trackfile import write_annotations

HEIGHT, WIDTH, FRAMES = 61, 97, 7
CATEGORIES = (Category(4, "dog"), Category(9, "cat"))


def disc(frame: int, column: int = 20) -> np.ndarray:
    rows, columns = np.indices((HEIGHT, WIDTH))
    return (rows - 30) ** 2 + (columns - column - 7 * frame) ** 2 < 150


def write_evaluation(root: Path) -> tuple[Path, Path]:
    """Frames, `truth.json` and `results.json` in a folder; gives the two files."""
    videos, tracks = [], []
    masks = tuple(encode(disc(frame)) for frame in range(FRAMES))
    boxes = tuple(bounding_box(mask) for mask in masks)
    for number in (1, 2):
        files = tuple(f"v{number}/{frame:05d}.png" for frame in range(FRAMES))
        (root / "JPEGImages" / f"v{number}").mkdir(parents=True)
        for frame, file in enumerate(files):
            image = np.full((HEIGHT, WIDTH, 3), 40 + 20 * frame, np.uint8)
            cv2.imwrite(str(root / "JPEGImages" / file), image)
        videos.append(VideoRecord(number, f"v{number}", HEIGHT, WIDTH, files))
        tracks.append(ObjectTrack(10 * number, number, 0, boxes, masks))
    truth = TrackDataset(CATEGORIES, tuple(videos), tuple(tracks))
    far = tuple(encode(disc(0, 90)) for _ in range(FRAMES))
    found = [TrackResult(1, 0, 1, 0.9, far), TrackResult(2, 0, 0, 0.8, masks), TrackResult(1, 0, 0, 0.6, masks)]
    write_annotations(truth, root / "truth.json")
    write_results(found, CATEGORIES, root / "results.json")
    return root / "truth.json", root / "results.json"


def made_up_figures(names: tuple[str, ...] = ("dog", "cat")) -> dict[str, Any]:
    """Every key that a page looks for."""
    count = len(names)
    group = {"label": "1 to 5", "from": 1, "to": 5, "objects": 13, "AP": 0.25, "AP50": 0.5, "AR100": None}
    alphas = [0.05 * (place + 1) for place in range(19)]
    kinds = ("classification", "localisation", "association", "duplicate", "background", "missed")
    gains = dict(zip(kinds, (0.01, 0.125, 0.05, 0.0, 0.02, None), strict=True))
    return {
        "AP": 0.413,
        "AP50": 0.6,
        "AP75": None,
        "measured_on": "mask",
        "per_class": {name: place / count for place, name in enumerate(names)},
        "per_class_at": {name: [1 - place / count] * 10 for place, name in enumerate(names)},
        "box_per_class": dict.fromkeys(names),
        "per_class_hota": {name: None if place == 0 else 0.5 for place, name in enumerate(names)},
        "videos": {"v1": 0.25, "v2": 0.75},
        "curves": {
            "iou_thresholds": [0.5, 0.55],
            "AP": [0.75, 0.5],
            "recall": [0, 1],
            "precision": [[1, 0.5], [1, 0.25]],
        },
        "hota": {
            "HOTA": 0.612, "DetA": 0.634, "AssA": 0.598, "IDF1": None, "IDSW": 41, "alphas": alphas,
            "HOTA_at": alphas, "DetA_at": alphas, "AssA_at": [None, *alphas[1:]],
        },
        "errors": {"AP50": 0.583, "gains": gains, "counts": dict.fromkeys(kinds, 17)},
        "breakdown": {"length": [group], "size": [], "occlusion": [group], "twins": [group | {"AP": None}]},
        "calibration": {
            "bins": [
                {"from": 0.0, "to": 0.5, "count": 0, "score": None, "right": None},
                {"from": 0.5, "to": 1.0, "count": 11, "score": 0.75, "right": 0.5},
            ],
            "ece": 0.25,
        },
        "confusion": {
            "names": list(names),
            "matrix": [[int(row == column) * 5 for column in range(count + 1)] for row in range(count)]
            + [[3] * count + [0]],
        },
        "worst": [
            {
                "video": "v1",
                "quality": 0.25,
                "errors": {"missed": 1, "duplicate": 0},
                "objects": [{"id": 10, "class": "dog", "visible": [[0, 6]], "matched": [[0, 3, 2], [5, 6, 1]]}],
                "results": [
                    {"id": 1, "class": "cat", "score": 0.9, "seen": [[0, 6]], "verdict": "background"},
                    {"id": 2, "class": "dog", "score": 0.6, "seen": [[0, 6]], "verdict": "right"},
                ],
            }
        ],
    }  # fmt: skip
