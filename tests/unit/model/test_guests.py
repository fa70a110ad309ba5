"""Guests: queries of other frames in the decoder. Restated by hand, frame by frame; what learns from them."""

import pytest
import torch
from test_located_decoder import LOCATED, located_decoder
from test_transformer_decoder import slow_decode
from tiny_segmenter import CLASSES, TINY, all_valid, random_frames, tiny_segmenter

from qcen_core.model.pixel_decoder import PixelFeatures
from qcen_core.model.transformer_decoder import TransformerDecoder
from qcen_core.structures import Guests

CLIP_FRAMES = 3


def flat(layers):
    return [tensor for layer in layers for tensor in layer if tensor is not None]


def two_clips(model):
    """Features of two clips of three frames, the second one narrower."""
    frames = random_frames(2 * CLIP_FRAMES, 64, 96)
    valid = all_valid(frames)
    valid[CLIP_FRAMES:, :, 71:] = False
    return model.encode(frames, valid)


def one_frame(features, n):
    at = slice(n, n + 1)
    return PixelFeatures(
        features.mask_features[at],
        tuple(level[at] for level in features.levels),
        tuple(valid[at] for valid in features.valid),
        features.extent[at],
    )


@torch.no_grad()
def test_a_visit_equals_the_restatement():
    torch.manual_seed(2)
    decoder = TransformerDecoder(TINY, CLASSES).double()
    levels = tuple(torch.randn(1, 32, *size).double() for size in [(2, 3), (4, 6), (8, 12)])
    mask_features = torch.randn(1, 32, 16, 24).double()
    valid = tuple(torch.ones(1, *level.shape[-2:], dtype=torch.bool) for level in levels)
    features = PixelFeatures(mask_features, levels, valid, torch.tensor([[96.0, 64.0]]))
    guests = Guests(torch.randn(1, 5, 32).double(), torch.randn(1, 5, 32).double())
    output = decoder.visit(features, guests)
    slow = slow_decode(
        decoder, mask_features[0], [level[0] for level in levels], (guests.queries[0], guests.positions[0])
    )
    for layer, (class_logits, mask_logits) in zip(output.layers, slow, strict=True):
        torch.testing.assert_close(layer.class_logits[0], class_logits, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(layer.mask_logits[0], mask_logits, rtol=1e-6, atol=1e-6)
    assert output.center_logits is None
    assert output.exchanged is None
    assert torch.equal(output.positions, guests.positions)


@torch.no_grad()
@pytest.mark.parametrize("located", [False, True])
def test_exchange_is_a_visit_of_each_frame_by_the_queries_of_another(located):
    model = tiny_segmenter(located_queries=located).eval()
    features = two_clips(model)
    output = model.decode(features, CLIP_FRAMES)
    sources = {"intra": (1, 2, 0, 4, 5, 3), "inter": (3, 4, 5, 0, 1, 2)}
    for kind, layers in zip(("intra", "inter"), output.exchanged, strict=True):
        assert len(layers) == TINY.decoder_layers + 1
        for n, s in enumerate(sources[kind]):
            boxes = None
            if located:  # the same place relative to the frame
                boxes = output.final.boxes[s : s + 1].clone()
                boxes[..., 0::2] *= features.extent[n, 0] / features.extent[s, 0]
                boxes[..., 1::2] *= features.extent[n, 1] / features.extent[s, 1]
            guests = Guests(output.queries[s : s + 1], output.positions[s : s + 1], boxes)
            alone = model.visit(one_frame(features, n), guests)
            assert alone.queries.shape == output.queries[:1].shape
            for one, all_at_once in zip(flat(alone.layers), flat(layers), strict=True):
                torch.testing.assert_close(one[0], all_at_once[n], rtol=1e-3, atol=1e-3)


@torch.no_grad()
@pytest.mark.parametrize("located", [False, True])
def test_exchange_leaves_the_own_predictions_as_they_are(located):
    model = tiny_segmenter(located_queries=located).eval()
    features = two_clips(model)
    plain, exchanging = model.decode(features), model.decode(features, CLIP_FRAMES)
    assert plain.exchanged is None
    for one, other in zip(flat(plain.layers), flat(exchanging.layers), strict=True):
        assert torch.equal(one, other)


def test_a_single_clip_visits_itself_only():
    model = tiny_segmenter(located_queries=True)
    frames = random_frames(2, 32, 64)
    exchanged = model(frames, all_valid(frames), 2).exchanged
    assert len(exchanged.intra) == TINY.decoder_layers + 1
    assert exchanged.inter == ()


@torch.no_grad()
@pytest.mark.parametrize("located", [False, True])
def test_at_first_a_guest_draws_with_what_it_came_with(located):
    """Before the first layer a guest's mask is the plain product of its old embedding and the new features."""
    model = tiny_segmenter(located_queries=located).eval()
    output = model.decode(two_clips(model), CLIP_FRAMES)
    drawn = torch.einsum("qc,chw->qhw", output.mask_embeddings[1, :, :32], output.mask_features[0, :32])
    first = output.exchanged.intra[0]
    # Not to the last bit: products of another batch may be rounded otherwise, processor by processor.
    torch.testing.assert_close(first.class_logits[0], output.final.class_logits[1], rtol=1e-5, atol=1e-6)
    if not located:
        torch.testing.assert_close(first.mask_logits[0], drawn, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a_located_guest_begins_at_its_box():
    decoder = located_decoder()
    generator = torch.Generator().manual_seed(3)
    levels = tuple(torch.randn(1, 32, *size, generator=generator) for size in [(2, 3), (4, 6), (8, 12)])
    valid = tuple(torch.ones(1, *level.shape[-2:], dtype=torch.bool) for level in levels)
    mask_features = torch.randn(1, 32, 16, 24, generator=generator)
    features = PixelFeatures(mask_features, levels, valid, torch.tensor([[96.0, 64.0]]))
    boxes = torch.tensor([[[10.0, 20.0, 30.0, 28.0], [50.0, 3.0, 90.0, 60.0], [90.0, 50.0, 102.0, 78.0]]])
    queries = torch.randn(1, 3, LOCATED.hidden_dim, generator=generator)
    guests = Guests(queries, torch.full_like(queries, torch.nan), boxes)
    layers = decoder.visit(features, guests).layers
    assert torch.equal(layers[0].boxes, boxes)
    assert not torch.isclose(layers[-1].boxes, boxes).all(-1).any()
    decoder.place.shift.layers[-1].weight.zero_()  # nothing moves
    torch.testing.assert_close(decoder.visit(features, guests).final.boxes, boxes)


@pytest.mark.parametrize("located", [False, True])
def test_guests_teach_the_frame_they_come_from_but_not_through_its_boxes(located):
    model = tiny_segmenter(located_queries=located)
    features = two_clips(model)
    queries = torch.randn(6, 4, 32, requires_grad=True)
    positions = torch.randn(6, 4, 32, requires_grad=True)
    boxes = torch.tensor([5.0, 7.0, 31.0, 19.0]).expand(6, 4, 4).clone().requires_grad_() if located else None
    final = model.visit(features, Guests(queries, positions, boxes)).final
    (final.class_logits.square().sum() + final.mask_logits.square().sum()).backward()
    assert queries.grad.any()
    assert (positions.grad is None) == located
    if located:
        assert boxes.grad is None


def test_the_loss_of_a_guest_reaches_the_frame_it_comes_from():
    model = tiny_segmenter(located_queries=True)
    features = two_clips(model)
    for level in features.levels:
        level.retain_grad()
    model.decode(features, CLIP_FRAMES).exchanged.intra[-1].class_logits[0].square().sum().backward()
    reached = [bool(features.levels[1].grad[n].any()) for n in range(2 * CLIP_FRAMES)]
    assert reached == [True, True, False, False, False, False]  # frame 0 is visited from frame 1


def test_half_precision():
    model = tiny_segmenter(located_queries=True)
    frames = random_frames(4, 32, 64)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = model(frames, all_valid(frames), 2)
    for layer in output.float().exchanged.inter:
        assert all(tensor.dtype == torch.float32 and tensor.isfinite().all() for tensor in layer)
