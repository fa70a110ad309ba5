"""From one form of tracks to another; what the target cannot hold is told."""

from dataclasses import dataclass
from pathlib import Path

from qcen_core.errors import InputError
from qcen_core.trackforms.coco_vid import read_coco_vid, write_coco_vid
from qcen_core.trackforms.csv_table import read_csv, write_csv
from qcen_core.trackforms.known_videos import KnownVideos, read_known_videos
from qcen_core.trackforms.log_files import SUFFIX, log_confidence, read_logs, write_logs
from qcen_core.trackforms.mot import read_mot, write_mot
from qcen_core.trackforms.mots import read_mots_png, read_mots_text, write_mots_png, write_mots_text
from qcen_core.trackforms.palette_png import read_palette_png, write_palette_png
from qcen_core.trackforms.recognise import FORMS, KNOWN, form_of_name, recognise
from qcen_core.trackforms.store import Tally, TrackStore
from qcen_core.trackforms.whole import whole
from qcen_core.trackforms.wording import counted
from qcen_core.trackforms.youtubevis_results import read_results, write_results, write_results_zip
from qcen_core.trackforms.youtubevis_tracks import read_tracks, write_tracks

WHOLE_FORMS = frozenset({"frames", "results"})  # hold what does not reach the confidence, too
LABEL_FORMS = frozenset({"davis", "mots-png", "mots"})  # of masks that do not overlap
STATES_VIDEOS = frozenset({"frames", "tracks", "coco-vid"})


@dataclass(frozen=True, slots=True)
class ConvertReport:
    """What was converted.

    Attributes:
        source_form: a key of `FORMS`.
        target_form: a key of `FORMS`.
        videos: number of videos.
        tracks: number of tracks that were written.
        sightings: in how many frames they are seen, all together.
        lost: what the target cannot hold, and what the source held that is no track; one line each.
    """

    source_form: str
    target_form: str
    videos: int
    tracks: int
    sightings: int
    lost: tuple[str, ...]


def convert(
    source: Path,
    target: Path,
    *,
    to: str | None = None,
    from_: str | None = None,
    like: Path | None = None,
    confidence: float | None = None,
    overwrite: bool = False,
) -> ConvertReport:
    """Convert tracks from one form to another; the target appears whole or not at all.

    Args:
        source: file or folder of tracks; of the folder of a run its log.
        target: file or folder to write.
        to: form of the target, a key of `FORMS`; by default its name tells. A target that ends in `.zip` is a results
            file, packed as public servers take it.
        from_: form of the source, a key of `FORMS`; by default its content tells.
        like: annotation file, or folder of a prepared data set, that states the videos and classes of a source whose
            form does not.
        confidence: least score in its frame of what is written; by default what a log of frames states. Logs and
            results take all tracks unless it is given; results always do.
        overwrite: allow a target that exists; a folder only if it holds tracks of the form that is written.

    Raises:
        InputError: source or target cannot be used; file and record are named, and nothing is left behind.
    """
    form = form_of_name(target, to)
    source = log_of_run(source)
    if from_ is not None and from_ not in FORMS:
        raise InputError(f"there is no form '{from_}'", hint=KNOWN)
    origin = from_ or recognise(source)
    _check_target(target, form, overwrite=overwrite)
    if like is not None and origin in STATES_VIDEOS:
        raise InputError(f"the form {origin} states its videos itself", place=source, hint="leave out --like")
    known = None if like is None else read_known_videos(like)
    with TrackStore(()) as store:
        notes = _read(store, source, origin, known)
        stated = log_confidence(source) if origin == "frames" else None
        least = confidence if form in WHOLE_FORMS or confidence is not None else stated
        with whole(target) as place:
            notes += _write(store, place, form, target, least, confidence if confidence is not None else stated)
        tally = store.tally(None if form == "results" else least)
        notes += tuple(_losses(tally, store.tally(), form))
    return ConvertReport(origin, form, tally.videos, tally.tracks, tally.sightings, notes)


def log_of_run(folder: Path) -> Path:
    """The log, or the folder of logs, that a run of `qcen infer` keeps in its folder; else the path as it is."""
    logs = (folder / f"frames{SUFFIX}", folder / "frames")
    return next((log for log in logs if log.exists() and (folder / "run.json").is_file()), folder)


def _read(store: TrackStore, path: Path, form: str, known: KnownVideos | None) -> tuple[str, ...]:
    match form:
        case "frames":
            return read_logs(store, path)
        case "results":
            return read_results(store, path, known)
        case "tracks":
            return read_tracks(store, path)
        case "davis":
            return read_palette_png(store, path, known)
        case "mots-png":
            return read_mots_png(store, path, known)
        case "mots":
            return read_mots_text(store, path, known)
        case "mot":
            return read_mot(store, path, known)
        case "csv":
            return read_csv(store, path, known)
    return read_coco_vid(store, path)


def _write(
    store: TrackStore, place: Path, form: str, target: Path, least: float | None, stated: float | None
) -> tuple[str, ...]:
    match form:
        case "frames":
            return write_logs(store, place, file=target.suffix == SUFFIX, least_score=least, confidence=stated or 0.0)
        case "results":
            return _write_results(store, place, packed=target.suffix.lower() == ".zip")
    return write_form(store, place, form, least)


def write_form(store: TrackStore, place: Path, form: str, least: float | None) -> tuple[str, ...]:
    """Write tracks in any form but the log of frames, in place.

    Args:
        store: the tracks.
        place: file or folder.
        form: a key of `FORMS`.
        least: score in its frame of what is written, all by default; results hold all.

    Returns:
        What the form could not hold, one line each.
    """
    match form:
        case "results":
            return write_results(store, place)
        case "tracks":
            return write_tracks(store, place, least_score=least)
        case "davis":
            return write_palette_png(store, place, least_score=least)
        case "mots-png":
            return write_mots_png(store, place, least_score=least)
        case "mots":
            return write_mots_text(store, place, least_score=least)
        case "mot":
            return write_mot(store, place, least_score=least)
        case "csv":
            return write_csv(store, place, least_score=least)
    return write_coco_vid(store, place, least_score=least)


def _write_results(store: TrackStore, place: Path, *, packed: bool) -> tuple[str, ...]:
    if not packed:
        return write_results(store, place)
    with whole(place.with_name(f"{place.name}.json")) as plain:
        notes = write_results(store, plain)
        write_results_zip(plain, place)
    place.with_name(f"{place.name}.json").unlink()
    return notes


def _check_target(target: Path, form: str, *, overwrite: bool) -> None:
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    if not overwrite:
        raise InputError("it exists already", place=target, hint="choose another place, or add --overwrite")
    if not target.is_dir():
        return
    try:
        there = recognise(target)
    except InputError:
        there = "something else"
    if there != form:
        hint = "a folder is replaced as a whole: empty it yourself, or choose another place"
        raise InputError(f"the folder holds {there}, not tracks of the form {form}", place=target, hint=hint)


def _losses(tally: Tally, everything: Tally, form: str) -> list[str]:
    """What no track of the form can say, where the store knows it."""
    title, lost = FORMS[form].partition(",")[0], []
    below = everything.sightings - tally.sightings
    if below:
        lost.append(f"left out: {counted(below, 'sighting')} below the confidence")
    boxes = tally.sightings - tally.masks
    if form == "mot" and tally.masks:
        became = "a box" if tally.masks == 1 else "boxes"
        lost.append(f"{title} holds no masks: {counted(tally.masks, 'mask')} became {became}")
    if form in LABEL_FORMS and boxes:
        lost.append(f"{title} holds no boxes: left out {counted(boxes, 'box', 'boxes')} without a mask")
    if form in {*LABEL_FORMS, "results"} and tally.scored:
        lost.append(f"{title}: no place for {counted(tally.scored, 'score')} of single frames")
    if form in {"mots-png", "mots", "mot"} and tally.scored_tracks:
        lost.append(f"{title}: no place for {counted(tally.scored_tracks, 'score')} of tracks")
    if form == "frames" and tally.scored_tracks:
        lost.append(f"{title}: scores of tracks will follow from those of frames")
    if form in {*LABEL_FORMS, "results", "mot"} and tally.timed:
        lost.append(f"{title}: no place for the times of {counted(tally.timed, 'frame')}")
    return lost
