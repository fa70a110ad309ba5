"""The per-frame segmenter: every frame is segmented on its own; time enters only through the losses and the tracker."""

import torch
from torch import Tensor, nn

from qcen_core.config import ModelConfig
from qcen_core.model.backbone import build_backbone
from qcen_core.model.pixel_decoder import PixelDecoder, PixelFeatures
from qcen_core.model.transformer_decoder import TransformerDecoder
from qcen_core.ops.ranks import Ranks
from qcen_core.structures import Guests, SegmenterOutput

PIXEL_MEAN = (123.675, 116.28, 103.53)
PIXEL_STD = (58.395, 57.12, 57.375)


class FrameSegmenter(nn.Module):
    """Mask2Former for single frames, with contrast embeddings."""

    pixel_mean: Tensor
    pixel_std: Tensor

    def __init__(self, config: ModelConfig, classes: int, *, pretrained: bool = False) -> None:
        super().__init__()
        self.backbone = build_backbone(config, pretrained=pretrained)
        self.pixel_decoder = PixelDecoder(config, self.backbone.channels)
        self.decoder = TransformerDecoder(config, classes)
        self.register_buffer("pixel_mean", torch.tensor(PIXEL_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("pixel_std", torch.tensor(PIXEL_STD).view(3, 1, 1), persistent=False)

    def forward(
        self,
        frames: Tensor,
        valid: Tensor,
        clip_frames: int = 1,
        ranks: Ranks | None = None,
        *,
        every_layer: bool = True,
    ) -> SegmenterOutput:
        """Segment frames.

        Args:
            frames: (N, 3, H, W) uint8 RGB, H and W multiples of 32, padded at the right and at the bottom.
            valid: (N, H, W) bool, False on padding.
            clip_frames: T; with more than 1, frames also exchange their queries, inside clips and between them.
            ranks: the processes between whose clips they are exchanged; by default this one on its own.
            every_layer: predict after every decoder layer, as the losses need it, or after the last only.

        Returns:
            Predictions and embeddings of all frames.
        """
        return self.decode(self.encode(frames, valid), clip_frames, ranks, every_layer=every_layer)

    def encode(self, frames: Tensor, valid: Tensor) -> PixelFeatures:
        """Features of N frames, for `decode` and `visit`; arguments as `forward`."""
        images = (frames.float() - self.pixel_mean) / self.pixel_std
        images = images.masked_fill(~valid[:, None], 0.0).contiguous(memory_format=torch.channels_last)
        features: PixelFeatures = self.pixel_decoder(self.backbone(images), valid)
        return features

    def decode(
        self,
        features: PixelFeatures,
        clip_frames: int = 1,
        ranks: Ranks | None = None,
        *,
        every_layer: bool = True,
    ) -> SegmenterOutput:
        """Let every frame's own queries find its objects, and with `clip_frames` above 1 exchange them."""
        output: SegmenterOutput = self.decoder(features, clip_frames, ranks, every_layer=every_layer)
        return output

    def visit(self, features: PixelFeatures, guests: Guests, *, every_layer: bool = True) -> SegmenterOutput:
        """Let queries of other frames look for their objects in these frames.

        Returns:
            What the guests predict, with G in the place of Q and without a map of centres.
        """
        return self.decoder.visit(features, guests, every_layer=every_layer)


def parameter_groups(
    model: FrameSegmenter, *, learning_rate: float, backbone_factor: float, weight_decay: float
) -> list[dict[str, object]]:
    """Optimizer groups: the backbone learns slower; norms, biases and embeddings do not decay."""
    undecayed = {
        id(parameter)
        for module in model.modules()
        for parameter in module.parameters(recurse=False)
        if parameter.dim() <= 1 or isinstance(module, nn.Embedding | PixelDecoder)
    }
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            key = (name.startswith("backbone."), id(parameter) in undecayed)
            groups.setdefault(key, []).append(parameter)
    return [
        {
            "params": parameters,
            "lr": learning_rate * (backbone_factor if in_backbone else 1.0),
            "weight_decay": 0.0 if no_decay else weight_decay,
        }
        for (in_backbone, no_decay), parameters in groups.items()
    ]
