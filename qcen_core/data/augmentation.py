"""One random change for a whole clip: size, crop, flip, colour; frames, boxes and masks together."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

from qcen_core.config import DataConfig
from qcen_core.ops.sizes import fitted_size

LUMA = np.array([0.299, 0.587, 0.114])  # of red, green and blue (ITU-R BT.601)
LEAST_SIDE = 2.0  # pixels: a box that a crop leaves smaller is gone


@dataclass(frozen=True, slots=True)
class Clip:
    """T frames of one video with their labels.

    Attributes:
        images: (T, 3, H, W) uint8.
        boxes: T tensors (G, 4) float32, pixels.
        labels: T tensors (G,) int64.
        masks: T tensors (G, H, W) bool, or `None`.
        track_ids: T tensors (G,) int64, or `None`.
        times: T frame indices in the video.
        source: name of the video.
        audit: T tensors (G,) int64, the true track of each label or -1, for the training log only; or `None`.
        ignored: T tensors (I, 4) float32, boxes of regions that are neither object nor background, pixels; or nothing.
    """

    images: Tensor
    boxes: tuple[Tensor, ...]
    labels: tuple[Tensor, ...]
    masks: tuple[Tensor, ...] | None
    track_ids: tuple[Tensor, ...] | None
    times: tuple[int, ...]
    source: str
    audit: tuple[Tensor, ...] | None = None
    ignored: tuple[Tensor, ...] = ()


def augment_clip(clip: Clip, config: DataConfig, rng: np.random.Generator) -> Clip:
    """Crop, resize, flip and recolour a clip, every frame alike.

    Args:
        clip: the clip as decoded.
        config: sizes and strengths.
        rng: source of all choices.

    Returns:
        The changed clip; boxes that a crop cut away are gone.
    """
    if config.crop_scale < 1:
        clip = crop_clip(clip, rng.uniform(config.crop_scale, 1, size=2), rng.uniform(0, 1, size=2))
    short_side = int(rng.choice(config.short_sides))
    height, width = clip.images.shape[-2:]
    clip = resize_clip(clip, fitted_size(height, width, short_side=short_side, max_side=config.max_side))
    if rng.uniform() < config.flip:
        clip = flip_clip(clip)
    if config.color_jitter > 0:
        clip = replace(clip, images=recolor(clip.images, config.color_jitter, rng))
    return clip


def resize_clip(clip: Clip, size: tuple[int, int]) -> Clip:
    """The clip at another (height, width)."""
    height, width = clip.images.shape[-2:]
    if (height, width) == size:
        return clip
    scale = torch.tensor([size[1] / width, size[0] / height] * 2, dtype=torch.float32)
    masks = clip.masks and tuple(
        transforms.resize(m[:, None].to(torch.uint8), list(size), transforms.InterpolationMode.NEAREST_EXACT)[:, 0] > 0
        if len(m)
        else m.new_zeros((0, *size))
        for m in clip.masks
    )
    images = transforms.resize(clip.images, list(size), antialias=True)
    boxes, ignored = (tuple(box * scale for box in group) for group in (clip.boxes, clip.ignored))
    return replace(clip, images=images, boxes=boxes, ignored=ignored, masks=masks)


def flip_clip(clip: Clip) -> Clip:
    """The clip mirrored left to right."""
    width = clip.images.shape[-1]

    def mirror(group: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(torch.stack((width - b[:, 2], b[:, 1], width - b[:, 0], b[:, 3]), dim=1) for b in group)

    masks = clip.masks and tuple(m.flip(-1) for m in clip.masks)
    return replace(
        clip, images=clip.images.flip(-1), boxes=mirror(clip.boxes), ignored=mirror(clip.ignored), masks=masks
    )


def crop_clip(clip: Clip, share: np.ndarray, place: np.ndarray) -> Clip:
    """Cut the same window out of every frame.

    Args:
        clip: the clip.
        share: (2,) height and width of the window as a share of the frame, 0..1.
        place: (2,) where the window sits, 0 at the top or left, 1 at the bottom or right.
    """
    full = np.array(clip.images.shape[-2:])
    size = np.maximum(1, np.round(full * share)).astype(int)
    top, left = ((full - size) * place).astype(int).tolist()
    height, width = size.tolist()
    shift = torch.tensor([left, top] * 2, dtype=torch.float32)
    limit = torch.tensor([width, height] * 2, dtype=torch.float32)
    boxes, ignored = ([(b - shift).clamp(min=0).minimum(limit) for b in group] for group in (clip.boxes, clip.ignored))
    kept, regions = ([((b[:, 2:] - b[:, :2]) >= LEAST_SIDE).all(dim=1) for b in group] for group in (boxes, ignored))
    window = (slice(None), slice(top, top + height), slice(left, left + width))

    def keep(parts: tuple[Tensor, ...] | None) -> tuple[Tensor, ...] | None:
        return parts and tuple(part[k] for part, k in zip(parts, kept, strict=True))

    return replace(
        clip,
        images=clip.images[..., top : top + height, left : left + width],
        boxes=tuple(b[k] for b, k in zip(boxes, kept, strict=True)),
        labels=tuple(part[k] for part, k in zip(clip.labels, kept, strict=True)),
        ignored=tuple(b[k] for b, k in zip(ignored, regions, strict=True)),
        masks=keep(clip.masks and tuple(m[window] for m in clip.masks)),
        track_ids=keep(clip.track_ids),
        audit=keep(clip.audit),
    )


def recolor(images: Tensor, strength: float, rng: np.random.Generator) -> Tensor:
    """Brightness, contrast and saturation, each changed by a factor drawn from 1 - strength to 1 + strength.

    The three steps of torchvision's `ColorJitter` in one: c b (s x + (1 - s) g(x)) + (1 - c) b m, with g the luma and m
    its mean over the clip, so that all frames are changed alike.

    Args:
        images: (T, 3, H, W) uint8.
        strength: 0 leaves the clip as it is.
        rng: source of the factors.
    """
    brightness, contrast, saturation = rng.uniform(max(0, 1 - strength), 1 + strength, size=3)
    pixels = np.ascontiguousarray(images.permute(0, 2, 3, 1).numpy())
    mix = contrast * brightness * (saturation * np.eye(3) + (1 - saturation) * LUMA)
    shift = np.full(
        (3, 1), (1 - contrast) * brightness * float(LUMA @ np.array(cv2.mean(pixels.reshape(1, -1, 3))[:3]))
    )
    changed = cv2.transform(pixels.reshape(1, -1, 3), np.hstack([mix, shift]))
    return torch.from_numpy(changed.reshape(pixels.shape)).permute(0, 3, 1, 2)
