"""Masks as products of embeddings and pixel features."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class MaskProducts(torch.autograd.Function):
    """The masks of several layers on the same features, with gradients for those alone that a loss looked at.

    For the CPU: to look which queries they are would make a GPU wait.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor, *embeddings: Tensor) -> tuple[Tensor, ...]:  # noqa: ANN401
        """L tensors (N, Q, P) for `features` (N, C, P) and L `embeddings` (N, Q, C)."""
        ctx.save_for_backward(features, *embeddings)
        ctx.set_materialize_grads(False)
        return tuple(own @ features for own in embeddings)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        """Gradients of features and embeddings."""
        features, *embeddings = ctx.saved_tensors
        with torch.autocast("cpu", enabled=False):  # some call backward where autocast is on
            return _gradients(features, embeddings, grads)


def _gradients(
    features: Tensor, embeddings: list[Tensor], grads: tuple[Tensor | None, ...]
) -> tuple[Tensor | None, ...]:
    frames = torch.arange(len(features))[:, None]
    used = {layer: (grad, _looked_at(grad)) for layer, grad in enumerate(grads) if grad is not None}
    of_embeddings: list[Tensor | None] = [None] * len(grads)
    if not used:
        return None, *of_embeddings
    parts = torch.cat([grad[frames, rows] for grad, rows in used.values()], dim=1)
    own = torch.cat([embeddings[layer][frames, rows] for layer, (_, rows) in used.items()], dim=1)
    of_rows = (parts @ features.transpose(1, 2)).split([rows.shape[1] for _, rows in used.values()], dim=1)
    for (layer, (_, rows)), part in zip(used.items(), of_rows, strict=True):
        of_embeddings[layer] = torch.zeros_like(embeddings[layer]).index_put((frames, rows), part)
    return own.transpose(1, 2) @ parts, *of_embeddings


def _looked_at(grad: Tensor) -> Tensor:
    """(N, G) queries with a gradient in (N, Q, P), and where a frame has fewer than another, others as well."""
    any_ = grad.ne(0).any(dim=-1)
    return any_.int().topk(int(any_.sum(dim=1).max()), dim=1).indices
