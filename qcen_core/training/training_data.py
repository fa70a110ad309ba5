"""What a run learns from, by its level of supervision."""

from dataclasses import dataclass
from pathlib import Path

from qcen_core.boxfile import PreparedData, PreparedSplit, read_boxes, read_prepared
from qcen_core.config import QcenConfig
from qcen_core.data.clip_dataset import ClipDataset
from qcen_core.data.labels import BoxLabels, LabelSource, TrackLabels
from qcen_core.errors import InputError
from qcen_core.trackfile import read_annotations


@dataclass(frozen=True, slots=True)
class TrainingData:
    """A prepared data set and the clips of its training split."""

    prepared: PreparedData
    clips: ClipDataset


def load_training_data(config: QcenConfig) -> TrainingData:
    """Open the training split; only the stronger levels open a file that holds masks or identities.

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
    if config.loss.inter_weight and config.data.clips_per_step < 2:
        raise InputError(
            "the exchange between videos needs at least two clips a step",
            hint="--set data.clips_per_step=2, or --set loss.inter_weight=0 to do without",
        )
    split = prepared.splits[config.data.split]
    labels = _label_source(split, prepared, config.train.supervision)
    return TrainingData(prepared, ClipDataset(labels, prepared.frames_root, config.data))


def _label_source(split: PreparedSplit, prepared: PreparedData, supervision: str) -> LabelSource:
    if supervision == "box":
        return BoxLabels(read_boxes(split.boxes, prepared.frames_root))
    masks, identities = supervision.startswith("mask"), supervision.endswith("+id")
    if split.strong is None:
        raise InputError(
            f"the level '{supervision}' needs more than the boxes that were kept",
            place=prepared.root,
            hint="prepare again with --keep-masks and --keep-ids",
        )
    dataset = read_annotations(split.strong)
    if masks and any(track.segmentations is None for track in dataset.tracks):
        raise InputError(
            f"the level '{supervision}' needs masks, and some objects have none",
            place=split.strong,
            hint="prepare again with --keep-masks, or train with --supervision box",
        )
    return TrackLabels(dataset, masks=masks, identities=identities)
