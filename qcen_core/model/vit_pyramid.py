"""Plain vision transformers as backbones, through the simple feature pyramid of ViTDet (Li et al., ECCV 2022)."""

from typing import Any

import timm
import torch
import torch.nn.functional as F
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from timm.layers import LayerNorm2d
from timm.models._features import FeatureGetterNet  # the public names leave it out
from torch import Tensor, nn

TOKEN_STRIDE = 16
FAMILIES = ("deit", "eva", "vision_transformer")  # timm's modules whose networks take images of any size


class LastTokens(FeatureGetterNet):  # type: ignore[misc]  # timm is not typed
    """The last layer's tokens as one map, normed as the network was trained to norm them."""

    def __init__(self, model: nn.Module, **_: object) -> None:
        super().__init__(model, out_indices=1, norm=True)


BODY_ARGUMENTS: dict[str, object] = {"dynamic_img_size": True, "feature_cls": LastTokens}


def is_plain_vit(name: str) -> bool:
    """Whether a name or address (`hf-hub:owner/name`) is that of a timm network all of whose layers have one stride."""
    architecture = name.rsplit("/", 1)[-1].split(".")[0]
    return timm.is_model(architecture) and bool(timm.models.is_model_in_modules(architecture, FAMILIES))


class VitPyramid(nn.Module):
    """Features at strides 4, 8, 16 and 32 from the last tokens of a plain vision transformer.

    The tokens must stand at stride 16: token (i, j) for the pixels 16 i to 16 i + 15 and 16 j to 16 j + 15. A network
    with patches of P pixels therefore gets its images resized by P / 16, bilinearly: by 14 / 16 for DINOv2, not at all
    where patches have 16 pixels. Images that are multiples of 32 then hold whole patches, an even number in each row.
    Position embeddings are interpolated to the tokens there are; rotary ones need none of it.

    Attention is global, and tokens of padding take part in it, as grey as segmenters leave them.

    Attributes:
        channels: number of channels at each of the four strides.
    """

    gain: Tensor
    shift: Tensor

    def __init__(self, body: nn.Module, width: int) -> None:
        """Args: `body` is a timm network made with `BODY_ARGUMENTS`; `width` is that of all four maps."""
        super().__init__()
        info: Any = body.feature_info
        dim = int(info.channels()[-1])
        self.body = body
        self._patch = int(info.reduction()[-1])
        self.scales = nn.ModuleList(
            (
                nn.Sequential(_doubled(dim, dim // 2), LayerNorm2d(dim // 2), nn.GELU(), _doubled(dim // 2, dim // 4)),
                _doubled(dim, dim // 2),
                nn.Identity(),
                nn.MaxPool2d(2),
            )
        )
        self.outputs = nn.ModuleList(_output(count, width) for count in (dim // 4, dim // 2, dim, dim))
        self.channels = (width,) * len(self.scales)
        own: Any = body.pretrained_cfg
        mean, std = _colour(own["mean"]), _colour(own["std"])
        self.register_buffer("gain", _colour(IMAGENET_DEFAULT_STD) / std, persistent=False)
        self.register_buffer("shift", (_colour(IMAGENET_DEFAULT_MEAN) - mean) / std, persistent=False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Features of images, normalised with the mean and deviation of ImageNet whatever the network was trained with.

        Args:
            images: (N, 3, H, W) float, H and W multiples of 32.

        Returns:
            Four tensors (N, channels[i], H / s, W / s), s = 4, 8, 16, 32.
        """
        images = images * self.gain + self.shift
        if self._patch != TOKEN_STRIDE:
            size = [side // TOKEN_STRIDE * self._patch for side in images.shape[-2:]]
            images = F.interpolate(images, size=size, mode="bilinear", align_corners=False)
        tokens = self.body(images)[-1]
        return [output(scale(tokens)) for scale, output in zip(self.scales, self.outputs, strict=True)]


def _doubled(inputs: int, outputs: int) -> nn.Module:
    return nn.ConvTranspose2d(inputs, outputs, kernel_size=2, stride=2)


def _output(inputs: int, width: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(inputs, width, 1, bias=False),
        LayerNorm2d(width),
        nn.Conv2d(width, width, 3, padding=1, bias=False),
        LayerNorm2d(width),
    )


def _colour(values: tuple[float, ...]) -> Tensor:
    return torch.tensor(values).view(3, 1, 1)
