"""Cross-frame matching on cases whose answer is known by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qcen_core.method.pairs import box_affinity, identity_pairs, pseudo_identity_pairs, query_affinity


def pairs_of(boxes, frames, *, labels=None, embeddings=None, clip_frames=2, affinity="boxes", threshold=1.0):
    """The pairs as a set; by default one class, equal queries, and nothing but mutual bests."""
    count = len(frames)
    found = pseudo_identity_pairs(
        torch.tensor(boxes, dtype=torch.float32).reshape(count, 4),
        torch.tensor(labels or [0] * count),
        torch.ones(count, 3) if embeddings is None else torch.tensor(embeddings),
        torch.tensor(frames),
        torch.tensor([frame % clip_frames for frame in frames]),
        clip_frames=clip_frames,
        affinity=affinity,
        threshold=threshold,
    )
    pairs = list(zip(found.anchor.tolist(), found.positive.tolist(), strict=True))
    assert len(set(pairs)) == len(pairs)
    return set(pairs)


def both(*pairs):
    return {pair for a, b in pairs for pair in ((a, b), (b, a))}


def square(x, y, side=10):
    return [x, y, x + side, y + side]


def test_moving_boxes_are_followed_and_both_directions_listed():
    boxes = [square(0, 0), square(60, 0), square(63, 4), square(5, 2)]
    assert pairs_of(boxes, [0, 0, 1, 1]) == both((0, 3), (1, 2))


def test_box_affinity_by_hand():
    boxes = torch.tensor([square(0, 0), square(5, 0)], dtype=torch.float32)
    # Overlap 50 of 150; centres half a side apart, three frames between.
    affinity = box_affinity(boxes, torch.tensor([2, 5]))
    assert affinity[0, 1].item() == pytest.approx((1 / 3 + math.exp(-0.5 / 3)) / 2)
    assert affinity[0, 0].item() == pytest.approx(1)
    torch.testing.assert_close(affinity, affinity.T)


def test_boxes_that_no_longer_overlap_still_find_themselves():
    assert pairs_of([square(0, 0), square(200, 0), square(15, 0), square(185, 0)], [0, 0, 1, 1]) == both((0, 2), (1, 3))


def test_twins_are_told_apart_by_geometry():
    boxes = [square(0, 0), square(12, 0), square(14, 1), square(2, 1)]
    twins = [[1.0, 0.0]] * 4
    for affinity in ("boxes", "queries+boxes"):
        assert pairs_of(boxes, [0, 0, 1, 1], embeddings=twins, affinity=affinity) == both((0, 3), (1, 2))


def test_queries_alone_ignore_the_boxes():
    boxes = [square(0, 0), square(60, 0), square(0, 0), square(60, 0)]
    crossed = [[1.0, 0.1], [0.1, 1.0], [0.1, 1.0], [1.0, 0.1]]
    expected = both((0, 3), (1, 2))
    assert pairs_of(boxes, [0, 0, 1, 1], embeddings=crossed, affinity="queries") == expected
    elsewhere = [square(900 * i, 7) for i in range(4)]
    assert pairs_of(elsewhere, [0, 0, 1, 1], embeddings=crossed, affinity="queries") == expected
    assert pairs_of(boxes, [0, 0, 1, 1], embeddings=crossed, affinity="boxes") == both((0, 2), (1, 3))


def test_query_affinity_is_the_cosine_in_0_to_1():
    embeddings = torch.tensor([[3.0, 0.0], [0.0, 5.0], [-2.0, 0.0]])
    torch.testing.assert_close(query_affinity(embeddings)[0], torch.tensor([1.0, 0.5, 0.0]))


def test_different_categories_are_never_paired():
    assert pairs_of([square(0, 0), square(0, 0)], [0, 1], labels=[0, 1], threshold=0.0) == set()
    # The only place of the second category is taken from nobody.
    boxes = [square(0, 0), square(40, 0), square(0, 0), square(1, 0)]
    assert pairs_of(boxes, [0, 0, 1, 1], labels=[0, 1, 1, 0], threshold=0.0) == both((0, 3), (1, 2))


def test_a_couple_needs_mutual_best_or_the_threshold():
    # 0 takes 2. What is left is 1 with 3, but 3 lies nearer to 0: only the threshold can let this couple in.
    boxes = [square(0, 0), square(40, 0), square(2, 0), square(18, 0)]
    affinity = box_affinity(torch.tensor(boxes, dtype=torch.float32), torch.tensor([0, 0, 1, 1]))
    assert affinity[0, 3] > affinity[1, 3] > affinity[1, 2]
    assert pairs_of(boxes, [0, 0, 1, 1], threshold=1.0) == both((0, 2))
    assert pairs_of(boxes, [0, 0, 1, 1], threshold=float(affinity[1, 3]) - 1e-4) == both((0, 2), (1, 3))
    assert pairs_of(boxes, [0, 0, 1, 1], threshold=float(affinity[1, 3]) + 1e-4) == both((0, 2))


def test_an_object_that_left_stays_alone():
    boxes = [square(0, 0), square(300, 200), square(1, 0)]
    assert pairs_of(boxes, [0, 0, 1]) == both((0, 2))


def test_frames_of_different_clips_are_never_paired():
    boxes = [square(0, 0)] * 4
    assert pairs_of(boxes, [0, 1, 2, 3]) == both((0, 1), (2, 3))
    assert pairs_of(boxes[:2], [1, 2], threshold=0.0) == set()


def test_three_frames_are_paired_two_by_two():
    boxes = [square(0, 0), square(4, 0), square(8, 0)]
    assert pairs_of(boxes, [0, 1, 2], clip_frames=3) == both((0, 1), (0, 2), (1, 2))
    assert pairs_of(boxes[:2], [3, 5], clip_frames=3) == both((0, 1))


def test_nothing_matched():
    assert pairs_of([], []) == set()
    found = identity_pairs(torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64), clip_frames=2)
    assert len(found.anchor) == len(found.positive) == 0


def test_embeddings_that_are_not_numbers_give_no_pairs():
    embeddings = [[math.nan] * 2] * 2
    assert pairs_of([square(0, 0)] * 2, [0, 1], embeddings=embeddings, affinity="queries+boxes") == set()


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 4)), max_size=13, unique=True), st.sampled_from([2, 3]))
def test_identity_pairs_are_those_of_the_loop(instances, clip_frames):
    instances = sorted(instances)  # (frame, identity)
    expected = {
        (a, b)
        for a, (s, first) in enumerate(instances)
        for b, (t, second) in enumerate(instances)
        if s != t and s // clip_frames == t // clip_frames and first == second
    }
    frames = torch.tensor([frame for frame, _ in instances], dtype=torch.int64)
    ids = torch.tensor([identity for _, identity in instances], dtype=torch.int64)
    found = identity_pairs(ids, frames, clip_frames=clip_frames)
    pairs = list(zip(found.anchor.tolist(), found.positive.tolist(), strict=True))
    assert set(pairs) == expected
    assert len(pairs) == len(expected)


@given(st.data())
def test_each_instance_has_at_most_one_partner_in_a_frame_and_pairs_are_symmetric(data):
    counts = data.draw(st.lists(st.integers(0, 4), min_size=6, max_size=6))
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 99)))
    frames = [frame for frame, count in enumerate(counts) for _ in range(count)]
    corner = (torch.rand(len(frames), 2, generator=generator) * 50).tolist()
    labels = torch.randint(0, 2, (len(frames),), generator=generator).tolist()
    pairs = pairs_of([square(*c) for c in corner], frames, labels=labels, clip_frames=3, threshold=0.3)
    assert pairs == {(b, a) for a, b in pairs}
    assert all(labels[a] == labels[b] and frames[a] // 3 == frames[b] // 3 and frames[a] != frames[b] for a, b in pairs)
    assert len({(a, frames[b]) for a, b in pairs}) == len(pairs)
