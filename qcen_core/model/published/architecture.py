"""The configuration of a Mask2Former, told from the shapes of its tensors."""

import math
import re
from collections.abc import Iterable, Mapping

from torch import Tensor

from qcen_core.config import ModelConfig, config_from_dict
from qcen_core.errors import InputError
from qcen_core.model.pixel_decoder import ATTENDED_LEVELS

POINTS = 4  # sampling points a head and level in every published model
NARROWEST = 128  # below it our norms have fewer groups than the published 32
WIDTHS = (64, 128, 256, 512)  # of the stages of a usual ResNet
RESNETS: dict[tuple[bool, tuple[int, ...]], str] = {
    (False, (2, 2, 2, 2)): "resnet18",
    (False, (3, 4, 6, 3)): "resnet34",
    (True, (3, 4, 6, 3)): "resnet50",
    (True, (3, 4, 23, 3)): "resnet101",
    (True, (3, 8, 36, 3)): "resnet152",
}
# Width of the first stage, depths and window -> timm's name; heads are 32 channels wide in all of them.
SWINS: dict[tuple[int, tuple[int, ...], int], str] = {
    (96, (2, 2, 6, 2), 7): "swin_tiny_patch4_window7_224",
    (96, (2, 2, 18, 2), 7): "swin_small_patch4_window7_224",
    (128, (2, 2, 18, 2), 7): "swin_base_patch4_window7_224",
    (128, (2, 2, 18, 2), 12): "swin_base_patch4_window12_384",
    (192, (2, 2, 18, 2), 7): "swin_large_patch4_window7_224",
    (192, (2, 2, 18, 2), 12): "swin_large_patch4_window12_384",
}
CHANNELS_PER_HEAD = 32


def model_config(weights: Mapping[str, Tensor], place: str, *, see_padding: bool = True) -> ModelConfig:
    """The sizes of the model that tensors under our names belong to.

    Args:
        weights: all tensors of a Mask2Former.
        place: where they came from, for messages.
        see_padding: whether the model takes padding for a part of the frame.

    Raises:
        InputError: a tensor is missing, or has a shape that no Mask2Former has.
    """
    shapes = _Shapes(weights, place)
    queries, dim = shapes.of("decoder.query_embed.weight", 2)
    offsets = shapes.of("pixel_decoder.layers.0.self_attn.sampling_offsets.weight", 2)[0]
    heads, odd = divmod(offsets, ATTENDED_LEVELS * POINTS * 2)
    if odd or dim < NARROWEST:
        raise InputError(
            f"{dim} channels with {offsets} sampling offsets are no Mask2Former that this program can be",
            place=place,
            hint=f"it reads models of {NARROWEST} channels or more, {POINTS} points a head, {ATTENDED_LEVELS} levels",
        )
    name, arguments = _backbone(shapes)
    values = {
        "backbone": name,
        "backbone_args": arguments,
        "pretrained": False,
        "see_padding": see_padding,
        "hidden_dim": dim,
        "heads": heads,
        "queries": queries,
        "encoder_layers": _count(weights, r"pixel_decoder\.layers\.(\d+)\..+"),
        "encoder_points": POINTS,
        "encoder_feedforward": shapes.of("pixel_decoder.layers.0.linear1.weight", 2)[0],
        "decoder_layers": _count(weights, r"decoder\.layers\.(\d+)\..+"),
        "decoder_feedforward": shapes.of("decoder.layers.0.linear1.weight", 2)[0],
    }
    return config_from_dict({"model": values}, place).model


class _Shapes:
    """Shapes by name; a missing one is an error of the file."""

    def __init__(self, weights: Mapping[str, Tensor], place: str) -> None:
        self.weights, self.place = weights, place

    def of(self, name: str, dimensions: int) -> tuple[int, ...]:
        """The shape of a tensor that must have so many dimensions."""
        if name not in self.weights or self.weights[name].dim() != dimensions:
            found = f"is {tuple(self.weights[name].shape)}" if name in self.weights else "is missing"
            raise InputError(f"'{name}' {found}", place=self.place, hint="the file is damaged, or of another model")
        return tuple(self.weights[name].shape)


def _backbone(shapes: _Shapes) -> tuple[str, dict[str, object]]:
    """Name in timm of the backbone, and what differs from the network of that name."""
    if "backbone.body.patch_embed.proj.weight" in shapes.weights:
        return _swin(shapes)
    stages = range(1, 5)
    depths = tuple(_count(shapes.weights, rf"backbone\.body\.layer{stage}\.(\d+)\..+") for stage in stages)
    deep = "backbone.body.layer1.0.conv3.weight" in shapes.weights
    widths = tuple(shapes.of(f"backbone.body.layer{stage}.0.conv1.weight", 4)[0] for stage in stages)
    arguments: dict[str, object] = {} if widths == WIDTHS else {"channels": list(widths)}
    if (deep, depths) in RESNETS:
        return RESNETS[deep, depths], arguments
    return "resnet50" if deep else "resnet18", {"layers": list(depths), **arguments}


def _swin(shapes: _Shapes) -> tuple[str, dict[str, object]]:
    stages = range(4)
    width, _, patch, _ = shapes.of("backbone.body.patch_embed.proj.weight", 4)
    depths = tuple(_count(shapes.weights, rf"backbone\.body\.layers_{stage}\.blocks\.(\d+)\..+") for stage in stages)
    block = "backbone.body.layers_{}.blocks.0.attn.relative_position_bias_table"
    tables = [shapes.of(block.format(stage), 2) for stage in stages]
    heads = [table[1] for table in tables]
    window = (math.isqrt(tables[0][0]) + 1) // 2
    if patch != 4 or any(table[0] != (2 * window - 1) ** 2 for table in tables):
        raise InputError("a Swin with other patches, or windows that differ", place=shapes.place)
    name = SWINS.get((width, depths, window))
    if name and heads == [width * 2**stage // CHANNELS_PER_HEAD for stage in stages]:
        return name, {}
    arguments = {"embed_dim": width, "depths": list(depths), "num_heads": heads, "window_size": window}
    return "swin_tiny_patch4_window7_224", arguments


def _count(names: Iterable[str], pattern: str) -> int:
    """How many layers there are whose number the pattern's group holds."""
    return 1 + max((int(match[1]) for name in names if (match := re.fullmatch(pattern, name))), default=-1)
