"""`tracks.json`: tracks in the YouTube-VIS annotation form, which `qcen prepare` reads like any other data set.

Keys of ours, which other programs pass over, keep what the form has no place for: of a video its `frame_rate` and
`time_base` as fractions, the `ticks` of its frames, and `pictures: false` where the names of its frames are made up; of
an annotation `track_id`, its `score`, and `scores`, one a frame.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from qcen_core.errors import InputError
from qcen_core.jsonfile import JsonRecord, is_finite_number
from qcen_core.ops import rle
from qcen_core.records import Category, VideoRecord
from qcen_core.trackfile import read_categories, read_videos, track_class, track_masks, track_video
from qcen_core.trackforms.checks import add_sightings, stated_box
from qcen_core.trackforms.json_stream import JsonStream, write_list
from qcen_core.trackforms.known_videos import add_known_video
from qcen_core.trackforms.store import Sighting, StoredTrack, StoredVideo, TrackStore
from qcen_core.trackforms.wording import counted


def write_tracks(store: TrackStore, path: Path, *, least_score: float | None = None) -> tuple[str, ...]:
    """Write tracks as annotations; their ids go on from video to video.

    Args:
        store: the tracks.
        path: the file; it is written in place.
        least_score: of a sighting in its frame, for it to be written; all by default.

    Returns:
        What the form could not hold, one line each: nothing.
    """
    with path.open("w", encoding="utf-8") as file:
        file.write('{"info": {}, "videos": [')
        for index, video in enumerate(store.videos()):
            file.write(", " if index else "")
            _write_video(store, video, file)
        file.write('], "categories": ')
        write_list(file, ({"id": category.source_id, "name": category.name} for category in store.categories))
        file.write(', "annotations": ')
        write_list(file, _annotations(store, least_score))
        file.write("}")
    return ()


def read_tracks(store: TrackStore, path: Path) -> tuple[str, ...]:
    """Read YouTube-VIS annotations into an empty store; without `track_id` a track has the id of its annotation.

    Returns:
        What was left out, one line each.

    Raises:
        InputError: the file or a record in it cannot be used.
    """
    file = JsonStream(path)
    if file.is_list or "images" in file.keys:
        raise InputError("not YouTube-VIS annotations", place=path, hint="pass the annotation file")
    for category in read_categories(list(file.records("category", "categories")), path):
        store.add_category(category)
    class_of = {category.source_id: index for index, category in enumerate(store.categories)}
    items = list(file.records("video", "videos"))
    records = {video.id: video for video in read_videos(items, path)}
    stored = {
        video.id: add_known_video(store, video, item, files=item.fields.get("pictures") is not False)
        for video, item in zip(records.values(), items, strict=True)
    }
    regions = 0
    seen: set[tuple[int, int]] = set()
    for record in file.records("annotation", "annotations"):
        if record.fields.get("iscrowd") or record.fields.get("ignore"):
            regions += 1
            continue
        video = track_video(record, records)
        track = (video.id, record.integer("id" if record.is_null("track_id") else "track_id"))
        if track in seen:
            raise InputError(f"track {track[1]} occurs twice", place=record.place, hint="number its tracks anew")
        seen.add(track)
        score = None if record.is_null("score") else record.number("score")
        sightings = _sightings(record, video, track[1])
        if sightings:
            store.add_track(*track, track_class(record, class_of), score)
            add_sightings(store, stored[video.id], sightings, record.place)
    notes = []
    if regions:
        notes.append(f"left out: {counted(regions, 'region')} to ignore")
    unlabelled = sum(len(video.unlabelled) for video in records.values())
    if unlabelled:
        notes.append(f"left out: which frames are unlabelled, {unlabelled} of them")
    return tuple(notes)


def _write_video(store: TrackStore, video: StoredVideo, file: TextIO) -> None:
    """One video, its frames one at a time."""
    head = {
        "id": video.id,
        "name": video.name,
        "width": video.width,
        "height": video.height,
        "length": store.frame_count(video),
    }
    file.write(json.dumps(head)[:-1] + ', "file_names": ')
    pictures = [False]

    def names() -> Iterator[str]:
        for index, _, name in store.listed_frames(video):
            pictures[0] = pictures[0] or name is not None
            yield name or f"{video.name}/{index:05d}.jpg"

    write_list(file, names())
    if not pictures[0]:
        file.write(', "pictures": false')
    for key, value in (("frame_rate", video.frame_rate), ("time_base", video.time_base)):
        if value is not None:
            file.write(f', "{key}": "{value}"')
    if any(ticks is not None for _, ticks, _ in store.listed_frames(video)):
        file.write(', "ticks": ')
        write_list(file, (ticks for _, ticks, _ in store.listed_frames(video)))
    file.write("}")


def _annotations(store: TrackStore, least_score: float | None) -> Iterator[dict[str, object]]:
    first = 0
    for video in store.videos():
        length, last = store.frame_count(video), first
        # Annotations that came from elsewhere may count from 0.
        first += max(0, 1 - min(store.labels(video, least_score), default=1))
        for track in store.tracks(video, least_score):
            last = first + track.id
            yield _annotation(track, video, length, last, store.categories)
        first = last


def _annotation(
    track: StoredTrack, video: StoredVideo, length: int, annotation_id: int, categories: Sequence[Category]
) -> dict[str, object]:
    boxes: list[list[float] | None] = [None] * length
    masks: list[object] = [None] * length
    areas: list[float | None] = [None] * length
    scores: list[float | None] = [None] * length
    for seen in track.sightings:
        x1, y1, x2, y2 = (float(value) for value in seen.box)
        boxes[seen.frame] = [x1, y1, x2 - x1, y2 - y1]
        masks[seen.frame] = seen.mask
        areas[seen.frame] = (x2 - x1) * (y2 - y1) if seen.mask is None else rle.area(seen.mask)
        scores[seen.frame] = seen.score
    record: dict[str, object] = {
        "id": annotation_id,
        "video_id": video.id,
        "category_id": categories[track.class_id].source_id,
        "iscrowd": 0,
        "height": video.height,
        "width": video.width,
        "length": length,
        "bboxes": boxes,
    }
    if any(seen.mask is not None for seen in track.sightings):
        record["segmentations"] = masks
    record |= {"areas": areas, "track_id": track.id}
    if track.score is not None:
        record["score"] = track.score
    if any(seen.score is not None for seen in track.sightings):
        record["scores"] = scores
    return record


def _sightings(record: JsonRecord, video: VideoRecord, track_id: int) -> list[Sighting]:
    length = len(video.frame_files)
    if record.is_null("segmentations") and record.is_null("bboxes"):
        raise InputError(
            "neither segmentations nor bboxes", place=record.place, hint="an annotation needs one of the two"
        )
    masks = (None,) * length if record.is_null("segmentations") else track_masks(record, video)
    stated = [None] * length if record.is_null("bboxes") else _frames(record, "bboxes", length)
    scores = [None] * length if record.is_null("scores") else _frames(record, "scores", length)
    found = []
    for frame, mask in enumerate(masks):
        place = f"{record.place}, frame {frame}"
        box = stated_box(stated[frame], place) or (None if mask is None else rle.bounding_box(mask))
        score = scores[frame]
        if score is not None and not is_finite_number(score):
            raise InputError("a score is a number", place=place, hint="correct it")
        if box is not None:
            found.append(Sighting(track_id, frame, None if score is None else float(str(score)), box, mask))
    return found


def _frames(record: JsonRecord, key: str, length: int) -> list[object]:
    frames = record.items(key)
    if len(frames) != length:
        cause = f"{key} has {len(frames)} frames, its video has {length}"
        raise InputError(cause, place=record.place, hint="write one entry a frame, null where the object is absent")
    return frames
