"""Opening whatever holds frames: a video file, pictures, a camera, or something on a network."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Literal

from qcen_core.errors import InputError
from qcen_core.video.frame_folder import DEFAULT_FRAME_RATE, FrameFolder, frames_of_pattern, list_frames, natural_order
from qcen_core.video.frames import FrameSource, SourceFrame
from qcen_core.video.live import open_address, open_camera
from qcen_core.video.media_file import is_address
from qcen_core.video.video_file import VideoFile

__all__ = ["FrameFolder", "FrameSource", "SourceFrame", "VideoFile", "kind_of_folder", "list_videos", "open_source"]

VIDEO_SUFFIXES = frozenset(
    {".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg"}
    | {".mts", ".mxf", ".ogv", ".ts", ".webm", ".wmv", ".y4m"}
)
_PATTERN_SIGNS = "*?["


def is_live_name(source: Path | str | Sequence[Path]) -> bool:
    """Whether a source is a camera or a stream by its name; what is at an http address shows only when it is opened."""
    if not isinstance(source, str) or Path(source).exists():
        return False
    return source.isdecimal() or (is_address(source) and not source.lower().startswith(("http://", "https://")))


def open_source(source: Path | str | Sequence[Path], *, frame_rate: Fraction = DEFAULT_FRAME_RATE) -> FrameSource:
    """Open a source of frames.

    Args:
        source: a video file, a folder of pictures, a pattern of pictures, the number of a camera, the address of
            a stream or of a video (as text), or a list of pictures. What exists as a file or folder is taken as such.
        frame_rate: frames a second for pictures; all else brings its own.

    Returns:
        The source, to be used as a context manager.

    Raises:
        InputError: nothing there, or nothing that holds frames.
    """
    if not isinstance(source, (Path, str)):
        return FrameFolder(source, frame_rate=frame_rate)
    if isinstance(source, str) and is_address(source):
        return open_address(source)
    path = Path(source)
    if path.is_dir():
        if kind_of_folder(path) == "videos":
            hint = "name one of them, or read them one after another"
            raise InputError("a folder of videos, not of frames", place=path, hint=hint)
        return FrameFolder(path, frame_rate=frame_rate)
    if path.exists():
        return VideoFile(path)
    text = str(source)
    if text.isdecimal():
        return open_camera(int(text))
    if any(sign in text for sign in _PATTERN_SIGNS):
        return FrameFolder(frames_of_pattern(text), frame_rate=frame_rate)
    raise InputError("no such file or folder", place=path)


def list_videos(folder: Path) -> list[Path]:
    """The video files of a folder in natural order; hidden files and other kinds of file are left out."""
    files = (p for p in folder.iterdir() if p.suffix.lower() in VIDEO_SUFFIXES and not p.name.startswith("."))
    return sorted((path for path in files if path.is_file()), key=natural_order)


def kind_of_folder(folder: Path) -> Literal["frames", "videos"]:
    """Whether a folder holds the frames of one video, or videos.

    Where it holds both, the majority decides: more pictures than videos are frames, beside which somebody put a
    video; otherwise the pictures are the videos' covers.

    Raises:
        InputError: it holds neither.
    """
    frames, videos = len(list_frames(folder)), len(list_videos(folder))
    if frames == videos == 0:
        hint = "pictures and videos in folders below it are not looked for"
        raise InputError("no frames and no videos in this folder", place=folder, hint=hint)
    return "frames" if frames > videos else "videos"
