"""The decoder with located queries: shapes, places, padding, precision, and what teaches it."""

import pytest
import torch
from test_padding import SNUG, WIDE, padded, valid_mask
from tiny_segmenter import CLASSES, TINY, all_valid, random_frames, tiny_segmenter
from torch import nn

from qcen_core.config import LossConfig, MatchingConfig, PairConfig
from qcen_core.method.criterion import TERM_NAMES, SetCriterion, total_loss
from qcen_core.model.pixel_decoder import PixelFeatures, shrink_valid
from qcen_core.model.query_seeds import SEED_SIDE
from qcen_core.model.transformer_decoder import TransformerDecoder
from qcen_core.ops.place import PLACE_CHANNELS
from qcen_core.structures import BoxTarget, ClipBatch, StrongLabels

LOCATED = TINY.model_copy(update={"located_queries": True})


def located_decoder(seed=0):
    """A decoder whose boxes have moved; a map of centres that looks at single cells, and so not at padding."""
    torch.manual_seed(seed)
    decoder = TransformerDecoder(LOCATED, CLASSES)
    decoder.seeds.center = nn.Sequential(nn.Conv2d(32, 32, 1), nn.ReLU(), nn.Conv2d(32, CLASSES, 1))
    nn.init.normal_(decoder.place.shift.layers[-1].weight, std=0.1)
    return decoder


def test_shapes():
    frames = random_frames(3, 64, 96)
    output = tiny_segmenter(located_queries=True)(frames, all_valid(frames))
    for layer in output.layers:
        assert layer.class_logits.shape == (3, 7, CLASSES + 1)
        assert layer.mask_logits.shape == (3, 7, 16, 24)
        assert layer.boxes.shape == (3, 7, 4)
        assert (layer.boxes[..., 2:] > layer.boxes[..., :2]).all()
    assert output.mask_embeddings.shape == (3, 7, 32 + PLACE_CHANNELS)
    assert output.mask_features.shape == (3, 32 + PLACE_CHANNELS, 16, 24)
    assert output.center_logits.shape == (3, CLASSES, 8, 12)


def test_learned_queries_have_no_place_and_no_parameters_for_one():
    frames = random_frames(1, 32, 64)
    model = tiny_segmenter()
    output = model(frames, all_valid(frames))
    assert output.center_logits is None
    assert all(layer.boxes is None for layer in output.layers)
    assert output.mask_embeddings.shape[-1] == 32
    assert not any(name.startswith(("decoder.seeds", "decoder.place")) for name, _ in model.named_parameters())


@torch.no_grad()
def test_amount_and_content_of_padding_change_nothing():
    decoder = located_decoder()
    generator = torch.Generator().manual_seed(1)
    valid = {
        size: tuple(shrink_valid(valid_mask(size, SNUG), (size[0] // s, size[1] // s)) for s in (32, 16, 8))
        for size in (SNUG, WIDE)
    }
    maps = [torch.randn(2, 32, SNUG[0] // s, SNUG[1] // s, generator=generator) for s in (4, 32, 16, 8)]
    wide = [padded(m, (WIDE[0] // s, WIDE[1] // s), generator) for m, s in zip(maps, (4, 32, 16, 8), strict=True)]
    extent = torch.tensor([[96.0, 64.0]]).expand(2, -1)
    snug_output = decoder(PixelFeatures(maps[0], tuple(maps[1:]), valid[SNUG], extent))
    wide_output = decoder(PixelFeatures(wide[0], tuple(wide[1:]), valid[WIDE], extent))
    for one, other in zip(snug_output.layers, wide_output.layers, strict=True):
        torch.testing.assert_close(one.class_logits, other.class_logits, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(one.boxes, other.boxes, rtol=1e-4, atol=1e-2)
        torch.testing.assert_close(one.mask_logits, other.mask_logits[..., :16, :24], rtol=1e-3, atol=1e-3)
    embeddings = snug_output.contrast_embeddings, wide_output.contrast_embeddings
    torch.testing.assert_close(*embeddings, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_first_boxes_lie_around_the_peaks_and_masks_fall_off_around_them():
    torch.manual_seed(0)
    decoder = TransformerDecoder(LOCATED.model_copy(update={"queries": 2}), CLASSES)
    decoder.seeds.center = nn.Conv2d(32, CLASSES, 1, bias=False)
    decoder.seeds.center.weight.copy_(torch.eye(32)[:CLASSES, :, None, None])
    nn.init.zeros_(decoder.mask_embed.layers[-1].weight)  # places alone
    nn.init.zeros_(decoder.mask_embed.layers[-1].bias)
    levels = tuple(torch.full((1, 32, *size), -5.0) for size in ((2, 3), (4, 6), (8, 12)))
    levels[2][0, 0, 2, 3], levels[2][0, 0, 5, 9] = 3.0, 2.0  # two objects of one look
    valid = tuple(torch.ones(1, *level.shape[-2:], dtype=torch.bool) for level in levels)
    output = decoder(PixelFeatures(torch.zeros(1, 32, 16, 24), levels, valid, torch.tensor([[96.0, 64.0]])))
    half = 8 * SEED_SIDE / 2
    for query, (row, column) in enumerate(((2, 3), (5, 9))):
        x, y = 8 * column + 4, 8 * row + 4
        torch.testing.assert_close(
            output.layers[0].boxes[0, query], torch.tensor([x - half, y - half, x + half, y + half])
        )
        ys, xs = torch.arange(16) * 4 + 2.0, torch.arange(24) * 4 + 2.0
        fall = ((xs[None] - x) / half).square() + ((ys[:, None] - y) / half).square()
        expected = decoder.place.gain * (1 - fall)
        torch.testing.assert_close(output.layers[0].mask_logits[0, query], expected, rtol=1e-3, atol=1e-3)


@torch.no_grad()
def test_half_precision_does_not_move_masks():
    decoder = located_decoder()
    generator = torch.Generator().manual_seed(4)
    levels = tuple(torch.randn(1, 32, *size, generator=generator) for size in ((4, 6), (8, 12), (16, 24)))
    decoder.seeds.center = nn.Conv2d(32, CLASSES, 1, bias=False)
    decoder.seeds.center.weight.copy_(torch.eye(32)[:CLASSES, :, None, None])
    levels[2][:, :CLASSES] = -5.0
    for query in range(7):  # peaks that no rounding reorders
        levels[2][0, query % CLASSES, 2 * query + 1, 3 * query + 2] = 4.0 - query / 2
    valid = tuple(torch.ones(1, *level.shape[-2:], dtype=torch.bool) for level in levels)
    extent = torch.tensor([[192.0, 128.0]])
    features = PixelFeatures(0.1 * torch.randn(1, 32, 32, 48, generator=generator), levels, valid, extent)
    exact = decoder(features)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = decoder(features)
        assert torch.get_autocast_dtype("cpu") == torch.bfloat16
    assert half.final.class_logits.dtype == torch.bfloat16
    for layer in half.layers:
        assert layer.mask_logits.dtype == layer.boxes.dtype == torch.float32
    product = torch.einsum("nqc,nchw->nqhw", half.mask_embeddings, half.mask_features)
    torch.testing.assert_close(half.final.mask_logits, product, rtol=1e-4, atol=1e-3)
    for one, other in zip(exact.layers, half.layers, strict=True):
        near = one.mask_logits > -5  # beyond, a mask is empty whatever the digits
        assert near.float().mean() > 0.02
        assert (one.mask_logits - other.mask_logits)[near].abs().mean() < 0.1
        torch.testing.assert_close(one.boxes, other.boxes, rtol=0, atol=2.0)


def scene_batch(strong):
    generator = torch.Generator().manual_seed(3)
    images = torch.randint(0, 255, (2, 2, 3, 64, 96), generator=generator, dtype=torch.uint8)
    boxes = torch.tensor([[8.0, 9.0, 41.0, 37.0], [47.0, 20.0, 90.0, 61.0]])
    targets = tuple(BoxTarget(boxes + shift, torch.tensor([0, 2])) for shift in (0.0, 2.0, 1.0, 3.0))
    masks = torch.rand(2, 64, 96, generator=generator) < 0.5
    return ClipBatch(
        images,
        torch.ones(2, 64, 96, dtype=torch.bool),
        torch.tensor([[0, 1], [0, 1]]),
        targets,
        StrongLabels((masks,) * 4, None) if strong else None,
        ("pond", "road"),
    )


@pytest.mark.parametrize("strong", [False, True])
def test_the_criterion_teaches_every_parameter(strong):
    model = tiny_segmenter(located_queries=True)
    generator = torch.Generator().manual_seed(11)
    for parameter in model.parameters():  # what starts at zero keeps gradients from what comes before
        if not parameter.any():
            nn.init.normal_(parameter, std=0.1, generator=generator)
    batch = scene_batch(strong)
    output = model(batch.frames(), batch.frame_valid())
    weights = dict.fromkeys(TERM_NAMES, 1.0)
    criterion = SetCriterion(LossConfig(), MatchingConfig(), PairConfig())
    total_loss(criterion(output, batch, weights).terms, weights).backward()
    without = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []
    assert all(torch.isfinite(parameter.grad).all() for parameter in model.parameters())
