"""Which form tracks are in, told by what they hold; and which one a target asks for, told by its name."""

import re
from pathlib import Path

import numpy as np

from qcen_core.errors import InputError
from qcen_core.trackforms.csv_table import CSV_COLUMNS
from qcen_core.trackforms.frame_log import FORMAT
from qcen_core.trackforms.json_stream import JsonStream
from qcen_core.trackforms.label_maps import label_map_files, read_label_map
from qcen_core.trackforms.log_files import SUFFIX
from qcen_core.trackforms.map_folders import map_folders
from qcen_core.trackforms.mots import INSTANCES
from qcen_core.trackforms.palette_png import SIDECAR

FORMS = {
    "frames": "log of frames, frames.jsonl",
    "results": "YouTube-VIS results, results.json",
    "tracks": "YouTube-VIS annotations, tracks.json",
    "davis": "palette PNG as of DAVIS",
    "mots-png": "MOTS PNG",
    "mots": "MOTS text",
    "mot": "MOTChallenge text",
    "csv": "table, tracks.csv",
    "coco-vid": "COCO-VID JSON",
}
KNOWN = f"forms are {', '.join(FORMS)}"
FOLDERS = frozenset({"davis", "mots-png", "mots", "mot"})
_BEGINNING = 4096  # bytes that tell text forms apart
_STEMS = {
    "results": "results",
    "tracks": "tracks",
    "annotations": "tracks",
    "coco": "coco-vid",
    "coco-vid": "coco-vid",
    "coco_vid": "coco-vid",
    "instances": "coco-vid",
}


def recognise(path: Path) -> str:
    """The form of a file or folder of tracks: a key of `FORMS`.

    Raises:
        InputError: there is nothing, or nothing that is known.
    """
    if not path.exists():
        raise InputError("there is no such file", place=path, hint="check the path")
    if path.is_dir():
        return _recognise_folder(path)
    text = _beginning(path).lstrip()
    if text.startswith("PK\x03\x04"):
        raise InputError("a zip file", place=path, hint="unpack it and pass what it holds")
    if text.startswith(f'{{"format":"{FORMAT}"'):
        return "frames"
    if text.startswith(("{", "[")):
        return _recognise_json(path)
    if text.startswith(",".join(CSV_COLUMNS[:4])):
        return "csv"
    form = _text_form(text)
    if form is None:
        raise InputError("tracks of no known form", place=path, hint=KNOWN)
    return form


def form_of_name(path: Path, to: str | None) -> str:
    """The form that a target asks for: `to`, or by its name.

    Raises:
        InputError: there is no such form, or the name does not tell.
    """
    if to is not None:
        if to not in FORMS:
            raise InputError(f"there is no form '{to}'", hint=KNOWN)
        if to in FOLDERS and path.suffix.lower() in {".json", ".csv", ".txt", ".zip", SUFFIX}:
            raise InputError(f"the form {to} is a folder", place=path, hint="give the folder to write")
        return to
    suffix, stem = path.suffix.lower(), path.stem.casefold()
    if suffix == ".csv":
        return "csv"
    if suffix == SUFFIX:
        return "frames"
    if suffix == ".zip":
        return "results"
    if suffix == ".json" and stem in _STEMS:
        return _STEMS[stem]
    if not suffix and stem in FOLDERS:
        return stem
    raise InputError("its name does not say which form to write", place=path, hint=f"pass --to; {KNOWN}")


def _beginning(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_BEGINNING).decode("utf-8-sig", errors="replace")
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", place=path, hint="check the path") from None


def _recognise_json(path: Path) -> str:
    file = JsonStream(path)
    if file.is_list:
        return "results"
    if {"images", "categories"} <= file.keys:
        return "coco-vid"
    if {"videos", "categories"} <= file.keys and "annotations" in file.keys:
        return "tracks"
    raise InputError("JSON of no known form", place=path, hint=KNOWN)


def _recognise_folder(path: Path) -> str:
    texts = sorted(path.rglob("gt.txt"))
    if texts:
        # In a video of which nothing was seen it is empty, and tells nothing.
        text = next((text for text in texts if text.stat().st_size), texts[0])
        form = _text_form(_beginning(text))
        if form is None:
            raise InputError("neither MOT nor MOTS text", place=text, hint=KNOWN)
        return form
    if next(path.glob(f"*{SUFFIX}"), None) is not None:
        return "frames"
    folder = map_folders(path)[0]
    if folder.name == INSTANCES:
        return "mots-png"
    if (folder / SIDECAR).is_file():
        return "davis"
    return "davis" if read_label_map(label_map_files(folder)[0]).dtype == np.uint8 else "mots-png"


def _text_form(text: str) -> str | None:
    """The form of lines of text; one that is empty passes for MOT."""
    if not text.strip() or re.match(r"\s*\d+(\.0*)?\s*,\s*-?\d+(\.0*)?(\s*,[^,\n]*){4,}", text):
        return "mot"
    return "mots" if re.match(r"\s*\d+ \d+ \d+ \d+ \d+ \S+", text) else None
