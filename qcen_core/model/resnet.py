"""ResNet with frozen norms: each is a part of the convolution before it, not a pass over its output."""

import torch.nn.functional as F
from timm.models.resnet import BasicBlock, Bottleneck
from torch import Tensor, nn
from torchvision.ops import FrozenBatchNorm2d


def normed_convolution(images: Tensor, convolution: nn.Conv2d, norm: FrozenBatchNorm2d) -> Tensor:
    """`norm(convolution(images))` in one pass: a frozen norm scales and shifts channels, and so can a kernel."""
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    kernel = convolution.weight * scale[:, None, None, None]
    shift = norm.bias - norm.running_mean * scale
    return F.conv2d(
        images,
        kernel,
        shift,
        convolution.stride,
        convolution.padding,
        convolution.dilation,
        convolution.groups,
    )


class NormedBottleneck(Bottleneck):  # type: ignore[misc]  # timm is untyped
    """A plain `Bottleneck` of the same tensors."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C', H / s, W / s)."""
        hidden = self.act1(normed_convolution(x, self.conv1, self.bn1))
        hidden = self.act2(normed_convolution(hidden, self.conv2, self.bn2))
        hidden = normed_convolution(hidden, self.conv3, self.bn3)
        hidden += x if self.downsample is None else normed_convolution(x, *self.downsample)
        output: Tensor = self.act3(hidden)
        return output


class NormedBasicBlock(BasicBlock):  # type: ignore[misc]  # timm is untyped
    """A plain `BasicBlock` of the same tensors."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C', H / s, W / s)."""
        hidden = self.act1(normed_convolution(x, self.conv1, self.bn1))
        hidden = normed_convolution(hidden, self.conv2, self.bn2)
        hidden += x if self.downsample is None else normed_convolution(x, *self.downsample)
        output: Tensor = self.act2(hidden)
        return output


def norm_in_convolutions(body: nn.Module) -> None:
    """Turn the plain blocks of a timm ResNet whose norms are frozen into those above; others stay as they are."""
    kinds: dict[type, type[nn.Module]] = {Bottleneck: NormedBottleneck, BasicBlock: NormedBasicBlock}
    for module in body.modules():
        if type(module) in kinds and _is_plain(module):
            module.__class__ = kinds[type(module)]


def _is_plain(block: nn.Module) -> bool:
    """Whether a block is convolutions, frozen norms and activations alone."""
    norms = [child for name, child in block.named_children() if name.startswith("bn")]
    shortcut = list(block.downsample.children()) if isinstance(block.downsample, nn.Sequential) else []
    extras = [block.se, block.drop_path]
    return (
        all(isinstance(norm, FrozenBatchNorm2d) for norm in norms)
        and all(extra is None for extra in extras)
        and all(isinstance(part, nn.Identity) for part in (block.drop_block, block.aa) if part is not None)
        and [type(part) for part in shortcut] in ([], [nn.Conv2d, FrozenBatchNorm2d])
        and (block.downsample is None) == (not shortcut)
    )
