"""The place of a query: a box around its object, which every decoder layer moves, and what follows from it."""

import torch
from torch import Tensor, nn

from qcen_core.model.mlp import Mlp
from qcen_core.model.position_encoding import sine_at
from qcen_core.ops.boxes import relative_boxes, shifted_boxes
from qcen_core.ops.place import place_embeddings


class PlaceHead(nn.Module):
    """Moves the boxes of queries, and says what they mean to attention and to masks.

    The boxes learn from the labelled boxes only: no gradient flows into them from a mask, from attention, or from the
    layers after. They are measured in pixels, so that objects of another resolution are boxes of another size.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.shift = box_shift(dim)
        self.position = nn.Linear(2 * dim, dim)
        self.gain = nn.Parameter(torch.tensor(1.5))

    def forward(self, queries: Tensor, boxes: Tensor) -> Tensor:
        """Boxes (N, Q, 4) moved by what (N, Q, D) normed queries have seen."""
        return shifted_boxes(boxes.detach(), self.shift(queries).float())

    def positions(self, boxes: Tensor, extent: Tensor) -> Tensor:
        """What is added to queries where they attend: centre and size of (N, Q, 4) boxes, encoded: (N, Q, D)."""
        relative = relative_boxes(boxes.detach(), extent)
        channels = self.position.in_features // 2
        encoded = torch.cat((sine_at(relative[..., :2], channels), sine_at(relative[..., 2:], channels)), dim=-1)
        positions: Tensor = self.position(encoded)
        return positions

    def embeddings(self, boxes: Tensor, extent: Tensor) -> Tensor:
        """Place embeddings (N, Q, 5) of (N, Q, 4) boxes in pixels, for frames of `extent` (N, 2) pixels."""
        return place_embeddings(relative_boxes(boxes.detach(), extent), self.gain)


def box_shift(dim: int) -> Mlp:
    """A head for the shift of a box; it begins by moving nothing."""
    head = Mlp((dim, dim, 4))
    last = head.layers[-1]
    nn.init.zeros_(last.weight)  # type: ignore[arg-type]
    nn.init.zeros_(last.bias)  # type: ignore[arg-type]
    return head
