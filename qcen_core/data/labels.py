"""Labels of single frames, from a box-only data set or, for the stronger levels, from object tracks."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from qcen_core.ops import rle
from qcen_core.records import BoolArray, BoxDataset, FloatArray, IntArray, ObjectTrack, TrackDataset, VideoRecord


@dataclass(frozen=True, slots=True)
class FrameLabels:
    """The labels of one frame.

    Attributes:
        boxes: (G, 4) float32, pixels of the frame.
        class_ids: (G,) int64.
        masks: (G, H, W) bool, or `None` where the level has no masks.
        track_ids: (G,) int64, or `None` where the level has no identities.
    """

    boxes: FloatArray
    class_ids: IntArray
    masks: BoolArray | None = None
    track_ids: IntArray | None = None


class LabelSource(Protocol):
    """Where the loader gets its labels from."""

    @property
    def videos(self) -> tuple[VideoRecord, ...]:
        """The videos."""

    def labelled_frames(self, video: int) -> list[int]:
        """Frames of a video that may be trained on, ascending."""

    def frame(self, video: int, time: int) -> FrameLabels:
        """Labels of one frame."""


class BoxLabels:
    """Boxes and classes, and no way to anything else. Regions to ignore are not objects to learn from."""

    def __init__(self, dataset: BoxDataset) -> None:
        self._labels = [video.labels or () for video in dataset.videos]
        self.videos = dataset.videos

    def labelled_frames(self, video: int) -> list[int]:
        """Frames that somebody labelled."""
        return [time for time, labels in enumerate(self._labels[video]) if labels.labelled]

    def frame(self, video: int, time: int) -> FrameLabels:
        """Boxes and classes of one frame."""
        labels = self._labels[video][time]
        kept = ~labels.ignore
        return FrameLabels(labels.boxes[kept], labels.class_ids[kept])


class TrackLabels:
    """Labels for the levels `mask`, `box+id` and `mask+id`, from annotated tracks.

    The objects of a frame are sorted by category and place: in the order of the tracks, identities would show through.
    """

    def __init__(self, dataset: TrackDataset, *, masks: bool, identities: bool) -> None:
        index = {video.id: place for place, video in enumerate(dataset.videos)}
        self._visible: list[list[list[ObjectTrack]]] = [[[] for _ in video.frame_files] for video in dataset.videos]
        for track in dataset.tracks:
            for time, box in enumerate(track.boxes):
                if box is not None and not track.is_crowd:
                    self._visible[index[track.video_id]][time].append(track)
        for video in self._visible:
            for time, tracks in enumerate(video):
                tracks.sort(key=lambda track: (track.class_id, track.boxes[time] or ()))
        self._masks = masks
        self._identities = identities
        self.videos = dataset.videos

    def labelled_frames(self, video: int) -> list[int]:
        """All frames: whoever draws tracks has looked at every frame."""
        return list(range(len(self.videos[video].frame_files)))

    def frame(self, video: int, time: int) -> FrameLabels:
        """Boxes and classes of one frame, with masks and identities as the level has them."""
        record = self.videos[video]
        tracks = self._visible[video][time]
        masks = None
        if self._masks:
            masks = np.zeros((len(tracks), record.height, record.width), bool)
            for mask, track in zip(masks, tracks, strict=True):
                segmentation = None if track.segmentations is None else track.segmentations[time]
                if segmentation is not None:
                    mask[:] = rle.decode(segmentation)
        return FrameLabels(
            np.array([track.boxes[time] for track in tracks], np.float32).reshape(-1, 4),
            np.array([track.class_id for track in tracks], np.int64),
            masks,
            np.array([track.id for track in tracks], np.int64) if self._identities else None,
        )
