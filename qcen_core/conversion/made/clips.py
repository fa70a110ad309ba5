"""Made-up clips: frames and exact tracks, and how they are written."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qcen_core.conversion.problems import Progress
from qcen_core.ops import rle
from qcen_core.records import BoolArray, Box, Category, IntArray, ObjectTrack, Rle, TrackDataset, VideoRecord
from qcen_core.video.frame_folder import write_jpeg

MIN_VISIBLE_PIXELS = 12  # an object that shows less than this is not labelled


@dataclass(frozen=True, slots=True)
class Clip:
    """A made-up clip.

    Attributes:
        frames: (T, H, W, 3) uint8, RGB.
        tracks: the objects that are labelled in at least one frame; ids count from 1, `video_id` is index + 1.
    """

    frames: NDArray[np.uint8]
    tracks: tuple[ObjectTrack, ...]


def object_tracks(owners: Sequence[IntArray], class_ids: Sequence[int], video_id: int) -> tuple[ObjectTrack, ...]:
    """The tracks of a clip's objects.

    Args:
        owners: a frame each, (H, W): index of the object that the pixel shows, -1 for background.
        class_ids: one an object.
        video_id: of the clip.

    Returns:
        The objects that are labelled in at least one frame, ids from 1. A box fits its mask tightly; both are `None`
        where fewer than `MIN_VISIBLE_PIXELS` are visible.
    """
    tracks: list[ObjectTrack] = []
    for i, class_id in enumerate(class_ids):
        masks = [owner == i for owner in owners]
        visible = [mask if mask.sum() >= MIN_VISIBLE_PIXELS else None for mask in masks]
        if all(mask is None for mask in visible):
            continue
        segmentations: tuple[Rle | None, ...] = tuple(None if mask is None else rle.encode(mask) for mask in visible)
        boxes = tuple(None if mask is None else _tight_box(mask) for mask in visible)
        tracks.append(ObjectTrack(len(tracks) + 1, video_id, class_id, boxes, segmentations))
    return tuple(tracks)


def write_clips(
    folder: Path,
    make_clip: Callable[[str, int], Clip],
    counts: Mapping[str, int],
    categories: tuple[Category, ...],
    on_progress: Progress | None = None,
) -> TrackDataset:
    """Makes clips and writes their frames as `<folder>/<split>_<index>/<frame>.jpg`.

    Args:
        folder: made if it is missing.
        make_clip: gives the clip of a split and an index, from 0.
        counts: split -> number of clips.
        categories: of the objects, in class order.
        on_progress: called with clips done and all clips.

    Returns:
        The object tracks of all splits, in the order of `counts`.
    """
    videos: list[VideoRecord] = []
    tracks: list[ObjectTrack] = []
    clips = [(split, index) for split, count in counts.items() for index in range(count)]
    for done, (split, index) in enumerate(clips, start=1):
        clip = make_clip(split, index)
        name = f"{split}_{index:05d}"
        files = tuple(f"{name}/{frame:05d}.jpg" for frame in range(len(clip.frames)))
        for file, image in zip(files, clip.frames, strict=True):
            write_jpeg(image, folder / file)
        height, width = clip.frames.shape[1:3]
        videos.append(VideoRecord(done, name, height, width, files))
        tracks += [replace(track, id=len(tracks) + i, video_id=done) for i, track in enumerate(clip.tracks, start=1)]
        if on_progress is not None:
            on_progress(done, len(clips))
    return TrackDataset(categories, tuple(videos), tuple(tracks))


def _tight_box(mask: BoolArray) -> Box:
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)
