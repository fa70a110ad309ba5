"""The two sides of the segmenter's comparison: ours and transformers' Mask2Former, on the same weights and inputs.

Both are the published ResNet-50 model of 80 classes with random weights, saved by transformers and read from its folder
by each side. Both train as published: masks compared at 12,544 points on every decoder output, frozen batch norms,
AdamW, gradients clipped.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation, ResNetConfig
from transformers.utils import logging

from qcen_core.config import LossConfig, MatchingConfig, PairConfig
from qcen_core.method.criterion import TERM_NAMES, SetCriterion, loss_weights, total_loss
from qcen_core.model.published.load import as_checkpoint, load_initial
from qcen_core.model.segmenter import PIXEL_MEAN, PIXEL_STD, FrameSegmenter
from qcen_core.structures import BoxTarget, ClipBatch, SegmenterOutput, StrongLabels

CLASSES, OBJECTS, POINTS, CLIP_FRAMES = 80, 8, 12544, 2
RATE, DECAY, CLIP = 1e-4, 0.05, 0.01
SET_TERMS = ("class", "mask_bce", "mask_dice")

Forward = Callable[[], tuple[Tensor, Tensor]]  # class logits and mask logits of the last layer
Step = Callable[[], float]  # the loss

logging.set_verbosity_error()
logging.disable_progress_bar()


@dataclass(frozen=True, slots=True)
class Inputs:
    """Frames and their labels.

    Attributes:
        frames: (N, 3, H, W) uint8.
        masks: N tensors (G, H, W) bool.
        labels: N tensors (G,) int64.
    """

    frames: Tensor
    masks: tuple[Tensor, ...]
    labels: tuple[Tensor, ...]


def write_folder(folder: Path) -> None:
    """Save the model as transformers does."""
    torch.manual_seed(0)
    backbone = ResNetConfig(out_features=["stage1", "stage2", "stage3", "stage4"])
    config = Mask2FormerConfig(backbone_config=backbone, num_labels=CLASSES, train_num_points=POINTS)
    Mask2FormerForUniversalSegmentation(config).save_pretrained(folder)


def make_inputs(count: int, size: tuple[int, int], device: torch.device) -> Inputs:
    """Smooth random pictures, with ellipses for objects."""
    generator = torch.Generator().manual_seed(1)
    height, width = size
    coarse = torch.rand(count, 3, 6, 10, generator=generator)
    frames = (255 * nn.functional.interpolate(coarse, size=size, mode="bicubic").clamp(0, 1)).to(torch.uint8)
    x, y = torch.arange(width) / width, torch.arange(height)[:, None] / height
    place = torch.rand(count, OBJECTS, 4, 1, 1, generator=generator)
    distance = ((x - place[:, :, 0]) / (0.05 + 0.2 * place[:, :, 2])).square()
    distance = distance + ((y - place[:, :, 1]) / (0.05 + 0.2 * place[:, :, 3])).square()
    labels = torch.randint(0, CLASSES, (count, OBJECTS), generator=generator)
    return Inputs(frames.to(device), tuple((distance < 1).to(device)), tuple(labels.to(device)))


def our_model(folder: Path, device: torch.device) -> FrameSegmenter:
    return as_checkpoint(load_initial(folder)).model.to(device)


def their_model(folder: Path, device: torch.device) -> nn.Module:
    model: nn.Module = Mask2FormerForUniversalSegmentation.from_pretrained(folder)
    return model.to(device).eval()


def normalised(frames: Tensor) -> Tensor:
    mean, std = (torch.tensor(values, device=frames.device).view(3, 1, 1) for values in (PIXEL_MEAN, PIXEL_STD))
    return (frames.float() - mean) / std


def our_forward(model: nn.Module, inputs: Inputs, precision: torch.dtype) -> Forward:
    valid = torch.ones_like(inputs.frames[:, 0], dtype=torch.bool)

    def forward() -> tuple[Tensor, Tensor]:
        with torch.inference_mode(), autocast(inputs.frames.device, precision):
            final = model(inputs.frames, valid, every_layer=False).final
        return final.class_logits, final.mask_logits

    return forward


def their_forward(model: nn.Module, inputs: Inputs, precision: torch.dtype) -> Forward:
    images = normalised(inputs.frames)

    def forward() -> tuple[Tensor, Tensor]:
        with torch.inference_mode(), autocast(images.device, precision):
            output = model(pixel_values=images, output_auxiliary_logits=False)
        return output.class_queries_logits, output.masks_queries_logits

    return forward


def our_step(model: nn.Module, inputs: Inputs, precision: torch.dtype) -> Step:
    """A step at the level of masks, without what only QCEN has."""
    count, _, height, width = inputs.frames.shape
    valid = torch.ones(count // CLIP_FRAMES, height, width, dtype=torch.bool, device=inputs.frames.device)
    targets = tuple(BoxTarget(boxes_of(m), labels) for m, labels in zip(inputs.masks, inputs.labels, strict=True))
    batch = ClipBatch(
        inputs.frames.unflatten(0, (-1, CLIP_FRAMES)),
        valid,
        torch.arange(CLIP_FRAMES, device=valid.device).expand(len(valid), -1),
        targets,
        StrongLabels(inputs.masks, None),
        tuple(str(number) for number in range(len(valid))),
    )
    loss = LossConfig(mask_points=POINTS, pairwise_weight=0)
    weights = dict.fromkeys(TERM_NAMES, 0.0) | {name: loss_weights(loss, 0)[name] for name in SET_TERMS}
    criterion = SetCriterion(loss, MatchingConfig(), PairConfig())
    model.train()
    optimizer = optimizer_of(model)

    def step() -> float:
        with autocast(inputs.frames.device, precision):
            output: SegmenterOutput = model(batch.frames(), batch.frame_valid())
        total = total_loss(criterion(output.float(), batch, weights).terms, weights)
        return learn(total, model, optimizer)

    return step


def their_step(model: nn.Module, inputs: Inputs, precision: torch.dtype) -> Step:
    images = normalised(inputs.frames)
    masks = [mask.float() for mask in inputs.masks]
    model.train()
    for module in model.modules():  # as published, and as on our side
        if isinstance(module, nn.BatchNorm2d):
            module.eval().requires_grad_(requires_grad=False)
    optimizer = optimizer_of(model)

    def step() -> float:
        with autocast(images.device, precision):
            total = model(pixel_values=images, mask_labels=masks, class_labels=list(inputs.labels)).loss
        return learn(total.sum(), model, optimizer)

    return step


def autocast(device: torch.device, precision: torch.dtype) -> torch.autocast:
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == torch.bfloat16)


def optimizer_of(model: nn.Module) -> torch.optim.Optimizer:
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return torch.optim.AdamW(parameters, lr=RATE, weight_decay=DECAY, fused=True)


def learn(total: Tensor, model: nn.Module, optimizer: torch.optim.Optimizer) -> float:
    total.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return total.item()


def boxes_of(masks: Tensor) -> Tensor:
    """(G, 4) `x1 y1 x2 y2` around (G, H, W) masks, none of them empty."""
    sides = []
    for axis in (1, 2):
        line = masks.any(dim=axis)
        first = line.int().argmax(-1)
        last = line.shape[-1] - line.flip(-1).int().argmax(-1)
        sides.append((first, last))
    (left, right), (top, bottom) = sides
    return torch.stack((left, top, right, bottom), dim=-1).float()
