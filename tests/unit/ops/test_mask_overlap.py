"""Overlap of packed masks against counting cells, on each of the ways it is computed."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qcen_core.ops import mask_overlap
from qcen_core.ops.mask_overlap import areas, intersections, iou, iou_of_couples, packed


def blobs(rng, count, height, width):
    """Rectangles, some of them empty, some full, some of scattered cells."""
    masks = np.zeros((count, height, width), dtype=bool)
    for mask in masks:
        y, x = rng.integers(0, height), rng.integers(0, width)
        mask[y : y + rng.integers(0, height + 1), x : x + rng.integers(0, width + 1)] = True
        if rng.random() < 0.2:
            mask[:] = rng.random(mask.shape) < rng.random()
    return masks


sizes = st.tuples(st.integers(0, 5), st.integers(0, 7), st.sampled_from([(1, 1), (5, 7), (8, 8), (11, 29), (13, 64)]))


@settings(max_examples=80)
@given(st.integers(0, 2**32 - 1), sizes)
def test_overlap_equals_counting(seed, size):
    count, others, (height, width) = size
    rng = np.random.default_rng(seed)
    a, b = blobs(rng, count, height, width), blobs(rng, others, height, width)
    logits = torch.from_numpy(np.where(a, 1, -1) * rng.uniform(0.1, 3, a.shape)).float()
    bits, other_bits = packed(logits), packed(torch.from_numpy(b))
    assert bits.shape == (count, -(-height * width // 64))
    common = np.array([[(m & o).sum() for o in b] for m in a], dtype=np.float32).reshape(count, others)
    expected = np.array([[(m & o).sum() / max((m | o).sum(), 1) for o in b] for m in a], dtype=np.float32)
    assert areas(bits).tolist() == [int(m.sum()) for m in a]
    assert torch.equal(intersections(bits, other_bits), torch.from_numpy(common))
    np.testing.assert_allclose(iou(bits, other_bits).numpy(), expected.reshape(count, others), rtol=1e-6)
    least = min(count, others)
    couples = iou_of_couples(bits[:least], other_bits[:least])
    np.testing.assert_allclose(couples.numpy(), expected.reshape(count, others).diagonal(), rtol=1e-6)
    # The ways of other devices, of crowded frames and of an older NumPy.
    cells = torch.nn.functional.pad(torch.from_numpy(a).flatten(1), (0, -height * width % 64))
    assert torch.equal(mask_overlap._packed_by_sums(cells), bits)
    assert torch.equal(mask_overlap._product(bits, other_bits), torch.from_numpy(common))
    assert torch.equal(mask_overlap._cells(bits).sum(1), areas(bits))
    assert mask_overlap._counted_by_table(bits.numpy()).sum(1).tolist() == areas(bits).tolist()


def test_crowded_frames_take_another_way_to_the_same(monkeypatch):
    masks = torch.from_numpy(blobs(np.random.default_rng(3), 7, 11, 29))
    expected = intersections(packed(masks), packed(masks))
    monkeypatch.setattr(mask_overlap, "MOST_SHARED_WORDS", 3)
    monkeypatch.setattr(mask_overlap, "_shared_bits", spy := Spy(mask_overlap._shared_bits))
    assert torch.equal(intersections(packed(masks), packed(masks)), expected)
    assert spy.returned == [None]


class Spy:
    def __init__(self, function):
        self.function, self.returned = function, []

    def __call__(self, *args):
        self.returned.append(self.function(*args))
        return self.returned[-1]


def test_iou_by_hand():
    masks = torch.zeros(3, 2, 5, dtype=torch.bool)
    masks[0, 0, :4] = masks[1, 0, 2:] = True
    bits = packed(masks)
    torch.testing.assert_close(iou(bits, bits[:2]), torch.tensor([[1, 2 / 5], [2 / 5, 1], [0, 0]]))


def test_zero_and_what_is_not_a_number_are_outside():
    logits = torch.tensor([[[0.0, -0.0, torch.nan, 1e-30, torch.inf, -torch.inf]]])
    assert packed(logits).tolist() == [[0b011000]]


@pytest.mark.parametrize("step", [1, 2])
def test_parts_of_larger_tensors(step):
    logits = torch.randn(7, 13, 40, generator=torch.Generator().manual_seed(1))
    window = logits[::step, 1:12, 2:31]
    assert torch.equal(packed(window), packed(window.clone()))
    bits = packed(logits)
    assert torch.equal(areas(bits[::step]), areas(bits)[::step])
    assert torch.equal(intersections(bits[::step], bits), intersections(bits, bits)[::step])
