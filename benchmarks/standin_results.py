"""Made-up results for a made-up validation set: as many, and as large, as those of a published benchmark."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.standin import Standin, blobs, presence
from qcen_core.conversion.published.categories import YTVIS2021
from qcen_core.ops import rle

# YouTube-VIS 2021 has 421 videos in its validation split, of about 30 annotated frames.
FRAMES_A_VIDEO, TRACKS_A_VIDEO, RESULTS_A_VIDEO = 30, 2.1, 100
SHAPES = 800


def validation_set(videos: int) -> Standin:
    """The size of the validation split of YouTube-VIS 2021, or of a part of it."""
    return Standin(videos, FRAMES_A_VIDEO * videos, round(TRACKS_A_VIDEO * videos), (720, 1280), YTVIS2021)


def write_results(truth_file: Path, path: Path, standin: Standin, own_class: float, seed: int = 0) -> None:
    """Write a results file with a hundred results a video.

    A fifth of them follows an object, in most frames with its very mask. All other masks are from a pool of shapes. A
    quarter of the scores is at least 0.3.

    Args:
        truth_file: the annotation file.
        path: the file to write.
        standin: what the annotation file was made from.
        own_class: the share of results that have the class of an object of their video; others have any class.
        seed: of everything in it.
    """
    rng = np.random.default_rng([seed, 3])
    pool = [json.dumps(rle.encode(mask)) for mask in blobs(SHAPES, standin.size, rng)]
    truth = json.loads(truth_file.read_bytes())
    objects = defaultdict(list)
    for annotation in truth["annotations"]:
        objects[annotation["video_id"]].append(annotation)
    with path.open("w", encoding="utf-8") as file:
        file.write("[")
        for place, video in enumerate(truth["videos"]):
            for number in range(RESULTS_A_VIDEO):
                model = objects[video["id"]][rng.integers(len(objects[video["id"]]))]
                file.write(", " if place or number else "")
                file.write(_result(video["id"], model, pool, len(standin.categories), own_class, rng))
        file.write("]")


def _result(
    video: int, model: dict[str, Any], pool: list[str], classes: int, own_class: float, rng: np.random.Generator
) -> str:
    follows = rng.random() < 0.2
    masks = []
    for truth, seen in zip(model["segmentations"], presence(len(model["segmentations"]), rng), strict=True):
        if not seen:
            masks.append("null")
        elif follows and truth is not None and rng.random() < 0.8:
            masks.append(json.dumps(truth))
        else:
            masks.append(pool[rng.integers(len(pool))])
    kind = model["category_id"] if rng.random() < own_class else int(rng.integers(classes)) + 1
    score = float(rng.random() ** 4)
    return f'{{"video_id": {video}, "score": {score}, "category_id": {kind}, "segmentations": [{", ".join(masks)}]}}'
