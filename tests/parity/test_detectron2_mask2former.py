"""Mask2Formers under detectron2's names: every tensor has its place, and both kinds of names make one model."""

import pickle

import numpy as np
import pytest
import torch
from detectron2_tensors import as_detectron2, is_buffer, mask2former_shapes
from safetensors.torch import load_file
from small_mask2formers import random_mask2former

from qcen_core.errors import InputError
from qcen_core.model.published.coco_classes import COCO
from qcen_core.model.published.detectron2 import load_detectron2
from qcen_core.model.published.load import as_checkpoint, load_initial
from qcen_core.model.segmenter import FrameSegmenter

OFFSETS = "sem_seg_head.pixel_decoder.transformer.encoder.layers.0.self_attn.sampling_offsets.weight"


def hollow(shapes):
    """Tensors that take no memory."""
    return {name: torch.zeros(1).expand(shape) for name, shape in shapes.items()}


@pytest.fixture(scope="module", params=["swin", "resnet"])
def both(request, tmp_path_factory):
    """One random model: the folder of Hugging Face, and its tensors under the names of detectron2."""
    folder = tmp_path_factory.mktemp(request.param)
    random_mask2former(request.param, seed=3).save_pretrained(folder)
    return folder, as_detectron2(load_file(folder / "model.safetensors"), torch.cat)


@pytest.mark.parametrize(("classes", "parameters"), [(80, 43_970_257), (40, 43_959_977)])
@pytest.mark.parametrize("content", ["query_feat", "static_query"])
def test_the_published_resnet_50(classes, parameters, content):
    """345 trainable tensors and 212 of norms; each becomes one of ours, and only the contrast head is new."""
    shapes = mask2former_shapes(classes, content)
    trainable = [shape for name, shape in shapes.items() if not is_buffer(name)]
    assert (len(trainable), len(shapes) - len(trainable)) == (345, 212)
    assert sum(int(np.prod(shape)) for shape in trainable) == parameters
    extra = {"criterion.empty_weight": (classes + 1,)}
    initial = load_detectron2(hollow(shapes | extra), "table")
    assert initial.unused == ("criterion.empty_weight",)
    assert sorted(name for names in initial.origins.values() for name in names) == sorted(shapes)
    assert all(len(names) == 1 for names in initial.origins.values())
    config = initial.config.model
    assert (config.backbone, config.backbone_args) == ("resnet50", {})
    assert (config.hidden_dim, config.heads, config.queries) == (256, 8, 100)
    assert (config.encoder_layers, config.encoder_feedforward) == (6, 1024)
    assert (config.decoder_layers, config.decoder_feedforward) == (9, 2048)
    model = FrameSegmenter(config, classes)
    state = {n: tuple(t.shape) for n, t in model.state_dict().items() if "contrast_embed" not in n}
    assert state == {name: tuple(tensor.shape) for name, tensor in initial.weights.items()}
    assert parameters == sum(p.numel() for n, p in model.named_parameters() if "contrast_embed" not in n)


def test_classes_are_named_where_they_are_known():
    coco = load_detectron2(hollow(mask2former_shapes(80)), "table")
    assert [category.name for category in coco.categories] == list(COCO)
    assert len(set(COCO)) == 80
    assert coco.supervision == ("ImageNet labels", "COCO masks (Mask2Former)")
    video = load_detectron2(hollow(mask2former_shapes(40)), "table")
    assert [category.name for category in video.categories[:2]] == ["class 1", "class 2"]
    assert video.supervision == ("ImageNet labels", "masks of 40 classes (Mask2Former)")


def test_both_names_are_one_model(both):
    folder, tensors = both
    theirs, ours = load_initial(folder), load_detectron2(tensors, "here")
    arguments = {key: value for key, value in theirs.config.model.backbone_args.items() if key != "drop_path_rate"}
    assert ours.config.model == theirs.config.model.model_copy(update={"backbone_args": arguments})
    assert ours.weights.keys() == theirs.weights.keys()
    assert all(torch.equal(tensor, theirs.weights[name]) for name, tensor in ours.weights.items())
    frames, valid = torch.full((1, 3, 64, 96), 77, dtype=torch.uint8), torch.ones(1, 64, 96, dtype=torch.bool)
    frames[..., 20:50, 30:70] = 200
    with torch.no_grad():
        one, other = (as_checkpoint(initial).model(frames, valid).final for initial in (theirs, ours))
    assert torch.equal(one.mask_logits, other.mask_logits)
    assert torch.equal(one.class_logits, other.class_logits)


@pytest.mark.parametrize("form", ["pickle of arrays", "pickle of Python 2", "torch zip", "torch before zip", "bare"])
def test_files_of_any_form_hold_the_same(both, tmp_path, form):
    _, tensors = both
    path = tmp_path / "model_final.pkl"
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    match form:
        case "pickle of arrays":
            path.write_bytes(pickle.dumps({"model": arrays, "__author__": "somebody"}))
        case "pickle of Python 2":
            path.write_bytes(pickle.dumps({"model": arrays, "matching_heuristics": True}, protocol=2))
        case "torch zip":
            torch.save({"model": tensors, "iteration": 7}, path)
        case "torch before zip":
            torch.save({"state_dict": tensors}, path, _use_new_zipfile_serialization=False)
        case "bare":
            torch.save({f"module.{name}": tensor for name, tensor in tensors.items()}, path)
    found = load_initial(path)
    assert found.kind == "Mask2Former of detectron2"
    wanted = load_detectron2(tensors, "here").weights
    assert found.weights.keys() == wanted.keys()
    assert all(torch.equal(tensor, wanted[name]) for name, tensor in found.weights.items())


def test_names_that_were_renamed_twice_or_never(both):
    _, tensors = both
    wanted = load_detectron2(tensors, "here").weights
    for again in ("sem_seg_head.pixel_decoder.pixel_decoder.", "sem_seg_head."):
        other = {n.replace("sem_seg_head.pixel_decoder.", again): tensor for n, tensor in tensors.items()}
        assert load_detectron2(other, "here").weights.keys() == wanted.keys()


@pytest.mark.parametrize(
    ("damage", "cause"),
    [
        (lambda t: t | {"sem_seg_head.predictor.input_proj.0.weight": torch.zeros(3)}, "no place for the tensor"),
        (lambda t: {n: v for n, v in t.items() if "class_embed" not in n}, "no class head"),
        (lambda t: {n: v for n, v in t.items() if "query_embed" not in n}, "'decoder.query_embed.weight' is missing"),
        (
            lambda t: {n: v for n, v in t.items() if not n.endswith("layer_1.norm.bias")},
            "no tensor 'pixel_decoder.output",
        ),
        (
            lambda t: t | {"sem_seg_head.pixel_decoder.mask_features.bias": torch.zeros(5)},
            "'pixel_decoder.mask_features.bias' is (5,), this model needs (128,)",
        ),
        (lambda t: t | {OFFSETS: torch.zeros(50, 128)}, "50 sampling offsets"),
    ],
)
def test_tensors_that_do_not_fit_are_named(both, damage, cause):
    _, tensors = both
    with pytest.raises(InputError) as caught:
        as_checkpoint(load_detectron2(damage(tensors), "file.pkl"))
    assert cause in caught.value.cause
    assert caught.value.line().startswith("file.pkl")
    assert "\n" not in caught.value.line()
