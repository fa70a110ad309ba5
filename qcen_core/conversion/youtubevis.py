"""From object tracks to labels without identity, and to the files of the stronger supervision levels."""

import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from qcen_core.records import Box, BoxDataset, FrameBoxes, ObjectTrack, TrackDataset, VideoRecord


def clip_boxes(tracks: TrackDataset) -> TrackDataset:
    """The same tracks with boxes cut at the frame's border; what has no area then becomes `None`."""
    videos = {video.id: video for video in tracks.videos}
    return replace(tracks, tracks=tuple(_clip_track(track, videos[track.video_id]) for track in tracks.tracks))


def select_videos(tracks: TrackDataset, names: Sequence[str]) -> TrackDataset:
    """The part of a data set that shows the videos of these names; its own video order is kept."""
    wanted = set(names)
    videos = tuple(video for video in tracks.videos if video.name in wanted)
    ids = {video.id for video in videos}
    return replace(tracks, videos=videos, tracks=tuple(track for track in tracks.tracks if track.video_id in ids))


def to_boxes(tracks: TrackDataset, name: str, frames_root: Path, seed: int) -> BoxDataset:
    """Takes masks and identities away: boxes and classes a frame, in an order that says nothing.

    The boxes of a frame are sorted by their own values and then shuffled, frame by frame: the order of the tracks
    in the source cannot be found again even by who knows the seed. Every frame counts as labelled.

    Args:
        tracks: object tracks.
        name: name of the new set.
        frames_root: folder that frame files are relative to.
        seed: of the shuffling.
    """
    tracks_of: dict[int, list[ObjectTrack]] = {video.id: [] for video in tracks.videos}
    for track in tracks.tracks:
        tracks_of[track.video_id].append(track)
    videos = tuple(
        replace(
            video,
            labels=tuple(
                _frame_boxes(tracks_of[video.id], frame, np.random.default_rng([seed, _number(video.name), frame]))
                for frame in range(len(video.frame_files))
            ),
        )
        for video in tracks.videos
    )
    return BoxDataset(name, frames_root, tracks.categories, videos)


def to_strong(tracks: TrackDataset, *, masks: bool, ids: bool, seed: int) -> TrackDataset:
    """Leaves of the tracks only what a supervision level may know.

    Args:
        tracks: object tracks.
        masks: keep masks.
        ids: keep identities; without them every object of every frame becomes a track of its own, shuffled.
        seed: of the shuffling.
    """
    kept: list[ObjectTrack] = list(tracks.tracks)
    if not masks:
        kept = [replace(track, segmentations=None) for track in kept]
    if not ids:
        kept = [single for track in kept for single in _single_frames(track)]
        # By place before by lot, for the same reason as in `to_boxes`.
        kept.sort(key=lambda track: (track.video_id, track.class_id, [box or () for box in track.boxes]))
        order = np.random.default_rng(seed).permutation(len(kept))
        kept = [kept[int(i)] for i in order]
    return replace(tracks, tracks=tuple(replace(track, id=i + 1) for i, track in enumerate(kept)))


def _number(name: str) -> int:
    return zlib.crc32(name.encode())


def _clip_track(track: ObjectTrack, video: VideoRecord) -> ObjectTrack:
    boxes = tuple(None if box is None else clip_box(box, video.width, video.height) for box in track.boxes)
    masks = track.segmentations
    if masks is not None:
        masks = tuple(None if box is None else mask for box, mask in zip(boxes, masks, strict=True))
    return replace(track, boxes=boxes, segmentations=masks)


def clip_box(box: Box, width: float, height: float) -> Box | None:
    """The part of a box within the frame, `None` where there is none."""
    x1, y1, x2, y2 = max(box[0], 0.0), max(box[1], 0.0), min(box[2], float(width)), min(box[3], float(height))
    return (x1, y1, x2, y2) if x2 > x1 and y2 > y1 else None


def _frame_boxes(tracks: Sequence[ObjectTrack], frame: int, rng: np.random.Generator) -> FrameBoxes:
    labels = sorted(
        (box, track.class_id, track.is_crowd) for track in tracks if (box := track.boxes[frame]) is not None
    )
    labels = [labels[int(i)] for i in rng.permutation(len(labels))]
    return FrameBoxes(
        np.array([box for box, _, _ in labels], np.float32).reshape(-1, 4),
        np.array([class_id for _, class_id, _ in labels], np.int64),
        np.array([crowd for _, _, crowd in labels], np.bool_),
    )


def _single_frames(track: ObjectTrack) -> list[ObjectTrack]:
    """One track for each frame in which the object is visible."""
    singles = []
    for frame, box in enumerate(track.boxes):
        if box is None:
            continue
        boxes: list[Box | None] = [None] * len(track.boxes)
        boxes[frame] = box
        masks = track.segmentations
        if masks is not None:
            masks = tuple(mask if i == frame else None for i, mask in enumerate(masks))
        singles.append(replace(track, boxes=tuple(boxes), segmentations=masks))
    return singles
