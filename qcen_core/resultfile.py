"""YouTube-VIS results files: predicted tracks."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from qcen_core.errors import InputError
from qcen_core.jsonfile import JsonRecord, json_records, load_json, write_json
from qcen_core.records import Category, TrackDataset, TrackResult
from qcen_core.trackfile import track_class, track_masks, track_video, visible


def read_results(path: Path, dataset: TrackDataset) -> tuple[TrackResult, ...]:
    """Read a YouTube-VIS results file against the data set it was predicted for.

    The form has no track ids: the tracks of each video are numbered from 1 in the order of the file. What is predicted
    at frames that nobody labelled is left out: nobody can say whether it is right.

    Raises:
        InputError: the file or a record in it cannot be used, or does not fit the data set.
    """
    content = load_json(path)
    if not isinstance(content, list):
        raise InputError(
            "not a results file, which is a list of tracks", place=path, hint="pass the results.json of `qcen infer`"
        )
    video_of = {video.id: video for video in dataset.videos}
    class_of = {category.source_id: index for index, category in enumerate(dataset.categories)}
    numbers: Counter[int] = Counter()
    results = []
    for index, record in enumerate(json_records(content, path, "result")):
        record = JsonRecord(record.fields, f"{path}: result {index}")
        video = track_video(record, video_of)
        numbers[video.id] += 1
        masks = track_masks(record, video)
        judged = tuple(None if frame in video.unlabelled else mask for frame, mask in enumerate(masks))
        if any(masks) and not any(judged):
            continue
        results.append(
            TrackResult(
                video_id=video.id,
                track_id=numbers[video.id],
                class_id=track_class(record, class_of),
                score=record.number("score"),
                segmentations=judged,
            )
        )
    return tuple(results)


def write_results(results: Sequence[TrackResult], categories: Sequence[Category], path: Path) -> None:
    """Write a YouTube-VIS results file, as the public evaluation servers take it, whole or not at all."""
    content = [
        {
            "video_id": result.video_id,
            "category_id": categories[result.class_id].source_id,
            "score": float(result.score),
            "segmentations": [visible(mask) for mask in result.segmentations],
        }
        for result in results
    ]
    write_json(content, path)
