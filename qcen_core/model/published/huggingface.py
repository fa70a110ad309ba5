"""Mask2Former as Hugging Face saves it: a folder with config.json and the weights in one file or several."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from qcen_core.config import QcenConfig, config_from_dict
from qcen_core.errors import InputError
from qcen_core.jsonfile import load_json
from qcen_core.model.published.huggingface_names import HEAD_RULES, RESNET_RULES, SWIN_RULES, UNUSED, earlier_name
from qcen_core.model.published.initial import PUBLISHED_LACKS, InitialWeights
from qcen_core.model.published.mask2former import (
    MAX_SIDE,
    SHORT_SIDE,
    published_config,
    published_supervision,
    unnamed_categories,
)
from qcen_core.model.published.naming import rename
from qcen_core.model.published.tensor_files import read_tensors
from qcen_core.model.segmenter import PIXEL_MEAN, PIXEL_STD
from qcen_core.records import Category

WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")
STAGES = ["stage1", "stage2", "stage3", "stage4"]
# What must hold for the model to be ours: section, key -> values, the first being what a missing key stands for.
NEEDED: dict[tuple[str, str], tuple[object, ...]] = {
    ("mask2former", "pre_norm"): (False,),
    ("mask2former", "enforce_input_projection"): (False,),
    ("mask2former", "activation_function"): ("relu",),
    ("mask2former", "common_stride"): (4,),
    ("mask2former", "feature_strides"): ([4, 8, 16, 32],),
    ("swin", "use_absolute_embeddings"): (False,),
    ("swin", "hidden_act"): ("gelu",),
    ("swin", "layer_norm_eps"): (1e-5,),
    ("swin", "out_features"): (STAGES,),
    ("resnet", "downsample_in_first_stage"): (False,),
    ("resnet", "downsample_in_bottleneck"): (False,),
    ("resnet", "hidden_act"): ("relu",),
    ("resnet", "out_features"): (STAGES,),
}


def load_huggingface(folder: Path, place: str) -> InitialWeights:
    """A Mask2Former from a folder as `save_pretrained` leaves it.

    Args:
        folder: holds config.json and model.safetensors or pytorch_model.bin, or the parts of one with their index.
        place: what to call it in messages.

    Raises:
        InputError: a file is missing or damaged, or the model differs from ours.
    """
    config = load_json(folder / "config.json")
    if not isinstance(config, dict) or config.get("model_type") != "mask2former":
        kind = config.get("model_type") if isinstance(config, dict) else None
        raise InputError(
            f"config.json is of a model of the kind '{kind}', not 'mask2former'",
            place=place,
            hint="name the folder of a Mask2Former, such as that of facebook/mask2former-swin-tiny-coco-instance",
        )
    backbone = config.get("backbone_config")
    kind = backbone.get("model_type") if isinstance(backbone, dict) else None
    if not isinstance(backbone, dict) or kind not in ("swin", "resnet"):
        raise InputError(f"the backbone is of the kind '{kind}'", place=place, hint="Swin and ResNet can be read")
    _check("mask2former", config, place)
    _check(str(kind), backbone, place)
    tensors = _all_tensors(folder, place)
    names = {earlier_name(name): name for name in tensors}
    earlier = {early: tensors[name] for early, name in names.items()}
    rules = (*(SWIN_RULES if kind == "swin" else RESNET_RULES), *HEAD_RULES)
    renamed = rename(earlier, rules, UNUSED, place)
    categories = _categories(config, len(renamed.weights.get("decoder.class_embed.bias", ())) - 1, place)
    return InitialWeights(
        kind="Mask2Former of Hugging Face",
        place=place,
        weights=renamed.weights,
        origins={ours: tuple(names[name] for name in origin) for ours, origin in renamed.origins.items()},
        unused=tuple(names[name] for name in renamed.unused),
        lacks=PUBLISHED_LACKS,
        config=_config(renamed.weights, config, folder, place),
        categories=categories,
        supervision=published_supervision(categories),
    )


def _check(section: str, config: Mapping[str, Any], place: str) -> None:
    for (of, key), values in NEEDED.items():
        if of == section and config.get(key, values[0]) not in values:
            raise InputError(
                f"config.json has {key} {config[key]}, this program knows {values[0]} only",
                place=place,
                hint="such a model cannot be read",
            )


def _config(weights: Mapping[str, Tensor], config: Mapping[str, Any], folder: Path, place: str) -> QcenConfig:
    """The configuration told from the tensors, which config.json must agree with."""
    told = published_config(weights, place, **_input_size(folder, place))
    model = told.model
    stated = {
        "hidden_dim": model.hidden_dim,
        "feature_size": model.hidden_dim,
        "mask_feature_size": model.hidden_dim,
        "num_attention_heads": model.heads,
        "num_queries": model.queries,
        "encoder_layers": model.encoder_layers,
        "decoder_layers": model.decoder_layers + 1,  # there the prediction before the first layer counts, too
    }
    for key, value in stated.items():
        if key in config and config[key] != value:
            raise InputError(
                f"config.json has {key} {config[key]}, the tensors say {value}",
                place=place,
                hint="the files do not belong together, or the model differs from Mask2Former",
            )
    rate = config["backbone_config"].get("drop_path_rate")
    if rate is None:
        return told
    arguments = model.backbone_args | {"drop_path_rate": rate}
    values = told.model_dump() | {"model": model.model_dump() | {"backbone_args": arguments}}
    return config_from_dict(values, place)


def _input_size(folder: Path, place: str) -> dict[str, int]:
    """Sides of the input from preprocessor_config.json, if it states them as we do."""
    path = folder / "preprocessor_config.json"
    stated = load_json(path) if path.is_file() else {}
    if not isinstance(stated, dict):
        return {}
    for key, ours in (("image_mean", PIXEL_MEAN), ("image_std", PIXEL_STD)):
        values = stated.get(key)
        if values and any(abs(255 * value - wanted) > 0.1 for value, wanted in zip(values, ours, strict=True)):
            raise InputError(f"{key} is {values}", place=place, hint="only the usual one of ImageNet can be read")
    size = stated.get("size")
    if not isinstance(size, dict) or not isinstance(size.get("shortest_edge"), int):
        return {}
    short_side = size["shortest_edge"]
    longest = size.get("longest_edge") or round(short_side * MAX_SIDE / SHORT_SIDE)
    return {"short_side": short_side, "max_side": longest}


def _categories(config: Mapping[str, Any], count: int, place: str) -> tuple[Category, ...]:
    names = config.get("id2label")
    if not isinstance(names, dict):
        return unnamed_categories(max(count, 0))
    if sorted(names) != sorted(str(index) for index in range(count)):
        raise InputError(
            f"config.json names {len(names)} classes, the class head has {count}",
            place=place,
            hint="the files do not belong together",
        )
    return tuple(Category(index + 1, str(names[str(index)])) for index in range(count))


def _all_tensors(folder: Path, place: str) -> dict[str, Tensor]:
    for name in WEIGHT_FILES:
        if (folder / name).is_file():
            return read_tensors(folder / name)
        index = folder / f"{name}.index.json"
        if index.is_file():
            return _sharded(folder, index)
    raise InputError(
        f"the folder holds neither {' nor '.join(WEIGHT_FILES)}",
        place=place,
        hint="put the weights beside config.json",
    )


def _sharded(folder: Path, index: Path) -> dict[str, Tensor]:
    listed = load_json(index)
    weight_map = listed.get("weight_map") if isinstance(listed, dict) else None
    if not isinstance(weight_map, dict):
        raise InputError("the index has no 'weight_map'", place=index, hint="get the file again")
    tensors: dict[str, Tensor] = {}
    for name in sorted({str(file) for file in weight_map.values()}):
        if Path(name).name != name:
            raise InputError(f"the index points outside of its folder: '{name}'", place=index)
        if not (folder / name).is_file():
            raise InputError(f"the part '{name}' is missing", place=index, hint="put it beside the index")
        tensors |= read_tensors(folder / name)
    return tensors
