"""What follows from the logs of a run: the tracks in every wanted form, and a summary."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qcen_core.errors import InputError
from qcen_core.jsonfile import write_whole
from qcen_core.records import Category
from qcen_core.trackforms.coco_vid import write_coco_vid
from qcen_core.trackforms.csv_table import write_csv
from qcen_core.trackforms.frame_log import read_into
from qcen_core.trackforms.mot import write_mot
from qcen_core.trackforms.mots import write_mots_png, write_mots_text
from qcen_core.trackforms.palette_png import write_palette_png
from qcen_core.trackforms.store import TrackStore
from qcen_core.trackforms.whole import whole
from qcen_core.trackforms.youtubevis_results import write_results, write_results_zip
from qcen_core.trackforms.youtubevis_tracks import write_tracks
from qcen_core.video.write_errors import write_errors_named

Write = Callable[[TrackStore, Path, float], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class TrackForm:
    """A form that tracks are written in.

    Attributes:
        place: file or folder in the run's folder.
        write: writes what reaches a confidence; returns what the form cannot hold, one line each.
    """

    place: str
    write: Write


# Kinds are named as in `trackforms.recognise`; results hold every track, whatever its score.
ZIP = "zip"  # results alone, packed as public servers take them
ALWAYS = ("results", "tracks", "csv")
FORMS: Mapping[str, TrackForm] = {
    "results": TrackForm("results.json", lambda store, path, _: write_results(store, path)),
    "tracks": TrackForm("tracks.json", lambda store, path, least: write_tracks(store, path, least_score=least)),
    "csv": TrackForm("tracks.csv", lambda store, path, least: write_csv(store, path, least_score=least)),
    "davis": TrackForm("masks", lambda store, path, least: write_palette_png(store, path, least_score=least)),
    "mots-png": TrackForm("mots_png", lambda store, path, least: write_mots_png(store, path, least_score=least)),
    "mots": TrackForm("mots", lambda store, path, least: write_mots_text(store, path, least_score=least)),
    "mot": TrackForm("mot", lambda store, path, least: write_mot(store, path, least_score=least)),
    "coco-vid": TrackForm("coco_vid.json", lambda store, path, least: write_coco_vid(store, path, least_score=least)),
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
    wanted = {form: FORMS[form] for form in dict.fromkeys((*ALWAYS, *forms)) if form != ZIP}
    targets = {kind: out / form.place for kind, form in wanted.items()}
    if ZIP in forms:
        targets[ZIP] = out / "results.zip"
    notes: list[str] = []
    with TrackStore(categories, folder=out) as store:
        for log in logs:
            read_into(store, log)
        with ExitStack() as unfinished:
            place = {kind: unfinished.enter_context(whole(target)) for kind, target in targets.items()}
            for kind, form in wanted.items():
                lost = form.write(store, place[kind], confidence)
                notes += lost if kind in forms else ()  # nobody asked for what is always written
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
