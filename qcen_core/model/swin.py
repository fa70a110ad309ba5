"""Swin as detectors use it: inputs of any size, windows shifted in every stage, maps padded before they are shifted.

timm follows the classifiers: it shifts no windows of a stage that fits into one, and shifts first and pads after.
"""

import re

import torch.nn.functional as F
from timm.models.swin_transformer import SwinTransformerBlock
from torch import Tensor, nn

ARGUMENTS: dict[str, object] = {"strict_img_size": False, "always_partition": True}


def is_swin(name: str) -> bool:
    """Whether a timm name, or an address such as `hf-hub:timm/swin_...`, is of a Swin of the first version."""
    return re.search(r"(^|[:/])swin_", name) is not None


class PaddedBlock(SwinTransformerBlock):  # type: ignore[misc]  # timm is untyped
    """A block whose map is padded to whole windows before it is shifted, as Swin's detectors do."""

    def _attn(self, x: Tensor) -> Tensor:
        height, width = x.shape[1:3]
        window_height, window_width = self.window_size
        padded = F.pad(x, (0, 0, 0, -width % window_width, 0, -height % window_height))
        attended: Tensor = super()._attn(padded)
        return attended[:, :height, :width]


def pad_before_shifting(body: nn.Module) -> None:
    """Turn the blocks of a timm Swin into `PaddedBlock`, which has the same tensors."""
    for module in body.modules():
        if type(module) is SwinTransformerBlock:
            module.__class__ = PaddedBlock
