"""From tracked frames to one labelled, scored result for each track."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from qcen_core.errors import InputError
from qcen_core.inference.segment_video import TrackedFrame
from qcen_core.ops import rle
from qcen_core.records import Category, FloatArray, Rle, TrackResult

# Every track is scored as if it had been seen in so many more frames with score 0: what is seen once is doubtful.
DOUBT_FRAMES = 4.0


@dataclass(frozen=True, slots=True)
class Sighting:
    """A track in one frame.

    Attributes:
        time: seconds on the source's clock.
        score: of this frame.
        mask: in pixels of the frame.
    """

    time: Fraction
    score: float
    mask: Rle


@dataclass(slots=True)
class TrackHistory:
    """All that was seen of one track; its class is that of the class logits averaged over its frames.

    Attributes:
        track_id: from 1.
        class_logits: (K + 1,) float32, mean over the track's frames.
        sightings: by frame, counted from 0 in the order in which the frames were added.
    """

    track_id: int
    class_logits: FloatArray
    sightings: dict[int, Sighting] = field(default_factory=dict)

    @property
    def class_id(self) -> int:
        """0..K-1, never "no object"."""
        return int(self.class_logits[:-1].argmax())

    @property
    def score(self) -> float:
        """Sum of the scores of its frames over their number plus `DOUBT_FRAMES`.

        For long tracks this is the mean score over the frames in which the object is visible, so that leaving
        the picture costs nothing; a track of a few frames, more often a mistake, ranks lower.
        """
        return sum(seen.score for seen in self.sightings.values()) / (len(self.sightings) + DOUBT_FRAMES)


class TrackCollector:
    """Gathers the tracked frames of one video; masks are kept as run lengths only."""

    def __init__(self) -> None:
        self.frame_count = 0
        self._tracks: dict[int, TrackHistory] = {}

    def add(self, frame: TrackedFrame) -> None:
        """Take in the next frame."""
        for instance in frame.instances:
            track = self._tracks.get(instance.track_id)
            if track is None:
                track = self._tracks[instance.track_id] = TrackHistory(instance.track_id, instance.class_logits)
            track.class_logits = instance.class_logits  # a running mean: the latest one counts
            seen = Sighting(frame.time, instance.score, rle.encode(instance.mask))
            track.sightings[self.frame_count] = seen
        self.frame_count += 1

    def tracks(self) -> tuple[TrackHistory, ...]:
        """All tracks so far, by id."""
        return tuple(self._tracks[track_id] for track_id in sorted(self._tracks))


def to_result(track: TrackHistory, *, video_id: int, class_id: int, frame_count: int) -> TrackResult:
    """A track in the form that is evaluated.

    Args:
        track: what was seen of it.
        video_id: its video.
        class_id: its class, counted in the categories of the results.
        frame_count: frames of the video.
    """
    masks = [track.sightings[frame].mask if frame in track.sightings else None for frame in range(frame_count)]
    return TrackResult(video_id, track.track_id, class_id, track.score, tuple(masks))


def match_categories(model: Sequence[Category], data: Sequence[Category], place: str) -> Mapping[int, int]:
    """Model class -> data class for the categories that both know, by name; position and source id mean nothing.

    Args:
        model: categories of the checkpoint.
        data: categories of the data set.
        place: the data set, for the message.

    Raises:
        InputError: not one name is common.
    """
    class_of = {category.name: index for index, category in enumerate(data)}
    common = {index: class_of[category.name] for index, category in enumerate(model) if category.name in class_of}
    if not common:
        raise InputError(
            f"none of its categories ({_names(data)}) is known to the model ({_names(model)})",
            place=place,
            hint="use weights trained on these categories; they are compared by name",
        )
    return common


def _names(categories: Sequence[Category]) -> str:
    names = [category.name for category in categories]
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
