"""Masks as products of embeddings and pixel features."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class MaskProduct(torch.autograd.Function):
    """`embeddings @ features`; losses look at the masks of few queries, and gradients are made for those alone.

    For the CPU: to look which queries they are would make a GPU wait.
    """

    @staticmethod
    def forward(ctx: Any, embeddings: Tensor, features: Tensor) -> Tensor:  # noqa: ANN401
        """(N, Q, P) for `embeddings` (N, Q, C) and `features` (N, C, P)."""
        ctx.save_for_backward(embeddings, features)
        return embeddings @ features

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ANN401
        """Gradients of embeddings and features."""
        embeddings, features = ctx.saved_tensors
        with torch.autocast("cpu", enabled=False):  # some call backward where autocast is on
            return _gradients(embeddings, features, grad)


def _gradients(embeddings: Tensor, features: Tensor, grad: Tensor) -> tuple[Tensor, Tensor]:
    looked_at = grad.ne(0).any(dim=-1)  # N, Q
    count = int(looked_at.sum(dim=1).max())
    rows = looked_at.int().topk(count, dim=1).indices[..., None]
    part = grad.gather(1, rows.expand(-1, -1, grad.shape[-1]))
    own = embeddings.gather(1, rows.expand(-1, -1, embeddings.shape[-1]))
    of_embeddings = torch.zeros_like(embeddings)
    of_embeddings.scatter_(1, rows.expand_as(own), part @ features.transpose(1, 2))
    return of_embeddings, own.transpose(1, 2) @ part
