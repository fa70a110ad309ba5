"""A folder, or a list, of pictures taken as a video."""

import glob
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from qcen_core.errors import InputError
from qcen_core.video.frames import FrameSource, PendingFrame

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
DEFAULT_FRAME_RATE = Fraction(10)
JPEG_QUALITY = 95


def natural_order(path: Path) -> tuple[tuple[int, int, str], ...]:
    """Sort key that puts `frame2` before `frame10`.

    Args:
        path: only its name counts.

    Returns:
        The name cut into numbers and text; numbers compare by value and come before text.
    """
    parts = re.split(r"(\d+)", path.name.lower())
    return tuple((0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts if part)


def points_outside(file: str) -> bool:
    """Whether a frame's file name, as annotations state it, may leave the folder that it is relative to."""
    path = file.replace("\\", "/")
    return path.startswith("/") or path[1:2] == ":" or (".." in path and ".." in path.split("/"))


def require_inside(file: str, place: str | Path) -> None:
    """Check that a file name, as annotations state it, stays in the folder that it is relative to.

    Args:
        file: the name.
        place: file and record that state it, for the message.

    Raises:
        InputError: it may leave the folder.
    """
    if points_outside(file):
        cause, hint = f"'{file}' points outside the frames folder", "name files relative to the folder of the frames"
        raise InputError(cause, place=place, hint=hint)


def list_frames(folder: Path) -> list[Path]:
    """The pictures of a folder in natural order; hidden files and other kinds of file are left out."""
    pictures = (p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith("."))
    return sorted(pictures, key=natural_order)


def frames_of_pattern(pattern: str) -> list[Path]:
    """The pictures whose paths match a pattern, in natural order of the whole path.

    Args:
        pattern: a path with `*`, `?` or `[...]` in it, and `**` for folders of any depth; hidden files do not match.

    Raises:
        InputError: nothing matches, or nothing that is a picture.
    """
    matches = [Path(match) for match in glob.glob(pattern, recursive=True)]  # noqa: PTH207  # the pattern may be absolute
    pictures = [path for path in matches if path.suffix.lower() in IMAGE_SUFFIXES]
    if not pictures:
        cause = "none of the files that match is a picture" if matches else "no file matches"
        raise InputError(cause, place=pattern, hint="quote a pattern, so that the shell leaves it alone")
    return sorted(pictures, key=lambda path: [natural_order(Path(part)) for part in path.parts])


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read one picture.

    Args:
        path: a picture of any usual format; grey, 16-bit and transparent ones become plain RGB.

    Returns:
        (H, W, 3) uint8, RGB.

    Raises:
        InputError: the file is missing, cut off or not a picture.
    """
    try:
        data = np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise InputError(f"cannot read the frame: {error.strerror}", place=path) from error
    # Not imread: of a JPEG that is cut off it fills the rest with grey and goes on.
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except cv2.error:  # a head that states an absurd size
        image = None
    if image is None:
        hint = "copy the file again, or leave it out"
        raise InputError("the frame is empty, cut off or not a picture", place=path, hint=hint)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)


def write_jpeg(image: NDArray[np.uint8], path: Path) -> None:
    """Write one picture, (H, W, 3) uint8 RGB; folders are made where they are missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    encoded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
    path.write_bytes(encoded.tobytes())


class FrameFolder(FrameSource):
    """Pictures as frames, at a constant frame rate, without sound.

    Args:
        source: a folder, or the pictures themselves in the wanted order.
        frame_rate: frames a second; pictures carry no time of their own.
        name: defaults to the folder's name.

    Raises:
        InputError: no folder, no picture in it, or a first picture that cannot be read.
    """

    def __init__(
        self,
        source: Path | Sequence[Path],
        *,
        frame_rate: Fraction = DEFAULT_FRAME_RATE,
        name: str | None = None,
    ) -> None:
        if isinstance(source, Path):
            if not source.is_dir():
                raise InputError("no such folder", place=source)
            self.files = list_frames(source)
            folder = source
        else:
            self.files = list(source)
            folder = self.files[0].parent if self.files else Path()
        if not self.files:
            kinds = ", ".join(sorted(suffix[1:] for suffix in IMAGE_SUFFIXES))
            raise InputError("no frames in this folder", place=folder, hint=f"frames are files of type {kinds}")
        self.name = name or folder.resolve().name
        self.height, self.width = read_image(self.files[0]).shape[:2]
        self.frame_count = len(self.files)
        self.frame_rate = frame_rate
        self.time_base = 1 / frame_rate
        self.audio_source = None
        self.notes = []

    def pending_frames(self) -> Iterator[PendingFrame]:
        """Yield every picture as a frame.

        Reading a frame raises `InputError` where its picture cannot be read, or is of another size than the first one.
        """
        for index, path in enumerate(self.files):
            yield PendingFrame(index, index * self.time_base, partial(self._read, path), path.name)

    def _read(self, path: Path) -> NDArray[np.uint8]:
        image = read_image(path)
        if image.shape[:2] != (self.height, self.width):
            raise InputError(
                f"frame of {image.shape[1]}x{image.shape[0]} pixels among frames of {self.width}x{self.height}",
                place=path,
                hint="all frames of one video must have the same size; keep one folder per video",
            )
        return image
