"""Published weights in the program: converted, trained from, their classes matched by name, their labels remembered."""

import json
import sys

import pytest
import torch
from small_mask2formers import random_mask2former

from qcen_cli import main
from qcen_core.config import ModelConfig, QcenConfig, TrainConfig
from qcen_core.errors import InputError
from qcen_core.model.checkpoint import load_checkpoint, read_header
from qcen_core.model.published.load import load_initial
from qcen_core.model.segmenter import FrameSegmenter
from qcen_core.training.initial_weights import build_model, supervision_history

LEARNED = ["ImageNet labels", "masks of 3 classes (Mask2Former)"]
HEAD = "decoder.class_embed.bias"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("published")
    random_mask2former("swin").save_pretrained(path)
    return path


@pytest.fixture
def call(monkeypatch, tmp_path, capsys):
    """Runs `qcen` with arguments in an empty folder; returns exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["qcen", *map(str, arguments)])
        monkeypatch.setattr(sys, "excepthook", sys.excepthook)
        with pytest.raises(SystemExit) as leaving:
            main.run()
        printed = capsys.readouterr()
        return leaving.value.code, printed.out, printed.err

    return run


def config_of(folder, **changes):
    """A run that starts from the published weights."""
    model = load_initial(folder).config.model.model_copy(update={"see_padding": False, **changes})
    return QcenConfig(model=model, train=TrainConfig(init_weights=str(folder), seed=5))


def test_a_run_starts_from_them_and_matches_classes_by_name(folder):
    """Published are heron, Otter, water_lily: names that differ in capitals and underscores are the same."""
    config, weights = config_of(folder), load_initial(folder).weights
    wanted = ["otter", "newt", "Water Lily"]
    state = build_model(config, wanted, fresh=True).state_dict()
    assert all(torch.equal(state[n], tensor) for n, tensor in weights.items() if "class_embed" not in n)
    assert torch.equal(state[HEAD][[0, 2, 3]], weights[HEAD][[1, 2, 3]])
    torch.manual_seed(5)
    fresh = FrameSegmenter(config.model, 3).state_dict()
    assert state[HEAD][1] == fresh[HEAD][1]
    assert all(torch.equal(state[name], fresh[name]) for name in state if "contrast_embed" in name)


def test_their_labels_are_remembered(folder):
    assert supervision_history(config_of(folder), folder) == [*LEARNED, "box"]
    scratch = QcenConfig(model=ModelConfig(pretrained=False))
    assert supervision_history(scratch, None) == ["box"]
    assert supervision_history(QcenConfig(), None) == ["ImageNet labels", "box"]


def test_a_model_of_other_sizes_is_told_what_to_set(folder):
    with pytest.raises(InputError) as caught:
        build_model(config_of(folder, queries=9, decoder_feedforward=64), ["a"], fresh=True)
    assert "'decoder." in caught.value.cause
    assert "--set model.queries='7'" in caught.value.hint
    with pytest.raises(InputError) as wider:
        build_model(config_of(folder, hidden_dim=160), ["a", "b"], fresh=True)
    assert "--set model.hidden_dim='128'" in wider.value.hint
    assert "--set model.decoder_feedforward='88'" in caught.value.hint


def test_only_the_backbone_is_filled_from_a_backbone(folder, tmp_path):
    config = config_of(folder)
    backbone = FrameSegmenter(config.model, 1).backbone.body.state_dict()
    path = tmp_path / "swin.pth"
    torch.save({name.replace("layers_", "layers."): tensor for name, tensor in backbone.items()}, path)
    start = config.model_copy(update={"train": TrainConfig(init_weights=str(path), seed=5)})
    state = build_model(start, ["a"], fresh=True).state_dict()
    torch.manual_seed(5)
    fresh = FrameSegmenter(config.model, 1).state_dict()
    for name, tensor in state.items():
        source = backbone.get(name.removeprefix("backbone.body."))
        assert torch.equal(tensor, fresh[name] if source is None else source)
    other = start.model_copy(update={"model": ModelConfig(pretrained=False)})
    with pytest.raises(InputError) as caught:
        build_model(other, ["a"], fresh=True)
    assert "model.backbone is resnet50" in caught.value.hint


def test_weights_are_converted(call, folder, tmp_path):
    code, out, err = call("weights", folder, "made/it.safetensors")
    assert (code, err) == (0, "")
    rows = [line.split() for line in out.splitlines()[:5]]
    assert rows[0] == ["tensors", "kept", "mapped", "new", "unused"]
    names = load_initial(folder)
    assert rows[4] == ["all", "0", str(len(names.weights)), "6", str(len(names.unused))]
    new = "decoder.contrast_embed.layers.*.weight (3), decoder.contrast_embed.layers.*.bias (3)"
    assert f"new, not learned yet: {new}" in out.splitlines()
    assert "learned from: ImageNet labels, masks of 3 classes (Mask2Former)" in out
    assert read_header(tmp_path / "made/it.safetensors")["info"]["supervision"] == LEARNED
    code, out, _ = call("info", "made/it.safetensors")
    assert code == 0
    assert "heron, Otter, water_lily" in out


def test_conversion_as_json_with_named_classes(call, folder, tmp_path):
    (tmp_path / "names.txt").write_text("a\n\nb c\nd\n", encoding="utf-8")
    code, out, err = call("weights", folder, "it.safetensors", "--classes", "names.txt", "--json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert told["categories"] == ["a", "b c", "d"]
    assert told["supervision"] == LEARNED
    assert told["mapped"]["decoder.query_feat.weight"] == ["model.transformer_module.queries_features.weight"]
    assert len(told["new"]) == 6
    loaded = load_checkpoint(tmp_path / "it.safetensors", torch.device("cpu"))
    assert [category.name for category in loaded.categories] == ["a", "b c", "d"]
    assert loaded.info["step"] == 0


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        (["nowhere", "it.safetensors"], "nowhere: there is no such checkpoint"),
        (["FOLDER", "it.pth"], "it.pth: a checkpoint ends in .safetensors"),
        (["FOLDER", "there.safetensors"], "there.safetensors: exists already"),
        (["FOLDER", "it.safetensors", "--classes", "ytvis2019"], "names 40 classes, the weights have 3"),
        (["FOLDER", "it.safetensors", "--classes", "coco17"], "no list of classes is called 'coco17'"),
    ],
)
def test_wrong_use_leaves_nothing_behind(call, folder, tmp_path, arguments, cause):
    (tmp_path / "there.safetensors").touch()
    code, out, err = call("weights", *(folder if word == "FOLDER" else word for word in arguments))
    assert (code, out) == (2, "")
    assert cause in err.splitlines()[0]
    assert len(err.splitlines()) == 2
    assert [file.name for file in tmp_path.iterdir()] == ["there.safetensors"]


def test_a_help_line_for_every_option(call):
    code, out, _ = call("weights", "--help")
    assert code == 0
    assert all(word in out for word in ("SOURCE", "TARGET", "--classes", "--overwrite", "--json"))
    (line,) = [line for line in call("--help")[1].splitlines() if line.strip().startswith("weights ")]
    assert line.endswith("published weights.")
