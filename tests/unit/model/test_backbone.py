"""Backbones from timm: strides, norms, and networks that will not do."""

import pytest
import torch

from qcen_core.errors import InputError
from qcen_core.model.backbone import Backbone

SMALL = {"channels": [8, 16, 16, 24], "stem_width": 8}


def small_backbone(norm):
    return Backbone("resnet10t", pretrained=False, norm=norm, arguments=SMALL)


@pytest.mark.parametrize("norm", ["group", "frozen_batch"])
def test_features_at_four_strides(norm):
    backbone = small_backbone(norm)
    features = backbone(torch.randn(2, 3, 64, 160))
    assert backbone.channels == (8, 16, 16, 24)
    assert [tuple(f.shape) for f in features] == [(2, 8, 16, 40), (2, 16, 8, 20), (2, 16, 4, 10), (2, 24, 2, 5)]


def test_channels_come_before_rows_also_for_networks_that_put_them_last():
    arguments = {"embed_dim": 8, "depths": (1, 1, 1, 1), "num_heads": (1, 1, 1, 1), "strict_img_size": False}
    backbone = Backbone("swin_tiny_patch4_window7_224", pretrained=False, norm="frozen_batch", arguments=arguments)
    features = backbone(torch.randn(1, 3, 64, 96))
    assert backbone.channels == (8, 16, 32, 64)
    assert [tuple(f.shape) for f in features] == [(1, 8, 16, 24), (1, 16, 8, 12), (1, 32, 4, 6), (1, 64, 2, 3)]


def test_frozen_batch_norm_neither_learns_nor_follows_the_data():
    backbone = small_backbone("frozen_batch").train()
    norms = [m for m in backbone.modules() if "BatchNorm" in type(m).__name__]
    assert norms
    assert all(not list(m.parameters()) for m in norms)
    before = {name: buffer.clone() for name, buffer in backbone.named_buffers()}
    images = 5 + 3 * torch.randn(2, 3, 64, 96)
    training = backbone(images)
    assert all(torch.equal(before[name], buffer) for name, buffer in backbone.named_buffers())
    for one, other in zip(training, backbone.eval()(images), strict=True):
        assert torch.equal(one, other)


def test_group_norm_leaves_no_batch_norm():
    backbone = small_backbone("group")
    assert not [m for m in backbone.modules() if "BatchNorm" in type(m).__name__]
    one = torch.randn(1, 3, 64, 96)
    pair = backbone(torch.cat([one, 100 * torch.randn(1, 3, 64, 96)]))
    for joint, alone in zip(pair, backbone(one), strict=True):
        torch.testing.assert_close(joint[:1], alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "arguments", "cause", "hint"),
    [
        ("vit_tiny_patch16_224", {}, "not at 4, 8, 16 and 32", "feature pyramid"),
        ("resnet5O", {}, "no backbone 'resnet5O'", "did you mean 'resnet50'?"),
        ("resnet10t", {"chanels": [8, 8, 8, 8]}, "chanels", "backbone_args"),
    ],
)
def test_a_network_that_will_not_do_is_a_one_line_error(name, arguments, cause, hint):
    with pytest.raises(InputError) as caught:
        Backbone(name, pretrained=False, norm="frozen_batch", arguments=arguments)
    assert cause in caught.value.cause
    assert "\n" not in caught.value.line()
    assert hint in caught.value.hint
