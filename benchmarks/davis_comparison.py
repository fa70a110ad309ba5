"""What needs no learning, to compare with: the true box filled, and GrabCut started from it."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.davis_measure import ObjectScore, filled_box, grab_cut, mask_iou, present_frames
from qcen_core.jsonfile import load_json, write_json
from qcen_core.ops import rle
from qcen_core.records import ObjectTrack, TrackDataset, VideoRecord
from qcen_core.video.frame_folder import read_image

STEP = 15  # every 15th frame is looked at
# Its colours are told apart better at full size; half the size is what the often quoted figure was measured at.
SHRINKS = {"grabcut": 1, "grabcut_half": 2}
METHODS = ("box", *SHRINKS)

Comparison = dict[str, list[ObjectScore]]


def compare(truth: TrackDataset, frames_root: Path, on_video: Callable[[str], None]) -> Comparison:
    """Measure every method on every 15th frame, from frame 0, in which an object is present.

    Args:
        truth: objects with masks; crowds are left out.
        frames_root: folder that the frame files are relative to.
        on_video: called with the name of a video before it is measured.

    Returns:
        Method to one score an object.
    """
    scores: Comparison = {method: [] for method in METHODS}
    for video in truth.videos:
        on_video(video.name)
        for track in (track for track in truth.tracks if track.video_id == video.id and not track.is_crowd):
            frames = [frame for frame in present_frames(track) if frame % STEP == 0]
            found = {frame: _frame_ious(video, track, frame, frames_root) for frame in frames}
            for method in METHODS:
                if frames:
                    ious = {frame: by_method[method] for frame, by_method in found.items()}
                    scores[method].append(ObjectScore(video.name, track.id, ious))
    return scores


def compare_once(
    annotations: Path, truth: TrackDataset, frames_root: Path, file: Path, on_video: Callable[[str], None]
) -> Comparison:
    """As `compare`, kept in a file: it takes minutes, and is the same for every run.

    Args:
        annotations: the file that the truth was read from.
        truth: what it holds.
        frames_root: folder that the frame files are relative to.
        file: where the figures are kept.
        on_video: called with the name of a video before it is measured.
    """
    key = {"annotations": hashlib.sha256(annotations.read_bytes()).hexdigest(), "step": STEP, "methods": list(METHODS)}
    kept: Any = load_json(file) if file.is_file() else {}
    if isinstance(kept, dict) and kept.get("of") == key:
        return {method: [_score(record) for record in records] for method, records in kept["scores"].items()}
    scores = compare(truth, frames_root, on_video)
    records = {method: [_record(score) for score in found] for method, found in scores.items()}
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json({"of": key, "scores": records}, file)
    return scores


def _frame_ious(video: VideoRecord, track: ObjectTrack, frame: int, frames_root: Path) -> dict[str, float]:
    mask, box = (track.segmentations or ())[frame], track.boxes[frame]
    assert mask is not None  # noqa: S101  # only frames that show the object
    assert box is not None  # noqa: S101  # a mask has one
    true, image = rle.decode(mask), read_image(frames_root / video.frame_files[frame])
    found = {name: mask_iou(grab_cut(image, box, shrink), true) for name, shrink in SHRINKS.items()}
    return {"box": mask_iou(filled_box(box, *true.shape), true), **found}


def _record(score: ObjectScore) -> dict[str, Any]:
    return {"video": score.video, "object_id": score.object_id, "ious": {str(f): iou for f, iou in score.ious.items()}}


def _score(record: dict[str, Any]) -> ObjectScore:
    ious = {int(frame): float(iou) for frame, iou in record["ious"].items()}
    return ObjectScore(record["video"], record["object_id"], ious)
