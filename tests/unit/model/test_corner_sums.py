"""Sums of corners and their gradients against a loop and against finite differences."""

import torch

from qcen_core.model.corner_sums import CornerSums

SHAPES = [(3, 4), (4, 5)]
FRAMES, HEADS, DIM, QUERIES, SAMPLES = 2, 3, 2, 4, 3  # samples of each level


def random_case():
    generator = torch.Generator().manual_seed(2)
    table = torch.randn(FRAMES, sum(h * w for h, w in SHAPES), HEADS, DIM, generator=generator, dtype=torch.float64)
    parts, start = [], 0
    for height, width in SHAPES:
        shape = (FRAMES, QUERIES, HEADS, SAMPLES)
        row, column = (torch.randint(0, side - 1, shape, generator=generator) for side in (height, width))
        parts.append(start + row * width + column)
        start += height * width
    cells = torch.cat(parts, dim=-1).int()
    shares = torch.randn(*cells.shape[:3], 4, cells.shape[3], generator=generator, dtype=torch.float64)
    return table.requires_grad_(), cells, shares.requires_grad_()


def plain_sum(table, cells, shares, frame, query, head):
    total = torch.zeros(DIM, dtype=table.dtype)
    for sample in range(cells.shape[-1]):
        width = SHAPES[sample // SAMPLES][1]
        for corner, step in enumerate((0, 1, width, width + 1)):
            cell = int(cells[frame, query, head, sample]) + step
            total = total + shares[frame, query, head, corner, sample] * table[frame, cell, head]
    return total


def test_sums_are_those_of_a_loop():
    table, cells, shares = random_case()
    cells[0, 0] = cells[0, 1]
    sums = CornerSums.apply(table, cells, shares, SHAPES)
    assert sums.shape == (FRAMES, QUERIES, HEADS, DIM)
    for frame, query, head in torch.cartesian_prod(*(torch.arange(n) for n in (FRAMES, QUERIES, HEADS))).tolist():
        expected = plain_sum(table, cells, shares, frame, query, head)
        torch.testing.assert_close(sums[frame, query, head], expected)


def test_gradients_are_those_of_finite_differences():
    table, cells, shares = random_case()
    cells[0, 0] = cells[0, 1]
    assert torch.autograd.gradcheck(lambda t, s: CornerSums.apply(t, cells, s, SHAPES), (table, shares))


def test_only_what_is_asked_for_is_computed():
    table, cells, shares = random_case()
    CornerSums.apply(table, cells, shares.detach(), SHAPES).sum().backward()
    assert table.grad.any()
    assert shares.grad is None
