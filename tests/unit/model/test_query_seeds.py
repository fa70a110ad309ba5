"""Where located queries begin: the best cells against a loop, and the seeds of a map whose peaks are known."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_segmenter import CLASSES, TINY

from qcen_core.model.query_seeds import PRIOR_LOGIT, SEED_SIDE, QuerySeeds, best_cells
from qcen_core.ops.boxes import shifted_boxes

HEIGHT, WIDTH = 5, 7


def plain_order(heat, valid):
    """(kind, heat) of every cell; larger is better. Kind 2: a local maximum, 1: another valid cell, 0: padding."""
    order = []
    for row in range(HEIGHT):
        for column in range(WIDTH):
            around = [
                heat[y][x]
                for y in range(max(0, row - 1), min(HEIGHT, row + 2))
                for x in range(max(0, column - 1), min(WIDTH, column + 2))
                if valid[y][x]
            ]
            own = heat[row][column]
            order.append((0, 0.0) if not valid[row][column] else (2 if own >= max(around) else 1, own))
    return order


def assert_best(heat, valid, count):
    cells = best_cells(heat[None], valid[None], count)[0].tolist()
    order = plain_order(heat.tolist(), valid.tolist())
    assert len(set(cells)) == len(cells) == min(count, HEIGHT * WIDTH)
    assert [order[cell] for cell in cells] == sorted(order, reverse=True)[: len(cells)]


@given(st.integers(0, 10_000), st.sampled_from([3, 17, 1000]), st.sampled_from([1, 5, 13, 35, 50]), st.booleans())
def test_best_cells_are_those_of_the_loop(seed, levels, count, padded):
    """Few levels make plateaus, all of whose cells are maxima; ties may be broken either way."""
    generator = torch.Generator().manual_seed(seed)
    heat = torch.randint(1, levels, (HEIGHT, WIDTH), generator=generator) / 1024
    valid = torch.ones(HEIGHT, WIDTH, dtype=torch.bool)
    if padded:
        valid[3:], valid[:, 4:] = False, False
    assert_best(heat, valid, count)


def test_a_flat_map_is_one_plateau():
    assert_best(torch.full((HEIGHT, WIDTH), 0.25), torch.ones(HEIGHT, WIDTH, dtype=torch.bool), 11)


def test_padding_comes_last_and_hides_no_peak():
    heat = torch.full((HEIGHT, WIDTH), 0.1)
    heat[2, 3], heat[2, 4] = 0.5, 0.9  # the higher cell is padding
    valid = torch.ones(HEIGHT, WIDTH, dtype=torch.bool)
    valid[:, 4:] = False
    assert best_cells(heat[None], valid[None], 1).tolist() == [[2 * WIDTH + 3]]
    cells = best_cells(heat[None], valid[None], 99)
    assert cells.shape == (1, HEIGHT * WIDTH)
    assert {int(cell) % WIDTH for cell in cells[0, 20:]} == {4, 5, 6}


def seeds_with_map():
    """The map of centres is channel 0 to CLASSES of the features."""
    torch.manual_seed(0)
    seeds = QuerySeeds(TINY.model_copy(update={"queries": 3}), CLASSES)
    seeds.center = torch.nn.Conv2d(TINY.hidden_dim, CLASSES, 1, bias=False)
    with torch.no_grad():
        seeds.center.weight.copy_(torch.eye(TINY.hidden_dim)[:CLASSES, :, None, None])
    return seeds


def test_queries_begin_at_the_peaks_of_any_class():
    seeds = seeds_with_map()
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(2, TINY.hidden_dim, HEIGHT, WIDTH, generator=generator)
    features[:, :CLASSES] = -9.0
    peaks = [[(1, 2), (4, 6), (3, 0)], [(0, 0), (2, 4), (1, 2)]]  # row, column; the second frame is padded
    for frame, cells in enumerate(peaks):
        for place, (row, column) in enumerate(cells):
            features[frame, place, row, column] = 5.0 - place
    valid = torch.ones(2, HEIGHT, WIDTH, dtype=torch.bool)
    valid[1, 3:], valid[1, :, 5:] = False, False
    torch.nn.init.normal_(seeds.shift.layers[-1].weight, std=0.5)
    found = seeds(features, valid)
    for frame, cells in enumerate(peaks):
        for place, (row, column) in enumerate(cells):
            content = seeds.norm(seeds.content(features[frame, :, row, column]))
            torch.testing.assert_close(found.queries[frame, place], content, rtol=1e-4, atol=1e-5)
            half = SEED_SIDE / 2
            square = torch.tensor([column + 0.5 - half, row + 0.5 - half, column + 0.5 + half, row + 0.5 + half])
            expected = shifted_boxes(square, seeds.shift(content))
            torch.testing.assert_close(found.boxes[frame, place], expected, rtol=1e-4, atol=1e-4)
    assert torch.equal(found.center_logits, features[:, :CLASSES])


def test_fewer_cells_than_queries_give_fewer_queries():
    torch.manual_seed(0)
    seeds = QuerySeeds(TINY, CLASSES)
    found = seeds(torch.randn(1, TINY.hidden_dim, 1, 3), torch.ones(1, 1, 3, dtype=torch.bool))
    assert found.queries.shape == (1, 3, TINY.hidden_dim)
    assert found.boxes.shape == (1, 3, 4)


def test_at_first_hardly_a_cell_is_a_centre():
    torch.manual_seed(0)
    logits = QuerySeeds(TINY, CLASSES).center(torch.randn(1, TINY.hidden_dim, HEIGHT, WIDTH))
    assert logits.mean().item() == pytest.approx(PRIOR_LOGIT, abs=1.0)
