"""How well objects of a video are covered: by the best of the predicted tracks, by their boxes, by GrabCut."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from qcen_core.evaluation.tube_iou import frame_iou, mask_overlap
from qcen_core.records import BoolArray, Box, ObjectTrack, TrackResult

GRABCUT_ITERATIONS = 5


@dataclass(frozen=True, slots=True)
class ObjectScore:
    """How well one object is covered, frame by frame.

    Attributes:
        video: name of its video.
        object_id: of its annotation.
        ious: frame to the mask IoU in it, 0 to 1, for the frames in which the object is present and was looked at.
    """

    video: str
    object_id: int
    ious: Mapping[int, float]

    @property
    def mean(self) -> float:
        """Over the frames."""
        return sum(self.ious.values()) / len(self.ious)


@dataclass(frozen=True, slots=True)
class BestTrack:
    """The predicted track that covers an object best.

    Attributes:
        score: how well it does.
        track_id: of the track; `None` where nothing was predicted in the video.
        rank: of its confidence among the tracks of the video, from 1; 1 means that one would have chosen it without
            knowing the object. `None` without a track.
        tracks: number of tracks in the video.
    """

    score: ObjectScore
    track_id: int | None
    rank: int | None
    tracks: int


def best_tracks(video: str, truths: Sequence[ObjectTrack], results: Sequence[TrackResult]) -> list[BestTrack]:
    """For each object the track of the highest mean IoU over the frames in which the object is present.

    A frame in which the track has no mask counts 0. Classes are ignored. Two objects may have the same best track.

    Args:
        video: its name.
        truths: objects of this video, with masks; crowds, and objects that are never present, are left out.
        results: tracks of this video.
    """
    measured = []
    ranks = _ranks([result.score for result in results])
    for truth in truths:
        present = present_frames(truth)
        if truth.is_crowd or not present or truth.segmentations is None:
            continue
        frames = len(truth.segmentations)
        overlap = mask_overlap([result.segmentations for result in results], [truth.segmentations], frames)
        ious = frame_iou(overlap)[present, :, 0]  # (present frames, tracks)
        if not results:
            nothing = ObjectScore(video, truth.id, dict.fromkeys(present, 0.0))
            measured.append(BestTrack(nothing, None, None, 0))
            continue
        best = int(ious.mean(axis=0).argmax())
        score = ObjectScore(video, truth.id, dict(zip(present, ious[:, best].tolist(), strict=True)))
        measured.append(BestTrack(score, results[best].track_id, ranks[best], len(results)))
    return measured


def present_frames(truth: ObjectTrack) -> list[int]:
    """Frames in which the object has a mask."""
    return [frame for frame, mask in enumerate(truth.segmentations or ()) if mask is not None]


def every_nth(score: ObjectScore, step: int) -> ObjectScore | None:
    """What is known of frames 0, step, 2 step, ...; `None` where the object is in none of them."""
    ious = {frame: iou for frame, iou in score.ious.items() if frame % step == 0}
    return ObjectScore(score.video, score.object_id, ious) if ious else None


def mean_over_objects(scores: Sequence[ObjectScore]) -> float | None:
    """Every object counts the same, however long it is seen; `None` without objects."""
    return sum(score.mean for score in scores) / len(scores) if scores else None


def mean_over_frames(scores: Sequence[ObjectScore]) -> float | None:
    """Every object in every frame counts the same; `None` without objects."""
    ious = [iou for score in scores for iou in score.ious.values()]
    return sum(ious) / len(ious) if ious else None


def mean_by_video(scores: Sequence[ObjectScore]) -> dict[str, float]:
    """The mean over the objects of each video."""
    by_video: dict[str, list[float]] = {}
    for score in scores:
        by_video.setdefault(score.video, []).append(score.mean)
    return {video: sum(means) / len(means) for video, means in by_video.items()}


def mask_iou(found: BoolArray, true: BoolArray) -> float:
    """IoU of two (H, W) masks, 0 where both are empty."""
    union = np.count_nonzero(found | true)
    return float(np.count_nonzero(found & true) / union) if union else 0.0


def filled_box(box: Box, height: int, width: int) -> BoolArray:
    """A box as an (height, width) mask, its edges rounded to whole pixels."""
    x1, y1, x2, y2 = _pixels(box, height, width)
    mask = np.zeros((height, width), dtype=np.bool_)
    mask[y1:y2, x1:x2] = True
    return mask


def grab_cut(image: NDArray[np.uint8], box: Box, shrink: int = 1) -> BoolArray:
    """The object inside a box after Rother et al. 2004, as OpenCV has it: colours inside against colours outside.

    Args:
        image: (H, W, 3) uint8.
        box: `x1 y1 x2 y2` in pixels of the image. One that leaves nothing outside is returned filled.
        shrink: the picture is made smaller by this factor before, and the mask larger after.

    Returns:
        (H, W) bool.
    """
    height, width = image.shape[:2]
    if shrink > 1:
        small = cv2.resize(image, (width // shrink, height // shrink), interpolation=cv2.INTER_AREA)
        x_ratio, y_ratio = small.shape[1] / width, small.shape[0] / height
        x1, y1, x2, y2 = box
        found = grab_cut(np.asarray(small, dtype=np.uint8), (x1 * x_ratio, y1 * y_ratio, x2 * x_ratio, y2 * y_ratio))
        large = cv2.resize(found.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
        return np.asarray(large > 0, dtype=np.bool_)
    x1, y1, x2, y2 = _pixels(box, height, width)
    if (x2 - x1) * (y2 - y1) == height * width:
        return filled_box(box, height, width)
    labels = np.zeros((height, width), np.uint8)
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)  # its clusters of colours begin at random
    cv2.grabCut(
        image, labels, (x1, y1, x2 - x1, y2 - y1), background, foreground, GRABCUT_ITERATIONS, cv2.GC_INIT_WITH_RECT
    )
    return np.asarray((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD), dtype=np.bool_)


def _pixels(box: Box, height: int, width: int) -> tuple[int, int, int, int]:
    x1, x2 = (min(max(round(x), 0), width) for x in box[::2])
    y1, y2 = (min(max(round(y), 0), height) for y in box[1::2])
    return x1, y1, x2, y2


def _ranks(scores: Sequence[float]) -> list[int]:
    """From 1 for the highest; equal ones share the better rank."""
    return [1 + sum(other > score for other in scores) for score in scores]
