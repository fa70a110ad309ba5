"""Feature pyramids from timm."""

import difflib
from typing import Any

import timm
from timm.layers import GroupNorm, freeze_batch_norm_2d
from torch import Tensor, nn

from qcen_core.config import ModelConfig
from qcen_core.errors import InputError
from qcen_core.model import resnet, swin
from qcen_core.model.vit_pyramid import BODY_ARGUMENTS, VitPyramid, is_plain_vit

STRIDES = (4, 8, 16, 32)
NORM_GROUP_CHANNELS = 8


class Backbone(nn.Module):
    """A timm network that yields features at strides 4, 8, 16 and 32.

    Networks whose features come channels last, Swin and its kin, end in no norm: here each of their maps gets one, as
    in Mask2Former.

    Attributes:
        channels: number of channels at each of the four strides.

    Raises:
        InputError: timm has no such network, it takes other arguments, or it has no features at these strides.
    """

    def __init__(self, name: str, *, pretrained: bool, norm: str, arguments: dict[str, object]) -> None:
        super().__init__()
        extra = swin.ARGUMENTS | arguments if swin.is_swin(name) else dict(arguments)
        if norm == "group":
            extra["norm_layer"] = _group_norm
        body = _create_body(name, pretrained, extra)
        info: Any = body.feature_info
        reductions = info.reduction()
        if not set(STRIDES) <= set(reductions):
            raise InputError(
                f"backbone '{name}' has features at strides {reductions}, not at 4, 8, 16 and 32",
                hint="choose a timm model with a feature pyramid, such as resnet50",
            )
        swin.pad_before_shifting(body)
        self.body = body
        if norm == "frozen_batch":
            self.body = freeze_batch_norm_2d(body)
            resnet.norm_in_convolutions(self.body)
        self._picked = [reductions.index(stride) for stride in STRIDES]
        channels = info.channels()
        self.channels = tuple(int(channels[index]) for index in self._picked)
        channels_last = getattr(body, "output_fmt", "NCHW") == "NHWC"
        self.norms = nn.ModuleList(nn.LayerNorm(count) for count in self.channels if channels_last)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Features of normalised images.

        Args:
            images: (N, 3, H, W) float, H and W multiples of 32.

        Returns:
            Four tensors (N, channels[i], H / STRIDES[i], W / STRIDES[i]).
        """
        features = self.body(images)
        picked = [features[index] for index in self._picked]
        if not self.norms:
            return picked
        return [norm(feature).permute(0, 3, 1, 2) for norm, feature in zip(self.norms, picked, strict=True)]


def _create_body(name: str, pretrained: bool, arguments: dict[str, object]) -> nn.Module:
    if ":" not in name and not timm.is_model(name):  # with a colon it is an address, such as hf-hub:owner/name
        near = difflib.get_close_matches(name, timm.list_models(), n=1)
        hint = f"did you mean '{near[0]}'?" if near else "timm.list_models() lists what there is"
        raise InputError(f"timm has no backbone '{name}'", hint=hint)
    try:
        body: nn.Module = timm.create_model(name, pretrained=pretrained, features_only=True, **arguments)
    except (AssertionError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"backbone '{name}' cannot be built: {reason}",
            hint="see model.backbone_args and model.backbone_norm, or choose another backbone such as resnet50",
        ) from None
    return body


def _group_norm(channels: int, **factory: object) -> nn.Module:
    groups = channels // NORM_GROUP_CHANNELS if channels % NORM_GROUP_CHANNELS == 0 else 1
    norm: nn.Module = GroupNorm(channels, num_groups=groups, **factory)
    return norm


def build_backbone(config: ModelConfig, *, pretrained: bool) -> Backbone | VitPyramid:
    """The backbone of a configuration; `pretrained` says whether to fetch timm's ImageNet weights."""
    if is_plain_vit(config.backbone):
        body = _create_body(config.backbone, pretrained, BODY_ARGUMENTS | config.backbone_args)
        return VitPyramid(body, config.hidden_dim)
    return Backbone(config.backbone, pretrained=pretrained, norm=config.backbone_norm, arguments=config.backbone_args)
