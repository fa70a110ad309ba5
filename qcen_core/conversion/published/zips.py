"""Downloads as zips: what is needed of them is unpacked, and nothing is written outside of its folder."""

import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from qcen_core.conversion.problems import Progress
from qcen_core.conversion.staging import whole_folder
from qcen_core.errors import InputError
from qcen_core.video.frame_folder import IMAGE_SUFFIXES, points_outside

AGAIN = "download it again"
# Masks as pictures, and what macOS adds to every zip.
NOT_NEEDED = frozenset({"Annotations", "__MACOSX"})


@dataclass(frozen=True, slots=True)
class ZipContent:
    """A zip that was looked into.

    Attributes:
        path: the zip.
        names: all its files, with forward slashes.
        needed: the JSON files and pictures of it, as the zip knows them.
    """

    path: Path
    names: tuple[str, ...]
    needed: tuple[zipfile.ZipInfo, ...]

    @property
    def size(self) -> int:
        """Bytes of what is needed, unpacked."""
        return sum(member.file_size for member in self.needed)


def look_into(path: Path) -> ZipContent:
    """List a zip.

    Raises:
        InputError: it is cut off or no zip, or a file in it would be written elsewhere or is a link.
    """
    with _readable(path), zipfile.ZipFile(path) as opened:
        members = [member for member in opened.infolist() if not member.is_dir()]
    for member in members:
        link = stat.S_ISLNK(member.external_attr >> 16)
        if link or points_outside(member.filename):
            cause = "is a link" if link else "would be written outside of its folder"
            hint = "this is no official download; get it from the official page"
            raise InputError(f"'{member.filename}' in it {cause}", place=path, hint=hint)
    names = tuple(_name(member) for member in members)
    needed = tuple(member for name, member in zip(names, members, strict=True) if _is_needed(name))
    return ZipContent(path, names, needed)


def unpack(zips: Sequence[ZipContent], folder: Path, on_progress: Progress | None) -> None:
    """Unpack the JSON files and pictures of zips, each into a folder that is called like the zip.

    Each folder appears whole or not at all. One that is there already, and holds just that, is left as it is.

    Args:
        zips: what to unpack.
        folder: where to.
        on_progress: called with files done and all files.

    Raises:
        InputError: a zip is damaged, there is too little room, or something else is in the way.
    """
    targets = {content.path: folder / content.path.stem for content in zips}
    missing = [content for content in zips if not _is_unpacked(content, targets[content.path])]
    folder.mkdir(parents=True, exist_ok=True)
    size, free = sum(content.size for content in missing), shutil.disk_usage(folder).free
    if size > free:
        cause = f"unpacking takes {size / 1e9:.1f} GB, {free / 1e9:.1f} GB are free"
        raise InputError(cause, place=folder, hint="make room, or unpack the zips elsewhere and pass that folder")
    done, files = 0, sum(len(content.needed) for content in missing)
    for content in missing:
        target = targets[content.path]
        if target.exists():
            raise InputError(f"there already, and not what {content.path} holds", place=target, hint="remove it")
        with whole_folder(target) as beside, _readable(content.path), zipfile.ZipFile(content.path) as opened:
            for member in content.needed:
                _write(opened, member, beside)
                done += 1
                if on_progress is not None:
                    on_progress(done, files)


def _write(opened: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path) -> None:
    file = folder / _name(member)
    file.parent.mkdir(parents=True, exist_ok=True)
    with opened.open(member) as packed, file.open("wb") as written:
        shutil.copyfileobj(packed, written, 1 << 20)


def _name(member: zipfile.ZipInfo) -> str:
    return member.filename.replace("\\", "/")


def _is_needed(name: str) -> bool:
    path = PurePosixPath(name)
    if path.name.startswith(".") or not NOT_NEEDED.isdisjoint(path.parts[:-1]):
        return False
    return path.suffix.lower() == ".json" or path.suffix.lower() in IMAGE_SUFFIXES


def _is_unpacked(content: ZipContent, folder: Path) -> bool:
    def is_there(member: zipfile.ZipInfo) -> bool:
        file = folder / _name(member)
        return file.is_file() and file.stat().st_size == member.file_size

    return folder.is_dir() and all(is_there(member) for member in content.needed)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """What the reader of zips raises becomes one line.

    Raises:
        InputError: instead.
    """
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise InputError(f"the zip is cut off or damaged: {error}", place=path, hint=AGAIN) from None
    except (RuntimeError, NotImplementedError) as error:
        hint = "unpack it with the program that it was made for, and pass the folder"
        raise InputError(f"the zip cannot be unpacked here: {error}", place=path, hint=hint) from None
    except OSError as error:
        raise InputError(
            f"cannot be unpacked: {error.strerror or error}", place=path, hint="check the disk and the folder"
        ) from None
