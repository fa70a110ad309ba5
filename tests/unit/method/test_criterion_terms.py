"""The value of every term of the criterion against loops over frames, couples and pairs."""

import dataclasses
import math

import pytest
import torch
from synthetic_batches import (
    CLASSES,
    CLIP_FRAMES,
    COUNTS,
    HEIGHT,
    LAYERS,
    LOSS,
    MATCHING,
    PAIRS,
    QUERIES,
    STRIDE,
    WIDTH,
    cell_valid,
    make_batch,
    make_output,
    only,
    terms_of,
    values,
)

from qcen_core.method import losses
from qcen_core.method.matching import grid_labels, match_layers
from qcen_core.method.pairs import pseudo_identity_pairs
from qcen_core.ops.boxes import box_coverage, filled_boxes
from qcen_core.ops.place import frame_extent
from qcen_core.structures import StrongLabels


def scene_of(output, batch):
    """What the loops below need: valid cells, box masks by frame, the match of every output."""
    valid = cell_valid(batch)
    boxes = [
        filled_boxes(target.boxes, (HEIGHT, WIDTH), STRIDE) & inside
        for target, inside in zip(batch.targets, valid, strict=True)
    ]
    masks = None
    if batch.strong is not None and batch.strong.masks is not None:
        masks = batch.strong.masks
    labels = grid_labels(batch.targets, masks, valid, STRIDE)
    matches = match_layers(output.layers, labels, valid, frame_extent(batch.frame_valid()), MATCHING)
    return valid, boxes, matches


def couples(match):
    return list(zip(match.frames.tolist(), match.queries.tolist(), match.labels.tolist(), strict=True))


def cropped(mask, inside):
    """The map without the padded rows and columns at its end."""
    rows, columns = inside.any(dim=1).sum(), inside.any(dim=0).sum()
    return mask[:rows, :columns]


def projection_of(logits, box, inside):
    """What a mask owes to a box: cells in padding are empty."""
    p = torch.where(inside, logits.sigmoid(), 0.0)
    (columns,), (rows,) = box_coverage(box[None], (HEIGHT, WIDTH), STRIDE)
    pairs = ((p.amax(0), columns), (p.amax(1), rows))
    return sum(1 - 2 * (x @ t).item() / (x @ x + t @ t + 1e-5).item() for x, t in pairs)


def pairs_of_labels(output, batch, match):
    """((frame, query) of the anchor, (frame, query, label) of the positive), by the function tested on its own."""
    table = couples(match)
    found = pseudo_identity_pairs(
        torch.stack([batch.targets[n].boxes[g] for n, _, g in table]),
        torch.stack([batch.targets[n].labels[g] for n, _, g in table]),
        torch.stack([output.contrast_embeddings[n, q] for n, q, _ in table]),
        match.frames,
        batch.frame_times.flatten()[match.frames],
        clip_frames=batch.images.shape[1],
        affinity=PAIRS.affinity,
        threshold=PAIRS.threshold,
    )
    return [(table[a][:2], table[b]) for a, b in zip(found.anchor.tolist(), found.positive.tolist(), strict=True)]


def test_class_term_is_the_sum_over_outputs_of_one_target_a_query():
    output, batch = make_output(), make_batch()
    _, _, matches = scene_of(output, batch)
    expected = 0.0
    for layer, match in zip(output.layers, matches, strict=True):
        targets = torch.full((len(COUNTS), QUERIES), CLASSES)
        for frame, query, label in couples(match):
            targets[frame, query] = batch.targets[frame].labels[label]
        total, weight = losses.class_loss(layer.class_logits, targets, LOSS.no_object_weight)
        expected += (total / weight).item()
    assert terms_of(output, batch)["class"].item() == pytest.approx(expected)


def test_projection_and_filled_box_terms_are_sums_over_couples_of_cropped_maps():
    output, batch = make_output(), make_batch()
    valid, boxes, matches = scene_of(output, batch)
    projection = filled = 0.0
    for layer, match in zip(output.layers, matches, strict=True):
        for frame, query, label in couples(match):
            logits = cropped(layer.mask_logits[frame, query], valid[frame])
            box = cropped(boxes[frame][label], valid[frame])
            everywhere = torch.ones_like(box)
            whole = layer.mask_logits[frame, query].detach()
            projection += projection_of(whole, batch.targets[frame].boxes[label], valid[frame])
            filled += losses.mask_bce_loss(logits, box.float(), everywhere).item()
            filled += losses.mask_dice_loss(logits, box.float(), everywhere).item()
    terms = terms_of(output, batch)
    assert terms["projection"].item() == pytest.approx(projection / sum(COUNTS))
    assert terms["filled_box"].item() == pytest.approx(filled / sum(COUNTS))


def test_contrast_terms_are_means_over_pairs():
    output, batch = make_output(), make_batch()
    pairs = pairs_of_labels(output, batch, scene_of(output, batch)[2][-1])
    assert len(pairs) >= 4
    contrast = auxiliary = 0.0
    for (s, i), (t, j, _) in pairs:
        anchor, others = output.contrast_embeddings[s, i], output.contrast_embeddings[t]
        dots = (others @ anchor).tolist()
        contrast += math.log(1 + sum(math.exp(d - dots[j]) for q, d in enumerate(dots) if q != j))
        cosines = [d / (anchor.norm() * other.norm()).item() for d, other in zip(dots, others, strict=True)]
        negatives = [c * c for q, c in enumerate(cosines) if q != j]
        auxiliary += ((cosines[j] - 1) ** 2 + sum(negatives) / len(negatives)) / 2
    terms = terms_of(output, batch)
    assert terms["contrast"].item() == pytest.approx(contrast / len(pairs), rel=1e-5)
    assert terms["contrast_auxiliary"].item() == pytest.approx(auxiliary / len(pairs), rel=1e-5)


def test_intra_terms_draw_the_anchors_query_on_the_positives_frame():
    output, batch = make_output(), make_batch()
    valid, _, matches = scene_of(output, batch)
    projection = consistency = 0.0
    pairs = pairs_of_labels(output, batch, matches[-1])
    for (s, i), (t, j, label) in pairs:
        exchanged = torch.einsum("c,chw->hw", output.mask_embeddings[s, i], output.mask_features[t])
        projection += projection_of(exchanged.detach(), batch.targets[t].boxes[label], valid[t])
        exchanged, own = (cropped(m, valid[t]) for m in (exchanged, output.final.mask_logits[t, j]))
        consistency += losses.consistency_loss(exchanged, own, torch.ones_like(own, dtype=torch.bool)).item()
    terms = terms_of(output, batch)
    assert terms["intra_projection"].item() == pytest.approx(projection / len(pairs), rel=1e-5)
    assert terms["intra_consistency"].item() == pytest.approx(consistency / len(pairs), rel=1e-5)


def test_inter_term_draws_nothing_on_the_next_clip():
    output, batch = make_output(), make_batch()
    valid, _, matches = scene_of(output, batch)
    expected = 0.0
    for frame, query, _ in couples(matches[-1]):
        other = (frame + CLIP_FRAMES) % len(COUNTS)
        mask = torch.einsum("c,chw->hw", output.mask_embeddings[frame, query], output.mask_features[other])
        expected += torch.nn.functional.softplus(mask[valid[other]]).mean().item()
    assert terms_of(output, batch)["inter"].item() == pytest.approx(expected / sum(COUNTS), rel=1e-5)


def test_mask_terms_are_sums_over_couples_of_true_masks():
    output, batch = make_output(), make_batch(strong="mask")
    valid, _, matches = scene_of(output, batch)
    bce = dice = 0.0
    for layer, match in zip(output.layers, matches, strict=True):
        for frame, query, label in couples(match):
            mask = batch.strong.masks[frame][label].float().view(HEIGHT, STRIDE, WIDTH, STRIDE).mean((1, 3))
            logits, mask = (cropped(m, valid[frame]) for m in (layer.mask_logits[frame, query], mask))
            everywhere = torch.ones_like(mask, dtype=torch.bool)
            bce += losses.mask_bce_loss(logits, mask, everywhere).item()
            dice += losses.mask_dice_loss(logits, mask, everywhere).item()
    terms = terms_of(output, batch)
    assert terms["mask_bce"].item() == pytest.approx(bce / sum(COUNTS))
    assert terms["mask_dice"].item() == pytest.approx(dice / sum(COUNTS))


def test_deep_supervision_is_the_sum_over_outputs():
    output, batch = make_output(), make_batch()
    weights = only("class", "projection", "pairwise", "filled_box")
    together = values(terms_of(output, batch, weights))
    alone = [values(terms_of(output._replace(layers=(layer,)), batch, weights)) for layer in output.layers]
    assert len(alone) == LAYERS
    assert together == pytest.approx({name: sum(terms[name] for terms in alone) for name in together})


def test_true_identities_replace_the_pseudo_pairs():
    output = make_output(4)
    ids = make_batch((2, 2, 1, 1), strong="id")
    crossed = (torch.tensor([4, 6]), torch.tensor([6, 4]), torch.tensor([9]), torch.tensor([8]))
    ids = dataclasses.replace(ids, strong=StrongLabels(None, crossed))
    match = scene_of(output, ids)[2][-1]
    by_label = {(n, g): q for n, q, g in couples(match)}
    expected = []
    for (s, a), (t, b) in (((0, 0), (1, 1)), ((0, 1), (1, 0)), ((1, 1), (0, 0)), ((1, 0), (0, 1))):
        dots = output.contrast_embeddings[t] @ output.contrast_embeddings[s, by_label[s, a]]
        expected.append((dots.logsumexp(0) - dots[by_label[t, b]]).item())
    assert terms_of(output, ids)["contrast"].item() == pytest.approx(sum(expected) / 4, rel=1e-5)


def test_pairwise_reads_red_green_blue_and_not_the_reverse():
    # Two blues that look alike; with red and blue swapped they would be two reds that do not.
    output, batch = make_output(2), make_batch((1, 1))
    columns = torch.arange(WIDTH * STRIDE) // STRIDE % 4 < 2  # stripes two cells wide: every horizontal edge crosses
    blue, other = (torch.tensor(color).view(3, 1, 1) for color in ([60, 0, 255], [48, 6, 255]))
    images = torch.where(columns, blue, other).expand(1, 2, 3, HEIGHT * STRIDE, -1).to(torch.uint8)
    weights = only("pairwise")

    def pairwise(images):
        return terms_of(output, dataclasses.replace(batch, images=images), weights)["pairwise"].item()

    plain = pairwise(torch.zeros_like(images))  # one colour: every edge counts
    assert pairwise(images) == pytest.approx(plain)
    assert pairwise(images.flip(2)) != pytest.approx(plain)
