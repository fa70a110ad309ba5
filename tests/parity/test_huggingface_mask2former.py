"""Mask2Formers written by Hugging Face's own library give the same numbers here, and nothing of them is lost."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from small_mask2formers import NAMES, all_logits, random_mask2former

from qcen_core.errors import InputError
from qcen_core.inference.infer import infer_to_folder
from qcen_core.inference.preprocess import plan_geometry, to_input
from qcen_core.model.checkpoint import load_checkpoint, save_checkpoint
from qcen_core.model.published.initial import report
from qcen_core.model.published.load import as_checkpoint, load_any_checkpoint, load_initial
from qcen_core.model.segmenter import FrameSegmenter

CPU = torch.device("cpu")
TOLERANCE = 1e-4
CLEAR = 2e-5  # rounding moves mask logits by less


@pytest.fixture(scope="module", params=["swin", "resnet"])
def pair(request, tmp_path_factory):
    """A model of theirs, and the folder that it was saved to."""
    return saved(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def swin(tmp_path_factory):
    return saved("swin", tmp_path_factory.mktemp("swin"))


def saved(kind, folder):
    model = random_mask2former(kind)
    model.save_pretrained(folder)
    return model, folder


def copied(folder, target, **changes):
    """The files of a model in another folder, with a changed config.json; `backbone__key` changes the backbone's."""
    target.mkdir()
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    for key, value in changes.items():
        section, _, inner = key.partition("__")
        if inner:
            config["backbone_config"][inner] = value
        else:
            config[section] = value
    (target / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (target / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    return target


def noise(height, width, seed):
    """A picture with coarse shapes and fine grain."""
    generator = np.random.default_rng(seed)
    coarse = cv2.resize(generator.integers(0, 256, (5, 7, 3), np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)
    grain = generator.integers(-20, 21, (height, width, 3))
    return np.clip(coarse + grain, 0, 255).astype(np.uint8)


def is_clear(logits, attended):
    """Whether no cell of the attention masks lies so near the threshold that rounding decides about it."""
    for layer, (_, masks) in enumerate(logits[:-1]):
        resized = F.interpolate(masks, size=attended[layer % 3], mode="bilinear", align_corners=False)
        if resized.abs().min() < CLEAR:
            return False
    return True


@torch.no_grad()
def largest_difference(theirs, ours, geometries):
    """The largest difference of all logits over pictures; several of one input size go in as one batch."""
    inputs = []
    for seed in range(50):
        frames, valid = zip(
            *(to_input(noise(*g.frame, 100 * seed + i), g, CPU) for i, g in enumerate(geometries)), strict=True
        )
        frames, valid = torch.cat(frames), torch.cat(valid)
        images = (frames.float() - ours.pixel_mean) / ours.pixel_std * valid[:, None]
        expected = all_logits(theirs, images)
        height, width = geometries[0].padded
        if is_clear(expected, [(height // stride, width // stride) for stride in (32, 16, 8)]):
            inputs = frames, valid
            break
    assert inputs, "no input whose attention masks are clear"
    blocked = torch.stack([(masks < 0).float().mean() for _, masks in expected]).mean()
    assert 0.1 < blocked < 0.9, "attention masks of one kind test nothing"
    found = ours(*inputs).layers
    assert len(found) == len(expected)
    return max(
        max((layer.class_logits - classes).abs().max().item(), (layer.mask_logits - masks).abs().max().item())
        for layer, (classes, masks) in zip(found, expected, strict=True)
    )


@pytest.mark.parametrize(
    ("frames", "short_side", "padded"),
    [
        pytest.param([(96, 96)], 96, (96, 96), id="square"),
        pytest.param([(64, 160)], 64, (64, 160), id="wide"),
        pytest.param([(53, 83)], 67, (96, 128), id="resized and padded"),
        pytest.param([(131, 73), (113, 71)], 71, (128, 96), id="a batch padded by different amounts"),
    ],
)
def test_all_outputs_are_the_same(pair, frames, short_side, padded):
    theirs, folder = pair
    ours = as_checkpoint(load_initial(folder)).model
    geometries = [plan_geometry(*frame, short_side=short_side, max_side=999) for frame in frames]
    assert {geometry.padded for geometry in geometries} == {padded}
    assert largest_difference(theirs, ours, geometries) < TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["full swin", "full resnet"])
def test_all_outputs_are_the_same_in_full_size(kind, tmp_path):
    theirs, folder = saved(kind, tmp_path)
    ours = as_checkpoint(load_initial(folder))
    assert ours.config.model.backbone == {"full swin": "swin_tiny_patch4_window7_224", "full resnet": "resnet50"}[kind]
    assert len(ours.model.decoder.layers) == 9
    assert largest_difference(theirs, ours.model, [plan_geometry(41, 27, short_side=27, max_side=999)]) < TOLERANCE


def test_padding_that_is_not_seen_would_change_the_numbers(pair):
    """What the parity stands on: published models take padding for a part of the frame, ours by themselves do not."""
    _, folder = pair
    initial = load_initial(folder)
    assert initial.config.model.see_padding
    blind = initial.config.model_copy(update={"model": initial.config.model.model_copy(update={"see_padding": False})})
    geometry = plan_geometry(53, 83, short_side=67, max_side=999)
    frames, valid = to_input(noise(53, 83, 3), geometry, CPU)
    with torch.no_grad():
        seeing, other = (
            as_checkpoint(replace(initial, config=c)).model(frames, valid) for c in (initial.config, blind)
        )
    assert (seeing.final.mask_logits - other.final.mask_logits).abs().max() > 100 * TOLERANCE


def test_every_tensor_has_its_place(pair):
    theirs, folder = pair
    initial = load_initial(folder)
    checkpoint = as_checkpoint(initial)
    told = report(initial, checkpoint.model.state_dict())
    sources = [name for names in told.mapped.values() for name in names]
    assert sorted([*sources, *told.unused]) == sorted(load_file(folder / "model.safetensors"))
    assert told.kept == ()
    assert {name.rpartition(".layers.")[0] for name in told.new} == {"decoder.contrast_embed"}
    used = {name for name in told.unused if not name.endswith("num_batches_tracked")}
    assert {name.rpartition(".")[0].rpartition(".")[2] for name in used} <= {"criterion", "layernorm"}
    counted = sum(p.numel() for name, p in theirs.named_parameters() if "swin.layernorm" not in name)
    mapped = sum(checkpoint.model.state_dict()[name].numel() for name in told.mapped if "running" not in name)
    assert mapped == counted
    assert [category.name for category in checkpoint.categories] == list(NAMES)
    assert initial.supervision == ("ImageNet labels", "masks of 3 classes (Mask2Former)")


def test_parts_pickles_and_later_names_are_the_same_weights(swin, tmp_path):
    model, folder = swin
    weights = load_initial(folder).weights
    model.save_pretrained(tmp_path / "parts", max_shard_size="500KB")
    assert (tmp_path / "parts" / "model.safetensors.index.json").is_file()
    pickled = copied(folder, tmp_path / "pickled")
    torch.save(load_file(folder / "model.safetensors"), pickled / "pytorch_model.bin")
    (pickled / "model.safetensors").unlink()
    later = copied(folder, tmp_path / "later")
    save_file(dict(model.state_dict()), later / "model.safetensors")
    for other in (tmp_path / "parts", pickled, later, folder / "model.safetensors", pickled / "pytorch_model.bin"):
        found = load_initial(other).weights
        assert found.keys() == weights.keys()
        assert all(torch.equal(found[name], tensor) for name, tensor in weights.items())


def test_a_converted_checkpoint_gives_the_same_numbers(pair, tmp_path):
    _, folder = pair
    direct = load_any_checkpoint(folder, CPU)
    path = tmp_path / "converted.safetensors"
    save_checkpoint(path, direct.model.state_dict(), direct.config, direct.categories, direct.info)
    for again in (load_checkpoint(path, CPU), load_any_checkpoint(path, CPU)):
        assert (again.config, again.categories) == (direct.config, direct.categories)
        assert again.info["supervision"] == list(load_initial(path).supervision) == direct.info["supervision"]
        state = again.model.state_dict()
        assert all(torch.equal(state[name], tensor) for name, tensor in direct.model.state_dict().items())
    assert report(load_initial(path), direct.model.state_dict()).kept == tuple(sorted(direct.model.state_dict()))


def test_frames_are_segmented_with_a_folder_of_hugging_face(swin, tmp_path):
    clip = tmp_path / "clip"
    clip.mkdir()
    for index in range(3):
        cv2.imwrite(str(clip / f"{index}.png"), noise(53, 83, index))
    assert load_initial(swin[1]).config.tracker.kind == "minvis"
    done = infer_to_folder(clip, weights=swin[1], out=tmp_path / "out")
    summary = json.loads(done.outputs["summary"].read_text(encoding="utf-8"))
    assert (done.frames, summary["weights"]) == (3, str(swin[1]))


def test_sizes_of_the_input_come_from_the_preprocessor(swin, tmp_path):
    folder = copied(swin[1], tmp_path / "sized")
    assert load_initial(folder).config.data.test_short_side == 800
    told = {"size": {"shortest_edge": 480, "longest_edge": 853}, "image_mean": [0.485, 0.456, 0.406]}
    (folder / "preprocessor_config.json").write_text(json.dumps(told), encoding="utf-8")
    data = load_initial(folder).config.data
    assert (data.test_short_side, data.max_side) == (480, 853)
    (folder / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0.5, 0.5, 0.5]}), encoding="utf-8")
    with pytest.raises(InputError, match="image_mean"):
        load_initial(folder)


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"model_type": "maskformer"}, "'maskformer', not 'mask2former'"),
        ({"pre_norm": True}, "pre_norm True"),
        ({"num_queries": 8}, "num_queries 8, the tensors say 7"),
        ({"num_attention_heads": 8}, "num_attention_heads 8, the tensors say 4"),
        ({"decoder_layers": 4}, "decoder_layers 4, the tensors say 5"),
        ({"id2label": {"0": "a", "1": "b"}}, "names 2 classes, the class head has 3"),
        ({"backbone_config": {"model_type": "focalnet"}}, "the kind 'focalnet'"),
        ({"backbone__use_absolute_embeddings": True}, "use_absolute_embeddings True"),
        ({"backbone__out_features": ["stage4"]}, "out_features"),
    ],
)
def test_models_that_differ_are_refused_in_one_line(swin, tmp_path, changes, cause):
    with pytest.raises(InputError) as caught:
        load_initial(copied(swin[1], tmp_path / "changed", **changes))
    assert cause in caught.value.cause
    assert "\n" not in caught.value.line()
    assert str(tmp_path) in caught.value.line()


@pytest.mark.parametrize(
    ("damage", "cause"),
    [
        (lambda t: t | {"model.pixel_level_module.encoder.extra.weight": torch.zeros(3)}, "no place for the tensor"),
        (lambda t: {n: v for n, v in t.items() if "blocks.0.attention.self.key.bias" not in n}, "of the 3 parts of"),
        (
            lambda t: {n: v for n, v in t.items() if "mask_embedder.1" not in n},
            "no tensor 'decoder.mask_embed.layers.1",
        ),
        (lambda t: t | {"class_predictor.weight": torch.zeros(4, 5)}, "'decoder.class_embed.weight' is (4, 5)"),
        (
            lambda t: {n: v for n, v in t.items() if "queries_embedder" not in n},
            "'decoder.query_embed.weight' is missing",
        ),
    ],
)
def test_tensors_that_do_not_fit_are_named(swin, tmp_path, damage, cause):
    folder = copied(swin[1], tmp_path / "damaged")
    save_file(damage(load_file(folder / "model.safetensors")), folder / "model.safetensors")
    with pytest.raises(InputError) as caught:
        as_checkpoint(load_initial(folder))
    assert cause in caught.value.cause
    assert str(folder) in caught.value.line()


def test_files_that_are_missing_are_named(swin, tmp_path):
    folder = copied(swin[1], tmp_path / "incomplete")
    (folder / "config.json").rename(folder / "elsewhere.json")
    with pytest.raises(InputError, match=r"config\.json is missing"):
        load_initial(folder / "model.safetensors")
    (folder / "elsewhere.json").rename(folder / "config.json")
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"neither model\.safetensors nor"):
        load_initial(folder)
    index = {"weight_map": {"a": "../model.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    with pytest.raises(InputError, match="points outside"):
        load_initial(folder)


def test_shifted_windows_are_padded_before_they_are_shifted():
    """timm shifts first; on a map that is no whole number of windows that gives other numbers."""
    from timm.models.swin_transformer import SwinTransformerBlock

    from qcen_core.model.swin import PaddedBlock

    torch.manual_seed(0)
    theirs = SwinTransformerBlock(8, (14, 14), num_heads=1, window_size=7, shift_size=3, dynamic_mask=True).eval()
    ours = PaddedBlock(8, (14, 14), num_heads=1, window_size=7, shift_size=3, dynamic_mask=True).eval()
    ours.load_state_dict(theirs.state_dict())
    with torch.no_grad():
        whole, odd = torch.randn(1, 14, 21, 8), torch.randn(1, 13, 18, 8)
        assert torch.equal(ours(whole), theirs(whole))
        assert (ours(odd) - theirs(odd)).abs().max() > 1e-3


def test_a_swin_takes_any_size_and_norms_each_map(swin):
    config = load_initial(swin[1]).config
    backbone = FrameSegmenter(config.model, 3).backbone
    with torch.no_grad():
        maps = backbone(torch.randn(1, 3, 96, 160))
    assert [tuple(m.shape[1:]) for m in maps] == [(16, 24, 40), (32, 12, 20), (64, 6, 10), (128, 3, 5)]
    for m in maps:
        torch.testing.assert_close(m.mean(1), torch.zeros_like(m[:, 0]), atol=1e-5, rtol=0)
