"""The set `coco`: every image of a COCO folder becomes a clip, with the labels that its annotations have."""

from collections.abc import Sequence
from pathlib import Path

from qcen_core.conversion.formats.coco import read_coco
from qcen_core.conversion.frame_library import FrameLibrary
from qcen_core.conversion.full_tracks import full_tracks
from qcen_core.conversion.made.clip_request import ClipRequest, MadeData
from qcen_core.conversion.made.coco_images import find_annotations
from qcen_core.conversion.made.pseudo_clips import StillImage, StillObject, write_pseudo_clips
from qcen_core.conversion.problems import Problem, Progress, count_problems
from qcen_core.conversion.split import choose_holdout
from qcen_core.conversion.survey import survey
from qcen_core.errors import InputError
from qcen_core.records import Category, TrackDataset

TRAIN, HOLDOUT = "train", "holdout"


def make_coco_clips(request: ClipRequest, folder: Path, on_progress: Progress | None) -> MadeData:
    """Makes clips of still images and writes their frames into `folder`.

    Where a COCO folder has validation images, these are held out; else a share of the images is.

    Raises:
        InputError: annotations or images cannot be used.
    """
    if request.annotations is None:
        raise ValueError("a request for coco clips names its annotations")
    files = find_annotations(request.annotations)
    read = [_read_images(file, request, on_progress) for file in files]
    categories = read[0][0]
    if any(others != categories for others, _, _ in read[1:]):
        raise InputError(
            "its categories are not those of the training file", place=files[1], hint="use files of one set"
        )
    images = {TRAIN: read[0][1], HOLDOUT: read[1][1]} if len(read) > 1 else _split(read[0][1], request)
    if not images[TRAIN]:
        raise InputError("no usable image to train on", place=files[0], hint="see what is wrong with --check")
    counts = _counts(images, request, share=len(read) > 1)
    tracks = write_pseudo_clips(
        folder, images, categories, request.seed, counts, request.length, on_progress=on_progress
    )
    names = tuple(video.name for video in tracks.videos if video.name.startswith(f"{HOLDOUT}_"))
    source = f"clips of {len(images[TRAIN])} images of {files[0].absolute()}, {request.length} frames a clip"
    if counts[HOLDOUT]:
        source += f", {len(images[HOLDOUT])} images of {files[-1].absolute()} held out"
    content = "\n".join(sorted(image.name for image in images[HOLDOUT])) + f"\nseed {request.seed}"
    dropped = count_problems(problem for _, _, found in read for problem in found)
    return MadeData(tracks, names, source, content, dropped)


def _counts(images: dict[str, list[StillImage]], request: ClipRequest, *, share: bool) -> dict[str, int]:
    """Clips of each split: one an image unless another number is asked for; of validation images about the share."""
    train = len(images[TRAIN]) if request.clips is None else request.clips
    held_out = len(images[HOLDOUT])
    if request.holdout_clips is not None:
        held_out = request.holdout_clips
    elif share or request.clips is not None:
        held_out = min(held_out, round(request.holdout * train))
    return {TRAIN: train, HOLDOUT: held_out}


def _read_images(
    file: Path, request: ClipRequest, on_progress: Progress | None
) -> tuple[tuple[Category, ...], list[StillImage], list[Problem]]:
    """The usable images of an annotation file, and what was left out."""
    library = None if request.frames is None else FrameLibrary(request.frames)
    labels = read_coco(file, library, stills=True)
    annotations, root = labels.annotations, labels.frames_root
    surveyed = survey(annotations, root, skip_bad=request.skip_bad, on_progress=on_progress)
    tracks, unreadable = full_tracks(annotations, surveyed.usable, surveyed.unlabelled)
    if unreadable and not request.skip_bad:
        raise unreadable[0].error(others=len(unreadable) - 1)
    return annotations.categories, _stills(tracks, root), [*surveyed.problems, *unreadable]


def _stills(tracks: TrackDataset, root: Path) -> list[StillImage]:
    """Every frame as an image of its own; what files call a video does not count here."""
    objects: dict[tuple[int, int], list[StillObject]] = {}
    for track in tracks.tracks:
        for frame, box in enumerate(track.boxes):
            if box is not None:
                mask = None if track.segmentations is None else track.segmentations[frame]
                item = StillObject(box, track.class_id, mask, track.is_crowd)
                objects.setdefault((track.video_id, frame), []).append(item)
    return [
        StillImage(file, root / file, video.height, video.width, tuple(objects.get((video.id, frame), ())))
        for video in tracks.videos
        for frame, file in enumerate(video.frame_files)
    ]


def _split(images: Sequence[StillImage], request: ClipRequest) -> dict[str, list[StillImage]]:
    names = [image.name for image in images]
    shown = [frozenset(item.class_id for item in image.objects if not item.is_crowd) for image in images]
    held = set(choose_holdout(names, shown, request.holdout, request.seed))
    return {
        TRAIN: [image for index, image in enumerate(images) if index not in held],
        HOLDOUT: [image for index, image in enumerate(images) if index in held],
    }
