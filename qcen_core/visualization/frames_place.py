"""Where the frames lie that annotations speak of."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qcen_core.errors import InputError
from qcen_core.prepared import PREPARED_FILE, read_prepared

SUMMARY_FILE = "summary.json"


def frames_beside(annotations: Path, results: Path | None = None) -> Path:
    """The folder that frame files are relative to, as far as files tell it.

    Args:
        annotations: the annotation file.
        results: a results file; the `summary.json` beside it may name the folder.

    Returns:
        As the summary says, else as the prepared data set says that the annotations are part of, else `JPEGImages`
        beside the annotations, else their own folder.

    Raises:
        InputError: the summary is not JSON, or the prepared data set cannot be read.
    """
    if results is not None:
        summary = read_object(results.parent / SUMMARY_FILE)
        named, about = path_in(summary, "frames_root"), path_in(summary, "ground_truth")
        # A summary of another ground truth says nothing about the frames of this one.
        if named is not None and (about is None or about.resolve() == annotations.resolve()):
            return named
    if (annotations.parent / PREPARED_FILE).is_file():
        return read_prepared(annotations.parent).frames_root
    folder = annotations.parent / "JPEGImages"
    return folder if folder.is_dir() else annotations.parent


def read_object(path: Path) -> Mapping[str, Any]:
    """A JSON object that may be missing: then an empty one.

    Raises:
        InputError: the file is not JSON.
    """
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"not JSON: {error}", place=path, hint="remove it, or make it again") from error
    return content if isinstance(content, dict) else {}


def path_in(content: Mapping[str, Any], key: str) -> Path | None:
    """The path that a JSON object names under a key, if it names one."""
    value = content.get(key)
    return Path(value) if isinstance(value, str) else None
