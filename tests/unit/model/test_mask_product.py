"""Products whose gradients are made for few rows against plain ones."""

import pytest
import torch

from qcen_core.model.mask_product import MaskProducts

SIZES = ((2, 5, 3), (2, 4, 3), (2, 5, 3))  # of the embeddings of three layers


@pytest.fixture
def leaves():
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(*size, generator=generator).requires_grad_() for size in ((2, 3, 7), *SIZES)]


def plain(features, *embeddings):
    return tuple(torch.matmul(own, features) for own in embeddings)


@pytest.mark.parametrize("rows", [[], [2], [0, 3], [0, 1, 2, 3]])
def test_gradients_are_those_of_the_plain_product(leaves, rows):
    generator = torch.Generator().manual_seed(4)
    directions = [torch.zeros(*size[:2], 7) for size in SIZES]
    for direction in directions:
        direction[0, rows] = torch.randn(len(rows), 7, generator=generator)
        direction[1, rows[:1]] = 1.0  # another number of rows in the other frame
    found = []
    for product in (plain, MaskProducts.apply):
        outputs = product(*leaves)
        found.append((*outputs, *torch.autograd.grad(outputs, leaves, directions)))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def test_layers_that_no_loss_looks_at_get_no_gradient(leaves):
    found = []
    for product in (plain, MaskProducts.apply):
        middle = product(*leaves)[1]
        found.append(torch.autograd.grad(middle[0, 2].square().sum(), leaves, allow_unused=True))
    assert [grad is None for grad in found[1]] == [False, True, False, True]
    for one, other in zip(*found, strict=True):
        if one is not None or other is not None:
            torch.testing.assert_close(one, other)


def test_nothing_looked_at_gives_no_gradient_at_all(leaves):
    masks = MaskProducts.apply(*leaves)
    total = sum(mask.detach().sum() for mask in masks) + leaves[1].sum()
    assert torch.autograd.grad(total, leaves, allow_unused=True)[0] is None
