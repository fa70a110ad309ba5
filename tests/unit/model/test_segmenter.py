"""The whole segmenter: shapes, independence of frames, padding, gradients, optimizer groups, parameter count."""

import pytest
import torch
from tiny_segmenter import CLASSES, TINY, all_valid, random_frames, tiny_segmenter

from qcen_core.config import load_config
from qcen_core.model.segmenter import FrameSegmenter, parameter_groups


def flat(output):
    tensors = [tensor for layer in output.layers for tensor in layer] + list(output[1:])
    return [tensor for tensor in tensors if tensor is not None]


@pytest.mark.parametrize(("height", "width"), [(32, 96), (96, 32), (64, 160)])
def test_shapes(height, width):
    frames = random_frames(3, height, width)
    output = tiny_segmenter()(frames, all_valid(frames))
    assert len(output.layers) == TINY.decoder_layers + 1
    for layer in output.layers:
        assert layer.class_logits.shape == (3, 7, CLASSES + 1)
        assert layer.mask_logits.shape == (3, 7, height // 4, width // 4)
    assert output.queries.shape == output.mask_embeddings.shape == (3, 7, 32)
    assert output.mask_features.shape == (3, 32, height // 4, width // 4)
    assert output.contrast_embeddings.shape == (3, 7, 12)
    assert all(torch.isfinite(tensor).all() for tensor in flat(output))


@torch.no_grad()
@pytest.mark.parametrize("located", [False, True])
def test_the_last_layer_is_the_same_alone(located):
    frames = random_frames(2, 32, 96)
    valid = all_valid(frames)
    valid[1, :, 70:] = False
    model = tiny_segmenter(located_queries=located)
    alone, all_layers = model(frames, valid, every_layer=False), model(frames, valid)
    assert len(alone.layers) == 1
    for one, other in zip(flat(alone), flat(all_layers._replace(layers=all_layers.layers[-1:])), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("located", [False, True])
def test_final_masks_are_mask_embeddings_times_mask_features(located):
    frames = random_frames(2, 32, 96)
    output = tiny_segmenter(located_queries=located)(frames, all_valid(frames))
    product = (output.mask_embeddings[:, :, :, None, None] * output.mask_features[:, None]).sum(2)
    torch.testing.assert_close(output.final.mask_logits, product, rtol=1e-4, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("located", [False, True])
def test_frames_are_independent(located):
    model = tiny_segmenter(located_queries=located).eval()
    frames = random_frames(2, 64, 96)
    both = flat(model(frames, all_valid(frames)))
    for n in range(2):
        alone = flat(model(frames[n : n + 1], all_valid(frames[:1])))
        for joint, single in zip(both, alone, strict=True):
            torch.testing.assert_close(joint[n], single[0], rtol=1e-3, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("located", [False, True])
def test_garbage_in_the_padding_changes_nothing(located):
    model = tiny_segmenter(located_queries=located)
    frames = random_frames(2, 64, 96, seed=1)
    valid = all_valid(frames)
    valid[0, 41:], valid[1, :, 53:] = False, False
    changed = torch.where(valid[:, None], frames, random_frames(2, 64, 96, seed=2))
    assert not torch.equal(frames, changed)
    for one, other in zip(flat(model(frames, valid)), flat(model(changed, valid)), strict=True):
        assert torch.equal(one, other)


@torch.no_grad()
@pytest.mark.parametrize("norm", ["group", "frozen_batch"])
def test_more_padding_changes_predictions_a_little_only(norm):
    """Not exact, here as in Mask2Former: convolutions at the border and group norms see the padding's features.

    Everything else ignores padding exactly (see test_padding.py), so what is left must be far smaller than
    the change that another picture of the same size makes.
    """
    model = tiny_segmenter(backbone_norm=norm)
    frames = random_frames(1, 96, 160)
    other = random_frames(1, 96, 160, seed=5).div(2, rounding_mode="floor")
    wide = torch.zeros(1, 3, 128, 192, dtype=torch.uint8)
    wide[..., :96, :160] = frames
    valid = torch.zeros(1, 128, 192, dtype=torch.bool)
    valid[:, :96, :160] = True
    features = model(frames, all_valid(frames)).mask_features
    padded = model(wide, valid).mask_features[..., :24, :40]
    change = (padded - features).square().mean()
    assert change < 0.2 * (model(other, all_valid(other)).mask_features - features).square().mean()


def test_every_parameter_gets_a_gradient():
    model = tiny_segmenter()
    generator = torch.Generator().manual_seed(11)
    for parameter in model.parameters():  # timm starts the last scale of a residual block at zero
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1, generator=generator)
    frames = random_frames(2, 64, 96)
    output = model(frames, all_valid(frames))
    sum((t * torch.randn(t.shape, generator=generator)).sum() for t in flat(output)).backward()
    without = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


@pytest.mark.parametrize("located", [False, True])
def test_parameter_groups_hold_every_parameter_once_with_its_rate_and_decay(located):
    model = tiny_segmenter(located_queries=located)
    groups = parameter_groups(model, learning_rate=0.3, backbone_factor=0.5, weight_decay=0.07)
    held = {}
    for group in groups:
        for parameter in group["params"]:
            assert id(parameter) not in held
            held[id(parameter)] = (group["lr"], group["weight_decay"])
    names = dict(model.named_parameters())
    assert held.keys() == {id(p) for p in names.values()}
    embeddings = ("query_feat.weight", "query_embed.weight", "level_embed", "level_embed.weight")
    for name, parameter in names.items():
        rate = 0.15 if name.split(".")[0] == "backbone" else 0.3
        is_vector = parameter.dim() <= 1  # biases, the scales of norms, the gain of places
        decay = 0.0 if is_vector or name.endswith(embeddings) else 0.07
        assert held[id(parameter)] == (rate, decay), name


def test_frozen_parameters_are_in_no_group():
    model = tiny_segmenter()
    model.backbone.requires_grad_(False)
    groups = parameter_groups(model, learning_rate=1.0, backbone_factor=0.5, weight_decay=0.1)
    assert {group["lr"] for group in groups} == {1.0}
    assert sum(len(g["params"]) for g in groups) == sum(p.requires_grad for p in model.parameters())


def test_published_size_is_that_of_mask2former_and_the_contrast_head():
    model = FrameSegmenter(load_config("r50", ["model.pretrained=false"]).model, 80)
    count = sum(p.numel() for p in model.parameters())
    contrast_head = 3 * (256 * 256 + 256)
    assert count == 43_970_257 + contrast_head
    frozen = [name for name, _ in model.backbone.named_parameters() if "bn" in name]
    assert frozen == []
