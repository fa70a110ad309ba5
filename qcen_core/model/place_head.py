"""The place of a query: a box around its object, and the coordinate channels that keep the mask near it."""

import torch
from torch import Tensor, nn

from qcen_core.model.mlp import Mlp
from qcen_core.ops.place import place_embeddings

PRIOR_SIZE_LOGIT = -1.2  # boxes begin at a quarter of the frame's sides


class PlaceHead(nn.Module):
    """Boxes relative to where a query began, and the embeddings of those boxes.

    The boxes learn from the labelled boxes only: no gradient of a mask flows into them.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.box_embed = Mlp((dim, dim, 4))
        self.gain = nn.Parameter(torch.tensor(1.5))
        last = self.box_embed.layers[-1]
        nn.init.zeros_(last.weight)  # type: ignore[arg-type]
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]

    def forward(self, queries: Tensor, centres: Tensor, extent: Tensor) -> tuple[Tensor, Tensor]:
        """Predict.

        Args:
            queries: (N, Q, D), normed.
            centres: (N, Q, 2) where each began, relative to the frame.
            extent: (N, 2) width and height of the frame in pixels.

        Returns:
            Boxes (N, Q, 4) `x1 y1 x2 y2` in pixels, and place embeddings (N, Q, 5).
        """
        prior = torch.cat((centres.logit(eps=1e-4), torch.full_like(centres, PRIOR_SIZE_LOGIT)), dim=-1)
        relative = (self.box_embed(queries).float() + prior).sigmoid()
        centre, half = relative[..., :2], relative[..., 2:] / 2
        boxes = torch.cat((centre - half, centre + half), dim=-1) * extent.repeat(1, 2)[:, None]
        return boxes, place_embeddings(relative.detach(), self.gain)
