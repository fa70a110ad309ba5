"""Videos and classes as an annotation file lists them, for forms that state less."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from qcen_core.boxfile import read_boxes
from qcen_core.errors import InputError
from qcen_core.jsonfile import JsonRecord
from qcen_core.prepared import read_prepared
from qcen_core.records import Category, VideoRecord
from qcen_core.trackfile import read_categories, read_videos
from qcen_core.trackforms.checks import stated_fraction
from qcen_core.trackforms.json_stream import JsonStream
from qcen_core.trackforms.store import StoredVideo, TrackStore


@dataclass(frozen=True, slots=True)
class KnownVideos:
    """What an annotation file says of its videos.

    Attributes:
        path: the file.
        categories: its classes.
        videos: its videos; their labels do not count.
    """

    path: Path
    categories: tuple[Category, ...]
    videos: tuple[VideoRecord, ...]

    def named(self, name: str, place: str | Path) -> VideoRecord:
        """The video of a name.

        Raises:
            InputError: there is none.
        """
        for video in self.videos:
            if video.name == name:
                return video
        listed = ", ".join(video.name for video in self.videos[:5])
        raise InputError(
            f"video {name} is unknown", place=place, hint=f"{self.path} has {listed}; pass the one it was made for"
        )


def read_known_videos(path: Path) -> KnownVideos:
    """Videos and classes of a YouTube-VIS annotation file; its annotations are not looked at.

    Args:
        path: the file, or the folder of a prepared data set, whose split `holdout` it is then.

    Raises:
        InputError: the file or a record in it cannot be used.
    """
    if path.is_dir():
        prepared = read_prepared(path)
        split = prepared.splits.get("holdout")
        if split is None:
            raise InputError("there is no split 'holdout'", place=path, hint="pass an annotation file as --like")
        boxes = read_boxes(split.boxes, prepared.frames_root)
        return KnownVideos(split.boxes, boxes.categories, boxes.videos)
    file = JsonStream(path)
    if file.is_list:
        raise InputError("a results file, not annotations", place=file.path, hint="pass the annotation file as --like")
    categories = read_categories(list(file.records("category", "categories")), file.path)
    return KnownVideos(file.path, categories, read_videos(list(file.records("video", "videos")), file.path))


def add_known_video(
    store: TrackStore,
    video: VideoRecord,
    record: JsonRecord | None = None,
    *,
    rate: Fraction | None = None,
    files: bool = True,
) -> StoredVideo:
    """Take a video and its frames into a store.

    Args:
        store: to fill.
        video: the video.
        record: of a file that may state its `frame_rate` and `time_base`, fractions as text, and `ticks`.
        rate: frames a second, where the record does not say.
        files: whether its frames have pictures of these names.

    Raises:
        InputError: the record states no fraction or no times.
    """
    fields = {} if record is None else record.fields
    rate = stated_fraction(record, "frame_rate") or rate
    base = stated_fraction(record, "time_base")
    stored = StoredVideo(video.id, video.name, video.height, video.width, rate, base)
    store.add_video(stored)
    ticks = fields.get("ticks")
    if not isinstance(ticks, list) or len(ticks) != len(video.frame_files):
        ticks = [None] * len(video.frame_files)
    names = video.frame_files if files else [None] * len(ticks)
    store.add_frames(
        video.id,
        (
            (index, tick if isinstance(tick, int) and abs(tick) < 2**63 else None, name)
            for index, (tick, name) in enumerate(zip(ticks, names, strict=True))
        ),
    )
    return stored
