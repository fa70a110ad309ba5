"""What all published Mask2Formers share, whichever program saved them."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from qcen_core.config import DataConfig, QcenConfig, TrackerConfig, TrainConfig
from qcen_core.errors import InputError
from qcen_core.model.published.architecture import model_config
from qcen_core.model.published.coco_classes import COCO
from qcen_core.records import Category

SHORT_SIDE, MAX_SIDE = 800, 1333  # at which models of pictures are tested


def published_config(
    weights: Mapping[str, Tensor], place: str, *, short_side: int = SHORT_SIDE, max_side: int = MAX_SIDE
) -> QcenConfig:
    """The configuration of a published model, told from its tensors under our names.

    Args:
        weights: all tensors.
        place: where they came from, for messages.
        short_side: short side of its input, in pixels.
        max_side: upper limit of the long side.

    Raises:
        InputError: a tensor is missing, or has a shape that no Mask2Former has.
    """
    model = model_config(weights, place)
    head = weights.get("decoder.class_embed.bias")
    if head is None or head.dim() != 1 or len(head) < 2:
        raise InputError("there is no class head", place=place, hint="the file is damaged, or of another model")
    data = DataConfig(test_short_side=short_side, max_side=max(max_side, short_side))
    tracker = TrackerConfig(kind="minvis")  # queries of pictures are told apart by what they are, as MinVIS does
    return QcenConfig(data=data, model=model, train=TrainConfig(supervision="mask"), tracker=tracker)


def unnamed_categories(count: int) -> tuple[Category, ...]:
    """Classes whose names nobody told."""
    return tuple(Category(number, f"class {number}") for number in range(1, count + 1))


def published_supervision(categories: Sequence[Category]) -> tuple[str, ...]:
    """The labels that went into a published model: those of its backbone, then masks of its classes."""
    is_coco = {plain(category.name) for category in categories} == {plain(name) for name in COCO}
    masks = "COCO masks" if is_coco else f"masks of {len(categories)} classes"
    return ("ImageNet labels", f"{masks} (Mask2Former)")


def plain(name: str) -> str:
    """A class name as data sets agree on it: they differ in capitals and underscores."""
    return name.casefold().replace("_", " ").strip()
