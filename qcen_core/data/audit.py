"""True identities of labels, by which the training log judges pseudo-identities. They never meet a loss."""

import numpy as np

from qcen_core.records import FloatArray, IntArray, TrackDataset

UNKNOWN = -1
TOLERANCE = 0.01  # pixels: files round boxes


class IdentityAudit:
    """Looks up which track a label of a frame belongs to; box-only labels tell neither their track nor their order.

    Args:
        dataset: annotated tracks of the same videos as the labels; masks are not kept.
    """

    def __init__(self, dataset: TrackDataset) -> None:
        names = {video.id: video.name for video in dataset.videos}
        found: dict[tuple[str, int], list[tuple[tuple[float, ...], int, int]]] = {}
        for track in dataset.tracks:
            for time, box in enumerate(track.boxes):
                if box is not None and not track.is_crowd:
                    found.setdefault((names[track.video_id], time), []).append((box, track.class_id, track.id))
        self._frames = {
            place: (
                np.array([box for box, _, _ in objects], np.float32),
                np.array([class_id for _, class_id, _ in objects], np.int64),
                np.array([number for _, _, number in objects], np.int64),
            )
            for place, objects in found.items()
        }

    def track_ids(self, video: str, time: int, boxes: FloatArray, class_ids: IntArray) -> IntArray:
        """The tracks that labels belong to: (G,) int64, `UNKNOWN` where no track or more than one fits.

        Args:
            video: name of the video.
            time: frame index in the video.
            boxes: (G, 4) `x1 y1 x2 y2` pixels of the frame.
            class_ids: (G,).
        """
        result = np.full(len(boxes), UNKNOWN, np.int64)
        if (video, time) not in self._frames:
            return result
        true_boxes, true_classes, numbers = self._frames[video, time]
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
