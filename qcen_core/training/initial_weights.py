"""Where a run starts: random, timm's ImageNet weights, a checkpoint of another run, or published weights."""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from qcen_core.config import ModelConfig, QcenConfig
from qcen_core.errors import InputError, QcenError
from qcen_core.model.checkpoint import fill_model
from qcen_core.model.published.initial import InitialWeights, completed
from qcen_core.model.published.load import load_initial, supervision_of
from qcen_core.model.published.mask2former import plain
from qcen_core.model.segmenter import FrameSegmenter

TIMM_LABELS = "ImageNet labels"
# Settings that change no tensor's shape.
SHAPELESS = {"pretrained", "see_padding", "contrast_gradient"}
CLASS_HEAD = ("decoder.class_embed.weight", "decoder.class_embed.bias")


def build_model(config: QcenConfig, categories: Sequence[str], *, fresh: bool) -> FrameSegmenter:
    """The segmenter of a run, seeded by the run's seed.

    Args:
        config: its sizes, and where to start from.
        categories: class names.
        fresh: whether it starts here; a resumed run is filled from its state and needs no weights.

    Raises:
        QcenError: the backbone's weights could not be had.
        InputError: the weights to start from cannot be read, or do not fit.
    """
    start = load_initial(config.train.init_weights) if fresh and config.train.init_weights else None
    torch.manual_seed(config.train.seed)
    pretrained = fresh and config.model.pretrained and start is None
    try:
        model = FrameSegmenter(config.model, len(categories), pretrained=pretrained)
    except OSError as error:
        raise QcenError(
            f"the ImageNet weights of '{config.model.backbone}' could not be had: {str(error).splitlines()[0]}",
            hint="connect to the network once, or start from scratch: --set model.pretrained=false",
        ) from None
    if start is not None:
        _fill(model, start, config.model, categories)
    return model


def _fill(model: FrameSegmenter, start: InitialWeights, wanted: ModelConfig, categories: Sequence[str]) -> None:
    """Fill a fresh model; what the source lacks, and classes it does not know, stay as they are.

    Raises:
        InputError: a tensor does not fit; the hint says how to make the model the source's.
    """
    fresh = model.state_dict()
    known = [category.name for category in start.categories]
    try:
        fill_model(model, adapt_class_head(completed(start, fresh), known, categories, fresh), start.place)
    except InputError as error:
        raise InputError(error.cause, place=error.place, hint=_how_to_fit(start, wanted) or error.hint) from None


def _how_to_fit(start: InitialWeights, wanted: ModelConfig) -> str | None:
    if start.config is None:
        return f"model.backbone is {wanted.backbone}; set it, and model.backbone_args, to the network of the file"
    there, here = start.config.model.model_dump(exclude=SHAPELESS), wanted.model_dump()
    settings = [f"--set model.{key}='{json.dumps(value)}'" for key, value in there.items() if value != here[key]]
    return f"train a model of its sizes: {' '.join(settings)}" if settings else None


def supervision_history(config: QcenConfig, previous: str | Path | None) -> list[str]:
    """Every kind of supervision that went into the weights: of those they come from, and the run's level.

    Args:
        config: of the run.
        previous: weights that the run starts from, or checkpoint that it goes on with, or `None`.

    Raises:
        InputError: the weights cannot be read.
    """
    if previous is None:
        before: Sequence[str] = [TIMM_LABELS] if config.model.pretrained else []
    else:
        before = supervision_of(previous)
    return list(dict.fromkeys([*before, config.train.supervision]))


def adapt_class_head(
    weights: dict[str, Tensor], known: Sequence[str], wanted: Sequence[str], fresh: dict[str, Tensor]
) -> dict[str, Tensor]:
    """Rearrange the class head by class name, whatever its capitals; classes that are not known start fresh.

    Args:
        weights: of the checkpoint.
        known: its class names.
        wanted: class names of the run.
        fresh: state of the run's model before it is filled.

    Returns:
        Weights whose class head has `len(wanted) + 1` rows; of another width it stays as it is, and does not fit.
    """
    if list(known) == list(wanted) or any(name not in weights for name in CLASS_HEAD):
        return weights
    if any(weights[name].shape[1:] != fresh[name].shape[1:] for name in CLASS_HEAD):
        return weights
    row_of = {plain(name): row for row, name in enumerate(known)}
    adapted = dict(weights)
    for name in CLASS_HEAD:
        rows = fresh[name].clone()
        for row, category in enumerate(wanted):
            if plain(category) in row_of:
                rows[row] = weights[name][row_of[plain(category)]]
        rows[-1] = weights[name][-1]
        adapted[name] = rows
    return adapted
