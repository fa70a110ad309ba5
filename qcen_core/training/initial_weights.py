"""Where a run starts: random, timm's ImageNet weights, or a checkpoint of another run."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from qcen_core.config import QcenConfig
from qcen_core.errors import QcenError
from qcen_core.model.checkpoint import fill_model, read_header, read_weights
from qcen_core.model.segmenter import FrameSegmenter

CLASS_HEAD = ("decoder.class_embed.weight", "decoder.class_embed.bias")


def build_model(config: QcenConfig, categories: Sequence[str], *, fresh: bool) -> FrameSegmenter:
    """The segmenter of a run, seeded by the run's seed.

    Args:
        config: its sizes, and where to start from.
        categories: class names.
        fresh: whether it starts here; a resumed run is filled from its state and needs no weights.

    Raises:
        QcenError: the backbone's weights could not be had.
        InputError: the checkpoint to start from does not fit.
    """
    torch.manual_seed(config.train.seed)
    start = Path(config.train.init_weights) if fresh and config.train.init_weights else None
    pretrained = fresh and config.model.pretrained and start is None
    try:
        model = FrameSegmenter(config.model, len(categories), pretrained=pretrained)
    except OSError as error:
        raise QcenError(
            f"the ImageNet weights of '{config.model.backbone}' could not be had: {str(error).splitlines()[0]}",
            hint="connect to the network once, or start from scratch: --set model.pretrained=false",
        ) from None
    if start is not None:
        known = [record["name"] for record in read_header(start)["categories"]]
        weights = read_weights(start)
        fill_model(model, adapt_class_head(weights, known, categories, model.state_dict()), start)
    return model


def supervision_history(config: QcenConfig, previous: Path | None) -> list[str]:
    """Every level of supervision that went into the weights: those of the checkpoint they come from, and the run's.

    Args:
        config: of the run.
        previous: checkpoint that the run starts from or goes on with, or `None`.

    Raises:
        InputError: the checkpoint cannot be read.
    """
    before = read_header(previous)["info"].get("supervision", []) if previous is not None else []
    return list(dict.fromkeys([*before, config.train.supervision]))


def adapt_class_head(
    weights: dict[str, Tensor], known: Sequence[str], wanted: Sequence[str], fresh: dict[str, Tensor]
) -> dict[str, Tensor]:
    """Rearrange the class head by class name; classes the checkpoint does not know start fresh.

    Args:
        weights: of the checkpoint.
        known: its class names.
        wanted: class names of the run.
        fresh: state of the run's model before it is filled.

    Returns:
        Weights whose class head has `len(wanted) + 1` rows.
    """
    if list(known) == list(wanted) or any(name not in weights for name in CLASS_HEAD):
        return weights
    row_of = {name: row for row, name in enumerate(known)}
    adapted = dict(weights)
    for name in CLASS_HEAD:
        rows = fresh[name].clone()
        for row, category in enumerate(wanted):
            if category in row_of:
                rows[row] = weights[name][row_of[category]]
        rows[-1] = weights[name][-1]
        adapted[name] = rows
    return adapted
