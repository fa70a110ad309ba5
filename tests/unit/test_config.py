"""Recipes, overrides, and what is said about a configuration that cannot be used."""

import pytest
import yaml
from pydantic import ValidationError

from qcen_core.config import (
    ModelConfig,
    QcenConfig,
    config_from_dict,
    dump_config,
    load_config,
    recipe_names,
)
from qcen_core.errors import InputError
from qcen_core.stored_config import DROPPED_KEYS, load_stored_config, without_dropped_keys


def failure(recipe, *overrides):
    with pytest.raises(InputError) as caught:
        load_config(recipe, overrides)
    assert "\n" not in caught.value.line()
    return caught.value


def recipe_file(tmp_path, text):
    path = tmp_path / "own.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_loads_and_states_differences_only(name):
    config = load_config(name)
    assert config_from_dict(yaml.safe_load(dump_config(config)), "text") == config
    assert config != QcenConfig()


def test_the_published_recipe_is_mask2former_at_the_sizes_of_video_training():
    config = load_config("r50")
    assert (config.model.backbone, config.model.pretrained, config.model.backbone_norm) == (
        "resnet50",
        True,
        "frozen_batch",
    )
    assert (config.model.queries, config.model.decoder_layers, config.model.encoder_layers) == (100, 9, 6)
    assert (config.optim.learning_rate, config.optim.backbone_factor, config.optim.weight_decay) == (1e-4, 0.1, 0.05)
    assert config.data.short_sides == (360, 480)


def test_a_file_as_recipe_and_a_round_trip_through_a_file(tmp_path):
    config = load_config("shapes_tiny", ["data.root=some folder/x", "train.supervision=mask+id", "loss.inter_weight=0"])
    assert load_config(recipe_file(tmp_path, dump_config(config))) == config
    assert load_config(recipe_file(tmp_path, "")) == QcenConfig()


@pytest.mark.parametrize(
    ("override", "section", "key", "value"),
    [
        ("train.steps=7", "train", "steps", 7),
        ("optim.learning_rate=3e-4", "optim", "learning_rate", 3e-4),
        ("data.short_sides=[97, 101]", "data", "short_sides", (97, 101)),
        ("data.root=a=b", "data", "root", "a=b"),
        ("data.root=null", "data", "root", None),
        ("model.pretrained=false", "model", "pretrained", False),
        ("model.backbone_args.stem_width=8", "model", "backbone_args", {"stem_width": 8}),
    ],
)
def test_overrides(override, section, key, value):
    assert getattr(getattr(load_config("r50", [override]), section), key) == value


def test_the_last_override_wins_and_the_rest_of_a_section_stays():
    config = load_config("shapes_tiny", ["train.steps=7", "train.steps=11"])
    assert config.train.steps == 11
    assert config.train.precision == "32-true"


@pytest.mark.parametrize(
    ("override", "cause", "hint"),
    [
        ("train.step=7", "unknown key 'train.step'", "did you mean 'train.steps'?"),
        ("trian.steps=7", "unknown key 'trian'", "did you mean 'train'?"),
        ("qqqq.zzzz=7", "unknown key 'qqqq'", "known: data, model, matching, pairs, loss, optim, train, tracker"),
        ("pairs.zzzz=7", "unknown key 'pairs.zzzz'", "known: pairs.affinity, pairs.threshold"),
        ("train.steps=many", "'train.steps': input should be a valid integer", None),
        ("train.steps=0", "'train.steps': input should be greater than or equal to 1", None),
        ("train.seed=-1", "'train.seed': input should be greater than or equal to 0", None),
        ("train.supervision=boxes", "'train.supervision': input should be 'box', 'box+id', 'mask' or 'mask+id'", None),
        ("data.short_sides=[]", "'data.short_sides'", None),
        ("data.crop_scale=0", "'data.crop_scale'", None),
        ("optim.learning_rate=.nan", "'optim.learning_rate'", None),
        ("model.hidden_dim=90", "'model': hidden_dim 90 is not a multiple of heads (4) and of 4", None),
        ("model.hidden_dim=136", "'model': hidden_dim 136 is not a multiple of heads (4) and of 32", None),
        ("model.queries=0", "'model.queries'", None),
        ("train.steps", "not of the form section.key=value", "--set train.steps=500"),
        ("steps=7", "not of the form section.key=value", None),
        ("train.steps.more=7", "goes into a value", None),
        ("train.steps=[", "is not YAML", None),
    ],
)
def test_overrides_that_cannot_be_used(override, cause, hint):
    error = failure("shapes_tiny", override)
    assert cause in error.line()
    if hint is not None:
        assert hint in error.hint


def test_recipes_that_cannot_be_used(tmp_path):
    assert "did you mean 'shapes_tiny'?" in failure("shape_tiny").hint
    assert "no such recipe file" in failure(tmp_path / "absent.yaml").cause
    for text, cause in [
        ("data: [", "malformed YAML"),
        ("- data", "mapping of sections"),
        ("data: 3", "'data'"),
        ("model:\n  querys: 5", "unknown key 'model.querys'"),
    ]:
        path = recipe_file(tmp_path, text)
        error = failure(path)
        assert cause in error.cause
        assert str(path) in error.line()


def stored_file(tmp_path, **dropped):
    """A configuration of an earlier version, with keys by their last part: `loss` for all but `pairs.cycle`."""
    values = yaml.safe_load(dump_config(load_config("shapes_tiny", ["train.steps=7"])))
    for name, value in dropped.items():
        values["pairs" if name == "cycle" else "loss"][name] = value
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


WITHOUT_EFFECT = {
    "cycle": False,
    "mask_upsampling": 1,
    "pairwise_contested": True,
    "exclusion_weight": 0.0,
    "contrast_other_videos": False,
    "temporal_weight": 0.0,
    "temporal_radius": 2,
    "temporal_best": 5,
    "temporal_distance": 40.0,
    "teacher_weight": 0.0,
    "teacher_start": 500,
    "teacher_agreement": 0.8,
    "teacher_confidence": 0.5,
}


def test_a_stored_configuration_may_hold_dropped_keys_that_had_no_effect(tmp_path):
    assert len(WITHOUT_EFFECT) == len(DROPPED_KEYS)
    path = stored_file(tmp_path, **WITHOUT_EFFECT)
    assert load_stored_config(path) == load_config("shapes_tiny", ["train.steps=7"])
    assert load_stored_config(path, ["train.steps=11"]) == load_config("shapes_tiny", ["train.steps=11"])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cycle", True),
        ("mask_upsampling", 2),
        ("pairwise_contested", False),
        ("exclusion_weight", 0.5),
        ("contrast_other_videos", True),
        ("temporal_weight", 1.0),
        ("teacher_weight", 1.0),
    ],
)
def test_training_does_not_go_on_without_a_key_that_had_an_effect(tmp_path, name, value):
    path = stored_file(tmp_path, **(WITHOUT_EFFECT | {name: value}))
    with pytest.raises(InputError) as caught:
        load_stored_config(path)
    key = f"pairs.{name}" if name == "cycle" else f"loss.{name}"
    assert caught.value.line() == f"{path}: '{key}' is {value}, but this version no longer has it"
    assert "version of qcen" in caught.value.hint
    values = yaml.safe_load(path.read_text())
    kept = config_from_dict(without_dropped_keys(values, "text", to_train=False), "text")
    assert kept == load_config("shapes_tiny", ["train.steps=7"])
    assert values == yaml.safe_load(path.read_text()), "what was passed in is left as it was"


def test_dropped_keys_are_unknown_everywhere_else(tmp_path):
    path = stored_file(tmp_path)
    for key in DROPPED_KEYS:
        assert f"unknown key '{key}'" in failure("shapes_tiny", f"{key}=0").cause
        with pytest.raises(InputError, match=f"unknown key '{key}'"):
            load_stored_config(path, [f"{key}=0"])
    assert "unknown key 'loss.temporal_weight'" in failure(stored_file(tmp_path, temporal_weight=0.0)).cause


def test_stored_configurations_that_cannot_be_used(tmp_path):
    with pytest.raises(InputError, match=r"unknown key 'loss\.no_such_weight'"):
        load_stored_config(stored_file(tmp_path, no_such_weight=0.0))
    with pytest.raises(InputError, match="'loss': input should be"):
        load_stored_config(recipe_file(tmp_path, "loss: 3"))
    with pytest.raises(InputError, match="no such file"):
        load_stored_config(tmp_path / "absent.yaml")


def test_a_configuration_cannot_be_changed():
    with pytest.raises(ValidationError):
        load_config("r50").train.steps = 3


@pytest.mark.parametrize("width", [4, 8, 36, 100, 128, 256, 320])
def test_widths_that_pass_can_be_built(width):
    from qcen_core.model.pixel_decoder import PixelDecoder

    config = ModelConfig(hidden_dim=width, heads=4, encoder_layers=1, encoder_feedforward=5)
    PixelDecoder(config, (4, 4, 4, 4))
