"""The colour affinity and the pairwise loss against BoxInst's sum over all eight neighbours, pixel by pixel."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qcen_core.method import losses

HEIGHT, WIDTH, THRESHOLD = 7, 11, 0.3
EIGHT = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if (down, right) != (0, 0)]


def scene(seed, masks=2):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(masks, HEIGHT, WIDTH, generator=generator, dtype=torch.float64)
    lab = 2 * torch.randn(1, 3, HEIGHT, WIDTH, generator=generator, dtype=torch.float64)
    boxes = torch.rand(masks, HEIGHT, WIDTH, generator=generator) < 0.6
    valid = torch.rand(HEIGHT, WIDTH, generator=generator) < 0.8
    return logits, lab, boxes, valid


def edges_of(lab, valid, dilation):
    edges = []
    for offset, affinity in zip(losses.HALF_NEIGHBOURHOOD, losses.color_affinity(lab, dilation), strict=True):
        first, second = losses.shifted(valid, (offset[0] * dilation, offset[1] * dilation))
        edges.append((affinity[0] >= THRESHOLD) & first & second)
    return tuple(edges)


def plain_sum(logits, lab, box, valid, dilation):
    """Sum over pixels of the box and their neighbours of alike colour of -log(p_i p_j + (1 - p_i)(1 - p_j))."""
    p, colours = logits.sigmoid().tolist(), lab.tolist()
    total, count = 0.0, 0
    for row in range(HEIGHT):
        for column in range(WIDTH):
            for down, right in EIGHT:
                y, x = row + down * dilation, column + right * dilation
                if not (box[row, column] and 0 <= y < HEIGHT and 0 <= x < WIDTH):
                    continue
                distance = math.dist(*([channel[a][b] for channel in colours] for a, b in ((row, column), (y, x))))
                if not (valid[row, column] and valid[y, x] and math.exp(-0.5 * distance) >= THRESHOLD):
                    continue
                p_same = p[row][column] * p[y][x] + (1 - p[row][column]) * (1 - p[y][x])
                total -= math.log(p_same)
                count += 1
    return total, count


@settings(max_examples=10)
@given(st.integers(0, 1000), st.sampled_from([1, 2, 3]))
def test_half_the_neighbourhood_gives_the_sum_over_all_of_it(seed, dilation):
    logits, lab, boxes, valid = scene(seed)
    total, count = losses.pairwise_loss(logits, edges_of(lab, valid, dilation), boxes, dilation)
    for index in range(len(logits)):
        expected, edges = plain_sum(logits[index], lab[0], boxes[index], valid, dilation)
        assert edges > 0
        assert total[index].item() == pytest.approx(expected)
        assert count[index].item() == edges


def test_two_pixels_by_hand():
    # p = 1/2 and 3/4: P_same = 1/2. Both ends lie in the box, so the edge counts twice.
    logits = torch.tensor([[[0.0, math.log(3)]]])
    shapes = [losses.shifted(logits, offset)[0].shape for offset in losses.HALF_NEIGHBOURHOOD]
    edges = tuple(torch.ones(shape, dtype=torch.bool) for shape in shapes)
    total, count = losses.pairwise_loss(logits, edges, torch.ones(1, 1, 2, dtype=torch.bool), 1)
    assert total.item() == pytest.approx(2 * math.log(2))
    assert count.item() == 2
    total, count = losses.pairwise_loss(logits, edges, torch.tensor([[[True, False]]]), 1)
    assert total.item() == pytest.approx(math.log(2))
    assert count.item() == 1


def test_colour_affinity_by_hand():
    lab = torch.zeros(1, 3, 1, 3)
    lab[0, :, 0, 2] = torch.tensor([1.0, 2.0, 2.0])  # three units from black
    right = losses.color_affinity(lab, 2)[0]
    assert right.flatten().tolist() == pytest.approx([math.exp(-1.5)])


def test_the_threshold_of_the_paper_is_a_distance_of_2_41():
    lab = torch.zeros(1, 3, 1, 2)
    for distance, alike in ((2.40, True), (2.42, False)):
        lab[0, 0, 0, 1] = distance
        assert bool(losses.color_affinity(lab, 1)[0] >= THRESHOLD) == alike


def test_shifted_maps_are_pixel_and_neighbour():
    rows, columns = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
    for down, right in ((0, 2), (2, -2), (2, 0), (2, 2), (3, -1)):
        first, second = losses.shifted(torch.stack((rows, columns)), (down, right))
        assert first.shape == second.shape == (2, HEIGHT - down, WIDTH - abs(right))
        assert (second[0] - first[0] == down).all()
        assert (second[1] - first[1] == right).all()


def test_a_map_smaller_than_the_neighbourhood_has_no_edges():
    logits = torch.randn(2, 1, 1, requires_grad=True)
    edges = tuple(
        torch.ones(2, *losses.shifted(logits, (2 * d, 2 * r))[0].shape[1:], dtype=torch.bool)
        for d, r in losses.HALF_NEIGHBOURHOOD
    )
    total, count = losses.pairwise_loss(logits, edges, torch.ones(2, 1, 1, dtype=torch.bool), 2)
    assert total.tolist() == [0, 0]
    assert count.tolist() == [0, 0]
