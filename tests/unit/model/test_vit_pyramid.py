"""Plain vision transformers through a simple feature pyramid: strides, places, gradients, names that will not do."""

import pytest
import torch
from tiny_segmenter import CLASSES, TINY, all_valid, random_frames

from qcen_core.errors import InputError
from qcen_core.model.backbone import Backbone, build_backbone
from qcen_core.model.segmenter import FrameSegmenter
from qcen_core.model.vit_pyramid import VitPyramid, is_plain_vit

SMALL = {"depth": 2, "embed_dim": 48, "num_heads": 3}
PATCH_16, PATCH_14, ROTARY = "vit_tiny_patch16_224", "vit_small_patch14_dinov2.lvd142m", "vit_small_patch16_dinov3"
PATCH_32 = "vit_base_patch32_224"
STRIDES = (4, 8, 16, 32)


def vit_config(name, **changes):
    return TINY.model_copy(update={"backbone": name, "backbone_args": SMALL, **changes})


def vit(name, seed=0):
    torch.manual_seed(seed)
    return build_backbone(vit_config(name), pretrained=False)


@pytest.mark.parametrize("name", [PATCH_16, PATCH_14, ROTARY, PATCH_32])
@pytest.mark.parametrize(("height", "width"), [(32, 32), (32, 224), (160, 96)])
def test_features_at_four_strides(name, height, width):
    backbone = vit(name)
    features = backbone(torch.randn(2, 3, height, width))
    assert isinstance(backbone, VitPyramid)
    assert backbone.channels == (32, 32, 32, 32)
    assert [tuple(f.shape) for f in features] == [(2, 32, height // s, width // s) for s in STRIDES]
    assert all(torch.isfinite(f).all() for f in features)


@pytest.mark.parametrize("name", [PATCH_16, PATCH_14, ROTARY])
def test_gradients_reach_everything(name):
    backbone = vit(name)
    features = backbone(torch.randn(2, 3, 64, 96))
    sum((f * torch.randn_like(f)).sum() for f in features).backward()
    without = [name for name, p in backbone.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


@torch.no_grad()
@pytest.mark.parametrize("name", [PATCH_16, PATCH_14])
def test_what_moves_by_the_coarsest_stride_moves_by_whole_cells(name):
    backbone = vit(name).eval()
    backbone.body.model.pos_embed.zero_()  # attention is then blind to where tokens are
    images = torch.randn(1, 3, 128, 160)
    moved = backbone(images.roll((32, 64), dims=(2, 3)))
    for stride, before, after in zip(STRIDES, backbone(images), moved, strict=True):
        expected = before.roll((32 // stride, 64 // stride), dims=(2, 3))
        rows, columns = 32 // stride, 64 // stride
        # The last convolution sees zeros beyond the border, at its old and at its new place.
        inner = (..., slice(rows + 1, -1), slice(columns + 1, -1))
        torch.testing.assert_close(after[inner], expected[inner], rtol=1e-4, atol=1e-4)
        assert not torch.allclose(after, before, atol=0.1)


@torch.no_grad()
@pytest.mark.parametrize("name", [PATCH_16, PATCH_14, PATCH_32])
def test_a_token_stands_for_its_own_sixteen_pixels(name):
    backbone = vit(name).eval()
    seen = []
    backbone.body.model.patch_embed.register_forward_hook(lambda _, __, tokens: seen.append(tokens))
    images = torch.randn(1, 3, 96, 64)
    spot = images.clone()
    spot[:, :, 36:44, 20:28] += 1.0  # within rows 32 to 47, columns 16 to 31
    backbone(images)
    backbone(spot)
    changed = (seen[0] - seen[1]).abs().amax(-1)[0] > 1e-6
    assert changed.shape == (6, 4)
    assert changed.nonzero().tolist() == [[2, 1]]


@torch.no_grad()
def test_a_network_sees_colours_as_it_was_trained_to():
    backbone = vit(PATCH_16)  # trained with mean and deviation 0.5
    seen = []
    backbone.body.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    black_and_white = torch.stack((-mean / std, (1 - mean) / std))
    backbone(black_and_white[:, :, None, None].expand(-1, -1, 32, 32))
    torch.testing.assert_close(seen[0][0], torch.full((3, 32, 32), -1.0), rtol=0, atol=1e-6)
    torch.testing.assert_close(seen[0][1], torch.full((3, 32, 32), 1.0), rtol=0, atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("name", [PATCH_16, PATCH_14, ROTARY])
def test_images_of_a_batch_are_independent(name):
    backbone = vit(name).eval()
    one = torch.randn(1, 3, 64, 96)
    both = backbone(torch.cat([one, 9 * torch.randn(1, 3, 64, 96)]))
    for joint, alone in zip(both, backbone(one), strict=True):
        torch.testing.assert_close(joint[:1], alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", [PATCH_14, ROTARY])
@pytest.mark.parametrize("located", [False, True])
def test_the_whole_segmenter_works_with_it(name, located):
    torch.manual_seed(0)
    model = FrameSegmenter(vit_config(name, located_queries=located, decoder_layers=3), CLASSES)
    frames = random_frames(2, 64, 96)
    valid = all_valid(frames)
    valid[0, 41:], valid[1, :, 53:] = False, False
    output = model(frames, valid)
    assert output.final.mask_logits.shape == (2, 7, 16, 24)
    (output.final.mask_logits.square().mean() + output.final.class_logits.square().mean()).backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    assert all(p.grad is not None for p in model.backbone.parameters())
    garbage = torch.where(valid[:, None], frames, random_frames(2, 64, 96, seed=2))
    assert torch.equal(model(garbage, valid).final.mask_logits, output.final.mask_logits)


@torch.no_grad()
def test_a_segmenter_may_be_saved_and_filled_again():
    config = vit_config(PATCH_14, encoder_layers=0, decoder_layers=0)
    models = [FrameSegmenter(config, CLASSES).eval() for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    frames = random_frames(1, 32, 64)
    one, other = (model(frames, all_valid(frames)).final.mask_logits for model in models)
    assert torch.equal(one, other)


def test_the_default_width_is_that_of_the_paper():
    backbone = build_backbone(vit_config(PATCH_16, hidden_dim=256, heads=8), pretrained=False)
    assert backbone.channels == (256, 256, 256, 256)


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        (PATCH_14, True),
        ("vit_small_patch16_dinov3.lvd1689m", True),
        ("hf-hub:timm/vit_small_patch14_reg4_dinov2.lvd142m", True),
        ("deit3_small_patch16_224", True),
        ("resnet50", False),
        ("swin_tiny_patch4_window7_224", False),
        ("vit_base_r50_s16_224", False),  # a ResNet below the transformer
        ("hf-hub:someone/else", False),
        ("vit_small_patch15", False),
    ],
)
def test_which_networks_are_plain(name, plain):
    assert is_plain_vit(name) == plain


def test_other_networks_keep_their_own_pyramid():
    assert isinstance(build_backbone(TINY, pretrained=False), Backbone)


@pytest.mark.parametrize(
    ("name", "arguments", "cause", "hint"),
    [
        ("vit_tiny_patch16_244", {}, "no backbone 'vit_tiny_patch16_244'", "did you mean 'vit_tiny_patch16_224'?"),
        (PATCH_16, {"dept": 2}, "dept", "backbone_args"),
        (PATCH_16, {"embed_dim": 50, "num_heads": 3}, "cannot be built", "backbone_args"),
        ("cait_xxs24_224", {}, "not at 4, 8, 16 and 32", "feature pyramid"),
    ],
)
def test_a_network_that_will_not_do_is_a_one_line_error(name, arguments, cause, hint):
    with pytest.raises(InputError) as caught:
        build_backbone(vit_config(name, backbone_args=arguments), pretrained=False)
    assert cause in caught.value.cause
    assert "\n" not in caught.value.line()
    assert hint in caught.value.hint
