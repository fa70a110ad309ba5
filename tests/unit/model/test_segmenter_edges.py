"""Frames at the edge of what there is: next to nothing valid, very wide ones, and half precision."""

import pytest
import torch
from tiny_segmenter import all_valid, random_frames, tiny_segmenter

VIT = {"backbone": "vit_small_patch14_dinov2", "backbone_args": {"depth": 1, "embed_dim": 24, "num_heads": 2}}
KINDS = pytest.mark.parametrize(
    "changes",
    [{}, {"located_queries": True}, VIT, VIT | {"located_queries": True}],
    ids=["learned", "located", "vit", "vit-located"],
)


def flat(value):
    if isinstance(value, torch.Tensor):
        return [value]
    return [] if value is None else [tensor for part in value for tensor in flat(part)]


def check(model, frames, valid, clip_frames=1):
    """Forward and backward; everything must be finite. Returns what is predicted."""
    output = model(frames, valid, clip_frames)
    tensors = flat(output)
    assert all(torch.isfinite(tensor).all() for tensor in tensors)
    sum(tensor.float().clamp(-50, 50).mean() for tensor in tensors).backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert [name for name, gradient in gradients.items() if not torch.isfinite(gradient).all()] == []
    assert any(gradient.any() for gradient in gradients.values())
    return output


@KINDS
def test_a_single_pixel_is_valid(changes):
    frames = random_frames(1, 32, 32)
    valid = torch.zeros(1, 32, 32, dtype=torch.bool)
    valid[:, 0, 0] = True
    output = check(tiny_segmenter(**changes), frames, valid)
    assert output.final.mask_logits.shape == (1, 7, 8, 8)


@KINDS
@pytest.mark.parametrize(("height", "width"), [(32, 640), (640, 32), (32, 32)])
def test_narrow_frames(changes, height, width):
    frames = random_frames(1, height, width)
    output = check(tiny_segmenter(**changes), frames, all_valid(frames))
    assert output.final.mask_logits.shape == (1, 7, height // 4, width // 4)


@pytest.mark.parametrize("colour", [0, 255])
@KINDS
def test_frames_of_one_colour(changes, colour):
    frames = torch.full((1, 3, 32, 64), colour, dtype=torch.uint8)
    check(tiny_segmenter(**changes), frames, all_valid(frames))


@KINDS
@pytest.mark.parametrize("clip_frames", [1, 2])
def test_a_frame_that_is_nearly_all_padding_beside_whole_ones(changes, clip_frames):
    model = tiny_segmenter(**changes)
    frames = random_frames(4, 64, 160)
    valid = all_valid(frames)
    valid[1] = False
    valid[1, :3, :2] = True
    output = check(model, frames, valid, clip_frames)
    with torch.no_grad():
        alone = model(frames[:1], valid[:1])
    torch.testing.assert_close(output.final.mask_logits[:1], alone.final.mask_logits, rtol=1e-3, atol=1e-3)


@KINDS
@pytest.mark.parametrize("pixels", [1, 33, 64])
def test_half_precision_on_the_processor(changes, pixels):
    model = tiny_segmenter(**changes)
    frames = random_frames(2, 64, 96)
    valid = all_valid(frames)
    valid[0, pixels:], valid[0, :, pixels:] = False, False
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = check(model, frames, valid)
    assert output.final.class_logits.dtype == torch.bfloat16  # else nothing was computed in half precision
    assert output.mask_features.dtype == torch.float32
    assert all(p.grad.dtype == torch.float32 for p in model.parameters() if p.grad is not None)


@torch.no_grad()
def test_half_precision_predicts_nearly_the_same():
    model = tiny_segmenter(decoder_layers=0).eval()  # later layers mask by a sign, which rounding may turn
    frames = random_frames(2, 64, 96)
    exact = model(frames, all_valid(frames)).final
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = model(frames, all_valid(frames)).final.float()
    for one, other in zip(half, exact, strict=True):
        if one is not None:
            assert (one - other).abs().mean() < 0.03 * other.abs().mean()


@torch.no_grad()
@pytest.mark.parametrize("located", [False, True])
def test_fewer_cells_than_queries(located):
    model = tiny_segmenter(located_queries=located, queries=40)
    frames = random_frames(1, 32, 32)
    output = model(frames, all_valid(frames))
    expected = 16 if located else 40  # located queries begin at one cell of stride 8 each
    assert output.final.mask_logits.shape[1] == expected
    assert all(torch.isfinite(tensor).all() for tensor in flat(output))
