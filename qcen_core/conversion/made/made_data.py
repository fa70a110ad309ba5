"""Made-up data sets: which clips are wanted, and the making of them."""

from pathlib import Path

from qcen_core.conversion.made.clip_request import ClipRequest, MadeData
from qcen_core.conversion.made.coco_clips import make_coco_clips
from qcen_core.conversion.made.cutouts import LEVEL, largest_cutout, write_cutouts
from qcen_core.conversion.made.cutouts_material import read_material
from qcen_core.conversion.made.shapes import write_shapes
from qcen_core.conversion.made.shapes_scene import LEVELS
from qcen_core.conversion.problems import Progress
from qcen_core.errors import InputError
from qcen_core.records import TrackDataset

MADE_DATASETS = ("shapes", "cutouts", "coco")
DEFAULT_CLIPS, DEFAULT_HOLDOUT_CLIPS = 200, 50
DEFAULT_SIZE = (96, 160)
DEFAULT_LENGTH = 12
SMALLEST_SIDE = 32


def require_possible(request: ClipRequest) -> None:
    """Checks that clips can be made.

    Raises:
        InputError: an option cannot be used.
    """
    known = tuple(LEVELS) if request.dataset == "shapes" else (LEVEL.name,)
    if request.level not in known:
        raise InputError(f"{request.dataset} has no level called {request.level}", hint=f"known: {', '.join(known)}")
    counts = _counts(request)
    if counts["train"] < 1 or counts["holdout"] < 0 or request.length < 1:
        raise InputError(
            f"{counts['train']} clips, {counts['holdout']} held out, of {request.length} frames cannot be made",
            hint="ask for one clip and one frame at least",
        )
    if min(request.size) < SMALLEST_SIDE:
        height, width = request.size
        raise InputError(f"clips of {height} x {width} pixels are too small", hint=f"{SMALLEST_SIDE} pixels at least")
    if request.categories < 0:
        raise InputError(f"{request.categories} categories cannot be made", hint="0 is one category for all objects")
    if request.dataset == "shapes" and (request.annotations is not None or request.frames is not None):
        raise InputError("shapes has no annotation file", hint="leave the annotation file and --frames away")
    if request.dataset != "shapes" and request.annotations is None:
        raise InputError(
            f"{request.dataset} clips are made of the images of a COCO folder, and none is named",
            hint="pass the folder that holds annotations/ and train2017/, or a COCO annotation file",
        )


def make_clips(request: ClipRequest, folder: Path, on_progress: Progress | None) -> MadeData:
    """Makes clips and writes their frames into `folder`.

    Raises:
        InputError: the annotations or images that they are made of cannot be used.
    """
    if request.dataset == "coco":
        return make_coco_clips(request, folder, on_progress)
    seed, size, length = request.seed, request.size, request.length
    counts = _counts(request)
    form = f"{size[0]} x {size[1]} pixels, {length} frames a clip"
    if request.annotations is None:
        tracks = write_shapes(folder, LEVELS[request.level], seed, counts, size, length, on_progress)
        source = f"shapes, level {request.level}, {form}"
        return MadeData(tracks, _held_out(tracks), source, f"{source}, seed {seed}")
    longest = largest_cutout(LEVEL, size)
    material = read_material(request.annotations, request.frames, request.categories, longest, size, seed)
    tracks = write_cutouts(folder, LEVEL, material, seed, counts, size, length, on_progress)
    train, holdout = (
        f"{len(part.cutouts)} objects and {len(part.backgrounds)} backgrounds {purpose}"
        for part, purpose in ((material.train, "to train on"), (material.holdout, "held out"))
    )
    source = f"cutouts of {request.annotations.absolute()}, {form}, {train}, {holdout}"
    content = f"{form}, {holdout}, {request.annotations.name}, seed {seed}"
    return MadeData(tracks, _held_out(tracks), source, content, material.dropped)


def _counts(request: ClipRequest) -> dict[str, int]:
    return {
        "train": DEFAULT_CLIPS if request.clips is None else request.clips,
        "holdout": DEFAULT_HOLDOUT_CLIPS if request.holdout_clips is None else request.holdout_clips,
    }


def _held_out(tracks: TrackDataset) -> tuple[str, ...]:
    return tuple(video.name for video in tracks.videos if video.name.startswith("holdout_"))
