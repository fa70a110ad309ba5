"""Made-up data sets: which clips are wanted, and the making of them."""

from dataclasses import dataclass, field
from pathlib import Path

from qcen_core.conversion.check import Progress
from qcen_core.conversion.cutouts import LEVEL, largest_cutout, write_cutouts
from qcen_core.conversion.cutouts_material import read_material
from qcen_core.conversion.shapes import write_shapes
from qcen_core.conversion.shapes_scene import LEVELS
from qcen_core.errors import InputError
from qcen_core.records import TrackDataset

MADE_DATASETS = ("shapes", "cutouts")
DEFAULT_SIZE = (96, 160)
DEFAULT_LENGTH = 12
SMALLEST_SIDE = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipRequest:
    """Clips that are wanted.

    Attributes:
        dataset: one of `MADE_DATASETS`.
        level: how hard they are.
        clips: number of clips to train on.
        holdout_clips: number of clips held out.
        size: (height, width) in pixels.
        length: frames of a clip.
        seed: of all chance.
        annotations: cutouts: COCO folder or COCO annotation file; shapes: none.
        frames: cutouts: folder of the images or of their folders; shapes: none.
        categories: cutouts: number of categories, the most frequent ones; 0 for one category "object".
    """

    dataset: str
    level: str
    clips: int
    holdout_clips: int
    size: tuple[int, int]
    length: int
    seed: int
    annotations: Path | None
    frames: Path | None
    categories: int


@dataclass(frozen=True, slots=True)
class MadeData:
    """Clips that were made.

    Attributes:
        tracks: their objects; the first videos are those to train on.
        source: what they are, in one line.
        dropped: images that could not be used: reason -> count.
    """

    tracks: TrackDataset
    source: str
    dropped: dict[str, int] = field(default_factory=dict)


def require_possible(request: ClipRequest) -> None:
    """Checks that clips can be made.

    Raises:
        InputError: an option cannot be used.
    """
    known = tuple(LEVELS) if request.dataset == "shapes" else (LEVEL.name,)
    if request.level not in known:
        raise InputError(f"{request.dataset} has no level called {request.level}", hint=f"known: {', '.join(known)}")
    if request.clips < 1 or request.holdout_clips < 0 or request.length < 1:
        raise InputError(
            f"{request.clips} clips, {request.holdout_clips} held out, of {request.length} frames cannot be made",
            hint="ask for one clip and one frame at least",
        )
    if min(request.size) < SMALLEST_SIDE:
        height, width = request.size
        raise InputError(f"clips of {height} x {width} pixels are too small", hint=f"{SMALLEST_SIDE} pixels at least")
    if request.categories < 0:
        raise InputError(f"{request.categories} categories cannot be made", hint="0 is one category for all objects")
    if request.dataset == "shapes" and (request.annotations is not None or request.frames is not None):
        raise InputError("shapes has no annotation file", hint="leave the annotation file and --frames away")
    if request.dataset == "cutouts" and request.annotations is None:
        raise InputError(
            "cutouts are cut out of the images of a COCO folder, and none is named",
            hint="pass the folder that holds annotations/ and train2017/, or a COCO annotation file",
        )


def make_clips(request: ClipRequest, folder: Path, on_progress: Progress | None) -> MadeData:
    """Makes clips and writes their frames into `folder`.

    Raises:
        InputError: the annotations or images that they are made of cannot be used.
    """
    seed, size, length = request.seed, request.size, request.length
    counts = {"train": request.clips, "holdout": request.holdout_clips}
    form = f"{size[0]} x {size[1]} pixels, {length} frames a clip"
    if request.annotations is None:
        tracks = write_shapes(folder, LEVELS[request.level], seed, counts, size, length, on_progress)
        return MadeData(tracks, f"shapes, level {request.level}, {form}")
    longest = largest_cutout(LEVEL, size)
    material = read_material(request.annotations, request.frames, request.categories, longest, size, seed)
    tracks = write_cutouts(folder, LEVEL, material, seed, counts, size, length, on_progress)
    train, holdout = (
        f"{len(part.cutouts)} objects and {len(part.backgrounds)} backgrounds {purpose}"
        for part, purpose in ((material.train, "to train on"), (material.holdout, "held out"))
    )
    source = f"cutouts of {request.annotations.absolute()}, {form}, {train}, {holdout}"
    return MadeData(tracks, source, material.dropped)
