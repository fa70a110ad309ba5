"""The files of a prepared data set."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from qcen_core.boxfile import write_boxes
from qcen_core.conversion.box_only import box_only, without_labels
from qcen_core.conversion.full_tracks import full_tracks, to_strong
from qcen_core.conversion.problems import Problem
from qcen_core.conversion.split import hash_names
from qcen_core.conversion.survey import Survey
from qcen_core.errors import InputError
from qcen_core.prepared import PreparedData, PreparedSplit, write_prepared
from qcen_core.records import TrackDataset, VideoRecord
from qcen_core.trackfile import write_annotations

TRAIN, HOLDOUT = "train", "holdout"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be written.

    Attributes:
        surveyed: the annotations.
        frames_root: folder that frame files are relative to.
        held_out: indices of the videos that are held out; without any there is no such split.
        held_out_content: what these were made of, where their names do not tell it.
        inference: split -> its videos, which nobody labelled.
        name: of the data set.
        source: what it was made from, for people.
        seed: of the hold-out, and of the order of boxes.
        keep_masks: also write masks, for training.
        keep_ids: also write identities, for training.
        skip_bad: leave out masks that cannot be read, instead of raising.
    """

    surveyed: Survey
    frames_root: Path
    held_out: tuple[int, ...]
    held_out_content: str
    inference: dict[str, tuple[VideoRecord, ...]]
    name: str
    source: str
    seed: int
    keep_masks: bool
    keep_ids: bool
    skip_bad: bool


def write_splits(plan: Plan, folder: Path) -> list[Problem]:
    """Write all splits and `dataset.yaml` into a folder.

    Returns:
        The masks that were left out.

    Raises:
        InputError: a mask that has to be kept is missing or, unless it is left out, cannot be read.
    """
    held = set(plan.held_out)
    train = [index for index in plan.surveyed.usable if index not in held]
    problems: list[Problem] = []
    splits = {TRAIN: _write_training(plan, train, folder, problems)}
    if plan.held_out:
        splits[HOLDOUT] = _write_holdout(plan, folder, problems)
    for name, videos in plan.inference.items():
        path = folder / f"{name}.json"
        write_boxes(without_labels(videos, plan.surveyed.annotations.categories, plan.name, plan.frames_root), path)
        splits[name] = PreparedSplit(path, None, None, tuple(video.name for video in videos))
    names = [plan.surveyed.annotations.videos[index].name for index in plan.held_out]
    data = PreparedData(
        root=folder,
        name=plan.name,
        frames_root=plan.frames_root,
        categories=plan.surveyed.annotations.categories,
        splits=splits,
        source=plan.source,
        seed=plan.seed,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        holdout_sha256=hash_names(names, plan.held_out_content),
    )
    write_prepared(data)
    return problems


def _write_training(plan: Plan, chosen: Sequence[int], folder: Path, problems: list[Problem]) -> PreparedSplit:
    path, strong = folder / f"{TRAIN}.json", None
    names = _write_boxes(plan, chosen, path)
    if plan.keep_masks or plan.keep_ids:
        strong = folder / f"{TRAIN}_strong.json"
        tracks = _tracks(plan, chosen, problems)
        if plan.keep_masks and any(track.segmentations is None and not track.is_crowd for track in tracks.tracks):
            raise InputError(
                "some annotations have no masks", place=plan.surveyed.annotations.path, hint="leave --keep-masks away"
            )
        write_annotations(to_strong(tracks, masks=plan.keep_masks, ids=plan.keep_ids, seed=plan.seed), strong)
    return PreparedSplit(path, strong, None, names)


def _write_holdout(plan: Plan, folder: Path, problems: list[Problem]) -> PreparedSplit:
    path, truth = folder / f"{HOLDOUT}.json", folder / f"{HOLDOUT}_gt.json"
    names = _write_boxes(plan, plan.held_out, path)
    write_annotations(_tracks(plan, plan.held_out, problems), truth)
    return PreparedSplit(path, None, truth, names)


def _write_boxes(plan: Plan, chosen: Sequence[int], path: Path) -> tuple[str, ...]:
    dataset = box_only(plan.surveyed, chosen, plan.name, plan.frames_root, plan.seed)
    write_boxes(dataset, path)
    return tuple(video.name for video in dataset.videos)


def _tracks(plan: Plan, chosen: Sequence[int], problems: list[Problem]) -> TrackDataset:
    tracks, found = full_tracks(plan.surveyed.annotations, chosen, plan.surveyed.unlabelled)
    if found and not plan.skip_bad:
        raise found[0].error(others=len(found) - 1)
    problems += found
    return tracks
