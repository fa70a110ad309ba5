"""A segmenter that needs no training: each query claims the pixels of one colour."""

from types import SimpleNamespace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qcen_core.config import QcenConfig
from qcen_core.records import Category
from qcen_core.structures import LayerPrediction, SegmenterOutput

COLORS = {"red": (230, 20, 20), "green": (20, 220, 30), "blue": (30, 40, 240)}
CATEGORIES = tuple(Category(11 + 2 * i, name) for i, name in enumerate(COLORS))


class ColorSegmenter(nn.Module):
    """Q = 7 queries: three colours in an order that changes with the frame, then four of "no object"."""

    def __init__(self, blind: str = "") -> None:
        """Segment by colour; `blind` names an output, "queries" or "contrast", that tells nothing."""
        super().__init__()
        self.blind = blind
        self.register_buffer("colors", torch.tensor(list(COLORS.values()), dtype=torch.float32))
        self.shapes: list[tuple[int, ...]] = []

    def encode(self, frames: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        return frames, valid

    def decode(self, features: tuple[Tensor, Tensor], *, every_layer: bool = True) -> SegmenterOutput:  # noqa: ARG002
        return self(*features)  # type: ignore[no-any-return]

    def forward(self, frames: Tensor, valid: Tensor) -> SegmenterOutput:
        self.shapes.append(tuple(frames.shape))
        count, known, queries = len(frames), len(COLORS), 7
        distance = (frames[:, None].float() - self.colors[None, :, :, None, None]).norm(dim=2)
        logits = F.avg_pool2d(((90 - distance) / 5).clamp(-8, 8), 4)
        # Padding lights up on purpose: nothing of it may reach an output.
        logits = logits.masked_fill(~valid[:, None, ::4, ::4], 8.0)
        # One mask channel a colour, and one that is 1 everywhere.
        features = torch.cat((logits, torch.ones_like(logits[:, :1])), dim=1)
        drawing = torch.zeros(count, queries, known + 1)
        drawing[:, :, -1] = -9.0
        classes = torch.zeros((count, queries, known + 1))
        classes[:, :, -1] = 6.0
        embeddings = torch.eye(queries).repeat(count, 1, 1)
        found = distance.flatten(2).amin(-1) < 90
        for n in range(count):
            turn = int(frames[n].float().mean() * 10) % known
            for place in range(known):
                color = (place + turn) % known
                drawing[n, place] = torch.eye(known + 1)[color]
                classes[n, place, color] = 12.0 if found[n, color] else -3.0
                embeddings[n, place] = torch.eye(queries)[color]
        layer = LayerPrediction(classes, torch.einsum("nqc,nchw->nqhw", drawing, features))
        same = torch.ones_like(embeddings)
        tracked_by = {name: same if name == self.blind else embeddings for name in ("queries", "contrast")}
        return SegmenterOutput(
            (layer,), tracked_by["queries"], drawing, features, tracked_by["contrast"], positions=drawing
        )


def color_checkpoint(short_side: int = 64, blind: str = "", **tracker: object) -> SimpleNamespace:
    """What `load_checkpoint` returns, around a `ColorSegmenter`."""
    config = QcenConfig.model_validate({"data": {"test_short_side": short_side, "max_side": 256}, "tracker": tracker})
    return SimpleNamespace(model=ColorSegmenter(blind).eval(), config=config, categories=CATEGORIES, info={})


def draw_frame(height: int, width: int, squares: dict[str, tuple[int, int, int, int]]) -> np.ndarray:
    """A grey frame with one `x1 y1 x2 y2` rectangle a colour."""
    image = np.full((height, width, 3), 128, dtype=np.uint8)
    for name, (x1, y1, x2, y2) in squares.items():
        image[y1:y2, x1:x2] = COLORS[name]
    return image
