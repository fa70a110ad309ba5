"""What can be told of a YouTube-VIS annotation file without reading its annotations, which are most of it."""

import re
from pathlib import Path

import msgspec

from qcen_core.errors import InputError
from qcen_core.jsonfile import decode_json
from qcen_core.video.frame_folder import require_inside


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
    content = decode_json(path, _File)
    if isinstance(content, _File):
        nothing = re.match(rb"null|\[\s*\]", memoryview(content.annotations)) is not None
        head = AnnotationHead(content.videos, content.categories, labelled=not nothing)
    else:
        labelled = isinstance(content, dict) and content.get("annotations") not in (None, [])
        fields = {**content, "labelled": labelled} if isinstance(content, dict) else content
        try:
            head = msgspec.convert(fields, AnnotationHead)
        except msgspec.ValidationError as error:
            hint = "annotation files hold the lists videos, categories and annotations"
            raise InputError(f"not YouTube-VIS annotations: {error}", place=path, hint=hint) from None
    for video in head.videos:
        for name in video.file_names:
            require_inside(name, f"{path}: video {video.id}")
    return head
