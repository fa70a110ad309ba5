"""Palette PNG masks as DAVIS has them: a folder a video, a PNG a frame, a pixel the id of its track.

Facts of the form: index 0 is background; 255 marks pixels that belong to nobody, in DAVIS as in VOC, whose colours the
palette has. Where ids do not fit, PNG of one 16-bit grey value a pixel are written instead. What a PNG cannot hold, the
class and the score of each track, is in `tracks.csv` beside them, a file of ours.
"""

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from qcen_core.errors import InputError
from qcen_core.trackforms.checks import finite_number, whole_number
from qcen_core.trackforms.known_videos import KnownVideos
from qcen_core.trackforms.label_maps import Covering, frames_with_stems, label_map
from qcen_core.trackforms.map_folders import add_map_video, map_folders, maps_of, take_map
from qcen_core.trackforms.store import StoredVideo, TrackStore
from qcen_core.trackforms.text_rows import require_columns, table_rows
from qcen_core.trackforms.track_numbers import fitting_numbers, renumbering_note
from qcen_core.trackforms.wording import counted

SIDECAR = "tracks.csv"
SIDECAR_COLUMNS = ("track_id", "class", "score")
NOBODY = 255
_LARGEST = 65_535
_NAMELESS = "object"


def voc_palette() -> list[int]:
    """Red, green and blue of 256 entries: the bits of an index, three at a time, are the high bits of its colour."""
    colors = []
    for index in range(256):
        for channel in range(3):
            bits = (index >> (3 * place + channel) & 1 for place in range(3))
            colors.append(sum(bit << (7 - place) for place, bit in enumerate(bits)))
    return colors


def write_palette_png(store: TrackStore, path: Path, *, least_score: float | None = None) -> tuple[str, ...]:
    """Write a PNG for each frame of each video, also for those in which nothing is seen.

    Args:
        store: the tracks.
        path: folder to fill; it is made.
        least_score: of a sighting in its frame, for it to be drawn; all by default.

    Returns:
        What the form could not hold, one line each.

    Raises:
        InputError: a video has more than 65535 tracks.
    """
    notes: list[str] = []
    covering = Covering()
    for video in store.videos():
        folder = path / video.name
        folder.mkdir(parents=True)
        labels = store.labels(video, least_score)
        numbers = fitting_numbers(labels, _LARGEST, video, "a PNG")
        notes += renumbering_note(numbers, video)
        wide = max(numbers.values(), default=0) >= NOBODY
        if wide:
            notes.append(f"video {video.name} has track ids from {NOBODY} on: its PNG are 16-bit grey")
        for stem, frame in frames_with_stems(store, video, least_score):
            seen = [sighting for sighting in frame.sightings if sighting.track_id in numbers]
            drawn = label_map(seen, numbers, video.height, video.width, covering)
            _write_png(drawn, folder / f"{stem}.png", wide=wide)
        _write_sidecar(store, labels, numbers, folder / SIDECAR)
    return (*notes, *covering.notes("a PNG"))


def read_palette_png(store: TrackStore, path: Path, known: KnownVideos | None = None) -> tuple[str, ...]:
    """Read PNG masks into an empty store; without `tracks.csv` all tracks are of one class, `object`.

    Args:
        store: to fill.
        path: a folder of folders of PNG, or that of one video.
        known: the videos that the folders are called after; by default the frames are the PNG that there are.

    Returns:
        What was left out, one line each.

    Raises:
        InputError: there is no PNG, one cannot be used, or the table of tracks has a line that cannot be used.
    """
    for category in known.categories if known else ():
        store.add_category(category)
    nobodys = 0
    for folder in map_folders(path):
        video = add_map_video(store, folder, folder.absolute().name, known)
        tracks: set[int] = set()
        for frame, file, labels in maps_of(folder, video, known):
            if labels.dtype == np.uint8 and (labels == NOBODY).any():
                nobodys += 1
                labels = np.where(labels == NOBODY, 0, labels)
            tracks |= take_map(store, video, frame, labels, file)
        _add_tracks(store, video, tracks, folder / SIDECAR)
    return (f"left out: pixels that belong to nobody in {counted(nobodys, 'frame')}",) if nobodys else ()


def _write_png(labels: NDArray[np.uint16], path: Path, *, wide: bool) -> None:
    image = Image.fromarray(labels if wide else labels.astype(np.uint8))
    if not wide:
        image.putpalette(voc_palette())
    image.save(path)


def _write_sidecar(
    store: TrackStore, labels: Mapping[int, tuple[int, float | None]], numbers: Mapping[int, int], path: Path
) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(SIDECAR_COLUMNS)
        for track, (class_id, score) in labels.items():
            writer.writerow((numbers[track], store.categories[class_id].name, "" if score is None else repr(score)))


def _add_tracks(store: TrackStore, video: StoredVideo, tracks: set[int], sidecar: Path) -> None:
    stated: dict[int, tuple[int, float | None]] = {}
    if sidecar.is_file():
        rows = table_rows(sidecar)
        form = ",".join(SIDECAR_COLUMNS)
        if tuple(next(rows, ("", []))[1]) != SIDECAR_COLUMNS:
            hint = f"its first line is {form}; remove it if it is something else"
            raise InputError("not a table of tracks", place=sidecar, hint=hint)
        for place, row in rows:
            require_columns(row, range(3, 4), place, form)
            score = finite_number(row[2], "score", place) if row[2] else None
            stated[whole_number(row[0], "track_id", place)] = store.class_named(row[1] or _NAMELESS), score
    for track in sorted(tracks):
        class_id, score = stated[track] if track in stated else (store.class_named(_NAMELESS), None)
        store.add_track(video.id, track, class_id, score)
