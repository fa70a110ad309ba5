"""Folders of label maps, one a video, taken into a store."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from qcen_core.errors import InputError
from qcen_core.records import VideoRecord
from qcen_core.trackforms.checks import add_sightings, safe_name
from qcen_core.trackforms.known_videos import KnownVideos, add_known_video
from qcen_core.trackforms.label_maps import label_map_files, map_sightings, read_label_map
from qcen_core.trackforms.store import StoredVideo, TrackStore


def map_folders(path: Path) -> list[Path]:
    """The folders that hold PNG files: this one, or those at any depth in it.

    Raises:
        InputError: there is none.
    """
    if label_map_files(path):
        return [path]
    folders = sorted({file.parent for file in path.rglob("*.png") if not file.name.startswith(".")})
    if not folders:
        raise InputError("there is no PNG in it", place=path, hint="pass the folder of videos, or that of one video")
    return folders


def add_map_video(store: TrackStore, folder: Path, name: str, known: KnownVideos | None) -> StoredVideo:
    """Take the video of a folder of maps into a store; its frames are those that are known, else one a PNG.

    Raises:
        InputError: the video is unknown, or a PNG belongs to none of its frames.
    """
    files = label_map_files(folder)
    if known is not None:
        return add_known_video(store, known.named(name, folder))
    height, width = read_label_map(files[0]).shape
    number = 1 + max((video.id for video in store.videos()), default=0)
    return add_known_video(
        store, VideoRecord(number, safe_name(name, number), height, width, ("",) * len(files)), files=False
    )


def maps_of(
    folder: Path, video: StoredVideo, known: KnownVideos | None
) -> Iterator[tuple[int, Path, NDArray[np.integer]]]:
    """The maps of a folder with their frames, one at a time.

    Raises:
        InputError: a PNG cannot be read, has another size than the video, or belongs to none of its frames.
    """
    frame_of, length = None, len(label_map_files(folder))
    if known is not None:
        names = known.named(video.name, folder).frame_files
        length = len(names)
        frame_of = {PurePosixPath(file).stem: index for index, file in enumerate(names)}
        if len(frame_of) < len(names) or not any(file.stem in frame_of for file in label_map_files(folder)):
            frame_of = None
    for index, file in enumerate(label_map_files(folder)):
        frame = index if frame_of is None else frame_of.get(file.stem, -1)
        if not 0 <= frame < length:
            raise InputError("it belongs to no frame of its video", place=file, hint="name it as its frame")
        labels = read_label_map(file)
        if labels.shape != (video.height, video.width):
            raise InputError(
                f"a mask of {labels.shape[1]} x {labels.shape[0]} in a video of {video.width} x {video.height} pixels",
                place=file,
                hint="all frames of a video have one size",
            )
        yield frame, file, labels


def take_map(store: TrackStore, video: StoredVideo, frame: int, labels: NDArray[np.integer], file: Path) -> set[int]:
    """Take the masks of one map into a store; returns the numbers that it holds."""
    seen = list(map_sightings(labels, frame))
    add_sightings(store, video, seen, file)
    return {sighting.track_id for sighting in seen}
