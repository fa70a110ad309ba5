"""What follows from the logs of a run: the tracks in every wanted form, and a summary."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qcen_core.errors import InputError
from qcen_core.jsonfile import write_whole
from qcen_core.records import Category
from qcen_core.trackforms.convert import write_form
from qcen_core.trackforms.frame_log import read_into
from qcen_core.trackforms.store import TrackStore
from qcen_core.trackforms.whole import whole
from qcen_core.trackforms.youtubevis_results import write_results_zip
from qcen_core.video.write_errors import write_errors_named

ZIP = "zip"  # results alone, packed as public servers take them
ALWAYS = ("results", "tracks", "csv")
# Form, named as in `trackforms.recognise`, -> file or folder in the run's folder.
FORMS: Mapping[str, str] = {
    "results": "results.json",
    "tracks": "tracks.json",
    "csv": "tracks.csv",
    "davis": "masks",
    "mots-png": "mots_png",
    "mots": "mots",
    "mot": "mot",
    "coco-vid": "coco_vid.json",
}


@dataclass(frozen=True, slots=True)
class OutputFigures:
    """Counts of a run, of the tracks that reach the confidence.

    Attributes:
        frames: frames of all videos.
        tracks: number of tracks.
        tracks_by_class: class name -> number of its tracks, the most frequent first.
    """

    frames: int
    tracks: int
    tracks_by_class: dict[str, int]


def check_forms(forms: Sequence[str]) -> None:
    """Refuse forms that are not known.

    Raises:
        InputError: there is no such form.
    """
    for form in forms:
        if form != ZIP and form not in FORMS:
            raise InputError(f"no form is called '{form}'", hint="known: " + ", ".join((*FORMS, ZIP)))


def write_forms(
    categories: Sequence[Category], logs: Sequence[Path], out: Path, forms: Sequence[str], confidence: float
) -> tuple[dict[str, Path], OutputFigures, tuple[str, ...]]:
    """Write the tracks of logs in several forms, all of them whole or none.

    Args:
        categories: of the outputs.
        logs: one a video.
        out: the run's folder.
        forms: wanted beside `ALWAYS`, keys of `FORMS` or `ZIP`.
        confidence: least score of what all forms but results hold.

    Returns:
        Kind -> path of what was written; counts; and what a form could not hold, one line each.

    Raises:
        InputError: a log cannot be read.
    """
    targets = {form: out / FORMS[form] for form in dict.fromkeys((*ALWAYS, *forms)) if form != ZIP}
    wanted = tuple(targets)
    if ZIP in forms:
        targets[ZIP] = out / "results.zip"
    notes: list[str] = []
    with TrackStore(categories, folder=out) as store:
        for log in logs:
            read_into(store, log)
        with ExitStack() as unfinished:
            place = {kind: unfinished.enter_context(whole(target)) for kind, target in targets.items()}
            for form in wanted:
                lost = write_form(store, place[form], form, confidence)
                notes += lost if form in forms else ()  # nobody asked for what is always written
            if ZIP in forms:
                write_results_zip(place["results"], place[ZIP])
        return targets, _count(store, confidence), tuple(notes)


def write_summary(content: Mapping[str, Any], path: Path) -> None:
    """What was run on what, as JSON, whole or not at all."""
    with write_errors_named(path):
        write_whole(json.dumps(content, indent=2, allow_nan=False).encode() + b"\n", path)


def _count(store: TrackStore, confidence: float) -> OutputFigures:
    frames, counts = 0, Counter[str]()
    for video in store.videos():
        frames += store.frame_count(video)
        counts.update(store.categories[class_id].name for class_id, _ in store.labels(video, confidence).values())
    return OutputFigures(frames, counts.total(), dict(counts.most_common()))
