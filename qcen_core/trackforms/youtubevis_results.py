"""`results.json`: predicted tracks in the YouTube-VIS results form, which public evaluation servers take."""

import shutil
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec

from qcen_core.errors import InputError
from qcen_core.jsonfile import JsonRecord
from qcen_core.records import Category, Rle, VideoRecord
from qcen_core.trackfile import track_class, track_masks_and_boxes, track_video
from qcen_core.trackforms.checks import add_sightings, check_size
from qcen_core.trackforms.json_stream import JsonStream, write_list
from qcen_core.trackforms.known_videos import KnownVideos, add_known_video
from qcen_core.trackforms.store import Sighting, StoredTrack, StoredVideo, TrackStore
from qcen_core.trackforms.wording import counted

_ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # the first one that the form knows: the same bytes whenever it is written


def write_results(store: TrackStore, path: Path) -> tuple[str, ...]:
    """Write every track with every mask, whatever its score; tracks without any mask are left out.

    Args:
        store: the tracks.
        path: the file; it is written in place.

    Returns:
        What the form could not hold, one line each.
    """
    boxes_only = unscored = 0

    def records() -> Iterator[dict[str, object]]:
        nonlocal boxes_only, unscored
        for video in store.videos():
            length = store.frame_count(video)
            for track in store.tracks(video):
                if any(seen.mask for seen in track.sightings):
                    unscored += track.score is None
                    yield _record(track, video, length, store.categories)
                else:
                    boxes_only += 1

    with path.open("w", encoding="utf-8") as file:
        write_list(file, records())
    notes = []
    if boxes_only:
        notes.append(f"results hold masks only: left out {counted(boxes_only, 'track')} of boxes")
    if unscored:
        notes.append(f"results need scores: {counted(unscored, 'track')} without one got 1")
    return tuple(notes)


def write_results_zip(results: Path, path: Path) -> None:
    """Pack a results file as public servers take it: `results.json` alone, at the root, the same bytes every time."""
    entry = zipfile.ZipInfo("results.json", _ZIP_TIME)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    entry.create_system = 3
    with zipfile.ZipFile(path, "w") as packed, results.open("rb") as source:
        entry.file_size = results.stat().st_size
        with packed.open(entry, "w") as target:
            shutil.copyfileobj(source, target)


def read_results(store: TrackStore, path: Path, known: KnownVideos | None = None) -> tuple[str, ...]:
    """Read a results file into an empty store.

    The form has no track ids: the tracks of each video are numbered from 1 in the order of the file. Without the
    annotation file, videos are called `video_<id>`, classes `class <id>`, and sizes are those of the masks.

    Args:
        store: to fill.
        path: the file.
        known: the videos that it was predicted for.

    Returns:
        What was left out, one line each.

    Raises:
        InputError: the file or a record in it cannot be used, or does not fit the videos.
    """
    file = JsonStream(path)
    if not file.is_list:
        raise InputError("not a results file, which is a list of tracks", place=path, hint="pass a results.json")
    records = {video.id: video for video in known.videos} if known else {}
    stored = {video.id: add_known_video(store, video) for video in records.values()}
    for category in known.categories if known else ():
        store.add_category(category)
    class_of = {category.source_id: index for index, category in enumerate(store.categories)}
    numbers: Counter[int] = Counter()
    empty = 0
    for record in file.records("result"):
        if known is None:
            _meet(store, record, records, stored, class_of)
        video = track_video(record, records)
        sightings = _sightings(record, video, numbers[video.id] + 1)
        class_id, score = track_class(record, class_of), record.number("score")
        if not sightings:
            empty += 1
            continue
        numbers[video.id] += 1
        store.add_track(video.id, numbers[video.id], class_id, score)
        add_sightings(store, stored[video.id], sightings, record.place)
    return (f"left out: {counted(empty, 'track')} without a pixel",) if empty else ()


def _record(track: StoredTrack, video: StoredVideo, length: int, categories: tuple[Category, ...]) -> dict[str, object]:
    masks: list[Rle | None] = [None] * length
    for seen in track.sightings:
        masks[seen.frame] = seen.mask
    return {
        "video_id": video.id,
        "category_id": categories[track.class_id].source_id,
        "score": 1.0 if track.score is None else float(track.score),
        "segmentations": masks,
    }


def _meet(
    store: TrackStore,
    record: JsonRecord,
    records: dict[int, VideoRecord],
    stored: dict[int, StoredVideo],
    class_of: dict[int, int],
) -> None:
    """Make the video and the class of a record where they are new."""
    number = record.integer("video_id")
    if number not in records:
        masks = record.items("segmentations")
        mask = next((mask for mask in masks if isinstance(mask, dict)), None)
        if mask is None:
            hint = "pass the annotation file of its videos as --like"
            raise InputError("the size of its video cannot be told", place=record.place, hint=hint)
        try:
            height, width = msgspec.convert(mask.get("size"), tuple[int, int])
        except msgspec.ValidationError:
            raise InputError("a mask without a size", place=record.place, hint="write it again") from None
        check_size(height, width, record.place)
        # Names that nobody needs: what counts is how many frames there are.
        video = VideoRecord(number, f"video_{number}", height, width, ("",) * len(masks))
        records[number] = video
        stored[number] = add_known_video(store, video, files=False)
    category = record.integer("category_id")
    if category not in class_of:
        class_of[category] = store.add_category(Category(category, f"class {category}"))


def _sightings(record: JsonRecord, video: VideoRecord, track_id: int) -> list[Sighting]:
    masks, boxes = track_masks_and_boxes(record, video)
    seen = enumerate(zip(masks, boxes, strict=True))
    return [Sighting(track_id, frame, None, box, mask) for frame, (mask, box) in seen if box is not None]
