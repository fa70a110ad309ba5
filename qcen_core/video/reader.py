"""Opening whatever holds frames: a video file, a folder of pictures, or a list of pictures."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from qcen_core.errors import InputError
from qcen_core.video.frame_folder import DEFAULT_FRAME_RATE, FrameFolder
from qcen_core.video.frames import FrameSource, SourceFrame
from qcen_core.video.video_file import VideoFile

__all__ = ["FrameFolder", "FrameSource", "SourceFrame", "VideoFile", "open_source"]


def open_source(path: Path | Sequence[Path], *, frame_rate: Fraction = DEFAULT_FRAME_RATE) -> VideoFile | FrameFolder:
    """Open a source of frames.

    Args:
        path: a video file, a folder of frames, or a list of frame files.
        frame_rate: frames a second for pictures; a video file brings its own.

    Returns:
        The source, to be used as a context manager.

    Raises:
        InputError: nothing there, or nothing that holds frames.
    """
    if not isinstance(path, Path):
        return FrameFolder(path, frame_rate=frame_rate)
    if path.is_dir():
        return FrameFolder(path, frame_rate=frame_rate)
    if not path.exists():
        raise InputError("no such file or folder", place=path)
    return VideoFile(path)
