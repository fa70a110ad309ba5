"""Recipes against the published schedules they follow, typed here by hand, and what holds for each of them."""

from importlib import resources

import pytest
import timm
import torch
import yaml
from timm.layers import DropPath

from qcen_core.config import QcenConfig, load_config, recipe_names
from qcen_core.model.backbone import build_backbone
from qcen_core.model.published.architecture import SWINS
from qcen_core.training.optimizer import learning_rate_factor

R50, SWIN_L = "resnet50", "swin_large_patch4_window12_384.ms_in22k"
VIDEO, STILLS = (360, 480), (288, 320, 352, 384, 416, 448, 480, 512)  # short sides of videos and of COCO's pseudo-clips
# name: steps, the first at a tenth of the rate, clips a step, short sides, longest side, test size, queries, backbone
PUBLISHED = {
    "ytvis2019_r50": (6_000, 4_000, 16, VIDEO, 1333, 360, 100, R50),
    "ytvis2021_r50": (8_000, 5_500, 16, VIDEO, 1333, 360, 100, R50),
    "ovis_r50": (10_000, 7_000, 16, VIDEO, 1333, 360, 100, R50),
    "ytvis2019_swinl": (6_000, 4_000, 16, VIDEO, 1333, 480, 200, SWIN_L),
    "ytvis2021_swinl": (8_000, 5_500, 16, VIDEO, 1333, 360, 200, SWIN_L),
    "ovis_swinl": (10_000, 7_000, 16, VIDEO, 1333, 480, 200, SWIN_L),
    "coco_pretrain": (70_000, 37_500, 16, STILLS, 768, 360, 100, R50),
}
OWN = {"r50", "shapes_tiny", "tiny"}
published = pytest.mark.parametrize("name", PUBLISHED)
every = pytest.mark.parametrize("name", recipe_names())


def text_of(name):
    return (resources.files("qcen_core") / "recipes" / f"{name}.yaml").read_text(encoding="utf-8")


def stated(name):
    """The keys that a recipe states."""
    return [(section, key) for section, keys in yaml.safe_load(text_of(name)).items() for key in keys]


def test_all_recipes_are_known_here():
    assert set(recipe_names()) == OWN | set(PUBLISHED)


@published
def test_a_published_schedule(name):
    steps, drop, batch, short_sides, longest_side, test_size, queries, backbone = PUBLISHED[name]
    config = load_config(name)
    data, model, optim, train = config.data, config.model, config.optim, config.train
    assert (train.steps, train.effective_batch, optim.schedule) == (steps, batch, "step")
    factors = [learning_rate_factor(step, optim, steps) for step in (optim.warmup_steps, drop - 1, drop, steps - 1)]
    assert factors == [1, 1, 0.1, 0.1]
    assert (data.short_sides, data.max_side, data.test_short_side) == (short_sides, longest_side, test_size)
    assert (data.clip_frames, data.frame_range) == (2, 5)
    assert (data.flip, data.color_jitter, data.crop_scale) == (0.5, 0, 1)
    assert (model.backbone, model.pretrained, model.backbone_norm) == (backbone, True, "frozen_batch")
    assert (model.queries, model.hidden_dim, model.heads, model.contrast_dim) == (queries, 256, 8, 256)
    assert (model.encoder_layers, model.encoder_points, model.encoder_feedforward) == (6, 4, 1024)
    assert (model.decoder_layers, model.decoder_feedforward) == (9, 2048)
    assert (optim.learning_rate, optim.backbone_factor, optim.weight_decay, optim.clip_norm) == (1e-4, 0.1, 0.05, 0.01)
    assert (optim.warmup_steps, optim.ema_decay) == (10, 0)
    assert (train.precision, train.supervision, train.init_weights) == ("bf16-mixed", "box", None)


@published
def test_published_weights_of_the_losses(name):
    loss = load_config(name).loss
    assert (loss.class_weight, loss.no_object_weight, loss.projection_weight) == (2, 0.1, 5)
    assert (loss.pairwise_weight, loss.pairwise_threshold, loss.pairwise_dilation) == (
        1.25 if name == "coco_pretrain" else 5,
        0.3,
        2,
    )
    assert (loss.mask_bce_weight, loss.mask_dice_weight, loss.mask_points) == (5, 5, 12_544)


@published
def test_devices_share_the_published_batch(name):
    config = load_config(name)
    assert config.train.devices == 1
    assert all(config.train.effective_batch % (devices * config.data.clips_per_step) == 0 for devices in (1, 2, 4, 8))
    assert config.train.checkpointing == (config.model.backbone == SWIN_L)
    assert 0 < config.train.evaluate_every < config.train.steps


@every
def test_a_recipe_is_short_and_says_first_what_it_is(name):
    lines = text_of(name).splitlines()
    assert lines[0].startswith("# ")
    assert max(map(len, lines)) <= 120
    assert len(lines) <= (45 if name in OWN else 25)


@every
def test_a_recipe_states_no_default(name):
    default, written = QcenConfig(), load_config(name)
    for section, key in stated(name):
        assert getattr(getattr(written, section), key) != getattr(getattr(default, section), key), f"{section}.{key}"


@every
def test_exchange_between_videos_finds_two_of_them_on_one_device(name):
    config = load_config(name)
    assert config.loss.inter_weight == 0 or config.data.clips_per_step >= 2


@every
def test_the_backbone_is_one_that_timm_knows_and_can_be_built(name):
    model = load_config(name).model
    assert timm.is_model(model.backbone)
    with torch.device("meta"):  # shapes without memory
        backbone = build_backbone(model, pretrained=False)
    assert len(backbone.channels) == 4
    if model.pretrained:
        assert timm.is_model_pretrained(model.backbone)


@pytest.mark.parametrize(
    ("name", "channels", "parameters", "drop_path"),
    [
        ("ytvis2019_r50", (256, 512, 1024, 2048), 23_454_912, 0),  # as in published Mask2Formers
        ("ovis_swinl", (192, 384, 768, 1536), 195_201_204, 0.3),  # Swin-L with a norm for each of its four maps
    ],
)
def test_backbones_are_the_published_ones(name, channels, parameters, drop_path):
    with torch.device("meta"):
        backbone = build_backbone(load_config(name).model, pretrained=False)
    assert backbone.channels == channels
    assert sum(parameter.numel() for parameter in backbone.parameters()) == parameters
    dropped = [module.drop_prob for module in backbone.modules() if isinstance(module, DropPath)]
    assert max(dropped, default=0) == pytest.approx(drop_path)


def test_swin_is_the_one_that_published_weights_are_read_into():
    architecture, _, pretraining = SWIN_L.partition(".")
    assert SWINS[192, (2, 2, 18, 2), 12] == architecture
    assert timm.models.get_pretrained_cfg(SWIN_L).tag == pretraining == "ms_in22k"
    assert {name for name in PUBLISHED if load_config(name).model.backbone == SWIN_L} == {
        name for name in PUBLISHED if name.endswith("_swinl")
    }
