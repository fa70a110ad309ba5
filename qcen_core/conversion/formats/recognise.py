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
from qcen_core.conversion.formats.read_labels import ReadLabels
from qcen_core.conversion.formats.yolo import read_yolo
from qcen_core.conversion.formats.youtubevis_file import YouTubeVisFile
from qcen_core.conversion.frame_library import FrameLibrary
from qcen_core.errors import InputError
from qcen_core.jsonfile import decode_json

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
YOLO_FILES = ("labels", "*/labels", "data.yaml", "data.yml")
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


def read_own_data(path: Path, frames: Path | None) -> OwnData:
    """Reads annotations of any known format.

    Args:
        path: the file or folder.
        frames: where the frames are: a folder of frames, of such folders or of video files, or a video file. By
            default beside the annotations, as each format has it.

    Raises:
        InputError: the format is not known, the annotations cannot be used as a whole, or the frames are not found.
    """
    form = recognise(path)
    if form == "youtubevis":
        labels = ReadLabels(YouTubeVisFile(path), _youtubevis_frames(path, frames))
    else:
        labels = _read(form, path, None if frames is None else FrameLibrary(frames))
    return OwnData(labels.annotations, labels.frames_root, labels.library, FORMATS[form])


def _read(form: str, path: Path, library: FrameLibrary | None) -> ReadLabels:
    match form:
        case "coco":
            return read_coco(path, library)
        case "cvat":
            return read_cvat(path, library)
        case "labelstudio":
            return read_labelstudio(path, library)
        case "mot":
            return read_mot(path, library)
    return read_yolo(path, library)


def _youtubevis_frames(path: Path, frames: Path | None) -> Path:
    if frames is None:
        beside = path.parent / "JPEGImages"
        return beside if beside.is_dir() else path.parent
    if not frames.is_dir():
        raise InputError("there is no such folder of frames", place=frames, hint="correct --frames")
    return frames


def _recognise_folder(path: Path) -> str:
    if (path / "dataset.yaml").is_file() and (path / "train.json").is_file():
        raise InputError("prepared already", place=path, hint=f"train on it: qcen train --data {path}")
    found = [
        form
        for form, patterns in (("mot", MOT_FILES), ("yolo", YOLO_FILES))
        if any(next(path.glob(pattern), None) is not None for pattern in patterns)
    ]
    if len(found) > 1:
        named = " and ".join(FORMATS[form] for form in found)
        raise InputError(f"a folder of several formats, {named}", place=path, hint="pass one of them")
    if found:
        return found[0]
    if next(path.glob("*.txt"), None) is not None:
        return "yolo"
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in (".json", ".xml"))
    listed = f"it holds {', '.join(file.name for file in files[:5])}: pass one of them" if files else KNOWN
    raise InputError("a folder without annotations of a known format", place=path, hint=listed)


class _Keys(msgspec.Struct):
    format: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    videos: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    images: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    annotations: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    categories: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


def _recognise_json(path: Path) -> str:
    content = decode_json(path, _Keys | list[Any])
    if isinstance(content, _Keys):
        keys = {name for name in content.__struct_fields__ if getattr(content, name) is not msgspec.UNSET}
    else:
        keys = set(content) if isinstance(content, dict) else set()
    first = content[0] if isinstance(content, list) and content else None
    if {"format", "videos"} <= keys and "annotations" not in keys:
        raise InputError("prepared already", place=path, hint="train on its folder: qcen train --data FOLDER")
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
