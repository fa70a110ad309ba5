"""Deformable attention against loops written out, one sample at a time."""

import math

import pytest
import torch
import torch.nn.functional as F

from qcen_core.model.deformable_attention import DeformableAttention, gather_levels, sample_levels

SHAPES = [(2, 3), (5, 4), (7, 11)]


def bilinear(image, x, y):
    """Value of a (d, h, w) map at pixel position x, y (centres at .5); what lies outside is zero."""
    dim, height, width = image.shape
    left, top = math.floor(x - 0.5), math.floor(y - 0.5)
    value = torch.zeros(dim, dtype=image.dtype)
    for row in (top, top + 1):
        for column in (left, left + 1):
            if 0 <= row < height and 0 <= column < width:
                share = (1 - abs(x - 0.5 - column)) * (1 - abs(y - 0.5 - row))
                value += share * image[:, row, column]
    return value


def level_maps(value, shapes):
    """(S, d) values of one head as (d, h, w) maps."""
    maps, start = [], 0
    for h, w in shapes:
        maps.append(torch.stack([value[start + r * w : start + (r + 1) * w] for r in range(h)]).permute(2, 0, 1))
        start += h * w
    return maps


def slow_sample_levels(value, shapes, locations, weights):
    batch, _, heads, dim = value.shape
    queries, levels, points = locations.shape[1], locations.shape[3], locations.shape[4]
    mixed = torch.zeros(batch, queries, heads, dim, dtype=value.dtype)
    for n in range(batch):
        for head in range(heads):
            maps = level_maps(value[n, :, head], shapes)
            for q in range(queries):
                for level in range(levels):
                    for point in range(points):
                        x, y = locations[n, q, head, level, point].tolist()
                        sample = bilinear(maps[level], x, y)
                        mixed[n, q, head] += weights[n, q, head, level * points + point] * sample
    return mixed.flatten(2)


def random_case(generator, *, heads=2, dim=5, queries=3, points=2, batch=2):
    cells = sum(h * w for h, w in SHAPES)
    value = torch.randn(batch, cells, heads, dim, generator=generator, dtype=torch.float64)
    locations = torch.rand(batch, queries, heads, len(SHAPES), points, 2, generator=generator, dtype=torch.float64)
    weights = torch.randn(batch, queries, heads, len(SHAPES) * points, generator=generator, dtype=torch.float64)
    sizes = torch.tensor([(w, h) for h, w in SHAPES], dtype=torch.float64)[:, None]
    return value, (locations * 1.6 - 0.3) * sizes, weights  # some points lie outside


@pytest.mark.parametrize("seed", range(3))
def test_sample_levels_equals_the_loops(seed):
    value, locations, weights = random_case(torch.Generator().manual_seed(seed))
    slow = slow_sample_levels(value, SHAPES, locations, weights)
    for fast in (sample_levels, gather_levels):
        torch.testing.assert_close(fast(value, SHAPES, locations, weights), slow, rtol=1e-12, atol=1e-12)


def test_sample_levels_has_the_right_gradient():
    value, locations, weights = random_case(
        torch.Generator().manual_seed(7), heads=1, dim=2, queries=2, points=1, batch=1
    )
    arguments = [t.requires_grad_() for t in (value, locations, weights)]
    assert torch.autograd.gradcheck(lambda v, p, w: sample_levels(v, SHAPES, p, w), arguments)


def test_a_point_on_a_cell_centre_reads_that_cell():
    value = torch.arange(6, dtype=torch.float64).view(1, 6, 1, 1)
    for row in range(2):
        for column in range(3):
            place = torch.tensor([column + 0.5, row + 0.5], dtype=torch.float64).view(1, 1, 1, 1, 1, 2)
            read = sample_levels(value, [(2, 3)], place, torch.ones(1, 1, 1, 1, dtype=torch.float64))
            assert read.item() == pytest.approx(row * 3 + column)


def test_the_border_fades_to_zero_as_in_grid_sample():
    image = torch.ones(1, 1, 2, 3, dtype=torch.float64)
    value = image.flatten(2).transpose(1, 2)[:, :, None]
    for x, y in [(0.0, 0.25), (1.0, 0.75), (0.5, 0.0), (0.0, 1.0), (-0.2, 0.5), (0.5, 1.3)]:
        place = torch.tensor([x, y], dtype=torch.float64)
        cells = (place * torch.tensor([3.0, 2.0])).view(1, 1, 1, 1, 1, 2)
        own = sample_levels(value, [(2, 3)], cells, torch.ones(1, 1, 1, 1, dtype=torch.float64))
        reference = F.grid_sample(image, (2 * place - 1).view(1, 1, 1, 2), padding_mode="zeros", align_corners=False)
        assert own.item() == pytest.approx(reference.item())
    corner = torch.zeros(1, 1, 1, 1, 1, 2, dtype=torch.float64)
    assert sample_levels(value, [(2, 3)], corner, torch.ones(1, 1, 1, 1, dtype=torch.float64)).item() == 0.25


def slow_attention(module, query, reference, memory, valid, shapes):
    """Deformable DETR, eq. 3, for one image: sum over heads of W_h times the sum of A * W'_h x(p + offset)."""
    heads, levels, points = module.heads, module.levels, module.points
    value = memory @ module.value_proj.weight.T + module.value_proj.bias
    value = torch.where(valid[:, None], value, torch.zeros_like(value))
    width = value.shape[1] // heads
    rows = []
    for q in range(len(query)):
        offsets = (module.sampling_offsets.weight @ query[q] + module.sampling_offsets.bias).tolist()
        logits = module.attention_weights.weight @ query[q] + module.attention_weights.bias
        parts = []
        for head in range(heads):
            maps = level_maps(value[:, head * width : (head + 1) * width], shapes)
            attention = logits[head * levels * points : (head + 1) * levels * points].softmax(0)
            total = torch.zeros(width, dtype=value.dtype)
            for level in range(levels):
                h, w = shapes[level]
                for point in range(points):
                    place = ((head * levels + level) * points + point) * 2
                    x = reference[q, level, 0].item() * w + offsets[place]
                    y = reference[q, level, 1].item() * h + offsets[place + 1]
                    total += attention[level * points + point] * bilinear(maps[level], x, y)
            parts.append(total)
        rows.append(module.output_proj.weight @ torch.cat(parts) + module.output_proj.bias)
    return torch.stack(rows)


def random_module(dim=6, heads=2, points=2):
    torch.manual_seed(3)
    module = DeformableAttention(dim, heads=heads, levels=len(SHAPES), points=points).double()
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return module


def test_attention_equals_the_loops():
    module = random_module()
    generator = torch.Generator().manual_seed(5)
    cells = sum(h * w for h, w in SHAPES)
    query, memory = (torch.randn(2, cells, 6, generator=generator, dtype=torch.float64) for _ in range(2))
    reference = torch.rand(2, cells, len(SHAPES), 2, generator=generator, dtype=torch.float64)
    valid = torch.rand(2, cells, generator=generator) > 0.3
    fast = module(query, reference, memory, valid, SHAPES)
    for n in range(2):
        slow = slow_attention(module, query[n], reference[n], memory[n], valid[n], SHAPES)
        torch.testing.assert_close(fast[n], slow, rtol=1e-10, atol=1e-10)


def test_fresh_heads_look_in_even_directions_at_growing_distance():
    module = DeformableAttention(8, heads=4, levels=3, points=2)
    offsets = module.sampling_offsets.bias.detach().view(4, 3, 2, 2)
    right, down, left, up = (1, 0), (0, 1), (-1, 0), (0, -1)
    expected = torch.tensor([right, down, left, up], dtype=torch.float32)
    for level in range(3):
        torch.testing.assert_close(offsets[:, level, 0], expected, atol=1e-6, rtol=0)
        torch.testing.assert_close(offsets[:, level, 1], 2 * expected, atol=1e-6, rtol=0)
    assert not module.sampling_offsets.weight.any()


def test_gathering_stays_within_the_levels_however_far_a_point_lies():
    value, locations, weights = random_case(torch.Generator().manual_seed(3))
    far = locations.clone()
    far[0] = torch.tensor([1e30, -1e30], dtype=torch.float64)
    far[1, 0] = math.nan
    gathered = gather_levels(value, SHAPES, far, weights)
    assert (gathered[0] == 0).all()
    others = gather_levels(value, SHAPES, locations, weights)
    torch.testing.assert_close(gathered[1, 1:], others[1, 1:])


def test_gathering_has_the_gradients_of_sampling():
    value, locations, weights = random_case(torch.Generator().manual_seed(9))
    inputs = [tensor.requires_grad_() for tensor in (value, locations, weights)]
    gradients = []
    for sample in (sample_levels, gather_levels):
        output = sample(value, SHAPES, locations, weights)
        direction = torch.linspace(-1, 1, output.numel(), dtype=output.dtype).view_as(output)
        gradients.append(torch.autograd.grad(output, inputs, direction))
    assert all(gradient.any() for gradient in gradients[0])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


def test_attention_is_the_same_where_pictures_are_sampled(monkeypatch):
    """On a GPU, and where PyTorch compiles, there is no gathering of rows."""
    torch.manual_seed(5)
    attention = DeformableAttention(24, heads=3, levels=3, points=2)
    torch.nn.init.normal_(attention.sampling_offsets.weight)
    torch.nn.init.normal_(attention.attention_weights.weight)
    cells = sum(h * w for h, w in SHAPES)
    query, memory, reference = torch.randn(2, cells, 24), torch.randn(2, cells, 24), torch.rand(2, cells, 3, 2)
    valid = torch.rand(2, cells) < 0.8
    gathered = attention(query, reference, memory, valid, SHAPES)
    with torch.inference_mode():
        plain = attention(query, reference, memory, valid, SHAPES)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    sampled = attention(query, reference, memory, valid, SHAPES)
    assert torch.equal(plain, gathered)
    torch.testing.assert_close(sampled, gathered, rtol=1e-5, atol=1e-6)
