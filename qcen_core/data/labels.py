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
    """Labels for the levels `mask`, `box+id` and `mask+id`, from annotated tracks."""

    def __init__(self, dataset: TrackDataset, *, masks: bool, identities: bool) -> None:
        index = {video.id: place for place, video in enumerate(dataset.videos)}
        self._tracks: list[list[ObjectTrack]] = [[] for _ in dataset.videos]
        for track in dataset.tracks:
            if not track.is_crowd:
                self._tracks[index[track.video_id]].append(track)
        self._masks = masks
        self._identities = identities
        self.videos = dataset.videos

    def labelled_frames(self, video: int) -> list[int]:
        """All frames: whoever draws tracks has looked at every frame."""
        return list(range(len(self.videos[video].frame_files)))

    def frame(self, video: int, time: int) -> FrameLabels:
        """Boxes and classes of one frame, with masks and identities as the level has them."""
        record = self.videos[video]
        boxes, classes, masks, identities = [], [], [], []
        for track in self._tracks[video]:
            box = track.boxes[time]
            if box is None:
                continue
            boxes.append(box)
            classes.append(track.class_id)
            identities.append(track.id)
            mask = track.segmentations[time] if self._masks and track.segmentations is not None else None
            masks.append(np.zeros((record.height, record.width), bool) if mask is None else rle.decode(mask))
        return FrameLabels(
            np.array(boxes, np.float32).reshape(-1, 4),
            np.array(classes, np.int64),
            np.array(masks, bool).reshape(-1, record.height, record.width) if self._masks else None,
            np.array(identities, np.int64) if self._identities else None,
        )
