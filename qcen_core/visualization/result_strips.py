"""Film strips of results: ground truth above prediction, or a video's frames with its tracks."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qcen_core.ops.rle import decode
from qcen_core.records import Category, ObjectTrack, TrackDataset, TrackResult, VideoRecord
from qcen_core.video.frame_folder import read_image
from qcen_core.video.reader import open_source
from qcen_core.visualization.contact_sheet import Thumbnail, contact_sheet
from qcen_core.visualization.dataset_sheet import spread
from qcen_core.visualization.overlay import DEFAULT_STYLE, DrawnInstance, OverlayStyle

FRAMES_SHOWN = 4
LEAST_SCORE = 0.3


def comparison_strip(
    video: VideoRecord,
    truth: TrackDataset,
    results: Sequence[TrackResult],
    frames_root: Path,
    *,
    frames: int = FRAMES_SHOWN,
    least_score: float = LEAST_SCORE,
    cell_width: int = 400,
    style: OverlayStyle = DEFAULT_STYLE,
) -> NDArray[np.uint8]:
    """A few frames of a video twice: with the ground truth in the upper row, with the prediction below.

    Args:
        video: one of the truth's videos.
        truth: ground truth of all videos.
        results: results of all videos.
        frames_root: folder that the video's frame files are relative to.
        frames: most frames shown, evenly spread; those that nobody labelled only where there are no others.
        least_score: results below it are not drawn.
        cell_width: width of a frame in pixels.
        style: how instances are drawn.

    Returns:
        (H, W, 3) uint8, RGB.

    Raises:
        InputError: a frame file that cannot be read.
    """
    every = range(len(video.frame_files))
    # At the others there is nothing to compare: results are read without what they say there.
    shown = spread([t for t in every if t not in video.unlabelled] or every, frames)
    tracks = [track for track in truth.tracks if track.video_id == video.id]
    found = [result for result in results if result.video_id == video.id and result.score >= least_score]
    images = [read_image(frames_root / video.frame_files[t]) for t in shown]
    upper = [
        Thumbnail(image, "ground truth", f"frame {t}", true_instances(tracks, truth.categories, t))
        for image, t in zip(images, shown, strict=True)
    ]
    lower = [
        Thumbnail(image, "prediction", f"frame {t}", found_instances(found, truth.categories, t))
        for image, t in zip(images, shown, strict=True)
    ]
    return contact_sheet([*upper, *lower], title=video.name, columns=len(shown), cell_width=cell_width, style=style)


def track_strip(tracks: TrackDataset, source: Path, *, frames: int = 9) -> NDArray[np.uint8]:
    """Frames of a free video with the tracks found in it.

    Args:
        tracks: of one video, as `tracks.json` holds them.
        source: the video file or folder of frames.
        frames: most frames shown, evenly spread.

    Returns:
        (H, W, 3) uint8, RGB.

    Raises:
        InputError: the source cannot be read.
    """
    count = max((len(video.frame_files) for video in tracks.videos), default=0)
    wanted = set(spread(range(count), frames))
    thumbnails: list[Thumbnail] = []
    with open_source(source) as opened:
        for frame in opened.frames():
            if frame.index in wanted:
                instances = true_instances(tracks.tracks, tracks.categories, frame.index)
                thumbnails.append(
                    Thumbnail(frame.image, f"{float(frame.time):.2f} s", f"frame {frame.index}", instances)
                )
            if frame.index >= max(wanted, default=0):
                break
    return contact_sheet(thumbnails, title=source.name)


def true_instances(
    tracks: Sequence[ObjectTrack], categories: Sequence[Category], frame: int
) -> tuple[DrawnInstance, ...]:
    """What annotated tracks show in a frame; numbers count from 1 in the order of the tracks."""
    instances = []
    for number, track in enumerate(tracks, start=1):
        box = track.boxes[frame]
        rle = None if track.segmentations is None else track.segmentations[frame]
        if box is None and rle is None:
            continue
        name = categories[track.class_id].name + (" (ignored)" if track.is_crowd else "")
        instances.append(DrawnInstance(number, name, None, None if rle is None else decode(rle), box))
    return tuple(instances)


def found_instances(
    results: Sequence[TrackResult], categories: Sequence[Category], frame: int
) -> tuple[DrawnInstance, ...]:
    """What predicted tracks show in a frame."""
    return tuple(
        DrawnInstance(result.track_id, categories[result.class_id].name, result.score, decode(rle))
        for result in results
        if (rle := result.segmentations[frame]) is not None
    )


def worst_first(videos: Sequence[VideoRecord], figures: Mapping[str, Any]) -> list[VideoRecord]:
    """Videos in the order of their IoU in an evaluation's figures, the lowest first; unmeasured ones come last."""
    return sorted(videos, key=lambda video: 2.0 if (q := measured_quality(video, figures)) is None else q)


def measured_quality(video: VideoRecord, figures: Mapping[str, Any]) -> float | None:
    """Mean best IoU of a video in an evaluation's figures, `None` where it was not measured."""
    measured: Mapping[str, float | None] = figures.get("videos") or {}
    return measured.get(video.name)
