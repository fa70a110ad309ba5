"""Clips that are to be made, and clips that were made."""

from dataclasses import dataclass, field
from pathlib import Path

from qcen_core.records import TrackDataset


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipRequest:
    """Clips that are wanted.

    Attributes:
        dataset: `shapes`, `cutouts` or `coco`.
        level: how hard they are.
        clips: number of clips to train on; `None` for the usual number.
        holdout_clips: number of clips held out; `None` for the usual number.
        size: (height, width) in pixels.
        length: frames of a clip.
        seed: of all chance.
        annotations: cutouts and coco: COCO folder or COCO annotation file; shapes: none.
        frames: cutouts and coco: folder of the images or of their folders; shapes: none.
        holdout: coco: share of the images to hold out, where the folder has no validation images.
        skip_bad: coco: leave out wrong labels and images, instead of raising.
        categories: cutouts: number of categories, the most frequent ones; 0 for one category "object".
    """

    dataset: str
    level: str
    clips: int | None
    holdout_clips: int | None
    size: tuple[int, int]
    length: int
    seed: int
    annotations: Path | None
    frames: Path | None
    holdout: float
    skip_bad: bool
    categories: int


@dataclass(frozen=True, slots=True)
class MadeData:
    """Clips that were made.

    Attributes:
        tracks: their objects.
        held_out: names of the clips that are held out.
        source: what they are, in one line.
        held_out_content: what the held-out clips were made of, by which two hold-outs are compared.
        dropped: images that could not be used: reason -> count.
    """

    tracks: TrackDataset
    held_out: tuple[str, ...]
    source: str
    held_out_content: str
    dropped: dict[str, int] = field(default_factory=dict)
