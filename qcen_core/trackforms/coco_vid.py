"""COCO-VID: images with `video_id` and `frame_id`, and an annotation for each object of each image.

`instance_id` is the track's id, unique in its video. As TAO has it, the list `tracks` states what is true of a whole
track: its class and, a key of ours, its `score`. Further keys of ours, which other programs pass over: `score` of an
annotation, `frame_rate` and `time_base` of a video as fractions, `pictures: false` of a video where the names of its
frames are made up, and `ticks` of an image.
"""

from collections.abc import Iterator
from pathlib import Path

from qcen_core.errors import InputError
from qcen_core.jsonfile import JsonRecord
from qcen_core.ops import rle
from qcen_core.records import Category
from qcen_core.trackfile import parse_mask, read_categories, track_class, visible
from qcen_core.trackforms.checks import add_sightings, require_sound, safe_name, stated_box, stated_fraction
from qcen_core.trackforms.image_table import ImageTable
from qcen_core.trackforms.json_stream import JsonStream, write_list
from qcen_core.trackforms.store import Sighting, StoredVideo, TrackStore
from qcen_core.trackforms.wording import counted


def write_coco_vid(store: TrackStore, path: Path, *, least_score: float | None = None) -> tuple[str, ...]:
    """Write a COCO-VID file.

    Args:
        store: the tracks.
        path: the file; it is written in place.
        least_score: of a sighting in its frame, for it to be written; all by default.

    Returns:
        What the form could not hold, one line each: nothing.
    """
    with path.open("w", encoding="utf-8") as file:
        file.write('{"info": {}, "videos": ')
        write_list(file, (_video_entry(store, video) for video in store.videos()))
        file.write(', "images": ')
        write_list(file, _images(store))
        file.write(', "categories": ')
        write_list(file, ({"id": category.source_id, "name": category.name} for category in store.categories))
        file.write(', "tracks": ')
        write_list(file, _tracks(store, least_score))
        file.write(', "annotations": ')
        write_list(file, _annotations(store, least_score))
        file.write("}")
    return ()


def read_coco_vid(store: TrackStore, path: Path) -> tuple[str, ...]:
    """Read a COCO-VID file into an empty store; frames of a video are its images in the order of `frame_id`.

    Returns:
        What was left out, one line each.

    Raises:
        InputError: the file or a record in it cannot be used.
    """
    file = JsonStream(path)
    if file.is_list or "images" not in file.keys:
        raise InputError("not a COCO file", place=path, hint="pass a COCO-VID file")
    if "videos" not in file.keys:
        hint = "make a video set of it with `qcen prepare`, whose train.json is of the tracks form"
        raise InputError("a COCO file of images without videos", place=path, hint=hint)
    for category in read_categories(list(file.records("category", "categories")), path):
        store.add_category(category)
    with ImageTable(path) as images:
        return _read_annotations(store, file, images, _read_videos(store, file, images))


def _video_entry(store: TrackStore, video: StoredVideo) -> dict[str, object]:
    entry: dict[str, object] = {
        "id": video.id,
        "name": video.name,
        "width": video.width,
        "height": video.height,
    }
    for key, value in (("frame_rate", video.frame_rate), ("time_base", video.time_base)):
        if value is not None:
            entry[key] = str(value)
    if all(file is None for _, _, file in store.listed_frames(video)):
        entry["pictures"] = False
    return entry


def _images(store: TrackStore) -> Iterator[dict[str, object]]:
    number = 0
    for video in store.videos():
        for index, ticks, file in store.listed_frames(video):
            number += 1
            image: dict[str, object] = {
                "id": number,
                "video_id": video.id,
                "frame_id": index,
                "file_name": file or f"{video.name}/{index:05d}.jpg",
                "width": video.width,
                "height": video.height,
            }
            yield image if ticks is None else image | {"ticks": ticks}


def _tracks(store: TrackStore, least_score: float | None) -> Iterator[dict[str, object]]:
    for video in store.videos():
        for track, (class_id, score) in store.labels(video, least_score).items():
            category = store.categories[class_id].source_id
            entry: dict[str, object] = {"id": track, "video_id": video.id, "category_id": category}
            yield entry if score is None else entry | {"score": score}


def _annotations(store: TrackStore, least_score: float | None) -> Iterator[dict[str, object]]:
    number = first_image = 0
    for video in store.videos():
        labels = store.labels(video, least_score)
        for frame in store.frames(video, least_score):
            for seen in frame.sightings:
                if seen.track_id in labels:
                    number += 1
                    category = store.categories[labels[seen.track_id][0]]
                    yield _annotation(seen, number, first_image + frame.index + 1, video, category)
        first_image += store.frame_count(video)


def _annotation(seen: Sighting, number: int, image: int, video: StoredVideo, category: Category) -> dict[str, object]:
    x1, y1, x2, y2 = (float(value) for value in seen.box)
    annotation: dict[str, object] = {
        "id": number,
        "image_id": image,
        "video_id": video.id,
        "category_id": category.source_id,
        "instance_id": seen.track_id,
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "area": (x2 - x1) * (y2 - y1) if seen.mask is None else rle.area(seen.mask),
        "iscrowd": 0,
    }
    if seen.mask is not None:
        annotation["segmentation"] = seen.mask
    if seen.score is not None:
        annotation["score"] = seen.score
    return annotation


def _read_videos(store: TrackStore, file: JsonStream, images: ImageTable) -> dict[int, StoredVideo]:
    for record in file.records("image", "images"):
        images.add(record)
    images.arrange()
    videos: dict[int, StoredVideo] = {}
    names: set[str] = set()
    for record in file.records("video", "videos"):
        number = record.integer("id")
        if number in videos:
            raise InputError("its id occurs twice", place=record.place, hint="number the videos anew")
        name = safe_name(str(record.fields.get("name") or ""), number)
        if name.casefold() in names:
            name = f"{name}_{number}"
        names.add(name.casefold())
        height, width = images.size(number, record)
        rate, base = stated_fraction(record, "frame_rate"), stated_fraction(record, "time_base")
        videos[number] = StoredVideo(number, name, height, width, rate, base)
        store.add_video(videos[number])
        store.add_frames(number, images.frames(number, files=record.fields.get("pictures") is not False))
    images.require_videos(videos)
    return videos


def _read_track_scores(file: JsonStream) -> dict[tuple[int, int], float]:
    """(Video, track) -> score of the track, of those that have one."""
    records = file.records("track", "tracks") if "tracks" in file.keys else iter(())
    return {
        (record.integer("video_id"), record.integer("id")): record.number("score")
        for record in records
        if not record.is_null("score")
    }


def _read_annotations(
    store: TrackStore, file: JsonStream, images: ImageTable, videos: dict[int, StoredVideo]
) -> tuple[str, ...]:
    class_of = {category.source_id: index for index, category in enumerate(store.categories)}
    scores = _read_track_scores(file)
    classes: dict[tuple[int, int], int] = {}
    regions = 0
    for record in file.records("annotation", "annotations"):
        if record.fields.get("iscrowd") or record.fields.get("ignore"):
            regions += 1
            continue
        video_id, frame = images.place(record)
        video = videos[video_id]
        track = record.integer("track_id" if record.is_null("instance_id") else "instance_id")
        class_id = track_class(record, class_of)
        if classes.setdefault((video_id, track), class_id) != class_id:
            raise InputError(f"instance {track} is of another class before", place=record.place, hint="correct it")
        seen = _sighting(record, video, track, frame)
        if seen is not None:
            add_sightings(store, video, [seen], record.place)
    for (video_id, track), class_id in classes.items():
        store.add_track(video_id, track, class_id, scores.get((video_id, track)))
    return (f"left out: {counted(regions, 'region')} to ignore",) if regions else ()


def _sighting(record: JsonRecord, video: StoredVideo, track: int, frame: int) -> Sighting | None:
    """What an annotation says; `None` where its mask has no pixel and there is no box."""
    try:
        mask = parse_mask(record.fields.get("segmentation"), video.height, video.width)
    except (ValueError, TypeError, KeyError) as error:
        reason = str(error) if isinstance(error, ValueError) else "neither run lengths nor polygons"
        hint = "a mask has the size of its image; write it again"
        raise InputError(f"unreadable mask: {reason}", place=record.place, hint=hint) from None
    if mask is not None:
        require_sound([mask], video, [record.place])
        mask = visible(mask)
    box = stated_box(record.fields.get("bbox"), record.place) or (None if mask is None else rle.bounding_box(mask))
    score = None if record.is_null("score") else record.number("score")
    return None if box is None else Sighting(track, frame, score, box, mask)
