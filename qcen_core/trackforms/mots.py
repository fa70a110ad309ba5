"""MOTS, multi-object tracking and segmentation: text with run lengths, and 16-bit PNG. Masks never overlap.

Facts of the form, from the description that its authors give and that TrackEval repeats (`docs/MOTS-format.txt`), and
from the readers of TrackEval:

- The id of an object is 1000 times its class and its number; class 10 marks regions to ignore.
- A line of text is `frame id class height width rle`, a pixel of a PNG is an id, 0 being background.
- MOTSChallenge counts frames from 1, KITTI MOTS from 0. Here text counts from 1; where a line speaks of a frame 0, it
  is taken to count from 0.
- `labels.txt`, which CVAT has beside the PNG, names class n in line n, from 1.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from qcen_core.errors import InputError
from qcen_core.records import Rle
from qcen_core.trackforms.checks import add_sightings, require_sound, whole_number
from qcen_core.trackforms.known_videos import KnownVideos
from qcen_core.trackforms.label_maps import Covering, frames_with_stems, label_map, map_sightings
from qcen_core.trackforms.map_folders import add_map_video, map_folders, maps_of, take_map
from qcen_core.trackforms.sequence_folder import (
    LABELS,
    SequenceFile,
    add_sequence_video,
    class_numbers,
    find_sequences,
    read_labels,
    write_info,
    write_labels,
)
from qcen_core.trackforms.store import StoredVideo, TrackStore, seen_by_mask
from qcen_core.trackforms.text_rows import require_columns, text_lines
from qcen_core.trackforms.track_numbers import fitting_numbers, renumbering_note
from qcen_core.trackforms.wording import counted

FORM = "frame id class height width rle"
INSTANCES = "instances"
_A_CLASS = 1000
_REGIONS = 10
_LARGEST_CLASS = 65  # whose ids still are numbers of 16 bits: 65 * 1000 + 535
_LARGEST_NUMBER = {_LARGEST_CLASS: 535}


def write_mots_png(store: TrackStore, path: Path, *, least_score: float | None = None) -> tuple[str, ...]:
    """Write `<video>/instances/<frame>.png` with `labels.txt` beside them; the higher score lies on top.

    Args:
        store: the tracks; those of boxes alone cannot be drawn.
        path: folder to fill; it is made.
        least_score: of a sighting in its frame, for it to be drawn; all by default.

    Returns:
        What the form could not hold, one line each.

    Raises:
        InputError: there are more than 64 classes, more than 999 tracks of a video, or a name that is no line.
    """
    notes: list[str] = []
    covering = Covering()
    for video in store.videos():
        folder = path / video.name / INSTANCES
        folder.mkdir(parents=True)
        write_labels(store.categories, folder / LABELS, but=_REGIONS)
        ids, renumbered = _object_ids(store, video, least_score)
        notes += renumbered
        for stem, frame in frames_with_stems(store, video, least_score):
            seen = [sighting for sighting in frame.sightings if sighting.track_id in ids]
            drawn = label_map(seen, ids, video.height, video.width, covering)
            Image.fromarray(drawn).save(folder / f"{stem}.png")
    return (*notes, *covering.notes("MOTS"))


def write_mots_text(store: TrackStore, path: Path, *, least_score: float | None = None) -> tuple[str, ...]:
    """Write `<video>/gt/gt.txt` with `labels.txt` beside it and `seqinfo.ini` above; the higher score lies on top.

    Arguments, what is returned and what is raised are as of `write_mots_png`.
    """
    notes: list[str] = []
    covering = Covering()
    for video in store.videos():
        folder = path / video.name / "gt"
        folder.mkdir(parents=True)
        write_info(video, store.frame_count(video), folder.parent)
        write_labels(store.categories, folder / LABELS, but=_REGIONS)
        ids, renumbered = _object_ids(store, video, least_score)
        notes += renumbered
        with (folder / "gt.txt").open("w", encoding="utf-8") as file:
            for frame in store.frames(video, least_score):
                seen = [sighting for sighting in frame.sightings if sighting.track_id in ids]
                drawn = label_map(seen, ids, video.height, video.width, covering)
                for left in map_sightings(drawn, frame.index):
                    counts = left.mask["counts"] if left.mask else ""
                    kind = left.track_id // _A_CLASS
                    file.write(f"{frame.index + 1} {left.track_id} {kind} {video.height} {video.width} {counts}\n")
    return (*notes, *covering.notes("MOTS"))


def read_mots_png(store: TrackStore, path: Path, known: KnownVideos | None = None) -> tuple[str, ...]:
    """Read MOTS PNG into an empty store; classes that `labels.txt` does not name are called `class 3`.

    Args:
        store: to fill.
        path: a folder of folders of PNG, or that of one video; a folder `instances` is called after the one above it.
        known: the videos that the folders are called after; by default the frames are the PNG that there are.

    Returns:
        What was left out, one line each.

    Raises:
        InputError: there is no PNG, or one cannot be used.
    """
    for category in known.categories if known else ():
        store.add_category(category)
    regions = 0
    for folder in map_folders(path):
        place = folder.absolute()
        video = add_map_video(store, folder, place.parent.name if place.name == INSTANCES else place.name, known)
        tracks: set[int] = set()
        for frame, file, labels in maps_of(folder, video, known):
            if labels.dtype == np.uint8:  # of another form; too small to be compared with 1000
                labels = labels.astype(np.uint16)
            ignored = labels // _A_CLASS == _REGIONS
            regions += bool(ignored.any())
            tracks |= take_map(store, video, frame, np.where(ignored, 0, labels), file)
        _name_tracks(store, video, tracks, read_labels(folder / LABELS), folder)
    return (f"left out: regions to ignore in {counted(regions, 'frame')}",) if regions else ()


def read_mots_text(store: TrackStore, path: Path, known: KnownVideos | None = None) -> tuple[str, ...]:
    """Read MOTS text into an empty store; classes that `labels.txt` does not name are called `class 3`.

    Args:
        store: to fill.
        path: a text file, a sequence's folder, or a folder of sequences.
        known: the videos that the sequences are called after; by default their length is that of `seqinfo.ini`, or
            the last frame of the text.

    Returns:
        What was left out, one line each.

    Raises:
        InputError: a file or a line in it cannot be used.
    """
    for category in known.categories if known else ():
        store.add_category(category)
    regions = 0
    for sequence in find_sequences(path):
        first, last, size = 1, 0, None
        for place, cells in _lines(sequence):
            frame = whole_number(cells[0], "frame", place)
            first, last = min(first, frame), max(last, frame)
            size = size or (whole_number(cells[3], "height", place), whole_number(cells[4], "width", place))
        video = add_sequence_video(store, sequence, known, size, last - first + 1)
        tracks: set[int] = set()
        for place, cells in _lines(sequence):
            frame, track, kind, height, width = (
                whole_number(cell, name, place) for cell, name in zip(cells[:5], FORM.split(), strict=False)
            )
            if kind == _REGIONS:
                regions += 1
                continue
            if track // _A_CLASS != kind:
                hint = "an id is 1000 times its class and its number"
                raise InputError(f"id {track} is not of class {kind}", place=place, hint=hint)
            mask = Rle(size=[height, width], counts=cells[5])
            require_sound([mask], video, [place])
            seen = seen_by_mask(track, frame - first, None, mask)
            if seen is not None:
                add_sightings(store, video, [seen], place)
                tracks.add(track)
        _name_tracks(store, video, tracks, sequence.labels, sequence.file)
    return (f"left out: {counted(regions, 'region')} to ignore",) if regions else ()


def _lines(sequence: SequenceFile) -> Iterator[tuple[str, list[str]]]:
    for place, line in text_lines(sequence.file):
        cells = line.split()
        require_columns(cells, range(6, 7), place, FORM)
        yield place, cells


def _object_ids(
    store: TrackStore, video: StoredVideo, least_score: float | None
) -> tuple[Mapping[int, int], tuple[str, ...]]:
    """Track id -> id in the file, and what to say of new numbers."""
    kinds = class_numbers(store.categories, but=_REGIONS)
    if len(kinds) > _LARGEST_CLASS - 1:
        hint = "choose a form without this limit, such as tracks or coco-vid"
        raise InputError(f"{len(kinds)} classes, MOTS holds {_LARGEST_CLASS - 1}", hint=hint)
    labels = store.labels(video, least_score)
    largest = _LARGEST_NUMBER.get(max((kinds[class_id] for class_id, _ in labels.values()), default=0), _A_CLASS - 1)
    numbers = fitting_numbers(labels, largest, video, "MOTS")
    ids = {track: _A_CLASS * kinds[labels[track][0]] + number for track, number in numbers.items()}
    return ids, renumbering_note(numbers, video)


def _name_tracks(store: TrackStore, video: StoredVideo, ids: set[int], names: Mapping[int, str], place: Path) -> None:
    """Class and number of each track out of its id; where two classes share a number, tracks keep their whole ids."""
    for kind, name in names.items():
        if kind != _REGIONS:
            store.class_named(name)
    numbers = {number: number % _A_CLASS for number in sorted(ids)}
    for number in numbers:
        if number < _A_CLASS:
            hint = "MOTS ids are 1000 times the class and a number; palette PNG are of another form"
            raise InputError(f"id {number} has no class", place=place, hint=hint)
    if len(set(numbers.values())) < len(numbers) or 0 in numbers.values():
        numbers = {number: number for number in numbers}
    store.renumber_tracks(video.id, {old: new for old, new in numbers.items() if old != new})
    for number, track in numbers.items():
        kind = number // _A_CLASS
        store.add_track(video.id, track, store.class_named(names.get(kind, f"class {kind}")), None)
