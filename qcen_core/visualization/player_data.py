"""What the page's player shows: small frames of a few videos, and true and found masks as polygons.

Masks are drawn on a canvas `UNITS` wide, whatever the size of the video; frames are stored half as wide.
"""

import base64
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from qcen_core.errors import InputError
from qcen_core.ops.mask_window import MaskWindow, decode_window
from qcen_core.records import Box, Category, ObjectTrack, Rle, TrackDataset, TrackResult, VideoRecord
from qcen_core.video.frame_folder import read_image
from qcen_core.visualization.dataset_sheet import spread
from qcen_core.visualization.track_pairing import pair_colors, partners_by_overlap, partners_told

UNITS = 720  # width of the canvas, in which polygons are told
PICTURE_WIDTH = 360  # most pixels of a stored frame
MOST_FRAMES = 36  # of a video
MOST_RESULTS = 30  # of a video, the best ones
BUDGET = 3_600_000  # bytes of all JPEGs; a third more as text
_JPEG_QUALITY = 58
_FIRST_READ = 4  # frames
_TOLERANCE = 1.3  # units that a polygon may be off the outline

Polygons = list[list[int]]


def player_data(
    videos: Sequence[tuple[VideoRecord, str]],
    truth: TrackDataset,
    results: Sequence[TrackResult],
    frames_root: Path | None,
    figures: Mapping[str, Any],
    least_score: float,
) -> dict[str, Any]:
    """What the player needs, as one JSON object.

    Args:
        videos: those to list, in order, each with a note that stands under its name.
        truth: annotations of these videos, and maybe of others.
        results: of these videos, and maybe of others.
        frames_root: folder that the frame files are relative to; where it is `None` or a frame of a video cannot be
            read, the masks of that video stand on grey.
        figures: the JSON object of `report.json`, whose `worst` tells who follows whom and what is wrong; may be empty.
        least_score: results below it are left out.

    Returns:
        `units`, the width that polygons are told in, and `videos`, each with `name`, `note`, `height` (in units),
        `frames` (their indices), `images` (JPEGs in base64, or `null`), `truth` and `found`. These are lists of tracks
        with `id`, `name`, `score` and `verdict` (of results), `color` and `shapes`: for each frame a list of polygons
        or 0. A polygon is its first corner, then the steps from corner to corner.
    """
    told = {entry.get("video"): entry for entry in figures.get("worst") or ()}
    allowance = BUDGET // max(len(videos), 1)
    listed = []
    for video, note in videos:
        if not video.frame_files:
            continue
        found = [result for result in results if result.video_id == video.id and result.score >= least_score]
        found = sorted(found, key=lambda result: -result.score)[:MOST_RESULTS]
        tracks = [track for track in truth.tracks if track.video_id == video.id]
        frames, images = _pictures(video, frames_root, allowance)
        head = {"name": video.name, "note": note, "height": _height(video), "frames": frames, "images": images}
        listed.append(head | _tracks(video, tracks, found, truth.categories, frames, told.get(video.name) or {}))
    return {"units": UNITS, "videos": listed}


def polygons(mask: Rle, height: int) -> Polygons:
    """A mask as polygons; filled by the even-odd rule, so that holes stay open.

    Args:
        mask: run lengths.
        height: of the canvas in units.

    Returns:
        For each outline x and y of its first corner in units, then x and y of each step to the next one.
    """
    window = decode_window(mask)
    if window is None:
        return []
    part, left, top = _at_canvas_size(window, UNITS / window.width, height / window.height)
    outlines, _ = cv2.findContours(part, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE, offset=(left, top))
    drawn = []
    for outline in outlines:
        corners = np.asarray(cv2.approxPolyDP(outline, _TOLERANCE, True)).reshape(-1, 2)
        if len(corners) >= 3:
            drawn.append(_stepwise(corners.astype(np.int64)))
    return drawn or _stand_in(window, height)


def _tracks(
    video: VideoRecord,
    tracks: Sequence[ObjectTrack],
    found: Sequence[TrackResult],
    categories: Sequence[Category],
    frames: Sequence[int],
    told: Mapping[str, Any],
) -> dict[str, Any]:
    partners = partners_told(told) or partners_by_overlap(tracks, found)
    true_colors, found_colors = pair_colors([t.id for t in tracks], [r.track_id for r in found], partners)
    verdicts = {result.get("id"): result.get("verdict") for result in told.get("results") or ()}
    height = _height(video)
    true = [
        {
            "id": track.id,
            "name": categories[track.class_id].name + (" (ignored)" if track.is_crowd else ""),
            "color": true_colors[track.id],
            "shapes": [_shape(track.segmentations, track.boxes, frame, video, height) for frame in frames],
        }
        for track in tracks
    ]
    predicted = [
        {
            "id": result.track_id,
            "name": categories[result.class_id].name,
            "score": round(result.score, 2),
            "verdict": verdicts.get(result.track_id),
            "color": found_colors[result.track_id],
            "shapes": [_shape(result.segmentations, None, frame, video, height) for frame in frames],
        }
        for result in found
    ]
    return {"truth": true, "found": predicted}


def _shape(
    masks: Sequence[Rle | None] | None, boxes: Sequence[Box | None] | None, frame: int, video: VideoRecord, height: int
) -> Polygons | int:
    if masks is not None:
        mask = masks[frame]
        return 0 if mask is None else polygons(mask, height)
    box = None if boxes is None else boxes[frame]
    return 0 if box is None else [_rectangle(box, video.width)]


def _pictures(video: VideoRecord, frames_root: Path | None, allowance: int) -> tuple[list[int], list[str] | None]:
    """Which frames are shown, and their JPEGs where they can be read; fewer where they would take too many bytes."""
    every = range(len(video.frame_files))
    # At the others there is nothing to compare.
    frames = spread([t for t in every if t not in video.unlabelled] or every, MOST_FRAMES)
    if frames_root is None:
        return frames, None
    images: dict[int, bytes] = {}
    try:
        # A few frames tell how many bytes one takes, so that no more are read than there is room for.
        for t in spread(frames, _FIRST_READ):
            images[t] = _jpeg(read_image(frames_root / video.frame_files[t]))
        size = sum(map(len, images.values())) // max(len(images), 1)
        frames = spread(frames, max(allowance // max(size, 1), 2))
        for t in frames:
            if t not in images:
                images[t] = _jpeg(read_image(frames_root / video.frame_files[t]))
    except InputError:
        return frames, None
    return frames, [base64.b64encode(images[t]).decode("ascii") for t in frames]


def _jpeg(image: NDArray[np.uint8]) -> bytes:
    height, width = image.shape[:2]
    if width > PICTURE_WIDTH:
        size = (PICTURE_WIDTH, max(round(height * PICTURE_WIDTH / width), 1))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return data.tobytes()


def _height(video: VideoRecord) -> int:
    return max(round(UNITS * video.height / video.width), 1)


def _stepwise(corners: NDArray[np.int64]) -> list[int]:
    steps = np.diff(corners, axis=0, prepend=np.zeros((1, 2), dtype=np.int64))
    return [int(value) for value in steps.ravel()]


def _rectangle(box: Box, width: int) -> list[int]:
    x1, y1, x2, y2 = (round(value * UNITS / width) for value in box)
    return [x1, y1, x2 - x1, 0, 0, y2 - y1, x1 - x2, 0]


def _at_canvas_size(window: MaskWindow, wide: float, high: float) -> tuple[NDArray[np.uint8], int, int]:
    """The window at the size of the canvas, 0 or 1, by an exact affine map; its left and top in units."""
    rows, columns = window.pixels.shape
    left, top = math.floor(window.left * wide), math.floor(window.top * high)
    size = (math.ceil((window.left + columns) * wide) - left, math.ceil((window.top + rows) * high) - top)
    move = np.array(
        [
            [wide, 0, (wide - 1) / 2 + window.left * wide - left],
            [0, high, (high - 1) / 2 + window.top * high - top],
        ]
    )
    soft = cv2.warpAffine(window.pixels.astype(np.uint8) * 255, move, size, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(soft >= 128, dtype=np.uint8), left, top


def _stand_in(window: MaskWindow, height: int) -> Polygons:
    """A small square for a mask that is lost at this size."""
    x1, y1, x2, y2 = window.box
    x, y = round((x1 + x2) / 2 * UNITS / window.width), round((y1 + y2) / 2 * height / window.height)
    return [[max(x - 1, 0), max(y - 1, 0), 3, 0, 0, 3, -3, 0]]
