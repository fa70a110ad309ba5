"""Queries that begin where objects are: at the peaks of a map of box centres."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qcen_core.config import ModelConfig
from qcen_core.model.norms import group_norm
from qcen_core.model.place_head import box_shift
from qcen_core.ops.boxes import shifted_boxes

PRIOR_LOGIT = -4.0  # nearly no cell is a centre: training would first have to learn that
SEED_SIDE = 4.0  # cells; boxes begin as squares of this side around their cells


class Seeds(NamedTuple):
    """Where the queries of N frames begin.

    Attributes:
        queries: (N, Q, D) initial features.
        boxes: (N, Q, 4) float32 `x1 y1 x2 y2` in cells.
        center_logits: (N, K, h, w) the map of centres, one a class.
    """

    queries: Tensor
    boxes: Tensor
    center_logits: Tensor


class QuerySeeds(nn.Module):
    """A map of box centres (as in CenterNet) and the queries that start from its highest peaks.

    Two objects of one look get two queries, each with a place of its own, which learned queries do not give them.
    """

    def __init__(self, config: ModelConfig, classes: int) -> None:
        super().__init__()
        dim = config.hidden_dim
        self.count = config.queries
        self.center = nn.Sequential(
            nn.Conv2d(dim, dim, 3, padding=1, bias=False), group_norm(dim), nn.ReLU(), nn.Conv2d(dim, classes, 1)
        )
        nn.init.constant_(self.center[-1].bias, PRIOR_LOGIT)  # type: ignore[arg-type]
        self.content = nn.Linear(dim, dim)
        self.norm = nn.LayerNorm(dim)
        self.shift = box_shift(dim)

    def forward(self, features: Tensor, valid: Tensor) -> Seeds:
        """Choose the cells and begin.

        Args:
            features: (N, D, h, w).
            valid: (N, h, w) bool, False on padding. Fewer than Q cells give fewer queries.
        """
        logits = self.center(features)
        cells = best_cells(logits.detach().amax(dim=1).sigmoid(), valid, self.count)
        index = cells[..., None].expand(-1, -1, features.shape[1])
        queries = self.norm(self.content(features.flatten(2).transpose(1, 2).gather(1, index)))
        width = features.shape[-1]
        rows = cells // width
        centres = torch.stack((cells - rows * width, rows), dim=-1) + 0.5
        squares = torch.cat((centres - SEED_SIDE / 2, centres + SEED_SIDE / 2), dim=-1)
        return Seeds(queries, shifted_boxes(squares, self.shift(queries).float()), logits)


def best_cells(heat: Tensor, valid: Tensor, count: int) -> Tensor:
    """The highest local maxima of a map, then its highest other cells: (N, count) int64, indices into h * w.

    Args:
        heat: (N, h, w) in 0..1.
        valid: (N, h, w) bool; other cells come last.
        count: how many; a map of fewer cells gives them all.
    """
    heat = heat.masked_fill(~valid, -1.0)
    peak = heat == F.max_pool2d(heat[:, None], kernel_size=3, stride=1, padding=1)[:, 0]
    rank = torch.where(peak | ~valid, heat, heat - 1).masked_fill(~valid, -2.0)
    return rank.flatten(1).topk(min(count, rank[0].numel()), dim=1).indices
