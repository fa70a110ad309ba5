"""A picture of some sequences: the frame, the true outline, the prediction."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.davis_measure import BestTrack
from qcen_core.ops import rle
from qcen_core.records import Rle, TrackDataset, TrackResult
from qcen_core.video.frame_folder import read_image
from qcen_core.visualization.contact_sheet import Thumbnail, contact_sheet
from qcen_core.visualization.dataset_sheet import spread
from qcen_core.visualization.overlay import DrawnInstance, OverlayStyle, draw_overlay

SEQUENCES = 6
MOST_BYTES = 600_000
CELL_WIDTHS = (300, 260, 220, 180, 140)
STYLE = OverlayStyle(labels=False)
OUTLINE = OverlayStyle(labels=False, alpha=0.0, min_height=1)


def strip(
    best: Sequence[BestTrack], truth: TrackDataset, results: Sequence[TrackResult], frames_root: Path
) -> list[Thumbnail]:
    """Three pictures for each of six objects, evenly spread from the best covered to the worst.

    The frame is the one in the middle of those that show the object.
    """
    thumbnails = []
    for track in spread(sorted(best, key=lambda track: -track.score.mean), SEQUENCES):
        score = track.score
        video = next(video for video in truth.videos if video.name == score.video)
        true = next(item for item in truth.tracks if item.id == score.object_id)
        frame = list(score.ious)[len(score.ious) // 2]
        image = read_image(frames_root / video.frame_files[frame])
        found = [r for r in results if r.video_id == video.id and r.track_id == track.track_id]
        masks = [mask for result in found if (mask := result.segmentations[frame]) is not None]
        outline = [mask for mask in [(true.segmentations or ())[frame]] if mask is not None]
        thumbnails += [
            Thumbnail(image, video.name, f"frame {frame}"),
            Thumbnail(_outlined(image, outline), "ground truth"),
            Thumbnail(
                image,
                "prediction",
                f"IoU {score.ious[frame]:.2f}; mean {score.mean:.2f}",
                tuple(DrawnInstance(1, "", None, rle.decode(mask)) for mask in masks),
            ),
        ]
    return thumbnails


def small_png(thumbnails: Sequence[Thumbnail]) -> bytes:
    """The sheet as PNG with 256 colours, in the largest size that stays below 600 kB."""
    data = b""
    for width in CELL_WIDTHS:
        sheet = contact_sheet(thumbnails, columns=3, cell_width=width, style=STYLE)
        stored = io.BytesIO()
        Image.fromarray(sheet).quantize(256, dither=Image.Dither.NONE).save(stored, "PNG", optimize=True)
        data = stored.getvalue()
        if len(data) < MOST_BYTES:
            break
    return data


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.part")
    beside.write_bytes(data)
    beside.replace(path)


def _outlined(image: NDArray[np.uint8], masks: Sequence[Rle]) -> NDArray[np.uint8]:
    instances = [DrawnInstance(2, "", None, rle.decode(mask)) for mask in masks]
    return draw_overlay(image, instances, OUTLINE)
