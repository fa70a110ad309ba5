"""The terms of guests against loops over couples and pairs; which visits count."""

import pytest
import torch
import torch.nn.functional as F
from synthetic_batches import CLASSES, COUNTS, GUEST_LAYERS, LOSS, cell_valid, make_batch, make_output, only, terms_of
from test_criterion_terms import couples, cropped, pairs_of_labels, projection_of, scene_of

from qcen_core.method import losses
from qcen_core.method.exchange_terms import matched_queries
from qcen_core.method.guest_terms import Visits, pairs_by_visit, visits_from_other_videos
from qcen_core.ops.ranks import Ranks
from qcen_core.structures import FramePairs, Match

NO_OBJECT = CLASSES


def visited(frame, clip_frames):
    """The frame before in the clip."""
    return frame - 1 if frame % clip_frames else frame + clip_frames - 1


def scenes(strong="", clip_frames=2, seed=0):
    output = make_output(located=True, guests=True, seed=seed)
    batch = make_batch(strong=strong, clip_frames=clip_frames, seed=seed + 1)
    match = scene_of(output, batch)[2][-1]
    met = [
        (s, i, t, j, label)
        for (s, i), (t, j, label) in pairs_of_labels(output, batch, match)
        if t == visited(s, clip_frames)
    ]
    assert len(met) >= 2
    return output, batch, match, met


@pytest.mark.parametrize("clip_frames", [2, 3])
@pytest.mark.parametrize("seed", range(2))
def test_class_of_the_partner_or_no_object(clip_frames, seed):
    output, batch, match, met = scenes(clip_frames=clip_frames, seed=seed)
    target = {(s, i): int(batch.targets[t].labels[label]) for s, i, t, _, label in met}
    expected = 0.0
    for layer in output.exchanged.intra[1:]:
        total = weight = 0.0
        for frame, query, _ in couples(match):
            wanted = target.get((frame, query), NO_OBJECT)
            share = LOSS.no_object_weight if wanted == NO_OBJECT else 1.0
            logits = layer.class_logits[visited(frame, clip_frames), query]
            total -= share * logits.log_softmax(0)[wanted].item()
            weight += share
        expected += total / weight
    assert len(target) < len(couples(match))
    found = terms_of(output, batch, only("intra_class"))["intra_class"]
    assert found.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("clip_frames", [2, 3])
def test_masks_and_boxes_of_pairs_after_every_layer(clip_frames):
    output, batch, _, met = scenes(clip_frames=clip_frames)
    valid = cell_valid(batch)
    expected = dict.fromkeys(("intra_projection", "intra_box_l1", "intra_box_giou", "intra_consistency"), 0.0)
    for _, i, t, j, label in met:
        box = batch.targets[t].boxes[label]
        extent = batch.frame_valid()[t].nonzero().amax(0).flip(0) + 1
        for layer in output.exchanged.intra[1:]:
            expected["intra_projection"] += projection_of(layer.mask_logits[t, i].detach(), box, valid[t])
            expected["intra_box_l1"] += losses.box_l1_loss(layer.boxes[t, i], box, extent).item()
            expected["intra_box_giou"] += losses.box_giou_loss(layer.boxes[t, i], box).item()
        last = output.exchanged.intra[-1].mask_logits[t, i]
        last, own = (cropped(m, valid[t]) for m in (last, output.final.mask_logits[t, j]))
        expected["intra_consistency"] += losses.consistency_loss(last, own, torch.ones_like(own, dtype=bool)).item()
    found = terms_of(output, batch)
    for name, total in expected.items():
        assert found[name].item() == pytest.approx(total / len(met), rel=1e-5), name


def test_true_masks_of_pairs_after_every_layer():
    output, batch, _, met = scenes(strong="mask")
    valid = cell_valid(batch)
    bce = dice = 0.0
    for _, i, t, _, label in met:
        mask = F.avg_pool2d(batch.strong.masks[t][label].float()[None], 4)[0]
        for layer in output.exchanged.intra[1:]:
            logits, inside = cropped(layer.mask_logits[t, i], valid[t]), cropped(mask, valid[t])
            bce += losses.mask_bce_loss(logits, inside, torch.ones_like(inside, dtype=bool)).item()
            dice += losses.mask_dice_loss(logits, inside, torch.ones_like(inside, dtype=bool)).item()
    found = terms_of(output, batch)
    assert found["intra_mask_bce"].item() == pytest.approx(bce / len(met), rel=1e-5)
    assert found["intra_mask_dice"].item() == pytest.approx(dice / len(met), rel=1e-5)


def test_true_identities_tell_whom_a_guest_must_find():
    output = make_output(located=True, guests=True)
    batch = make_batch(strong="id")
    ids = [{int(track): g for g, track in enumerate(tracks)} for tracks in batch.strong.track_ids]
    expected = pairs = 0
    for frame, query, label in couples(scene_of(output, batch)[2][-1]):
        t = visited(frame, 2)
        partner = ids[t].get(int(batch.strong.track_ids[frame][label]))
        if partner is not None:
            pairs += 1
            for layer in output.exchanged.intra[1:]:
                expected += losses.box_giou_loss(layer.boxes[t, query], batch.targets[t].boxes[partner]).item()
    assert pairs
    found = terms_of(output, batch, only("intra_box_giou"))["intra_box_giou"]
    assert found.item() == pytest.approx(expected / pairs, rel=1e-5)


@pytest.mark.parametrize("sources", [("a", "b", "c"), ("a", "a", "b"), ("a", "b", "a")])
def test_nothing_in_another_video(sources):
    output, batch = make_output(guests=True), make_batch(sources=sources)
    valid = cell_valid(batch)
    mask = score = guests = 0.0
    for frame, query, _ in couples(scene_of(output, batch)[2][-1]):
        clip, time = divmod(frame, 2)
        before = (clip - 1) % 3
        if sources[clip] == sources[before]:
            continue
        guests += 1
        for layer in output.exchanged.inter[1:]:
            mask += F.softplus(layer.mask_logits[before * 2 + time, query][valid[before * 2 + time]]).mean().item()
            score -= layer.class_logits[before * 2 + time, query].log_softmax(0)[NO_OBJECT].item()
    found = terms_of(output, batch)
    assert found["inter"].item() == pytest.approx(mask / sum(COUNTS), rel=1e-5)
    assert found["inter_class"].item() == pytest.approx(score / guests, rel=1e-5)


def test_only_what_has_seen_the_frame_is_taught():
    output, batch = make_output(located=True, guests=True), make_batch()
    sum(terms_of(output, batch, only("intra_class", "intra_projection", "intra_box_l1", "inter")).values()).backward()
    for kind, layers in zip(("intra", "inter"), output.exchanged, strict=True):
        taught = [layer.mask_logits.grad is not None and bool(layer.mask_logits.grad.any()) for layer in layers]
        assert taught == [False] + [True] * (GUEST_LAYERS - 1), kind


def test_consistency_holds_the_own_mask_fixed():
    output = make_output(guests=True)
    terms_of(output, make_batch(), only("intra_consistency"))["intra_consistency"].backward()
    assert all(layer.mask_logits.grad is None for layer in output.layers)
    assert output.exchanged.intra[-1].mask_logits.grad.any()


def test_a_lone_object_that_is_gone_is_no_object():
    """One label in the first frame, none in the second: its guest there owes "no object", and nothing else."""
    output, batch = make_output(2, located=True, guests=True), make_batch((1, 0))
    found = terms_of(output, batch)
    ((_, query, _),) = couples(scene_of(output, batch)[2][-1])
    expected = sum(
        -layer.class_logits[1, query].log_softmax(0)[NO_OBJECT].item() for layer in output.exchanged.intra[1:]
    )
    assert found["intra_class"].item() == pytest.approx(expected, rel=1e-5)
    others = [value.item() for name, value in found.items() if name.startswith("intra") and name != "intra_class"]
    assert others == [0.0] * 5


def test_pairs_by_visit_by_hand():
    match = Match(torch.tensor([0, 1, 2, 3, 5]), torch.arange(5), torch.zeros(5, dtype=torch.int64))
    every = FramePairs(torch.tensor([0, 1, 1, 2, 0, 2, 3, 4]), torch.tensor([1, 0, 2, 1, 2, 0, 4, 3]))
    met = pairs_by_visit(match, every, 3)  # 1 visits 0, 2 visits 1, 0 visits 2; 3 visits 5, 5 visits 4
    assert list(zip(met.anchor.tolist(), met.positive.tolist(), strict=True)) == [(1, 0), (2, 1), (0, 2), (3, 4)]
    two = FramePairs(torch.tensor([0, 1]), torch.tensor([1, 0]))
    assert pairs_by_visit(match, two, 2).anchor.tolist() == [0, 1]


def test_visits_from_other_videos_by_hand():
    match = Match(torch.tensor([0, 1, 3, 4, 4]), torch.arange(5), torch.zeros(5, dtype=torch.int64))
    matched = matched_queries(match, torch.zeros(6, 5))
    assert matched.nonzero().tolist() == [[0, 0], [1, 1], [3, 2], [4, 3], [4, 4]]
    assert visits_from_other_videos(matched, ("a", "a", "a"), 2, Ranks()) is None
    assert visits_from_other_videos(matched, ("a",), 6, Ranks()) is None
    visits = visits_from_other_videos(matched, ("a", "a", "b"), 2, Ranks())  # clip 1 would visit its own video
    assert isinstance(visits, Visits)
    assert visits.frames.tolist() == [2, 2, 4, 5]
    assert visits.queries.tolist() == [3, 4, 0, 1]
