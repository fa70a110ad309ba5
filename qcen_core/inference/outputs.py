"""The files of a run: what is evaluated, and what people and other programs read.

`results.json` holds every track with every mask. `tracks.json` and `tracks.csv` hold what the overlay shows:
the instances whose score in the frame reaches the confidence of the run.
"""

import csv
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from qcen_core.inference.results import Sighting, TrackHistory, to_result
from qcen_core.ops import rle
from qcen_core.records import Category, ObjectTrack, TrackDataset, TrackResult, VideoRecord
from qcen_core.resultfile import write_results
from qcen_core.trackfile import write_annotations

CSV_COLUMNS = ("frame", "time_s", "track_id", "class", "score", "x", "y", "w", "h", "area", "video")


class OutputTables:
    """Gathers the finished videos of a run; masks are kept as run lengths only.

    Args:
        categories: of the outputs.
        class_of: model class -> output class; tracks of other model classes are left out.
        confidence: least score in a frame of an instance in `tracks.json` and `tracks.csv`.
    """

    def __init__(self, categories: Sequence[Category], class_of: Mapping[int, int], confidence: float) -> None:
        self.frame_count = 0
        self._categories = tuple(categories)
        self._class_of = class_of
        self._confidence = confidence
        self._results: list[TrackResult] = []
        self._videos: list[VideoRecord] = []
        self._shown: list[ObjectTrack] = []
        self._rows: list[tuple[object, ...]] = []

    @property
    def track_count(self) -> int:
        """Number of tracks that are shown in at least one frame."""
        return len(self._shown)

    def class_counts(self) -> dict[str, int]:
        """Class name -> number of its shown tracks, the most frequent first."""
        counts = Counter(self._categories[track.class_id].name for track in self._shown)
        return dict(counts.most_common())

    def add(self, video: VideoRecord, tracks: Sequence[TrackHistory]) -> None:
        """Take in a finished video.

        Args:
            video: the video, one frame file for each frame that was segmented.
            tracks: all that was seen in it.
        """
        first_id = self._shown[-1].id if self._shown else 0  # track ids repeat from video to video
        rows: list[tuple[object, ...]] = []
        for track in tracks:
            if track.class_id not in self._class_of:
                continue
            class_id = self._class_of[track.class_id]
            frame_count = len(video.frame_files)
            result = to_result(track, video_id=video.id, class_id=class_id, frame_count=frame_count)
            self._results.append(result)
            shown = {i: seen for i, seen in track.sightings.items() if seen.score >= self._confidence}
            if shown:
                self._shown.append(_object_track(first_id + track.track_id, result, shown))
                name = self._categories[class_id].name
                rows += [_row(frame, track.track_id, name, seen, video.name) for frame, seen in shown.items()]
        self._rows += sorted(rows, key=lambda row: row[:1] + row[2:3])
        self._videos.append(video)
        self.frame_count += len(video.frame_files)

    def write_results(self, path: Path) -> None:
        """YouTube-VIS results: what `qcen evaluate` and the public servers take."""
        write_results(self._results, self._categories, path)

    def write_tracks(self, path: Path) -> None:
        """YouTube-VIS annotations: what was shown, readable as a data set. Track ids go on from video to video."""
        write_annotations(TrackDataset(self._categories, tuple(self._videos), tuple(self._shown)), path)

    def write_csv(self, path: Path) -> None:
        """One row for each shown instance of each frame, in time order; boxes in pixels of the frame."""
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(CSV_COLUMNS)
            writer.writerows(self._rows)


def _object_track(annotation_id: int, result: TrackResult, shown: Mapping[int, Sighting]) -> ObjectTrack:
    masks = tuple(mask if frame in shown else None for frame, mask in enumerate(result.segmentations))
    boxes = tuple(None if mask is None else rle.bounding_box(mask) for mask in masks)
    return ObjectTrack(annotation_id, result.video_id, result.class_id, boxes, masks)


def _row(frame: int, track_id: int, name: str, seen: Sighting, video: str) -> tuple[object, ...]:
    x1, y1, x2, y2 = (round(v) for v in rle.bounding_box(seen.mask) or (0, 0, 0, 0))
    box = (x1, y1, x2 - x1, y2 - y1)
    return (frame, f"{float(seen.time):.6f}", track_id, name, f"{seen.score:.4f}", *box, rle.area(seen.mask), video)


def write_summary(content: Mapping[str, Any], path: Path) -> None:
    """What was run on what, as JSON."""
    path.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")


@contextmanager
def all_or_nothing(targets: Sequence[Path]) -> Iterator[tuple[Path, ...]]:
    """Hidden places beside the targets to write to; they get their names only if the whole block succeeds.

    Otherwise they are removed, and so are the folders that were made for them. A place that was not written
    leaves its target as it was.
    """
    made: list[Path] = []
    for folder in dict.fromkeys(target.parent for target in targets):
        missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        made += missing
    places = tuple(target.with_name(f".unfinished-{target.name}") for target in targets)
    finished = False
    try:
        yield places
        for place, target in zip(places, targets, strict=True):
            if place.exists():
                place.replace(target)
        finished = True
    finally:
        if not finished:
            for place in places:
                place.unlink(missing_ok=True)
            for folder in made:
                if not any(folder.iterdir()):
                    folder.rmdir()
