"""Sums of rows and their gradients against a loop and against finite differences."""

import torch

from qcen_core.model.row_sums import RowSums


def random_case():
    generator = torch.Generator().manual_seed(2)
    table = torch.randn(7, 3, generator=generator, dtype=torch.float64)
    index = torch.randint(0, 6, (5, 4), generator=generator, dtype=torch.int32)  # nobody asks for the last row
    index[2] = 1  # one row several times
    weights = torch.randn(5, 4, generator=generator, dtype=torch.float64)
    return table.requires_grad_(), index, weights.requires_grad_()


def test_sums_are_those_of_a_loop():
    table, index, weights = random_case()
    plain = [
        sum(w * table[i] for i, w in zip(row.tolist(), shares, strict=True))
        for row, shares in zip(index, weights, strict=True)
    ]
    torch.testing.assert_close(RowSums.apply(table, index, weights), torch.stack(plain))


def test_gradients_are_those_of_finite_differences():
    table, index, weights = random_case()
    assert torch.autograd.gradcheck(lambda t, w: RowSums.apply(t, index, w), (table, weights))


def test_only_what_is_asked_for_is_computed():
    table, index, weights = random_case()
    assert RowSums.apply(table, index, weights.detach()).sum().backward() is None
    assert table.grad[:6].any(dim=1).sum() == len(index.unique())
    assert weights.grad is None
