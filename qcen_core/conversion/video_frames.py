"""Frames of video files, written as pictures: training draws frames at random, which a video file does not allow."""

from collections.abc import Sequence
from pathlib import Path

from qcen_core.conversion.frame_library import FoundVideo
from qcen_core.conversion.problems import Progress
from qcen_core.errors import InputError
from qcen_core.video.frame_folder import write_jpeg
from qcen_core.video.video_file import VideoFile


def require_alike(videos: Sequence[FoundVideo], root: Path) -> bool:
    """Whether frames have to be taken from video files.

    Args:
        videos: the videos that annotations name.
        root: where they lie.

    Raises:
        InputError: some are video files and some are folders of pictures.
    """
    files = [video for video in videos if video.video_file is not None]
    if files and len(files) < len(videos):
        raise InputError(
            f"some videos are files ({files[0].name}) and some are folders of pictures",
            place=root,
            hint="put the two kinds into folders of their own and prepare them apart",
        )
    return bool(files)


def write_video_frames(videos: Sequence[FoundVideo], folder: Path, on_progress: Progress | None) -> None:
    """Decodes video files and writes every frame as a JPEG, upright, under the names that the videos list.

    Args:
        videos: video files.
        folder: made if it is missing; the names are relative to it.
        on_progress: called with videos done and all videos.

    Raises:
        InputError: a file cannot be read, or a second reading gives other frames than the first.
    """
    for done, video in enumerate(videos, start=1):
        if video.video_file is None:
            raise ValueError(f"{video.name} is not a video file")
        with VideoFile(video.video_file) as opened:
            count = 0
            for frame in opened.frames():
                count += 1
                if count > len(video.files):
                    continue
                write_jpeg(frame.image, folder / video.files[count - 1])
        if count != len(video.files):
            raise InputError(
                f"{count} frames could be decoded, {len(video.files)} before",
                place=video.video_file,
                hint="do not change the file while it is read",
            )
        if on_progress is not None:
            on_progress(done, len(videos))
