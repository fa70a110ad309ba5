"""Sums of bilinear samples on the CPU, with gradients that are nearly as quick as the sums."""

from itertools import pairwise
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy.sparse import csr_array
from torch import Tensor
from torch.autograd.function import once_differentiable


class CornerSums(torch.autograd.Function):
    """Every output is a weighted sum of cells of a table, four for each sample: the corners around it.

    `F.embedding_bag` does that, but its gradient for the table sorts all corners of all samples, on one core. Here only
    the first corners are sorted; the others lie beside them.
    """

    @staticmethod
    def forward(ctx: Any, table: Tensor, cells: Tensor, shares: Tensor, shapes: list[tuple[int, int]]) -> Tensor:  # noqa: ANN401
        """Sum.

        Args:
            ctx: keeps what the gradients need.
            table: (N, C, heads, d), levels of `shapes`, row by row, one after another.
            cells: (N, Q, heads, K) int32, first corners, as cells of the table; of each level as many, level by level.
            shares: (N, Q, heads, 4, K), of a first corner, that to its right, and those below the two.
            shapes: (height, width) of each level.

        Returns:
            (N, Q, heads, d).
        """
        batch, length, heads, _ = table.shape
        frame = torch.arange(batch, dtype=torch.int32)[:, None, None, None] * length
        rows = (cells + frame) * heads + torch.arange(heads, dtype=torch.int32)[:, None]
        width = torch.tensor([w for _, w in shapes], dtype=torch.int32)
        below = heads * width.repeat_interleave(cells.shape[-1] // len(shapes))
        corners = torch.stack((rows, rows + heads, rows + below, rows + (below + heads)), dim=-2)
        ctx.save_for_backward(table, rows, corners, shares)
        ctx.shapes = shapes
        return _sums(table, corners, shares)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, None, Tensor | None, None]:  # noqa: ANN401
        """Gradients of table and shares."""
        table, rows, corners, shares = ctx.saved_tensors
        of_table = _spread(grad, rows, shares, table.shape, ctx.shapes) if ctx.needs_input_grad[0] else None
        of_shares = None
        if ctx.needs_input_grad[2]:  # products of the corners with the gradient, which PyTorch makes well
            with torch.enable_grad():
                leaf = shares.detach().requires_grad_()
                of_shares = torch.autograd.grad(_sums(table.detach(), corners, leaf), leaf, grad)[0]
        return of_table, None, of_shares, None


def _sums(table: Tensor, corners: Tensor, shares: Tensor) -> Tensor:
    """(N, Q, heads, d) for `corners` and `shares` (N, Q, heads, 4, K), corners as rows of the flattened table."""
    bags = F.embedding_bag(
        corners.flatten(0, 2).flatten(1),
        table.flatten(0, 2),
        mode="sum",
        per_sample_weights=shares.flatten(0, 2).flatten(1),
    )
    return bags.view(*corners.shape[:3], -1)


def _spread(grad: Tensor, rows: Tensor, shares: Tensor, shape: torch.Size, shapes: list[tuple[int, int]]) -> Tensor:
    """(N, C, heads, d): what each sample gives to its corners; arguments as `CornerSums.forward`."""
    batch, length, heads, dim = shape
    samples, width = rows.numel(), rows.shape[-1]
    starts = np.arange(0, samples + 1, width, dtype=np.int32)
    entries = np.arange(samples, dtype=np.int32)
    by_row = csr_array((entries, rows.numpy().ravel(), starts), shape=(samples // width, batch * length * heads))
    sorted_ = by_row.tocsc()
    users, first, entry = (torch.from_numpy(part) for part in (sorted_.indices, sorted_.indptr[:-1], sorted_.data))
    flat_grad, spread = grad.reshape(-1, dim), grad.new_zeros(batch, length, heads * dim)
    edges = [0, *np.cumsum([h * w for h, w in shapes]).tolist()]
    for corner in range(4):
        weights = shares[..., corner, :].reshape(-1)[entry]
        given = F.embedding_bag(users, flat_grad, first, mode="sum", per_sample_weights=weights)
        given = given.view(batch, length, heads * dim)
        for (begin, end), (_, row) in zip(pairwise(edges), shapes, strict=True):
            step = corner % 2 + row * (corner // 2)
            spread[:, begin + step : end] += given[:, begin : end - step]
    return spread.view(shape)
