"""Queries that draw the positive's mask once more are no negatives of the contrast."""

from types import SimpleNamespace

import torch
from synthetic_batches import make_output

from qcen_core.config import LossConfig
from qcen_core.method.contrast_terms import contrast_terms, duplicates
from qcen_core.method.shares import divided
from qcen_core.ops.ranks import Ranks
from qcen_core.structures import FramePairs, Match


def slow_duplicates(mask_logits, match, instances):
    labelled = set(zip(match.frames.tolist(), match.queries.tolist(), strict=True))
    rows = []
    for instance in instances.tolist():
        frame, query = int(match.frames[instance]), int(match.queries[instance])
        own = mask_logits[frame, query] > 0
        row = []
        for other in range(mask_logits.shape[1]):
            mask = mask_logits[frame, other] > 0
            union = int((own | mask).sum())
            iou = int((own & mask).sum()) / union if union else 0.0
            row.append((frame, other) not in labelled and iou >= 0.5)
        rows.append(row)
    return torch.tensor(rows)


def test_duplicates_have_half_the_union_and_no_label():
    generator = torch.Generator().manual_seed(3)
    masks = torch.randn(3, 5, 7, 11, generator=generator)
    masks[1, 2] = masks[1, 0]
    masks[1, 3, :, :8] = masks[1, 0, :, :8]
    masks[1, 4] = masks[1, 0]  # the frame's other label: twins that the model takes for one
    masks[2, 1] = -1.0  # two empty masks are not the same object
    masks[2, 4] = -1.0
    match = Match(torch.tensor([0, 1, 1, 2]), torch.tensor([4, 0, 4, 1]), torch.tensor([0, 0, 1, 0]))
    instances = torch.tensor([0, 1, 1, 3, 2])
    found = duplicates(masks, match, instances)
    assert torch.equal(found, slow_duplicates(masks, match, instances))
    assert found[1].tolist() == [False, False, True, True, False]
    assert not found[3].any()


def contrast_of(masks, embeddings):
    """Terms of one clip of two frames whose queries 0 hold one instance."""
    output = make_output(2)
    layers = (*output.layers[:-1], output.final._replace(mask_logits=masks))
    output = output._replace(layers=layers, contrast_embeddings=embeddings)
    match = Match(torch.tensor([0, 1]), torch.tensor([0, 0]), torch.tensor([0, 0]))
    pairs = FramePairs(torch.tensor([0, 1]), torch.tensor([1, 0]))
    scene = SimpleNamespace(
        config=LossConfig(), clip_frames=2, pair_count=lambda found: torch.tensor(float(len(found.anchor)))
    )
    weights = {"contrast": 1.0, "contrast_auxiliary": 1.0}
    return divided(contrast_terms(output, match, pairs, scene, weights), Ranks())


def test_the_embedding_of_a_duplicate_does_not_matter_and_that_of_another_does():
    generator = torch.Generator().manual_seed(5)
    queries = make_output(2).queries.shape[1]
    masks = torch.randn(2, queries, 7, 11, generator=generator)
    embeddings = torch.randn(2, queries, 6, generator=generator)
    moved = embeddings.clone()
    moved[:, 1] += 1.0
    for duplicate in (True, False):
        masks[:, 1] = masks[:, 0] if duplicate else -masks[:, 0]
        before, after = contrast_of(masks, embeddings), contrast_of(masks, moved)
        for name, value in before.items():
            assert torch.equal(value, after[name]) == duplicate, name
