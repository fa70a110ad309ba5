"""What a run learns from, by its level of supervision."""

import math
from dataclasses import dataclass
from pathlib import Path

from qcen_core.boxfile import read_boxes
from qcen_core.config import QcenConfig
from qcen_core.data.audit import IdentityAudit, tells_identities
from qcen_core.data.clip_dataset import ClipDataset
from qcen_core.data.labels import BoxLabels, LabelSource, TrackLabels
from qcen_core.errors import InputError
from qcen_core.prepared import PreparedData, PreparedSplit, read_prepared
from qcen_core.records import TrackDataset
from qcen_core.trackfile import read_annotations
from qcen_core.training.batch_split import split_batch
from qcen_core.training.devices import world_size


@dataclass(frozen=True, slots=True)
class TrainingData:
    """A prepared data set and the clips of its training split."""

    prepared: PreparedData
    clips: ClipDataset


def load_training_data(config: QcenConfig) -> TrainingData:
    """Open the training split; only the stronger levels learn from a file that holds masks or identities.

    Where such a file lies beside the boxes and tells identities, the clips of every level carry them for the training
    log, apart from their labels.

    Raises:
        InputError: no data set is configured, the split is missing, it lacks the labels that the level needs, or a
            step holds too few clips for its losses.
    """
    if config.data.root is None:
        raise InputError("no data set is configured", hint="pass --data FOLDER, made by qcen prepare")
    prepared = read_prepared(Path(config.data.root))
    if config.data.split not in prepared.splits:
        raise InputError(
            f"there is no split '{config.data.split}'",
            place=prepared.root,
            hint="splits: " + ", ".join(prepared.splits),
        )
    split = prepared.splits[config.data.split]
    labels: LabelSource
    level = config.train.supervision
    if level == "box":
        labels, audit = BoxLabels(read_boxes(split.boxes, prepared.frames_root)), _box_audit(split)
    else:
        tracks = _strong_tracks(split, prepared, level)
        labels = TrackLabels(tracks, masks=level.startswith("mask"), identities=level.endswith("+id"))
        audit = _audit(tracks)
    return TrainingData(prepared, ClipDataset(labels, prepared.frames_root, config.data, audit))


def steps_of_epochs(config: QcenConfig, epochs: float) -> int:
    """Steps in which each video comes `epochs` times, rounded up.

    Raises:
        InputError: as `load_training_data`, or the clips of a step cannot be shared out.
    """
    world = world_size(config)
    split = split_batch(config, world)
    videos = load_training_data(config).clips.videos
    return max(1, math.ceil(epochs * videos / (split.clips * split.parts * world)))


def _audit(tracks: TrackDataset) -> IdentityAudit | None:
    return IdentityAudit(tracks) if tells_identities(tracks) else None


def _box_audit(split: PreparedSplit) -> IdentityAudit | None:
    """Boxes are learned without that file: if it is gone or damaged, cells of the log stay empty, and that is all."""
    if split.strong is None:
        return None
    try:
        return _audit(read_annotations(split.strong))
    except InputError:
        return None


def _strong_tracks(split: PreparedSplit, prepared: PreparedData, supervision: str) -> TrackDataset:
    if split.strong is None:
        raise InputError(
            f"the level '{supervision}' needs more than the boxes that were kept",
            place=prepared.root,
            hint="prepare again with --keep-masks and --keep-ids",
        )
    dataset = read_annotations(split.strong)
    if supervision.startswith("mask") and any(track.segmentations is None for track in dataset.tracks):
        raise InputError(
            f"the level '{supervision}' needs masks, and some objects have none",
            place=split.strong,
            hint="prepare again with --keep-masks, or train with --supervision box",
        )
    return dataset
