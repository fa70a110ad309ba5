"""From a frame of any size to the model's input, and from mask logits back to the frame's own pixels."""

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from qcen_core.model.pixel_decoder import MASK_STRIDE
from qcen_core.ops.sizes import fitted_size, padded_length
from qcen_core.records import BoolArray

# Masks are enlarged a few at a time: a hundred float masks of a 4K frame would need gigabytes.
PIXELS_AT_ONCE = 1 << 24


@dataclass(frozen=True, slots=True)
class FrameGeometry:
    """How a frame lies in the model's input: resized, then padded at the right and at the bottom.

    Sizes are (height, width) in pixels.

    Attributes:
        frame: size of the frame as decoded.
        resized: size of the part of the input that holds the frame.
        padded: size of the input, a multiple of 32.
    """

    frame: tuple[int, int]
    resized: tuple[int, int]
    padded: tuple[int, int]

    @property
    def mask_cells(self) -> tuple[int, int]:
        """Rows and columns of the mask logits that show some of the frame; the others show padding only."""
        height, width = self.resized
        return -(-height // MASK_STRIDE), -(-width // MASK_STRIDE)


def plan_geometry(height: int, width: int, *, short_side: int, max_side: int) -> FrameGeometry:
    """Sizes for a frame whose short side becomes `short_side` unless its long side would exceed `max_side`.

    Args:
        height: frame height in pixels.
        width: frame width in pixels.
        short_side: wanted short side in pixels.
        max_side: upper limit of the long side in pixels.
    """
    resized = fitted_size(height, width, short_side=short_side, max_side=max_side)
    return FrameGeometry((height, width), resized, (padded_length(resized[0]), padded_length(resized[1])))


def to_input(image: NDArray[np.uint8], geometry: FrameGeometry, device: torch.device) -> tuple[Tensor, Tensor]:
    """One frame as a batch of one.

    Bilinear, antialiased where it shrinks, half-pixel centres (`align_corners=False`). The frame is resized
    before it is moved, so that devices see the same input and a large frame is not copied as a whole.

    Args:
        image: (H, W, 3) uint8 RGB, of the size `geometry.frame`.
        geometry: where the frame goes.
        device: where the tensors shall live.

    Returns:
        The input (1, 3, H', W') uint8 RGB, zero on padding, and its validity (1, H', W') bool.
    """
    if image.shape != (*geometry.frame, 3):
        raise ValueError(f"image {image.shape} is not {(*geometry.frame, 3)}")
    pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None]
    if geometry.resized != geometry.frame:
        pixels = F.interpolate(pixels, size=geometry.resized, mode="bilinear", align_corners=False, antialias=True)
    (height, width), padded = geometry.resized, geometry.padded
    frames = torch.zeros((1, 3, *padded), dtype=torch.uint8)
    frames[..., :height, :width] = pixels
    valid = torch.zeros((1, *padded), dtype=torch.bool)
    valid[..., :height, :width] = True
    return frames.to(device), valid.to(device)


def to_frame_masks(mask_logits: Tensor, geometry: FrameGeometry) -> BoolArray:
    """Masks in the pixels of the frame: enlarge to the input, cut the padding off, resize to the frame, `> 0`.

    Cells that show padding only are cut off first: what the model says there is trained by nothing and must
    not bleed into the frame's border.

    Args:
        mask_logits: (D, h, w) of any floating type, a quarter of the input size, with or without such cells.
        geometry: where the frame lies in the input.

    Returns:
        (D, H, W) bool on the CPU.
    """
    rows, columns = geometry.mask_cells
    height, width = geometry.resized
    enlarged = rows * MASK_STRIDE, columns * MASK_STRIDE
    masks = np.zeros((len(mask_logits), *geometry.frame), dtype=np.bool_)
    chunk = max(1, PIXELS_AT_ONCE // max(math.prod(geometry.frame), math.prod(enlarged)))
    for start in range(0, len(masks), chunk):
        part = mask_logits[start : start + chunk, None, :rows, :columns].float()
        part = _resize(_resize(part, enlarged)[..., :height, :width], geometry.frame)
        masks[start : start + chunk] = (part[:, 0] > 0).cpu().numpy()
    return masks


def _resize(maps: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=False)
