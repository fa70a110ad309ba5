"""A segmenter that knows what there is to find: it costs nothing, so that all else of inference can be timed."""

import numpy as np
import torch
from torch import Tensor, nn

from qcen_core.config import load_config
from qcen_core.model.checkpoint import Checkpoint
from qcen_core.model.pixel_decoder import MASK_STRIDE
from qcen_core.records import Category
from qcen_core.structures import LayerPrediction, SegmenterOutput

CATEGORIES = tuple(Category(number + 1, name) for number, name in enumerate(("person", "dog", "car")))
QUERIES, CHANNELS, ROWS = 100, 256, 2


class KnownObjects(nn.Module):
    """Ellipses that drift over the frame, each drawn by one of a hundred queries; the others see nothing.

    Args:
        objects: number of ellipses.
        inner: a segmenter that does its work on every frame, and whose answer is then thrown away; none by default.
    """

    def __init__(self, objects: int = 10, inner: nn.Module | None = None) -> None:
        super().__init__()
        self.inner = inner
        self.objects = objects
        self.frames = 0
        generator = torch.Generator().manual_seed(0)
        self.embeddings = torch.randn(1, QUERIES, CHANNELS, generator=generator)
        self.class_logits = torch.zeros(1, QUERIES, len(CATEGORIES) + 1)
        self.class_logits[:, :, -1] = 9.0
        for number in range(objects):
            self.class_logits[0, number, [number % len(CATEGORIES), -1]] = torch.tensor([9.0, 0.0])
        self.mask_logits = torch.zeros(1, QUERIES, 0, 0)
        self.windows: list[tuple[slice, slice]] = []
        self.unused = nn.Parameter(torch.zeros(1))  # tells the device

    def encode(self, frames: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """What `decode` needs to know of the frames."""
        if self.inner is not None:
            self.inner.decode(self.inner.encode(frames, valid), every_layer=False)  # type: ignore[operator]
        return frames, valid

    def decode(self, features: tuple[Tensor, Tensor], *, every_layer: bool = True) -> SegmenterOutput:  # noqa: ARG002
        """The same objects as in the frame before, a little further on."""
        height, width = (side // MASK_STRIDE for side in features[0].shape[-2:])
        if self.mask_logits.shape[2:] != (height, width):
            self.windows = []
            self.mask_logits = torch.full((1, QUERIES, height, width), -9.0)
        logits = self.mask_logits
        for number, window in enumerate(self.windows):
            logits[0, number][window] = -9.0
        self.windows = []
        lanes = -(-self.objects // ROWS)  # side by side, so that none hides another
        lane = height // ROWS, width // lanes
        shape = round(0.7 * lane[0]), round(0.75 * lane[1])
        ellipse = torch.from_numpy(_ellipse(*shape))
        for number in range(self.objects):
            row, column = divmod(number, lanes)
            down, along = 0.5 + 0.5 * np.sin(0.02 * self.frames + np.array([1.0, 2.1]) * number)
            top = row * lane[0] + round(down * (lane[0] - shape[0]))
            left = column * lane[1] + round(along * (lane[1] - shape[1]))
            self.windows.append((slice(top, top + shape[0]), slice(left, left + shape[1])))
            logits[0, number][self.windows[-1]] = ellipse
        self.frames += 1
        layer = LayerPrediction(self.class_logits, logits)
        no_features = torch.zeros(1, CHANNELS, 1, 1).expand(-1, -1, height, width)
        return SegmenterOutput(
            (layer,), self.embeddings, self.embeddings, no_features, self.embeddings, positions=self.embeddings
        )


def _ellipse(height: int, width: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """(height, width) logits, positive inside."""
    rows = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    columns = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    return 8 * (1 - np.hypot(rows, columns))


def known_checkpoint(recipe: str = "r50", *, objects: int = 10, inner: nn.Module | None = None) -> Checkpoint:
    """A checkpoint whose segmenter is `KnownObjects`, with the sizes and the tracker of a recipe."""
    config = load_config(recipe, ["loss.intra_weight=0", "loss.inter_weight=0"])
    model = KnownObjects(objects, inner).eval()
    return Checkpoint(model=model, config=config, categories=CATEGORIES, info={})  # type: ignore[arg-type]
