"""Backbones of classifiers, as four programs save them, give the same features here."""

import pickle

import pytest
import timm
import torch
import torchvision

from qcen_core.errors import InputError
from qcen_core.model.backbone import Backbone
from qcen_core.model.published.initial import completed, report
from qcen_core.model.published.load import as_checkpoint, load_initial

SWIN = {"embed_dim": 16, "depths": (2, 2, 2, 1), "num_heads": (1, 2, 4, 4)}
SIZE = 224  # maps of 56, 28, 14 and 7 cells: whole windows, where all programs agree


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def filled(path, name, arguments):
    """A backbone of ours with the weights of a file."""
    initial = load_initial(path)
    backbone = Backbone(name, pretrained=False, norm="frozen_batch", arguments=arguments)
    state = {f"backbone.{key}": tensor for key, tensor in backbone.state_dict().items()}
    weights = completed(initial, state)
    backbone.load_state_dict({key.removeprefix("backbone."): weights[key] for key in state})
    assert set(weights) == set(state)
    return backbone.eval(), initial, report(initial, state)


def randomised(model):
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if "running_var" in name:
                tensor.uniform_(0.5, 1.5)
            elif tensor.is_floating_point() and tensor.dim() == 1:
                tensor.add_(0.2 * torch.randn_like(tensor))
    return model.eval()


def same_last_map(backbone, features):
    """Whether the coarsest map of a ResNet is that of another program's network."""
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        own, other = backbone(images)[-1], features(images)
    return bool((own - other).abs().max() < 1e-5 * other.abs().max())


def test_a_resnet_of_torchvision(tmp_path):
    model = randomised(torchvision.models.resnet18())
    torch.save(model.state_dict(), tmp_path / "resnet18.pth")
    backbone, initial, told = filled(tmp_path / "resnet18.pth", "resnet18", {})
    assert same_last_map(backbone, torch.nn.Sequential(*list(model.children())[:-2]))
    assert (initial.kind, initial.supervision) == ("backbone", ("ImageNet labels",))
    assert set(told.unused) >= {"fc.weight", "fc.bias"}
    assert told.new == ()
    with pytest.raises(InputError, match="backbone only"):
        as_checkpoint(initial)


def test_a_resnet_of_detectron2(tmp_path):
    model = randomised(torchvision.models.resnet18())
    names = {}
    for name, tensor in model.state_dict().items():
        place, _, last = name.rpartition(".")
        place = place.replace("downsample.0", "shortcut").replace("downsample.1", "shortcut.norm")
        for index in (1, 2):
            place = place.replace(f"bn{index}", f"conv{index}.norm")
        for stage in range(4, 0, -1):
            place = place.replace(f"layer{stage}", f"res{stage + 1}")
        names[f"{place if place.startswith('res') else f'stem.{place}'}.{last}"] = tensor.numpy()
    (tmp_path / "R-18.pkl").write_bytes(pickle.dumps({"model": names, "matching_heuristics": True}))
    backbone, initial, _ = filled(tmp_path / "R-18.pkl", "resnet18", {})
    assert same_last_map(backbone, torch.nn.Sequential(*list(model.children())[:-2]))
    assert initial.supervision == ("ImageNet labels",)


def swin_maps(backbone, images):
    """The maps before our norms, which no classifier has."""
    with torch.no_grad():
        return backbone.body(images)


def test_a_swin_of_timm_and_of_its_authors(tmp_path):
    model = randomised(timm.create_model("swin_tiny_patch4_window7_224", num_classes=21841, **SWIN))
    state = model.state_dict()
    torch.save(state, tmp_path / "timm.pth")
    authors = {}
    for name, tensor in state.items():
        for stage in (1, 2, 3):
            name = name.replace(f"layers.{stage}.downsample", f"layers.{stage - 1}.downsample#")
        authors[name.replace("#", "").replace("head.fc", "head")] = tensor
    authors["layers.0.blocks.1.attn_mask"] = torch.zeros(3)
    authors["layers.0.blocks.0.attn.relative_position_index"] = torch.zeros(49, 49)
    torch.save({"model": authors}, tmp_path / "authors.pth")
    images = torch.randn(1, 3, SIZE, SIZE)
    with torch.no_grad():
        expected = [m.permute(0, 2, 3, 1) for m in model.forward_intermediates(images, intermediates_only=True)]
    for path in (tmp_path / "timm.pth", tmp_path / "authors.pth"):
        backbone, initial, told = filled(path, "swin_tiny_patch4_window7_224", SWIN)
        for ours, theirs in zip(swin_maps(backbone, images), expected, strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
        assert initial.supervision == ("ImageNet-22k labels",)
        assert {name.rpartition(".norms.")[0] for name in told.new} == {"backbone"}


def test_a_swin_of_torchvision(tmp_path):
    model = torchvision.models.SwinTransformer([4, 4], 16, [2, 2, 2, 1], [1, 2, 4, 4], [7, 7], num_classes=7)
    torch.save(randomised(model).state_dict(), tmp_path / "swin_t.pth")
    backbone, initial, _ = filled(tmp_path / "swin_t.pth", "swin_tiny_patch4_window7_224", SWIN)
    images = torch.randn(1, 3, SIZE, SIZE)
    with torch.no_grad():
        torch.testing.assert_close(swin_maps(backbone, images)[-1], model.features(images), atol=1e-5, rtol=1e-5)
    assert initial.supervision == ("labels that its file does not tell (backbone)",)
