"""Masks drawn by a track's memory, against the inner products written out."""

import pytest
import torch

from qcen_core.inference.memory_drawing import exchanged_drawing
from qcen_core.inference.tracker import new_track
from qcen_core.ops.place import PLACE_CHANNELS
from qcen_core.structures import FramePrediction, Guests

APPEARANCE = 3


def guests(count):
    return Guests(torch.zeros(1, count, 2), torch.zeros(1, count, 2))


@pytest.mark.parametrize("located", [False, True])
def test_memory_draws_and_the_place_stays_that_of_the_frame(located):
    channels = APPEARANCE + (PLACE_CHANNELS if located else 0)
    generator = torch.Generator().manual_seed(5)
    own = torch.randn(3, channels, generator=generator)
    features = torch.randn(channels, 5, 7, generator=generator)
    prediction = FramePrediction(
        torch.zeros(3, 2), torch.ones(3), torch.ones(3, 5, 7), torch.ones(3, 2), own, guests(3)
    )
    tracks = [new_track(1, prediction, 0), None, new_track(2, prediction, 2)]
    memory = torch.randn(channels, generator=generator)
    tracks[2].mask_embedding = memory
    drawn = exchanged_drawing(prediction, tracks, [2, 0], features, located=located)
    for y in range(5):
        for x in range(7):
            cell = features[:, y, x]
            appearance = sum(float(memory[c] * cell[c]) for c in range(APPEARANCE))
            place = sum(float(own[2, c] * cell[c]) for c in range(APPEARANCE, channels))
            assert float(drawn[0, y, x]) == pytest.approx(appearance + place, abs=1e-5)
    torch.testing.assert_close(drawn[1], (own[0][:, None, None] * features).sum(0))


def test_no_instances_draw_nothing():
    empty = FramePrediction(
        torch.zeros(0, 2), torch.zeros(0), torch.zeros(0, 5, 7), torch.zeros(0, 2), torch.zeros(0, 3), guests(0)
    )
    assert exchanged_drawing(empty, [], [], torch.zeros(3, 5, 7), located=False).shape == (0, 5, 7)
