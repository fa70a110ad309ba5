"""Cycle consistency of pairs, against a plain walk over every way through a third frame."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from synthetic_batches import LOSS, MATCHING, make_batch, make_output, only

from qcen_core.config import PairConfig
from qcen_core.method.criterion import SetCriterion
from qcen_core.method.pairs import cycle_consistent
from qcen_core.structures import FramePairs


def kept_of(couples, frames):
    """Pairs that stay, for couples given in one direction."""
    table = torch.tensor([*couples, *[(b, a) for a, b in couples]], dtype=torch.int64).reshape(-1, 2)
    found = cycle_consistent(FramePairs(table[:, 0], table[:, 1]), torch.tensor(frames))
    kept = set(zip(found.anchor.tolist(), found.positive.tolist(), strict=True))
    assert kept == {(b, a) for a, b in kept}
    return {(a, b) for a, b in kept if a < b}


def plain(couples, frames):
    partners = {a: {} for a in range(len(frames))}
    for a, b in couples:
        partners[a][frames[b]] = b
        partners[b][frames[a]] = a

    def leads_elsewhere(start, end):
        arrived = [partners[through].get(frames[end], end) for through in partners[start].values()]
        return any(place != end for place in arrived)

    return {(a, b) for a, b in couples if not (leads_elsewhere(a, b) or leads_elsewhere(b, a))}


FRAMES = [0, 0, 1, 1, 2, 2]  # instances 0 2 4 are one object, 1 3 5 another


def test_a_closed_triangle_stays():
    couples = [(0, 2), (2, 4), (0, 4), (1, 3), (3, 5), (1, 5)]
    assert kept_of(couples, FRAMES) == set(couples)


def test_a_triangle_that_leads_elsewhere_is_dropped_whole():
    # Between frames 0 and 2 the two objects are swapped.
    couples = [(0, 2), (2, 4), (0, 5), (1, 3), (3, 5), (1, 4)]
    assert kept_of(couples, FRAMES) == set()


def test_the_end_of_a_way_says_nothing():
    couples = [(0, 2), (0, 4), (3, 5)]
    assert kept_of(couples, FRAMES) == set(couples)


def test_what_contradicts_each_other_goes_and_the_rest_stays():
    frames = [*FRAMES, 0, 1, 2]  # 6 7 8: a third object
    couples = [(0, 2), (2, 4), (0, 5), (6, 7), (7, 8), (6, 8)]
    # 0 leads to 5 but through 2 to 4. Nothing leads from 0 to another instance of frame 1 than 2.
    assert kept_of(couples, frames) == {(0, 2), (6, 7), (7, 8), (6, 8)}


def test_two_frames_and_no_pairs_are_left_alone():
    assert kept_of([(0, 2), (1, 3)], FRAMES[:4]) == {(0, 2), (1, 3)}
    assert kept_of([], FRAMES) == set()


@given(st.data())
def test_pairs_of_random_matchings_are_judged_as_by_a_plain_walk(data):
    sizes = data.draw(st.lists(st.integers(1, 4), min_size=2, max_size=5))
    frames = [frame for frame, size in enumerate(sizes) for _ in range(size)]
    members = [[m for m, frame in enumerate(frames) if frame == f] for f in range(len(sizes))]
    couples = []
    for first in range(len(sizes)):
        for second in range(first + 1, len(sizes)):
            columns = data.draw(st.permutations(members[second]))
            some = data.draw(st.integers(0, 4))
            couples += list(zip(members[first], columns, strict=False))[:some]
    assert kept_of(couples, frames) == plain(couples, frames)


@pytest.mark.parametrize(("clip_frames", "strong"), [(3, ""), (2, ""), (3, "id")])
def test_the_switch_drops_pseudo_identities_of_long_clips_only(clip_frames, strong):
    counts = (4, 3, 4, 3, 4, 4)
    batch, output = make_batch(counts, clip_frames=clip_frames, strong=strong), make_output()
    found = {}
    for cycle in (False, True):
        # Random queries agree on nothing, so that many ways lead elsewhere.
        criterion = SetCriterion(LOSS, MATCHING, PairConfig(affinity="queries", threshold=0, cycle=cycle))
        pairs = criterion(output, batch, only("contrast")).pairs
        found[cycle] = set(zip(pairs.anchor.tolist(), pairs.positive.tolist(), strict=True))
    assert found[True] <= found[False]
    assert (found[True] == found[False]) == (clip_frames == 2 or strong == "id")
