"""What every reader of annotations gives, whatever the format: videos, and objects that are boxes at frames.

Readers hand boxes on as they are stated, even outside the frame, without area or NaN: what is wrong with a box is
found in one place for all formats. What has no place in this form (a record of an unknown category, a label of a frame
that is not there) becomes a `Problem` in the stream, and reading goes on.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from qcen_core.conversion.problems import Problem
from qcen_core.records import Box, Category, Rle, VideoRecord

ANY_CLASS = -1


@dataclass(frozen=True, slots=True)
class SourceObject:
    """One record of a source: an object at one frame, or one object's way through a video.

    Attributes:
        place: file and record, for messages; the frame is added to it.
        video: index of its video.
        class_id: 0..K-1, or `ANY_CLASS` for a region to ignore that is of no class.
        frames: indices of the frames where it is visible, ascending and distinct.
        boxes: one `x1 y1 x2 y2` a frame of `frames`, pixels, as stated.
        track: which object of its video it is, where the source says so.
        ignore: a region that is neither object nor background.
        masks: one a frame of `frames`, where masks were asked for and there are any.
    """

    place: str
    video: int
    class_id: int
    frames: Sequence[int]
    boxes: Sequence[Box]
    track: int | None = None
    ignore: bool = False
    masks: Sequence[Rle | None] | None = None


class Annotations(Protocol):
    """Annotations of a video set, as a reader gives them."""

    @property
    def path(self) -> Path:
        """File or folder that they come from."""

    @property
    def categories(self) -> tuple[Category, ...]:
        """The K classes, in class order."""

    @property
    def videos(self) -> tuple[VideoRecord, ...]:
        """The videos, without labels; ids and names are distinct."""

    @property
    def unlabelled(self) -> Mapping[int, Collection[int]]:
        """Video index -> frames that nobody labelled. All other frames were looked at, and may hold no object."""

    def objects(self) -> Iterator[SourceObject | Problem]:
        """All objects, without masks, and what was wrong on the way. May be called again."""

    def with_masks(self, videos: Collection[int]) -> Iterator[SourceObject | Problem]:
        """The objects of these videos, with masks where the source has any."""


@dataclass(frozen=True, slots=True)
class ListedAnnotations:
    """Annotations that fit into memory as they are; `items` are the objects and problems in the order of the source."""

    path: Path
    categories: tuple[Category, ...]
    videos: tuple[VideoRecord, ...]
    items: tuple[SourceObject | Problem, ...]
    unlabelled: Mapping[int, Collection[int]] = field(default_factory=dict)

    def objects(self) -> Iterator[SourceObject | Problem]:
        """All objects and what was wrong on the way."""
        return iter(self.items)

    def with_masks(self, videos: Collection[int]) -> Iterator[SourceObject | Problem]:
        """The objects of these videos."""
        return (item for item in self.items if isinstance(item, SourceObject) and item.video in videos)
