"""From a frame of any size to the model's input, and from mask logits back to the frame's own pixels."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from qcen_core.model.pixel_decoder import MASK_STRIDE
from qcen_core.ops.mask_window import MaskWindow, window_of
from qcen_core.ops.sizes import fitted_size, padded_length


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


class FrameMasks:
    """Masks in the pixels of the frame: enlarge to the input, cut the padding off, resize to the frame, `> 0`.

    Both resizings are bilinear with half-pixel centres. Each is linear along rows and columns apart, so that the two
    are one matrix for rows and one for columns, and only the part of a mask that holds an object is multiplied.
    Cells that show padding only are cut off first: what the model says there is trained by nothing and must not bleed
    into the frame's border.

    Args:
        geometry: where the frame lies in the input.
    """

    def __init__(self, geometry: FrameGeometry) -> None:
        self.geometry = geometry
        rows, columns = geometry.mask_cells
        self._rows = _Enlargement(rows, geometry.resized[0], geometry.frame[0])
        self._columns = _Enlargement(columns, geometry.resized[1], geometry.frame[1])

    def windows(self, mask_logits: Tensor) -> list[MaskWindow | None]:
        """The masks of D instances.

        Args:
            mask_logits: (D, h, w) of any floating type, a quarter of the input size, with or without padding cells.

        Returns:
            D windows, `None` where no pixel of the frame is set.
        """
        rows, columns = self.geometry.mask_cells
        return [self._window(cells) for cells in mask_logits[:, :rows, :columns].float().cpu()]

    def _window(self, cells: Tensor) -> MaskWindow | None:
        found = cells.numpy() > 0
        if not found.any():
            return None
        top, cell_rows, by_row = self._rows.part(np.flatnonzero(found.any(1)))
        left, cell_columns, by_column = self._columns.part(np.flatnonzero(found.any(0)))
        # By torch, not numpy, whose own threads would wait for work by turning round and round.
        logits = by_row @ cells[cell_rows, cell_columns] @ by_column.T
        return window_of((logits > 0).numpy(), left, top, self.geometry.frame)


class _Enlargement:
    """One side of a mask, from cells to pixels of the frame, as a matrix with few entries a row."""

    def __init__(self, cells: int, resized: int, frame: int) -> None:
        unit = torch.eye(cells)[None]
        enlarged = _resize(unit, cells * MASK_STRIDE)[..., :resized]
        self._weights = _resize(enlarged, frame)[0].T.contiguous()
        used = self._weights.numpy() != 0
        self._first = used.argmax(1)
        self._last = cells - 1 - used[:, ::-1].argmax(1)

    def part(self, cells: NDArray[np.intp]) -> tuple[int, slice, Tensor]:
        """The first pixel that some cells reach, the cells that all such pixels see, and the weights between."""
        begin = int(np.searchsorted(self._last, cells[0]))
        end = max(int(np.searchsorted(self._first, cells[-1], side="right")), begin)  # equal where none reaches a pixel
        weights = self._weights[begin:end]
        seen = slice(int(self._first[begin]), int(self._last[end - 1]) + 1) if end > begin else slice(0, 0)
        return begin, seen, weights[:, seen]


def _resize(lines: Tensor, length: int) -> Tensor:
    return F.interpolate(lines, size=length, mode="linear", align_corners=False)
