"""True identities of labels, by which the training log judges pseudo-identities. They never meet a loss."""

import numpy as np

from qcen_core.data.shared_arrays import FrameRows, SharedVideos
from qcen_core.records import FloatArray, IntArray, TrackDataset

UNKNOWN = -1
TOLERANCE = 0.01  # pixels: files round boxes


class IdentityAudit:
    """Looks up which track a label of a frame belongs to; box-only labels tell neither their track nor their order.

    Args:
        dataset: annotated tracks of the same videos as the labels; masks are not kept.
    """

    def __init__(self, dataset: TrackDataset) -> None:
        videos = SharedVideos(dataset.videos)
        self._first_frames = {video.name: videos.frames(i).start for i, video in enumerate(dataset.videos)}
        self._lengths = {video.name: len(video.frame_files) for video in dataset.videos}
        index = {video.id: place for place, video in enumerate(dataset.videos)}
        seen = [
            (videos.frames(index[track.video_id])[time], box, track.class_id, track.id)
            for track in dataset.tracks
            for time, box in enumerate(track.boxes)
            if box is not None and not track.is_crowd
        ]
        self._rows = FrameRows(
            np.array([frame for frame, _, _, _ in seen], np.int64),
            sum(self._lengths.values()),
            boxes=np.array([box for _, box, _, _ in seen], np.float32).reshape(-1, 4),
            class_ids=np.array([class_id for _, _, class_id, _ in seen], np.int64),
            numbers=np.array([number for _, _, _, number in seen], np.int64),
        )

    def track_ids(self, video: str, time: int, boxes: FloatArray, class_ids: IntArray) -> IntArray:
        """The tracks that labels belong to: (G,) int64, `UNKNOWN` where no track or more than one fits.

        Args:
            video: name of the video.
            time: frame index in the video.
            boxes: (G, 4) `x1 y1 x2 y2` pixels of the frame.
            class_ids: (G,).
        """
        result = np.full(len(boxes), UNKNOWN, np.int64)
        if time >= self._lengths.get(video, 0):
            return result
        frame = self._first_frames[video] + time
        true_boxes, true_classes, numbers = (self._rows.column(n, frame) for n in ("boxes", "class_ids", "numbers"))
        distance = np.abs(boxes[:, None] - true_boxes[None]).max(axis=2)
        fits = (distance <= TOLERANCE) & (class_ids[:, None] == true_classes[None])
        # Both ways: of two labels that fit one track nobody knows which it is.
        sure = fits & (fits.sum(axis=1, keepdims=True) == 1) & (fits.sum(axis=0, keepdims=True) == 1)
        rows, columns = sure.nonzero()
        result[rows] = numbers[columns]
        return result


def tells_identities(dataset: TrackDataset) -> bool:
    """Whether a track spans frames; where identities were not kept every object of every frame is its own track."""
    return any(sum(box is not None for box in track.boxes) > 1 for track in dataset.tracks)
