"""Weighted sums of rows of a table on the CPU, with gradients that are as quick as the sums."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy.sparse import csr_array
from torch import Tensor
from torch.autograd.function import once_differentiable


class RowSums(torch.autograd.Function):
    """`F.embedding_bag`, whose own gradient for the table sorts its entries in a way ten times as slow."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, index: Tensor, weights: Tensor) -> Tensor:  # noqa: ANN401
        """Row i is the sum over k of `weights[i, k] * table[index[i, k]]`: (B, d).

        Args:
            ctx: keeps what the gradients need.
            table: (C, d).
            index: (B, K) int32.
            weights: (B, K).
        """
        ctx.save_for_backward(table, index, weights)
        return F.embedding_bag(index, table, mode="sum", per_sample_weights=weights)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, None, Tensor | None]:  # noqa: ANN401
        """Gradients of table and weights."""
        table, index, weights = ctx.saved_tensors
        of_table = _transposed_sums(grad, index, weights, len(table)) if ctx.needs_input_grad[0] else None
        of_weights = _products(table, index, weights, grad) if ctx.needs_input_grad[2] else None
        return of_table, None, of_weights


def _transposed_sums(grad: Tensor, index: Tensor, weights: Tensor, rows: int) -> Tensor:
    """(C, d): row c is the sum of `weights[i, k] * grad[i]` over all (i, k) whose index is c."""
    count, width = index.shape
    starts = np.arange(0, count * width + 1, width, dtype=np.int32)
    by_row = csr_array((weights.numpy().ravel(), index.numpy().ravel(), starts), shape=(count, rows)).tocsc()
    users, first, shares = (torch.from_numpy(part) for part in (by_row.indices, by_row.indptr[:-1], by_row.data))
    return F.embedding_bag(users, grad, first, mode="sum", per_sample_weights=shares)


def _products(table: Tensor, index: Tensor, weights: Tensor, grad: Tensor) -> Tensor:
    """(B, K): `table[index[i, k]] . grad[i]`, which is what PyTorch's own gradient is for the weights."""
    with torch.enable_grad():
        leaf = weights.detach().requires_grad_()
        sums = F.embedding_bag(index, table.detach(), mode="sum", per_sample_weights=leaf)
        return torch.autograd.grad(sums, leaf, grad)[0]
