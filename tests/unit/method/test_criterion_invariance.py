"""What the criterion must not depend on: padding, the order of labels, the order of clips."""

import dataclasses

import pytest
import torch
from synthetic_batches import (
    ALL_ON,
    CLIP_FRAMES,
    cell_valid,
    make_batch,
    make_output,
    terms_of,
    values,
)

from qcen_core.method.criterion import total_loss
from qcen_core.structures import ClipBatch, Exchanged, SegmenterOutput, StrongLabels


def with_garbage_in_padding(output: SegmenterOutput, batch: ClipBatch):
    generator = torch.Generator().manual_seed(9)
    cells, pixels = cell_valid(batch)[:, None], batch.valid[:, None, None]
    assert not cells.all()

    def soil(values, valid, size):
        garbage = size * torch.randn(values.shape, generator=generator)
        return torch.where(valid, values.detach(), garbage.to(values.dtype)).requires_grad_(values.requires_grad)

    layers = tuple(layer._replace(mask_logits=soil(layer.mask_logits, cells, 30)) for layer in output.layers)
    exchanged = output.exchanged and Exchanged(
        *(tuple(layer._replace(mask_logits=soil(layer.mask_logits, cells, 30)) for layer in guests)
          for guests in output.exchanged)
    )  # fmt: skip
    soiled = output._replace(
        layers=layers,
        exchanged=exchanged,
        mask_features=soil(output.mask_features, cells, 30),
        center_logits=soil(output.center_logits, cells, 30),
    )
    images = torch.where(pixels, batch.images, torch.randint(0, 256, batch.images.shape, generator=generator))
    strong = batch.strong
    if strong is not None:
        masks = tuple(m | ~v for m, v in zip(strong.masks, batch.frame_valid(), strict=True))
        strong = StrongLabels(masks, strong.track_ids)
    return soiled, dataclasses.replace(batch, images=images.to(torch.uint8), strong=strong)


@pytest.mark.parametrize("guests", [False, True])
@pytest.mark.parametrize("strong", ["", "mask+id"])
def test_padded_pixels_change_nothing_and_learn_nothing(strong, guests):
    output, batch = make_output(located=True, guests=guests), make_batch(strong=strong)
    soiled, padded = with_garbage_in_padding(output, batch)
    terms = terms_of(soiled, padded)
    assert values(terms) == pytest.approx(values(terms_of(output, batch)), rel=1e-5)
    total_loss(terms, ALL_ON).backward()
    padding = ~cell_valid(batch)[:, None]
    layers = soiled.layers
    if guests:
        layers += soiled.exchanged.intra[1:] + soiled.exchanged.inter[1:]
    drawn_on = () if guests else (soiled.mask_features,)
    for leaf in (*drawn_on, soiled.center_logits, *(layer.mask_logits for layer in layers)):
        assert not leaf.grad[padding.expand_as(leaf)].any()


def reordered_labels(batch: ClipBatch, seed):
    generator = torch.Generator().manual_seed(seed)
    orders = [torch.randperm(len(target.labels), generator=generator) for target in batch.targets]

    def pick(tensors):
        return None if tensors is None else tuple(t[order] for t, order in zip(tensors, orders, strict=True))

    targets = tuple(type(t)(t.boxes[o], t.labels[o]) for t, o in zip(batch.targets, orders, strict=True))
    strong = batch.strong and StrongLabels(pick(batch.strong.masks), pick(batch.strong.track_ids))
    return dataclasses.replace(batch, targets=targets, strong=strong)


@pytest.mark.parametrize("strong", ["", "id", "mask", "mask+id"])
@pytest.mark.parametrize("guests", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_labels_does_not_matter(strong, seed, guests):
    output, batch = make_output(seed=seed, located=True, guests=guests), make_batch(strong=strong)
    expected = values(terms_of(output, batch))
    assert values(terms_of(output, reordered_labels(batch, seed))) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("strong", ["", "id", "mask", "mask+id"])
@pytest.mark.parametrize("guests", [False, True])
@pytest.mark.parametrize("order", [(1, 0, 2), (2, 0, 1)])
def test_the_order_of_clips_does_not_matter(strong, order, guests):
    output, batch = make_output(located=True, guests=guests), make_batch(strong=strong)
    frames = torch.tensor([clip * CLIP_FRAMES + t for clip in order for t in range(CLIP_FRAMES)])

    def pick(tensors):
        return None if tensors is None else tuple(tensors[n] for n in frames)

    def move(layers):
        return tuple(type(layer)(*(tensor[frames] for tensor in layer)) for layer in layers)

    moved = SegmenterOutput(
        move(output.layers),
        *(tensor[frames] for tensor in output[1:-1]),
        output.exchanged and Exchanged(*map(move, output.exchanged)),
    )
    clips = list(order)
    strong_labels = batch.strong and StrongLabels(pick(batch.strong.masks), pick(batch.strong.track_ids))
    other = ClipBatch(
        images=batch.images[clips],
        valid=batch.valid[clips],
        frame_times=batch.frame_times[clips],
        targets=pick(batch.targets),
        strong=strong_labels,
        sources=tuple(batch.sources[clip] for clip in clips),
    )
    weights = ALL_ON | {"inter": 0.0, "inter_class": 0.0}
    assert values(terms_of(moved, other, weights)) == pytest.approx(values(terms_of(output, batch, weights)), rel=1e-5)
