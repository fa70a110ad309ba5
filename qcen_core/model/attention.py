"""Attention of queries, with one mask for all heads."""

import torch.nn.functional as F
from torch import Tensor, nn


class Attention(nn.MultiheadAttention):
    """PyTorch's multi-head attention, batch first, for masks that all heads share.

    PyTorch's own forward wants a copy of the mask for every head, which costs more than the attention itself.
    """

    def forward(  # type: ignore[override]
        self, query: Tensor, key: Tensor, value: Tensor, allowed: Tensor | None = None
    ) -> Tensor:
        """Attend.

        Args:
            query: (N, Q, D).
            key: (N, S, D).
            value: (N, S, D).
            allowed: (N, Q, S) bool, the cells that a query may look at, at least one; by default all.

        Returns:
            (N, Q, D).
        """
        weights, biases = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        queries, keys, values = (
            F.linear(tensor, weight, bias).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for tensor, weight, bias in zip((query, key, value), weights, biases, strict=True)
        )
        mixed = F.scaled_dot_product_attention(queries, keys, values, None if allowed is None else allowed[:, None])
        attended: Tensor = self.out_proj(mixed.transpose(1, 2).flatten(2))
        return attended
