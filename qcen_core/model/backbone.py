"""Feature pyramids from timm."""

import timm
from timm.layers import GroupNorm, freeze_batch_norm_2d
from torch import Tensor, nn

from qcen_core.config import ModelConfig
from qcen_core.errors import InputError

STRIDES = (4, 8, 16, 32)
NORM_GROUP_CHANNELS = 8


class Backbone(nn.Module):
    """A timm network that yields features at strides 4, 8, 16 and 32.

    Attributes:
        channels: number of channels at each of the four strides.
    """

    def __init__(self, name: str, *, pretrained: bool, norm: str, arguments: dict[str, object]) -> None:
        super().__init__()
        extra = dict(arguments)
        if norm == "group":
            extra["norm_layer"] = _group_norm
        body = timm.create_model(name, pretrained=pretrained, features_only=True, **extra)
        reductions = body.feature_info.reduction()
        if not set(STRIDES) <= set(reductions):
            raise InputError(
                f"backbone '{name}' has features at strides {reductions}, not at 4, 8, 16 and 32",
                hint="choose a timm model with a feature pyramid, such as resnet50",
            )
        self.body = freeze_batch_norm_2d(body) if norm == "frozen_batch" else body
        self._picked = [reductions.index(stride) for stride in STRIDES]
        channels = body.feature_info.channels()
        self.channels = tuple(int(channels[index]) for index in self._picked)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Features of normalised images.

        Args:
            images: (N, 3, H, W) float, H and W multiples of 32.

        Returns:
            Four tensors (N, channels[i], H / STRIDES[i], W / STRIDES[i]).
        """
        features = self.body(images)
        return [features[index] for index in self._picked]


def _group_norm(channels: int, **factory: object) -> nn.Module:
    norm: nn.Module = GroupNorm(channels, num_groups=channels // NORM_GROUP_CHANNELS, **factory)
    return norm


def build_backbone(config: ModelConfig, *, pretrained: bool) -> Backbone:
    """The backbone of a configuration; `pretrained` says whether to fetch timm's ImageNet weights."""
    return Backbone(config.backbone, pretrained=pretrained, norm=config.backbone_norm, arguments=config.backbone_args)
