"""Masks drawn by a track's memory, against the inner products written out."""

import pytest
import torch

from qcen_core.inference.memory_drawing import exchanged_drawing
from qcen_core.ops.place import PLACE_CHANNELS

APPEARANCE = 3


@pytest.mark.parametrize("located", [False, True])
def test_memory_draws_and_the_place_stays_that_of_the_frame(located):
    channels = APPEARANCE + (PLACE_CHANNELS if located else 0)
    generator = torch.Generator().manual_seed(5)
    own, memory = torch.randn(2, 2, channels, generator=generator)
    features = torch.randn(channels, 5, 7, generator=generator)
    drawn = exchanged_drawing(own, memory, features, located=located)
    assert drawn.shape == (2, 5, 7)
    for instance in range(2):
        for y in range(5):
            for x in range(7):
                cell = features[:, y, x]
                appearance = sum(float(memory[instance, c] * cell[c]) for c in range(APPEARANCE))
                place = sum(float(own[instance, c] * cell[c]) for c in range(APPEARANCE, channels))
                assert float(drawn[instance, y, x]) == pytest.approx(appearance + place, abs=1e-5)


def test_no_instances_draw_nothing():
    nothing = torch.zeros(0, 3)
    assert exchanged_drawing(nothing, nothing, torch.zeros(3, 5, 7), located=False).shape == (0, 5, 7)
