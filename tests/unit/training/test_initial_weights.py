"""Where a run starts: seeds, checkpoints, class heads rearranged by name, levels of supervision remembered."""

import pytest
import torch

from qcen_core.config import ModelConfig, QcenConfig, TrainConfig
from qcen_core.errors import InputError
from qcen_core.model.checkpoint import save_checkpoint
from qcen_core.records import Category
from qcen_core.training.initial_weights import CLASS_HEAD, adapt_class_head, build_model, supervision_history

SMALL = ModelConfig(
    backbone="resnet10t",
    backbone_args={"channels": [8, 8, 8, 8], "stem_width": 8},
    pretrained=False,
    backbone_norm="group",
    hidden_dim=8,
    contrast_dim=5,
    heads=2,
    queries=3,
    encoder_layers=1,
    encoder_feedforward=7,
    decoder_layers=1,
    decoder_feedforward=7,
)


def config(**train):
    return QcenConfig(model=SMALL, train=TrainConfig(**train))


def head(rows):
    weights = torch.tensor(rows, dtype=torch.float32)
    return {CLASS_HEAD[0]: weights[:, None].repeat(1, 2), CLASS_HEAD[1]: -weights, "other": torch.zeros(1)}


def test_class_head_by_name():
    """Known cat 1, dog 2, none 9; wanted owl (fresh 5), cat, none: rows 5, 1, 9."""
    adapted = adapt_class_head(head([1, 2, 9]), ["cat", "dog"], ["owl", "cat"], head([5, 6, 7]))
    assert adapted[CLASS_HEAD[0]].tolist() == [[5, 5], [1, 1], [9, 9]]
    assert adapted[CLASS_HEAD[1]].tolist() == [-5, -1, -9]
    assert adapted["other"].tolist() == [0]


def test_class_head_of_other_length_and_of_the_same_names():
    adapted = adapt_class_head(head([1, 2, 9]), ["cat", "dog"], ["dog", "owl", "cat"], head([5, 6, 7, 8]))
    assert adapted[CLASS_HEAD[1]].tolist() == [-2, -6, -1, -9]
    weights = head([1, 2, 9])
    assert adapt_class_head(weights, ["cat", "dog"], ["cat", "dog"], head([5, 6, 7])) is weights


def test_the_seed_decides_the_weights():
    one, same, other = (build_model(config(seed=s), ["a", "b"], fresh=True).state_dict() for s in (3, 3, 4))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["decoder.query_feat.weight"], other["decoder.query_feat.weight"])


def saved(path, categories, supervision=("mask",)):
    model = build_model(config(seed=11), [c.name for c in categories], fresh=True)
    info = {"step": 5, "supervision": list(supervision)}
    save_checkpoint(path, model.state_dict(), config(seed=11), categories, info)
    return model.state_dict()


def test_start_from_a_checkpoint_of_other_classes(tmp_path):
    path = tmp_path / "last.safetensors"
    weights = saved(path, (Category(1, "cat"), Category(2, "dog")))
    model = build_model(config(seed=3, init_weights=str(path)), ["dog", "owl", "cat"], fresh=True)
    state = model.state_dict()
    assert all(torch.equal(state[n], w) for n, w in weights.items() if n not in CLASS_HEAD)
    bias, known = state[CLASS_HEAD[1]], weights[CLASS_HEAD[1]]
    assert torch.equal(bias[[0, 2, 3]], known[[1, 0, 2]])
    resumed = build_model(config(seed=3, init_weights=str(tmp_path / "gone")), ["dog"], fresh=False)
    assert not torch.equal(resumed.state_dict()["decoder.query_feat.weight"], weights["decoder.query_feat.weight"])


def test_a_checkpoint_of_another_size_is_an_error(tmp_path):
    path = tmp_path / "last.safetensors"
    saved(path, (Category(1, "cat"),))
    wrong = config(init_weights=str(path)).model_copy(update={"model": SMALL.model_copy(update={"queries": 5})})
    with pytest.raises(InputError, match=r"decoder\.query_embed\.weight"):
        build_model(wrong, ["cat"], fresh=True)


def test_weights_remember_every_level_they_ever_saw(tmp_path):
    path = tmp_path / "last.safetensors"
    saved(path, (Category(1, "cat"),), supervision=("mask+id",))
    assert supervision_history(config(supervision="box"), None) == ["box"]
    assert supervision_history(config(supervision="box"), path) == ["mask+id", "box"]
    assert supervision_history(config(supervision="mask+id"), path) == ["mask+id"]
