"""What is wrong with the frame files of a video set."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import cv2
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from qcen_core.conversion.frame_library import TURNED
from qcen_core.conversion.problems import Problem, Progress
from qcen_core.errors import InputError
from qcen_core.records import VideoRecord
from qcen_core.video.frame_folder import read_image


def check_frames(videos: Sequence[VideoRecord], frames_root: Path, on_progress: Progress | None) -> list[Problem]:
    """Looks at every frame file: is it there, can it be decoded to its end, has it the stated size?

    Args:
        videos: the videos.
        frames_root: folder that their frame files are relative to.
        on_progress: called with videos done and all videos.

    Returns:
        A problem for each frame file, with the index of its video.
    """
    problems: list[Problem] = []
    with ThreadPoolExecutor() as pool:
        found_in = pool.map(partial(_check_video, frames_root), range(len(videos)), videos)
        for done, found in enumerate(found_in, start=1):
            problems.extend(found)
            if on_progress is not None:
                on_progress(done, len(videos))
    return problems


def check_shared_frames(videos: Sequence[VideoRecord]) -> list[Problem]:
    """Videos whose frames are those of another: one might be trained on and the other held out."""
    problems = []
    owner: dict[str, int] = {}
    for index, video in enumerate(videos):
        others = {owner[file] for file in video.frame_files if file in owner}
        for file in video.frame_files:
            owner.setdefault(file, index)
        if others:
            cause = f"frames of it are frames of video {videos[min(others)].id}, too"
            hint = "list a frame in one video only"
            problems.append(Problem("frames of another video", f"video {video.id}", cause, hint, video=index))
    return problems


def _check_video(frames_root: Path, index: int, video: VideoRecord) -> list[Problem]:
    problems = []
    for frame, file in enumerate(video.frame_files):
        fault = _frame_fault(frames_root / file, video)
        if fault is not None:
            kind, cause, hint = fault
            place = f"{frames_root / file}: video {video.id}, frame {frame}"
            problems.append(Problem(kind, place, cause, hint, video=index))
    return problems


def _frame_fault(path: Path, video: VideoRecord) -> tuple[str, str, str] | None:
    """Kind, cause and hint, or `None` for a good frame file."""
    try:
        if not path.is_file():
            return "missing frame file", "there is no such frame file", "pass the folder of the frames with --frames"
        height, width, turned = _decode(path)
    except (InputError, OSError, SyntaxError, ValueError, Image.DecompressionBombError, cv2.error) as error:
        reason = error.cause if isinstance(error, InputError) else error
        return "unreadable frame file", f"cannot be decoded: {reason}", "download or write the frame again"
    if (height, width) == (video.height, video.width):
        return None
    cause = f"the frame is {width} x {height}, the annotations say {video.width} x {video.height}"
    if turned and (width, height) == (video.height, video.width):
        return "wrong frame size", f"{cause}: its EXIF mark turns it", "write the frames without that mark"
    return "wrong frame size", cause, "correct width and height of the video, or pass the right frames"


def _decode(path: Path) -> tuple[int, int, bool]:
    """Height and width of a picture as it is seen, and whether its EXIF mark turns it; raises what Pillow raises."""
    with Image.open(path) as image:
        width, height = image.size
        turned = image.getexif().get(0x0112) in TURNED
        if isinstance(image, JpegImageFile):
            # An eighth of the size: the whole file is still read, at a third of the time. OpenCV would not do:
            # it fills what is damaged with grey and says nothing.
            image.draft("L", (max(1, width // 8), max(1, height // 8)))
        image.load()
        if isinstance(image, JpegImageFile):
            return (width, height, turned) if turned else (height, width, turned)
    # Pillow does not miss the last bytes of other kinds, and takes some that training, which uses OpenCV, cannot read.
    height, width = read_image(path).shape[:2]
    return height, width, turned
