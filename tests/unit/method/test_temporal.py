"""The temporal patch loss against a plain loop, and on a moving object whose right answer is known."""

import math

import pytest
import torch

from qcen_core.method.temporal import PatchMatches, centre_motion, match_patches, temporal_patch_loss

HEIGHT, WIDTH, FRAMES, PAIRS = 13, 17, 3, 4
SOURCE, TARGET = torch.tensor([0, 1, 2, 0]), torch.tensor([1, 0, 0, 2])
MOTION = torch.tensor([[1, -2], [0, 0], [-3, 2], [40, -40]])  # the last one leaves the map
SEARCH = {"radius": 2, "best": 3, "most": 6.0}


def scene(seed=0):
    """Colours of which some patches are alike, a padded corner, and boxes of several sizes, one at the border."""
    generator = torch.Generator().manual_seed(seed)
    lab = torch.randn(FRAMES, 3, HEIGHT, WIDTH, generator=generator) * 0.9
    valid = torch.ones(FRAMES, HEIGHT, WIDTH, dtype=torch.bool)
    valid[0, :, 14:] = False
    boxes = torch.zeros(PAIRS, HEIGHT, WIDTH, dtype=torch.bool)
    for pair, (top, left, bottom, right) in enumerate([(2, 3, 7, 9), (0, 0, 4, 3), (8, 10, 13, 17), (5, 5, 6, 6)]):
        boxes[pair, top:bottom, left:right] = True
    return lab, valid, boxes


def patch(lab, valid, frame, row, column):
    """27 values, or `None` where the patch is not all image."""
    if not (1 <= row < HEIGHT - 1 and 1 <= column < WIDTH - 1):
        return None
    rows, columns = slice(row - 1, row + 2), slice(column - 1, column + 2)
    return lab[frame, :, rows, columns].flatten() if valid[frame, rows, columns].all() else None


def plain_matches(lab, valid, boxes, pair):
    """Cell -> its best cells, by loops over cells and candidates."""
    found = {}
    radius = SEARCH["radius"]
    for row, column in boxes[pair].nonzero().tolist():
        own = patch(lab, valid, SOURCE[pair], row, column)
        candidates = []
        for down in range(-radius, radius + 1):
            for right in range(-radius, radius + 1):
                place = (row + int(MOTION[pair, 0]) + down, column + int(MOTION[pair, 1]) + right)
                other = patch(lab, valid, TARGET[pair], *place)
                if own is not None and other is not None:
                    candidates.append(((own - other).norm().item(), place))
        best = sorted(candidates)[: SEARCH["best"]]
        found[row, column] = {place for distance, place in best if distance <= SEARCH["most"]}
    return found


def listed(matches, pair):
    found = {}
    for cell, index in enumerate(matches.cells[pair].tolist()):
        targets = matches.matched[pair, :, cell][matches.alike[pair, :, cell]].tolist()
        if targets:
            found[divmod(index, WIDTH)] = {divmod(target, WIDTH) for target in targets}
    return found


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("at_once", [1, 1 << 23])
def test_matches_are_those_of_a_plain_search(seed, at_once, monkeypatch):
    monkeypatch.setattr("qcen_core.method.temporal.DISTANCES_AT_ONCE", at_once)
    lab, valid, boxes = scene(seed)
    matches = match_patches(lab, valid, (SOURCE, TARGET), boxes, MOTION, **SEARCH)
    sizes = []
    for pair in range(PAIRS):
        expected = {cell: places for cell, places in plain_matches(lab, valid, boxes, pair).items() if places}
        assert listed(matches, pair) == expected
        sizes.append(sum(map(len, expected.values())))
    assert min(sizes[:3]) > 0
    assert sizes[3] == 0
    assert max(sizes) < boxes[0].sum() * SEARCH["best"]  # the threshold was at work


def test_loss_is_that_of_a_plain_loop_for_every_layer():
    lab, valid, boxes = scene()
    matches = match_patches(lab, valid, (SOURCE, TARGET), boxes, MOTION, **SEARCH)
    logits = torch.randn(2, 6, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    anchor, positive = torch.tensor([0, 2, 4, 1]), torch.tensor([2, 0, 1, 5])
    totals, counts = temporal_patch_loss(logits, (anchor, positive), matches)
    probability = logits.sigmoid()
    for layer in range(2):
        for pair in range(PAIRS):
            expected, count = 0.0, 0
            for (row, column), places in plain_matches(lab, valid, boxes, pair).items():
                p = probability[layer, anchor[pair], row, column].item()
                for place in places:
                    q = probability[layer, positive[pair]][place].item()
                    expected -= math.log(p * q + (1 - p) * (1 - q))
                    count += 1
            assert totals[layer, pair].item() == pytest.approx(expected)
            assert counts[pair].item() == count


def moving_object(shift):
    """A textured object in a textured scene, moved by whole cells: (colours, masks, box masks, boxes in pixels)."""
    generator = torch.Generator().manual_seed(7)
    background, texture = (torch.rand(3, HEIGHT, WIDTH, generator=generator) * 80 for _ in range(2))
    lab, masks = torch.stack((background, background)), torch.zeros(2, HEIGHT, WIDTH, dtype=torch.bool)
    boxes, filled = [], torch.zeros(2, HEIGHT, WIDTH, dtype=torch.bool)
    shape = torch.ones(5, 6, dtype=torch.bool)
    shape[:2, :3] = False  # not a rectangle
    for frame, (down, right) in enumerate([(0, 0), shift]):
        rows, columns = slice(3 + down, 8 + down), slice(4 + right, 10 + right)
        masks[frame, rows, columns] = shape
        filled[frame, rows, columns] = True
        lab[frame, :, rows, columns] = torch.where(shape, texture[:, 3:8, 4:10] + 100, lab[frame, :, rows, columns])
        boxes.append([16.0 + 4 * right, 12.0 + 4 * down, 40.0 + 4 * right, 32.0 + 4 * down])
    return lab, masks, filled, torch.tensor(boxes)


@pytest.mark.parametrize("shift", [(0, 0), (3, 5), (-1, 4)])
def test_the_right_mask_costs_nothing_and_a_wrong_one_much(shift):
    lab, masks, filled, boxes = moving_object(shift)
    motion = centre_motion(boxes, boxes.flip(0), stride=4)
    assert motion.tolist() == [list(shift), [-shift[0], -shift[1]]]
    valid = torch.ones(2, HEIGHT, WIDTH, dtype=torch.bool)
    pair = (torch.tensor([0, 1]), torch.tensor([1, 0]))
    matches = match_patches(lab, valid, pair, filled, motion, radius=1, best=1, most=6.0)

    def mean_loss(masks):
        totals, counts = temporal_patch_loss(20 * (2 * masks.float() - 1), pair, matches)
        assert counts.min() >= 3  # patches wholly in the object
        return (totals / counts).max().item()

    assert mean_loss(masks) < 1e-6
    half = masks.clone()
    half[0, :, 7:] = False
    assert mean_loss(half) > 5
    # Without the motion of the box nothing is found beyond the reach of the search.
    still = match_patches(lab, valid, pair, masks, torch.zeros_like(motion), radius=1, best=1, most=6.0)
    assert (still.alike & masks.flatten(1).gather(1, still.cells)[:, None]).any() == (shift == (0, 0))


def test_equal_colours_are_matched_to_the_nearest():
    lab = torch.zeros(2, 3, HEIGHT, WIDTH)
    box = torch.zeros(1, HEIGHT, WIDTH, dtype=torch.bool)
    box[0, 5:8, 6:10] = True
    frames = (torch.tensor([0]), torch.tensor([1]))
    matches = match_patches(
        lab, torch.ones(2, HEIGHT, WIDTH, dtype=torch.bool), frames, box, torch.tensor([[2, 1]]), **SEARCH | {"best": 1}
    )
    for (row, column), places in listed(matches, 0).items():
        assert places == {(row + 2, column + 1)}


@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_gradients_are_finite_and_reach_both_masks(scale):
    lab, valid, boxes = scene()
    matches = match_patches(lab, valid, (SOURCE, TARGET), boxes, MOTION, **SEARCH)
    logits = (scale * torch.randn(6, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(1))).requires_grad_()
    totals, _ = temporal_patch_loss(logits, (torch.tensor([0, 0, 0, 0]), torch.tensor([1, 1, 1, 1])), matches)
    totals.sum().backward()
    assert torch.isfinite(totals).all()
    assert torch.isfinite(logits.grad).all()
    assert logits.grad[0].any()
    assert logits.grad[1].any()
    assert not logits.grad[2:].any()


def test_no_pairs_and_no_matches_keep_the_graph():
    lab, valid, _ = scene()
    none = torch.zeros(0, dtype=torch.int64)
    empty = torch.zeros(0, HEIGHT, WIDTH, dtype=torch.bool)
    matches = match_patches(lab, valid, (none, none), empty, none.reshape(0, 2), **SEARCH)
    assert isinstance(matches, PatchMatches)
    logits = torch.randn(2, 3, HEIGHT, WIDTH, requires_grad=True)
    totals, counts = temporal_patch_loss(logits, (none, none), matches)
    assert totals.shape == (2, 0)
    assert counts.shape == (0,)
    totals.sum().backward()
    assert not logits.grad.any()
    boxes = torch.zeros(PAIRS, HEIGHT, WIDTH, dtype=torch.bool)  # labels that lie in padding
    matches = match_patches(lab, valid, (SOURCE, TARGET), boxes, MOTION, **SEARCH)
    assert not matches.alike.any()
