"""Products whose gradients are made for few rows against plain ones."""

import pytest
import torch

from qcen_core.model.mask_product import MaskProduct


@pytest.mark.parametrize("rows", [[], [2], [0, 3], [0, 1, 2, 3, 4]])
def test_gradients_are_those_of_the_plain_product(rows):
    generator = torch.Generator().manual_seed(3)
    embeddings, features = (torch.randn(2, *size, generator=generator) for size in ((5, 3), (3, 7)))
    direction = torch.zeros(2, 5, 7)
    direction[0, rows] = torch.randn(len(rows), 7, generator=generator)
    direction[1, rows[:1]] = 1.0  # another number of rows in the other frame
    found = []
    for product in (torch.matmul, MaskProduct.apply):
        leaves = embeddings.clone().requires_grad_(), features.clone().requires_grad_()
        output = product(*leaves)
        found.append((output.detach(), *torch.autograd.grad(output, leaves, direction)))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)
