"""Weights from anywhere: checkpoints of ours, Mask2Formers of others, backbones; told apart by what is in them."""

from pathlib import Path

import torch

from qcen_core.config import config_from_dict
from qcen_core.errors import InputError
from qcen_core.model.checkpoint import Checkpoint, fill_model, load_checkpoint, read_header, read_weights
from qcen_core.model.published.backbones import is_backbone, load_backbone
from qcen_core.model.published.detectron2 import load_detectron2
from qcen_core.model.published.hub import download, is_hub_name
from qcen_core.model.published.huggingface import load_huggingface
from qcen_core.model.published.initial import NOTHING, InitialWeights, completed
from qcen_core.model.published.tensor_files import is_safetensors, read_tensors
from qcen_core.model.segmenter import FrameSegmenter
from qcen_core.records import Category
from qcen_core.stored_config import without_dropped_keys

SOURCES = "a checkpoint of qcen, a Mask2Former of detectron2 or Hugging Face, or a ResNet or Swin backbone"


def load_initial(source: str | Path) -> InitialWeights:
    """Read weights of any kind.

    Args:
        source: a checkpoint, a file of detectron2, timm or torchvision, a folder of Hugging Face, or `hf:owner/name`.

    Raises:
        InputError: there is no such source, it is damaged, would run code, or is of another model.
    """
    if is_hub_name(source):
        return load_huggingface(download(str(source)), str(source))
    path = Path(source)
    if path.is_dir() and (path / "config.json").is_file():
        return load_huggingface(path, str(path))
    if not path.is_file() or _is_ours(path):
        return _load_own(path)
    tensors = read_tensors(path)
    if any(name.startswith("model.pixel_level_module.") for name in tensors):
        if not (path.parent / "config.json").is_file():
            raise InputError("config.json is missing beside it", place=path, hint="put it there, and name the folder")
        return load_huggingface(path.parent, str(path.parent))
    if any(name.startswith("sem_seg_head.") for name in tensors):
        return load_detectron2(tensors, str(path))
    if is_backbone(tensors):
        return load_backbone(tensors, str(path))
    raise InputError(f"'{next(iter(tensors))}' is of an unknown model", place=path, hint=f"known: {SOURCES}")


def load_any_checkpoint(source: str | Path, device: torch.device) -> Checkpoint:
    """The segmenter that a source holds, ready for use.

    Args:
        source: as for `load_initial`.
        device: where it shall live.

    Raises:
        InputError: as `load_initial`, or the source holds a backbone only.
    """
    if not is_hub_name(source) and (not Path(source).exists() or _is_ours(Path(source))):
        return load_checkpoint(Path(source), device)
    checkpoint = as_checkpoint(load_initial(source))
    checkpoint.model.to(device).eval()
    return checkpoint


def as_checkpoint(initial: InitialWeights) -> Checkpoint:
    """The segmenter of a source; tensors that it lacks are random, but the same each time.

    Raises:
        InputError: the source holds a backbone only, or its tensors do not fit its configuration.
    """
    if initial.config is None:
        raise InputError(
            "this is a backbone only, without a head that finds objects",
            place=initial.place,
            hint="train from it: qcen train --weights FILE",
        )
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        model = FrameSegmenter(initial.config.model, len(initial.categories))
    fill_model(model, completed(initial, model.state_dict()), initial.place)
    info = {"step": 0, "supervision": list(initial.supervision), "source": initial.kind, **initial.info}
    return Checkpoint(model.eval(), initial.config, initial.categories, info)


def supervision_of(source: str | Path) -> tuple[str, ...]:
    """Every kind of label that went into the weights of a source.

    Raises:
        InputError: as `load_initial`.
    """
    if is_hub_name(source) or (Path(source).exists() and not _is_ours(Path(source))):
        return load_initial(source).supervision
    return tuple(read_header(Path(source))["info"].get("supervision", ()))


def _is_ours(path: Path) -> bool:
    """Whether a file is a checkpoint of this program, or a safetensors file too damaged to tell."""
    if not path.is_file() or not is_safetensors(path):
        return False
    try:
        read_header(path)
    except InputError as error:
        return "not a checkpoint of qcen" not in error.cause
    return True


def _load_own(path: Path) -> InitialWeights:
    header = read_header(path)
    weights = read_weights(path)
    config = config_from_dict(without_dropped_keys(header["config"], str(path), to_train=False), str(path))
    return InitialWeights(
        kind="checkpoint of qcen",
        place=str(path),
        weights=weights,
        origins={name: (name,) for name in weights},
        unused=(),
        lacks=NOTHING,
        config=config,
        categories=tuple(Category(record["id"], record["name"]) for record in header["categories"]),
        supervision=tuple(header["info"].get("supervision", ())),
        info=header["info"],
    )
