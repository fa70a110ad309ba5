"""What can be told of a YouTube-VIS annotation file without reading its annotations, which are most of it."""

import codecs
import re
from pathlib import Path

import msgspec

from qcen_core.errors import InputError
from qcen_core.video.frame_folder import points_outside


class HeadVideo(msgspec.Struct):
    """One video: its frame files, relative to the folder of the frames."""

    id: int
    file_names: list[str]


class HeadCategory(msgspec.Struct):
    """One category."""

    id: int
    name: str


class _File(msgspec.Struct):
    videos: list[HeadVideo]
    categories: list[HeadCategory]
    annotations: msgspec.Raw = msgspec.Raw(b"null")


class AnnotationHead(msgspec.Struct, frozen=True):
    """Videos and categories of a file, and whether there is any annotation."""

    videos: list[HeadVideo]
    categories: list[HeadCategory]
    labelled: bool


def read_head(path: Path) -> AnnotationHead:
    """Read what a file holds beside its annotations; these are skipped, but the file has to be whole.

    Raises:
        InputError: the file cannot be read, is cut off or no YouTube-VIS annotation file, or a frame file that it
            names lies outside the folder of the frames.
    """
    again = "the file may be cut off; download it again"
    try:
        content = path.read_bytes().removeprefix(codecs.BOM_UTF8)
        file = msgspec.json.decode(content, type=_File)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", place=path, hint="check the file") from None
    except msgspec.ValidationError as error:
        hint = "annotation files hold the lists videos, categories and annotations"
        raise InputError(f"not YouTube-VIS annotations: {error}", place=path, hint=hint) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"not valid JSON: {error}", place=path, hint=again) from None
    for video in file.videos:
        for name in video.file_names:
            if points_outside(name):
                raise InputError(
                    f"the frame file '{name}' points outside the frames folder",
                    place=f"{path}: video {video.id}",
                    hint="frame files are named relative to the frames folder",
                )
    nothing = re.match(rb"null|\[\s*\]", memoryview(file.annotations))
    return AnnotationHead(file.videos, file.categories, labelled=nothing is None)
