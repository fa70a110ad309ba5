"""Negatives from other videos in the contrast, against a plain loop."""

import math

import pytest
import torch
from synthetic_batches import CLIP_FRAMES, LOSS, MATCHING, PAIRS, make_batch, make_output, only

from qcen_core.method.contrast_terms import matches_of_other_videos
from qcen_core.method.criterion import SetCriterion
from qcen_core.structures import Match

FAR = LOSS.model_copy(update={"contrast_other_videos": True})
BOTH = only("contrast", "contrast_auxiliary")


def found_of(loss, output, batch):
    return SetCriterion(loss, MATCHING, PAIRS)(output, batch, BOTH)


def cosine(a, b):
    return (a @ b / (a.norm() * b.norm())).item()


def plain(output, found, sources):
    """Both terms by loops: negatives are the other queries of the frame, and matched queries of other videos."""
    z, match = output.contrast_embeddings.detach(), found.match
    rows = list(zip(match.frames.tolist(), match.queries.tolist(), strict=True))
    contrast, auxiliary, count = 0.0, 0.0, len(found.pairs.anchor)
    for a, p in zip(found.pairs.anchor.tolist(), found.pairs.positive.tolist(), strict=True):
        anchor, (frame, query) = z[rows[a]], rows[p]
        negatives = [z[frame, k] for k in range(z.shape[1]) if k != query]
        own_video = sources[rows[a][0] // CLIP_FRAMES]
        negatives += [z[f, q] for f, q in rows if sources[f // CLIP_FRAMES] != own_video]
        positive = z[frame, query]
        contrast += math.log(1 + sum(math.exp(anchor @ n - anchor @ positive) for n in negatives))
        squares = sum(cosine(anchor, n) ** 2 for n in negatives) / len(negatives)
        auxiliary += ((cosine(anchor, positive) - 1) ** 2 + squares) / 2
    return {"contrast": contrast / count, "contrast_auxiliary": auxiliary / count}


@pytest.mark.parametrize("sources", [("a", "b", "c"), ("a", "b", "a"), ("b", "a", "a")])
def test_terms_are_those_of_a_plain_loop(sources):
    output, batch = make_output(), make_batch(sources=sources)
    found = found_of(FAR, output, batch)
    expected = plain(output, found, sources)
    assert {name: value.item() for name, value in found.terms.items()} == pytest.approx(expected, rel=1e-4)
    assert found.terms["contrast"] > found_of(LOSS, output, batch).terms["contrast"]


def test_clips_of_one_video_are_never_negatives():
    output, batch = make_output(), make_batch(sources=("a", "a", "a"))
    near, far = found_of(LOSS, output, batch).terms, found_of(FAR, output, batch).terms
    for name in near:
        torch.testing.assert_close(near[name], far[name])
    frames = torch.tensor([0, 1, 2, 2, 4, 5])
    match = Match(frames, frames, frames)
    foreign = matches_of_other_videos(match, ("a", "b", "a"), CLIP_FRAMES)
    assert (
        foreign.tolist()
        == [[False, False, True, True, False, False]] * 2
        + [[True, True, False, False, True, True]] * 2
        + [[False, False, True, True, False, False]] * 2
    )


def test_other_videos_learn_and_gradients_are_finite():
    output, batch = make_output(), make_batch(counts=(2, 2, 3, 0, 0, 0))  # the second clip has no pair
    found = found_of(FAR, output, batch)
    assert set(found.match.frames[found.pairs.anchor].tolist()) == {0, 1}
    sum(found.terms.values()).backward()
    gradient = output.contrast_embeddings.grad
    assert torch.isfinite(gradient).all()
    matched = found.match.queries[found.match.frames == 2]
    assert gradient[2, matched].abs().sum(1).min() > 0
    unmatched = [query for query in range(gradient.shape[1]) if query not in matched.tolist()]
    assert not gradient[2, unmatched].any()
    assert not gradient[3:].any()
