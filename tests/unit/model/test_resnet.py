"""Frozen norms inside of convolutions against timm's own blocks."""

import pytest
import timm
import torch
from timm.layers import freeze_batch_norm_2d

from qcen_core.model.resnet import NormedBasicBlock, NormedBottleneck, norm_in_convolutions

NARROW = {"channels": [8, 16, 16, 24], "stem_width": 8}


def random_resnet(name, **arguments):
    torch.manual_seed(4)
    body = timm.create_model(name, features_only=True, **arguments)
    for buffer in body.buffers():
        if buffer.dim() == 1:
            buffer.uniform_(0.5, 1.5)
    body = freeze_batch_norm_2d(body)
    for module in body.modules():
        if "BatchNorm" in type(module).__name__:
            module.weight.uniform_(0.5, 1.5)
            module.bias.normal_()
    return body


@pytest.mark.parametrize(
    ("name", "blocks"),
    [("resnet18", NormedBasicBlock), ("resnet26", NormedBottleneck), ("resnet26t", NormedBottleneck)],
)
def test_features_and_gradients_are_the_same(name, blocks):
    images = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    found = []
    for fold in (False, True):
        body = random_resnet(name, channels=NARROW["channels"])
        if fold:
            norm_in_convolutions(body)
            assert any(isinstance(module, blocks) for module in body.modules())
        features = body(images)
        sum(feature.square().mean() for feature in features).backward()
        found.append((features, {key: p.grad for key, p in body.named_parameters()}, list(body.state_dict())))
    (features, gradients, names), (own_features, own_gradients, own_names) = found
    assert names == own_names
    for one, other in zip(features, own_features, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
    for key, gradient in gradients.items():
        torch.testing.assert_close(own_gradients[key], gradient, rtol=1e-3, atol=1e-5, msg=key)


@pytest.mark.parametrize("name", ["seresnet50", "ecaresnet26t"])
def test_blocks_with_more_in_them_stay_as_they_are(name):
    body = random_resnet(name)
    norm_in_convolutions(body)
    assert not any(isinstance(module, NormedBottleneck) for module in body.modules())


def test_norms_that_learn_stay_as_they_are():
    body = timm.create_model("resnet18", features_only=True, channels=NARROW["channels"])
    norm_in_convolutions(body)
    assert not any(isinstance(module, NormedBasicBlock) for module in body.modules())
