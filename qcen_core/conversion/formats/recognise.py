"""Which format annotations are in, told by what they hold, and how they are read."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from qcen_core.conversion.annotations import Annotations
from qcen_core.conversion.formats.coco import read_coco
from qcen_core.conversion.formats.cvat import read_cvat
from qcen_core.conversion.formats.labelstudio import read_labelstudio
from qcen_core.conversion.formats.mot import read_mot
from qcen_core.conversion.formats.yolo import read_yolo
from qcen_core.conversion.formats.youtubevis_file import YouTubeVisFile
from qcen_core.conversion.frame_library import FrameLibrary
from qcen_core.errors import InputError
from qcen_core.jsonfile import load_json

FORMATS = {
    "youtubevis": "YouTube-VIS JSON",
    "coco": "COCO or COCO-VID JSON",
    "cvat": "CVAT XML",
    "mot": "MOTChallenge gt.txt",
    "yolo": "YOLO labels",
    "labelstudio": "Label Studio JSON",
}
KNOWN = "known are " + ", ".join(FORMATS.values())
MOT_FILES = ("gt.txt", "gt/gt.txt", "*/gt/gt.txt", "*/*/gt/gt.txt", "seqinfo.ini", "*/seqinfo.ini")
YOLO_FILES = ("labels", "*/labels", "data.yaml", "data.yml", "*.txt")
BEGINNING = 65536  # bytes that tell XML and text formats apart


@dataclass(frozen=True, slots=True)
class OwnData:
    """Annotations of one's own.

    Attributes:
        annotations: what they say.
        frames_root: folder that frame files are relative to.
        library: where frames were looked for, if they were looked for by name.
        form: the format, in words.
    """

    annotations: Annotations
    frames_root: Path
    library: FrameLibrary | None
    form: str


def recognise(path: Path) -> str:
    """The format of a file or folder of annotations: a key of `FORMATS`.

    Raises:
        InputError: there is nothing, or nothing that is known.
    """
    if not path.exists():
        raise InputError("there is no such file", place=path, hint="check the path")
    if path.is_dir():
        return _recognise_folder(path)
    with path.open("rb") as file:
        beginning = file.read(BEGINNING)
    if beginning.startswith(b"PK\x03\x04"):
        raise InputError("a zip file", place=path, hint="unpack it and pass what it holds")
    text = beginning.decode("utf-8-sig", errors="replace").lstrip()
    if path.suffix.lower() in (".yaml", ".yml"):
        return "yolo"
    if text.startswith("<"):
        return "cvat"
    if path.suffix.lower() == ".json" or text.startswith(("{", "[")):
        return _recognise_json(path)
    if re.match(r"\s*\d+\s*,\s*-?\d+(\s*,[^,\n]*){4,}", text):
        return "mot"
    if re.match(r"\s*\d+(\s+[-+.\deE]+){4,}", text):
        hint = "pass the folder that holds labels/, or its data.yaml"
        raise InputError("the labels of a single frame", place=path, hint=hint)
    raise InputError("annotations of no known format", place=path, hint=KNOWN)


def read_own_data(path: Path, frames: Path | None, *, verify: bool) -> OwnData:
    """Reads annotations of any known format.

    Args:
        path: the file or folder.
        frames: where the frames are: a folder of frames, of such folders or of video files, or a video file. By
            default beside the annotations, as each format has it.
        verify: look at the runs of every mask that a box is taken from.

    Raises:
        InputError: the format is not known, the annotations cannot be used as a whole, or the frames are not found.
    """
    form = recognise(path)
    if form == "youtubevis":
        return OwnData(YouTubeVisFile(path, verify=verify), _youtubevis_frames(path, frames), None, FORMATS[form])
    library = None if frames is None else FrameLibrary(frames)
    annotations: Annotations
    if form in ("cvat", "labelstudio"):
        library = library or FrameLibrary(path.parent)
        annotations = read_cvat(path, library) if form == "cvat" else read_labelstudio(path, library)
        return OwnData(annotations, library.root, library, FORMATS[form])
    if form == "coco":
        annotations, root = read_coco(path, library)
    elif form == "mot":
        annotations, root = read_mot(path, library)
    else:
        annotations, root = read_yolo(path, library)
    return OwnData(annotations, root, library, FORMATS[form])


def _youtubevis_frames(path: Path, frames: Path | None) -> Path:
    if frames is None:
        beside = path.parent / "JPEGImages"
        return beside if beside.is_dir() else path.parent
    if not frames.is_dir():
        raise InputError("there is no such folder of frames", place=frames, hint="correct --frames")
    return frames


def _recognise_folder(path: Path) -> str:
    for form, patterns in (("mot", MOT_FILES), ("yolo", YOLO_FILES)):
        if any(next(path.glob(pattern), None) is not None for pattern in patterns):
            return form
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in (".json", ".xml"))
    listed = f"it holds {', '.join(file.name for file in files[:5])}: pass one of them" if files else KNOWN
    raise InputError("a folder without annotations of a known format", place=path, hint=listed)


class _Keys(msgspec.Struct):
    videos: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    images: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    annotations: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    categories: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


def _recognise_json(path: Path) -> str:
    keys: set[str] = set()
    first: Any = None
    try:
        content: Any = msgspec.json.decode(path.read_bytes(), type=_Keys | list[msgspec.Raw])
        if isinstance(content, list):
            first = msgspec.json.decode(content[0]) if content else None
        else:
            keys = {name for name in content.__struct_fields__ if getattr(content, name) is not msgspec.UNSET}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # Python writes NaN and reads it, and tells where a file is cut off.
        content = load_json(path)
        first = content[0] if isinstance(content, list) and content else None
        keys = set(content) if isinstance(content, dict) else set()
    if "images" in keys:
        return "coco"
    if {"videos", "annotations", "categories"} & keys:
        return "youtubevis"
    if isinstance(first, dict) and {"segmentations", "score"} <= set(first):
        raise InputError("a results file, not annotations", place=path, hint="pass the annotation file")
    if isinstance(first, dict) and {"data", "annotations", "video", "box"} & set(first):
        return "labelstudio"
    if content == []:
        cause = "an empty list: a results file, or an export of nothing"
        raise InputError(cause, place=path, hint="pass the annotation file")
    raise InputError("JSON of no known format", place=path, hint=KNOWN)
