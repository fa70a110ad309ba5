"""Where the frames of own annotations lie: folders of pictures, video files, or a mixture, found by name."""

import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path, PurePosixPath

from PIL import Image

from qcen_core.errors import InputError
from qcen_core.video.frame_folder import IMAGE_SUFFIXES, list_frames
from qcen_core.video.reader import VIDEO_SUFFIXES
from qcen_core.video.video_file import VideoFile

# Names of folders that say "here are the frames" and not which video it is.
FRAME_FOLDERS = frozenset({"frames", "images", "img", "img1", "jpegimages", "rgb"})
TURNED = frozenset({5, 6, 7, 8})  # EXIF orientations that exchange height and width


@dataclass(frozen=True)
class FoundVideo:
    """A video that lies on disk.

    Attributes:
        name: the path from the library's root, without what only says "frames", or without the file's ending.
        height: pixels, upright.
        width: pixels, upright.
        files: one frame file a frame in natural order, relative to the library's root; for a video file the names that
            its frames will be written under.
        video_file: the file that frames are yet to be taken from, where the video is one.
        notes: what was wrong with that file without being worth a stop, one line each.
    """

    name: str
    height: int
    width: int
    files: tuple[str, ...]
    video_file: Path | None = None
    notes: tuple[str, ...] = ()

    def frame_index(self, number: int, first: int) -> int | None:
        """The index of a frame that annotations call by a number.

        File names that end in numbers with gaps tell which frames are missing; else the order of the files counts.
        Numbers of which no two follow on one another (000, 005, 010) have no gaps: one frame in several was kept.

        Args:
            number: as the annotations have it.
            first: the number that the annotations give to the first frame, 0 or 1.

        Returns:
            The index into `files`, `None` where there is no such frame.
        """
        index = number - first
        if self._places is not None:
            return self._places.get(index)
        return index if 0 <= index < len(self.files) else None

    @cached_property
    def _places(self) -> dict[int, int] | None:
        """Number of the frame, counted from that of the first file -> index of the file; `None` without gaps."""
        endings = [re.search(r"(\d+)$", PurePosixPath(file).stem) for file in self.files]
        numbers = [int(ending[1]) for ending in endings if ending]
        steps = {following - number for number, following in pairwise(numbers)}
        if len(numbers) < len(self.files) or min(steps, default=1) != 1 or steps <= {1}:
            return None
        return {number - numbers[0]: index for index, number in enumerate(numbers)}


class FrameLibrary:
    """The videos under a folder, or a single video file.

    A folder with pictures is a video, and so is every video file. Pictures are not opened before they are asked for.

    Args:
        root: folder of frames, folder of such folders at any depth, folder of video files, or a video file.

    Raises:
        InputError: there is no such folder, or neither frames nor videos in it.
    """

    def __init__(self, root: Path) -> None:
        if not root.exists():
            raise InputError("there is no such folder of frames", place=root, hint="correct --frames")
        self.root = root if root.is_dir() else root.parent
        self._sources = _by_name(_sources(root), self.root)
        if not self._sources:
            raise InputError(
                "there are neither frames nor videos in it",
                place=root,
                hint="pass the folder of frames as --frames",
            )
        self._opened: dict[str, FoundVideo] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all videos, in order."""
        return tuple(sorted(self._sources))

    @property
    def opened(self) -> tuple[FoundVideo, ...]:
        """The videos that were asked for so far."""
        return tuple(self._opened.values())

    def get(self, name: str) -> FoundVideo | None:
        """The video of a name, or of a path or file name that ends like a name does.

        A name that fits no video as a whole may fit one by its last part, with or without a file's ending, if it is
        the only one that does.

        Raises:
            InputError: its first frame, or the video file, cannot be read.
        """
        wanted = name.replace("\\", "/").strip("/")
        for key in (wanted, wanted.removesuffix(PurePosixPath(wanted).suffix)):
            if key in self._sources:
                return self._open(key)
        last = PurePosixPath(wanted).name.casefold()
        stem = PurePosixPath(wanted).stem.casefold()
        for ending in (last, stem):
            fits = [key for key in self._sources if PurePosixPath(key).name.casefold() == ending]
            if len(fits) == 1:
                return self._open(fits[0])
        return None

    def require(self, name: str, place: str) -> FoundVideo:
        """As `get`, where it has to be there.

        Args:
            name: what the annotations call the video.
            place: the record that names it, for the message.

        Raises:
            InputError: there is no such video, or it cannot be read.
        """
        found = self.get(name)
        if found is None:
            known = ", ".join(self.names[:5]) + (" ..." if len(self.names) > 5 else "")
            raise InputError(
                f"there are no frames of '{name}' in {self.root}", place=place, hint=f"--frames holds: {known}"
            )
        return found

    def only(self) -> FoundVideo | None:
        """The video, where there is just one.

        Raises:
            InputError: its first frame, or the video file, cannot be read.
        """
        return self._open(self.names[0]) if len(self._sources) == 1 else None

    def _open(self, name: str) -> FoundVideo:
        if name not in self._opened:
            path = self._sources[name]
            self._opened[name] = _open_folder(name, path, self.root) if path.is_dir() else _open_video(name, path)
        return self._opened[name]


def upright_size(path: Path) -> tuple[int, int]:
    """(height, width) of a picture as it is seen, its orientation mark obeyed; only its head is read.

    Raises:
        InputError: the file is missing or not a picture.
    """
    try:
        with Image.open(path) as image:
            width, height = image.size
            # Pillow states the size of TIFF files alone as it is when they are turned.
            turned = image.getexif().get(0x0112) in TURNED and image.format != "TIFF"
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"cannot be read as a picture: {error}", place=path, hint="write the frame again") from None
    return (width, height) if turned else (height, width)


def _sources(root: Path) -> Iterator[Path]:
    if root.is_file():
        yield root
        return
    # Links may lead back; a folder is looked into once, and by its own path rather than by a link to it.
    seen: set[Path] = set()
    pending = deque([root])
    while pending:
        folder = pending.pop()
        place = folder.resolve()
        if place in seen:
            continue
        seen.add(place)
        entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
        if any(entry.suffix.lower() in IMAGE_SUFFIXES and entry.is_file() for entry in entries):
            yield folder
        yield from (entry for entry in entries if entry.suffix.lower() in VIDEO_SUFFIXES and entry.is_file())
        for entry in entries:
            if entry.is_symlink() and entry.is_dir():
                pending.appendleft(entry)
            elif entry.is_dir():
                pending.append(entry)


def _by_name(paths: Iterable[Path], root: Path) -> dict[str, Path]:
    """Sources by name; where two would be called alike, each by its whole path."""
    found = sorted(paths)
    uses = Counter(_name(path, root) for path in found)
    return {
        name if uses[name] == 1 else path.relative_to(root).as_posix(): path
        for path in found
        for name in [_name(path, root)]
    }


def _name(path: Path, root: Path) -> str:
    parts = list(path.relative_to(root).parts)
    if path.is_file():
        parts[-1] = path.stem
    else:
        while parts and parts[-1].lower() in FRAME_FOLDERS:
            parts.pop()
    return "/".join(parts) or root.resolve().name


def _open_folder(name: str, folder: Path, root: Path) -> FoundVideo:
    frames = list_frames(folder)
    height, width = upright_size(frames[0])
    return FoundVideo(name, height, width, tuple(frame.relative_to(root).as_posix() for frame in frames))


def _open_video(name: str, path: Path) -> FoundVideo:
    with VideoFile(path) as video:
        # The number that a file states may be wrong; frames are counted by decoding them.
        count = sum(1 for _ in video.frames())
        files = tuple(f"{name}/{index:06d}.jpg" for index in range(count))
        return FoundVideo(name, video.height, video.width, files, path, tuple(video.notes))
