"""Places: the product of embedding and coordinates against its formula, point by point."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qcen_core.ops.place import (
    LEAST_HALF_SIZE,
    PLACE_CHANNELS,
    frame_extent,
    place_embeddings,
    place_features,
)

SIZE = (7, 11)


def product(box, gain, extent, size=SIZE):
    """(h, w) logits of one box."""
    features = place_features(size, torch.tensor([extent]))
    assert features.shape == (1, PLACE_CHANNELS, *size)
    embedding = place_embeddings(torch.tensor([box]), torch.tensor(gain))
    assert embedding.shape == (1, PLACE_CHANNELS)
    return (embedding[0].double()[:, None, None] * features[0].double()).sum(0)


def test_the_product_by_hand():
    # A frame of 10 x 5 cells; the box is 4 x 2 cells around the centre of the cell in column 4 and row 2.
    logits = product([4.5 / 10, 2.5 / 5, 4 / 10, 2 / 5], 3.0, [10.0, 5.0])
    assert logits[2, 4].item() == pytest.approx(3.0, abs=1e-4)  # g in the centre
    assert logits[2, 6].item() == pytest.approx(0.0, abs=1e-4)  # half a width to the right
    assert logits[1, 4].item() == pytest.approx(0.0, abs=1e-4)  # half a height up
    assert logits[3, 2].item() == pytest.approx(-3.0, abs=1e-4)  # the corner
    assert logits[2, 8].item() == pytest.approx(3 * (1 - 4), abs=1e-4)  # two halves away
    assert logits[6, 10].item() == pytest.approx(3 * (1 - 9 - 16), abs=1e-3)  # in padding: no end to the fall


@given(
    st.tuples(*[st.floats(0.0, 1.0)] * 4),
    st.floats(0.1, 9.0),
    st.tuples(st.floats(3.0, 11.0), st.floats(3.0, 7.0)),
)
def test_the_product_is_the_formula(box, gain, extent):
    logits = product(list(box), gain, list(extent))
    (cx, cy, w, h), (width, height) = box, extent
    rx, ry = max(w / 2, LEAST_HALF_SIZE), max(h / 2, LEAST_HALF_SIZE)
    for row in range(SIZE[0]):
        for column in range(SIZE[1]):
            x, y = (column + 0.5) / width, (row + 0.5) / height
            expected = gain * (1 - ((x - cx) / rx) ** 2 - ((y - cy) / ry) ** 2)
            scale = gain * (1 + (x * x + cx * cx) / rx**2 + (y * y + cy * cy) / ry**2)  # what cancels in float32
            assert logits[row, column].item() == pytest.approx(expected, abs=1e-5 * scale)


def test_places_of_several_frames_have_extents_of_their_own():
    extents = torch.tensor([[11.0, 7.0], [5.0, 3.0]])
    together = place_features(SIZE, extents)
    for frame, extent in enumerate(extents):
        torch.testing.assert_close(together[frame], place_features(SIZE, extent[None])[0])
    assert together[1, 2, 0, 4].item() == pytest.approx(0.9)  # x of the last column of the frame
    assert together[1, 3, 2, 0].item() == pytest.approx(2.5 / 3)


def test_the_gain_gets_a_gradient():
    gain = torch.tensor(1.5, requires_grad=True)
    place_embeddings(torch.rand(2, 3, 4), gain).sum().backward()
    assert gain.grad.abs() > 0


def test_an_empty_box_gives_a_finite_embedding():
    assert torch.isfinite(place_embeddings(torch.zeros(1, 4), torch.tensor(2.0))).all()


def test_extent_is_width_and_height_without_padding():
    valid = torch.zeros(3, 13, 17, dtype=torch.bool)
    valid[0, :5, :11] = True
    valid[1] = True
    extent = frame_extent(valid)
    assert extent.dtype == torch.float32
    assert extent.tolist() == [[11, 5], [17, 13], [0, 0]]
