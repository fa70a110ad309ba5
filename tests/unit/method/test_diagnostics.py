"""The figures of the training log against the same told by plain loops."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_batches import ALL_ON, LOSS, MATCHING, PAIRS, cell_valid, make_batch, make_output

from qcen_core.method.criterion import SetCriterion
from qcen_core.method.diagnostics import exchange_figures, pair_figures
from qcen_core.ops.ranks import Ranks
from qcen_core.structures import FramePairs, Match, SegmenterOutput


def match_of(rows):
    table = torch.tensor(rows, dtype=torch.int64).reshape(-1, 3)
    return Match(table[:, 0], table[:, 1], table[:, 2])


def pairs_of(couples):
    table = torch.tensor([*couples, *[(b, a) for a, b in couples]], dtype=torch.int64).reshape(-1, 2)
    return FramePairs(table[:, 0], table[:, 1])


def parts(figures):
    return {name: (float(f.numerator), float(f.denominator)) for name, f in figures.items()}


def test_pairs_worked_out_by_hand():
    """Tracks 5 and 8 in both frames of a clip, exchanged in the pairs but for one; a third track is not found."""
    ids = (torch.tensor([5, 8, 2]), torch.tensor([2, 8, 5]))
    match = match_of([(0, 4, 0), (0, 1, 1), (0, 0, 2), (1, 3, 0), (1, 2, 1), (1, 0, 2)])
    pairs = pairs_of([(0, 4), (2, 3)])  # 5 with 8: wrong; 2 with 2: right
    assert parts(pair_figures(pairs, match, ids, 2)) == {"pair_precision": (2, 4), "pair_recall": (2, 6)}


def test_tracks_of_two_clips_may_share_a_number():
    ids = (torch.tensor([1]), torch.tensor([1]), torch.tensor([1]), torch.tensor([7]))
    match = match_of([(frame, 0, 0) for frame in range(4)])
    assert parts(pair_figures(pairs_of([(2, 3)]), match, ids, 2)) == {"pair_precision": (0, 2), "pair_recall": (0, 2)}


def slow_pair_figures(pairs, match, ids, clip_frames):
    rows = list(zip(match.frames.tolist(), match.labels.tolist(), strict=True))
    track = [int(ids[frame][label]) for frame, label in rows]
    listed = list(zip(pairs.anchor.tolist(), pairs.positive.tolist(), strict=True))
    judged = [(a, b) for a, b in listed if track[a] != -1 and track[b] != -1]
    right = [(a, b) for a, b in judged if track[a] == track[b]]
    true = [
        (a, b)
        for a in range(len(rows))
        for b in range(len(rows))
        if rows[a][0] != rows[b][0]
        and rows[a][0] // clip_frames == rows[b][0] // clip_frames
        and track[a] == track[b] != -1
    ]
    return {"pair_precision": (len(right), len(judged)), "pair_recall": (len(set(right) & set(true)), len(true))}


@settings(max_examples=60)
@given(st.data())
def test_pairs_as_plain_loops_count_them(data):
    clip_frames = data.draw(st.sampled_from([2, 3]))
    counts = [data.draw(st.integers(0, 4)) for _ in range(2 * clip_frames)]
    ids = tuple(
        torch.tensor(data.draw(st.lists(st.integers(0, 5), min_size=n, max_size=n, unique=True)), dtype=torch.int64)
        for n in counts
    )
    ids = tuple(torch.where(i == 5, -1, i) for i in ids)  # one track is not known
    rows = [(frame, label, label) for frame, n in enumerate(counts) for label in range(n)]
    couples = [
        (a, b)
        for a, (frame, _, _) in enumerate(rows)
        for b, (other, _, _) in enumerate(rows)
        if frame < other and frame // clip_frames == other // clip_frames and data.draw(st.booleans())
    ]
    match, pairs = match_of(rows), pairs_of(couples)
    assert parts(pair_figures(pairs, match, ids, clip_frames)) == slow_pair_figures(pairs, match, ids, clip_frames)


def sigmoid(value):
    return 1 / (1 + math.exp(-value))


def drawn(output: SegmenterOutput, source, query, frame):
    """The mask logits that a query draws on a frame, cell by cell."""
    embedding, features = output.mask_embeddings[source, query].tolist(), output.mask_features[frame]
    channels, height, width = features.shape
    values = features.tolist()
    return [[sum(embedding[c] * values[c][y][x] for c in range(channels)) for x in range(width)] for y in range(height)]


def mass(logits, valid):
    cells = [sigmoid(v) for row, ok in zip(logits, valid, strict=True) for v, good in zip(row, ok, strict=True) if good]
    return sum(cells) / len(cells)


def slow_exchange_figures(output, match, pairs, valid, other_clip, clip_frames):
    rows = list(zip(match.frames.tolist(), match.queries.tolist(), strict=True))
    own = output.final.mask_logits.tolist()
    ious = []
    for a, b in zip(pairs.anchor.tolist(), pairs.positive.tolist(), strict=True):
        (source, query), (target, partner) = rows[a], rows[b]
        exchanged = drawn(output, source, query, target)
        both = either = 0
        for y, row in enumerate(valid[target]):
            for x, good in enumerate(row):
                one, other = exchanged[y][x] > 0, own[target][partner][y][x] > 0
                both += good and one and other
                either += good and (one or other)
        if either:
            ious.append(both / either)
    across = at_home = 0.0
    for frame, query in rows:
        target = other_clip[frame // clip_frames] * clip_frames + frame % clip_frames
        across += mass(drawn(output, frame, query, target), valid[target])
        at_home += mass(own[frame][query], valid[frame])
    return {"exchanged_iou": (sum(ious), len(ious)), "exchanged_mass": (across, at_home)}


@pytest.mark.parametrize("seed", range(3))
def test_exchanged_masks_as_plain_loops_measure_them(seed):
    output, batch = make_output(seed=seed), make_batch(seed=seed + 1)
    found = SetCriterion(LOSS, MATCHING, PAIRS)(output, batch, ALL_ON)
    valid = cell_valid(batch)
    assert not valid.all()
    assert len(found.pairs.anchor) > 2
    figures = exchange_figures(output, found.match, found.pairs, valid, batch.sources, 2, Ranks())
    slow = slow_exchange_figures(output, found.match, found.pairs, valid.tolist(), (1, 2, 0), 2)
    assert parts(figures) == {name: pytest.approx(value, rel=1e-4) for name, value in slow.items()}
    assert not any(part.requires_grad for figure in figures.values() for part in figure)


@pytest.mark.parametrize("clip_frames", [2, 3])
def test_guests_are_measured_by_their_final_masks(clip_frames):
    output = make_output(guests=True)
    batch = make_batch(seed=1, clip_frames=clip_frames)
    found = SetCriterion(LOSS, MATCHING, PAIRS)(output, batch, ALL_ON)
    valid, match = cell_valid(batch), found.match
    figures = exchange_figures(output, match, found.pairs, valid, batch.sources, clip_frames, Ranks())
    ious, across, at_home = [], 0.0, 0.0
    for a, b in zip(found.pairs.anchor.tolist(), found.pairs.positive.tolist(), strict=True):
        source, target = int(match.frames[a]), int(match.frames[b])
        if (source - target) % clip_frames == 1 or clip_frames == 2:
            guest = (output.exchanged.intra[-1].mask_logits[target, match.queries[a]] > 0)[valid[target]]
            own = (output.final.mask_logits[target, match.queries[b]] > 0)[valid[target]]
            ious.append((guest & own).sum().item() / (guest | own).sum().item())
    for frame, query in zip(match.frames.tolist(), match.queries.tolist(), strict=True):
        target = (frame - clip_frames) % 6
        across += mass(output.exchanged.inter[-1].mask_logits[target, query].tolist(), valid[target].tolist())
        at_home += mass(output.final.mask_logits[frame, query].tolist(), valid[frame].tolist())
    assert len(ious) >= 2
    slow = {"exchanged_iou": (sum(ious), len(ious)), "exchanged_mass": (across, at_home)}
    assert parts(figures) == {name: pytest.approx(value, rel=1e-4) for name, value in slow.items()}


def test_guests_that_come_to_their_own_video_have_no_mass():
    output, batch = make_output(guests=True), make_batch(sources=("a", "a", "b"))
    found = SetCriterion(LOSS, MATCHING, PAIRS)(output, batch, ALL_ON)
    figures = exchange_figures(output, found.match, found.pairs, found.scene.valid, batch.sources, 2, Ranks())
    home = output.final.mask_logits.sigmoid() * found.scene.valid[:, None]
    home = home.sum((-2, -1)) / found.scene.valid.sum((-2, -1))[:, None]
    counted = (found.match.frames < 2) | (found.match.frames >= 4)
    expected = home[found.match.frames, found.match.queries][counted].sum().item()
    assert figures["exchanged_mass"].denominator.item() == pytest.approx(expected, rel=1e-5)


def test_clips_of_one_video_have_no_mass_across_videos():
    output, batch = make_output(), make_batch(sources=("a", "a", "a"))
    found = SetCriterion(LOSS, MATCHING, PAIRS)(output, batch, ALL_ON)
    figures = exchange_figures(output, found.match, found.pairs, found.scene.valid, batch.sources, 2, Ranks())
    assert set(figures) == {"exchanged_iou"}


def test_without_labels_every_denominator_is_zero():
    output, batch = make_output(4), make_batch((0, 0, 0, 0))
    criterion = SetCriterion(LOSS, MATCHING, PAIRS)
    found = criterion(output, batch, ALL_ON)
    pairs = criterion.pseudo_pairs(output, found.match, found.scene)
    empty = (torch.zeros(0, dtype=torch.int64),) * 4
    figures = pair_figures(pairs, found.match, empty, 2)
    figures |= exchange_figures(output, found.match, pairs, found.scene.valid, batch.sources, 2, Ranks())
    assert parts(figures) == dict.fromkeys(figures, (0, 0))
    assert len(figures) == 4
