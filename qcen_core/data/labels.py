"""Labels of single frames, from a box-only data set or, for the stronger levels, from object tracks."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from qcen_core.data.shared_arrays import FrameRows, SharedTexts, SharedVideos, shared
from qcen_core.ops import rle
from qcen_core.records import (
    BoolArray,
    Box,
    BoxDataset,
    FloatArray,
    IntArray,
    ObjectTrack,
    Rle,
    TrackDataset,
    frame_table,
    unlabelled_frames,
)


@dataclass(frozen=True, slots=True)
class FrameLabels:
    """The labels of one frame.

    Attributes:
        boxes: (G, 4) float32, pixels of the frame.
        class_ids: (G,) int64.
        ignored: (I, 4) float32, boxes of regions that are neither object nor background.
        masks: (G, H, W) bool, or `None` where the level has no masks.
        track_ids: (G,) int64, or `None` where the level has no identities.
    """

    boxes: FloatArray
    class_ids: IntArray
    ignored: FloatArray
    masks: BoolArray | None = None
    track_ids: IntArray | None = None


class LabelSource(Protocol):
    """Where the loader gets its labels from; all of it lies in memory that processes share."""

    @property
    def videos(self) -> SharedVideos:
        """The videos."""

    def labelled_frames(self, video: int) -> IntArray:
        """Frames of a video that may be trained on, ascending."""

    def frame(self, video: int, time: int) -> FrameLabels:
        """Labels of one frame."""


class BoxLabels:
    """Boxes and classes, and no way to anything else."""

    def __init__(self, dataset: BoxDataset) -> None:
        self.videos = SharedVideos(dataset.videos)
        tables = [frame_table(video.labels or unlabelled_frames(len(video.frame_files))) for video in dataset.videos]
        empty = frame_table(())
        counts = np.concatenate([np.diff(table.starts) for table in (empty, *tables)])
        self._labelled = shared(np.concatenate([table.labelled for table in (empty, *tables)]))
        self._rows = FrameRows(
            np.repeat(np.arange(len(counts)), counts),
            len(counts),
            boxes=np.concatenate([table.boxes for table in (empty, *tables)]),
            class_ids=np.concatenate([table.class_ids for table in (empty, *tables)]),
            ignore=np.concatenate([table.ignore for table in (empty, *tables)]),
        )

    def labelled_frames(self, video: int) -> IntArray:
        """Frames that somebody labelled."""
        frames = self.videos.frames(video)
        return np.flatnonzero(self._labelled[frames.start : frames.stop].numpy())

    def frame(self, video: int, time: int) -> FrameLabels:
        """Boxes and classes of one frame."""
        frame = self.videos.frames(video)[time]
        boxes, ignore = self._rows.column("boxes", frame), self._rows.column("ignore", frame)
        return FrameLabels(boxes[~ignore], self._rows.column("class_ids", frame)[~ignore], boxes[ignore])


class TrackLabels:
    """Labels for the levels `mask`, `box+id` and `mask+id`, from annotated tracks.

    The objects of a frame are sorted by category and place: in the order of the tracks, identities would show through.
    """

    def __init__(self, dataset: TrackDataset, *, masks: bool, identities: bool) -> None:
        self.videos = SharedVideos(dataset.videos)
        self._masks = masks
        self._identities = identities
        labelled = [
            frame not in video.unlabelled for video in dataset.videos for frame in range(len(video.frame_files))
        ]
        self._labelled = shared(np.array(labelled, dtype=np.bool_))
        index = {video.id: place for place, video in enumerate(dataset.videos)}
        seen = [
            (self.videos.frames(index[track.video_id])[time], track.is_crowd, track.class_id, box, track.id, mask)
            for track in dataset.tracks
            for time, box, mask in _visible(track, masks)
        ]
        seen.sort(key=lambda row: row[:4])
        frames, crowd, class_ids, boxes, track_ids, runs = zip(*seen, strict=True) if seen else ((),) * 6
        self._rows = FrameRows(
            np.array(frames, np.int64),
            len(labelled),
            ignore=np.array(crowd, np.bool_),
            class_ids=np.array(class_ids, np.int64),
            boxes=np.array(boxes, np.float32).reshape(-1, 4),
            track_ids=np.array(track_ids, np.int64),
        )
        self._runs = SharedTexts("" if mask is None else mask["counts"] for mask in runs)

    def labelled_frames(self, video: int) -> IntArray:
        """Frames that somebody labelled."""
        frames = self.videos.frames(video)
        return np.flatnonzero(self._labelled[frames.start : frames.stop].numpy())

    def frame(self, video: int, time: int) -> FrameLabels:
        """Boxes and classes of one frame, with masks and identities as the level has them."""
        frame = self.videos.frames(video)[time]
        ignore, boxes = self._rows.column("ignore", frame), self._rows.column("boxes", frame)
        masks = None
        if self._masks:
            # An object whose mask is not known is neither object nor background at this level.
            ignore |= np.array([not self._runs[row] for row in self._rows.rows(frame)], np.bool_)
            height, width = self.videos.size(video)
            masks = np.zeros((int((~ignore).sum()), height, width), np.bool_)
            for mask, row in zip(masks, np.array(self._rows.rows(frame))[~ignore], strict=True):
                mask[:] = rle.decode(Rle(size=[height, width], counts=self._runs[int(row)]))
        return FrameLabels(
            boxes[~ignore],
            self._rows.column("class_ids", frame)[~ignore],
            boxes[ignore],
            masks,
            self._rows.column("track_ids", frame)[~ignore] if self._identities else None,
        )


def _visible(track: ObjectTrack, masks: bool) -> Iterator[tuple[int, Box, Rle | None]]:
    """The frames where an object is visible, with its box and, if wanted and known, its mask."""
    runs = track.segmentations if masks else None
    for time, box in enumerate(track.boxes):
        if box is not None:
            yield time, box, None if runs is None else runs[time]
