"""Masks compared at points: the sampling against plain loops, the loss against cells, and that padding is left out."""

import math
from dataclasses import replace

import pytest
import torch
from synthetic_batches import ALL_ON, HEIGHT, MATCHING, PAIRS, STRIDE, WIDTH, leaves, make_batch, make_output, values

from qcen_core.config import LossConfig
from qcen_core.method import mask_points, set_terms
from qcen_core.method.criterion import SetCriterion
from qcen_core.method.mask_points import pixels_at, point_labels, random_points, uncertain_points, values_at


def plain_bilinear(image, x, y):
    """Value of an (h, w) map at x and y in 0..1, zero outside."""
    height, width = image.shape
    x, y = x * width - 0.5, y * height - 0.5
    total = 0.0
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(x), math.floor(x) + 1):
            if 0 <= row < height and 0 <= column < width:
                total += (1 - abs(x - column)) * (1 - abs(y - row)) * float(image[row, column])
    return total


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(4)


def test_values_and_pixels_are_bilinear(generator):
    pixels = torch.rand(2, 3, 6, 9, generator=generator) < 0.5
    frames, columns = torch.tensor([1, 0, 1]), torch.tensor([2, 0, 0])
    points = torch.rand(3, 40, 2, generator=generator)
    points[0, :4] = torch.tensor([[0.0, 0.0], [1.0, 1.0], [0.0, 1.0], [0.5, 0.5]])
    maps = torch.stack([pixels[f, c] for f, c in zip(frames, columns, strict=True)]).float()
    plain = [[plain_bilinear(image, *xy.tolist()) for xy in row] for image, row in zip(maps, points, strict=True)]
    torch.testing.assert_close(values_at(maps[:, None], points)[:, 0], torch.tensor(plain), atol=1e-5, rtol=0)
    torch.testing.assert_close(pixels_at(pixels, frames, columns, points), torch.tensor(plain), atol=1e-5, rtol=0)


def test_labels_of_every_frame_are_looked_up_at_its_points(generator):
    masks = tuple(torch.rand(count, 8, 12, generator=generator) < 0.5 for count in (2, 0, 3))
    labels = point_labels(masks, torch.tensor([[1.0, 1.0], [1.0, 0.5], [0.5, 1.0]]), 20)
    assert labels.masks.shape == (3, 3, 20)
    for frame, own in enumerate(masks):
        for column, mask in enumerate(own):
            plain = [plain_bilinear(mask, *xy) for xy in labels.points[frame].tolist()]
            torch.testing.assert_close(labels.masks[frame, column], torch.tensor(plain), atol=1e-5, rtol=0)
        assert not labels.masks[frame, len(own) :].any()


def test_no_point_lies_in_the_padding():
    torch.manual_seed(0)
    extent = torch.tensor([[1.0, 0.25], [0.5, 1.0]])
    logits = torch.randn(2, 1, 16, 16)
    for points in (random_points(extent, 400), uncertain_points(logits, extent, 400)[:, 0]):
        assert points.shape == (2, 400, 2)
        assert (points >= 0).all()
        assert (points <= extent[:, None]).all()
        assert (points.amax(1) > 0.9 * extent).all()


def test_most_points_are_uncertain():
    """A mask that is certain but for a thin strip: without looking, a tenth of the points would fall into it."""
    torch.manual_seed(0)
    logits = torch.full((1, 2, 40, 40), 9.0)
    logits[:, 0, :, 18:22] = logits[:, 1, 18:22] = 0.1
    points = uncertain_points(logits, torch.ones(1, 2), 1000)[0]
    inside = ((points > 18 / 40) & (points < 22 / 40)).float().mean(dim=1)  # of both masks, along x and along y
    # 300 of the 3000 candidates lie there, all of them among the 750 chosen, and a tenth of the 250 others.
    assert inside.tolist() == [pytest.approx([0.325, 0.1], abs=0.04), pytest.approx([0.1, 0.325], abs=0.04)]


def cell_centres(count):
    rows, columns = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
    centres = torch.stack(((columns + 0.5) / WIDTH, (rows + 0.5) / HEIGHT), dim=-1).flatten(0, 1)
    return centres.expand(count, -1, -1)


def test_points_on_every_cell_cost_what_cells_cost(monkeypatch):
    """Masks of whole cells, compared at the centre of each cell, once with and once without sampling."""
    batch = make_batch(strong="mask, id")
    cells = [mask[:, ::STRIDE, ::STRIDE] for mask in batch.strong.masks]
    masks = tuple(mask.repeat_interleave(STRIDE, 1).repeat_interleave(STRIDE, 2) for mask in cells)
    batch = replace(batch, strong=replace(batch.strong, masks=masks), valid=torch.ones_like(batch.valid))
    monkeypatch.setattr(mask_points, "random_points", lambda extent, _: cell_centres(len(extent)))
    monkeypatch.setattr(
        set_terms,
        "uncertain_points",
        lambda logits, *_: cell_centres(len(logits))[:, None].expand(-1, logits.shape[1], -1, -1),
    )
    found = {}
    for points in (0, HEIGHT * WIDTH):
        output = make_output()
        criterion = SetCriterion(LossConfig(mask_points=points), MATCHING, PAIRS)
        result = criterion(output, batch, ALL_ON)
        sum(result.terms.values()).backward()
        found[points] = (values(result.terms), result.match, [leaf.grad for leaf in leaves(output).values()])
    (terms, match, gradients), (point_terms, point_match, point_gradients) = found.values()
    assert terms["mask_bce"] > 0
    assert terms["intra_mask_dice"] > 0
    assert point_terms == pytest.approx(terms, rel=1e-5)
    assert torch.equal(match.queries, point_match.queries)
    for one, other in zip(gradients, point_gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_frames_without_objects_have_no_points():
    output = make_output()
    criterion = SetCriterion(LossConfig(mask_points=9), MATCHING, PAIRS)
    terms = criterion(output, make_batch((0,) * 6, strong="mask, id"), ALL_ON).terms
    assert all(math.isfinite(value) for value in values(terms).values())
    assert terms["mask_bce"].item() == 0
