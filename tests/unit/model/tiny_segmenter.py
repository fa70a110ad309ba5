"""The smallest segmenter that has all parts."""

import torch

from qcen_core.config import ModelConfig
from qcen_core.model.segmenter import FrameSegmenter

TINY = ModelConfig(
    backbone="resnet10t",
    backbone_args={"channels": [8, 16, 16, 16], "stem_width": 8},
    pretrained=False,
    backbone_norm="group",
    hidden_dim=32,
    contrast_dim=12,
    heads=4,
    queries=7,
    encoder_layers=2,
    encoder_points=2,
    encoder_feedforward=48,
    decoder_layers=4,
    decoder_feedforward=40,
)
CLASSES = 3


def tiny_segmenter(seed: int = 0, **changes: object) -> FrameSegmenter:
    torch.manual_seed(seed)
    return FrameSegmenter(TINY.model_copy(update=changes), CLASSES)


def random_frames(count: int, height: int, width: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, height, width), generator=generator, dtype=torch.uint8)


def all_valid(frames: torch.Tensor) -> torch.Tensor:
    return torch.ones(frames.shape[0], *frames.shape[-2:], dtype=torch.bool)
