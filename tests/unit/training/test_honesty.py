"""No level sees what it forbids: garbage in the forbidden labels changes no loss and no gradient.

The same garbage does change the levels that may read it, so these tests are known to be able to fail.
"""

import dataclasses
import shutil
from itertools import islice

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from qcen_core.config import LossConfig, config_from_dict
from qcen_core.conversion.prepare import prepare
from qcen_core.data.loader import batches
from qcen_core.method.criterion import TERM_NAMES, SetCriterion
from qcen_core.method.diagnostics import FIGURE_NAMES
from qcen_core.model.segmenter import FrameSegmenter
from qcen_core.ops import rle
from qcen_core.prepared import read_prepared, write_prepared
from qcen_core.trackfile import read_annotations, write_annotations
from qcen_core.training.log_window import LogWindow
from qcen_core.training.optimizer import build_optimizer
from qcen_core.training.step_figures import step_figures
from qcen_core.training.train_step import train_step
from qcen_core.training.training_data import load_training_data

STEPS = 3
EVERY_TERM = {name: field.default or 1.0 for name, field in LossConfig.model_fields.items() if name.endswith("_weight")}


@pytest.fixture(scope="module")
def true_set(tmp_path_factory):
    out = tmp_path_factory.mktemp("honesty") / "true"
    prepare(
        out=out, dataset="shapes", clips=5, holdout_clips=0, size=(48, 64), length=6, keep_masks=True, keep_ids=True
    )
    return out


def spoiled(true_set, out, *, masks=False, ids=False):
    """A copy whose strong file holds random masks, or objects that change their track from frame to frame."""
    shutil.copytree(true_set, out)
    rng = np.random.default_rng(3)
    path = out / "train_strong.json"
    dataset = read_annotations(path)
    tracks = list(dataset.tracks)
    if masks:
        tracks = [dataclasses.replace(track, segmentations=random_masks(track, rng)) for track in tracks]
    if ids:
        tracks = [track for group in groups_of(tracks) for track in mixed_up(group, rng)]
    write_annotations(dataclasses.replace(dataset, tracks=tuple(tracks)), path)
    assert path.read_bytes() != (true_set / "train_strong.json").read_bytes()
    return out


def random_masks(track, rng):
    return tuple(None if mask is None else rle.encode(rng.random(mask["size"]) < 0.5) for mask in track.segmentations)


def groups_of(tracks):
    """Tracks of one video and category."""
    groups = {}
    for track in tracks:
        groups.setdefault((track.video_id, track.class_id), []).append(track)
    return list(groups.values())


def mixed_up(group, rng):
    """In every frame the objects of a group are dealt to its tracks anew."""
    frames = []
    for time in range(len(group[0].boxes)):
        order = rng.permutation(len(group))
        frames.append([(group[i].boxes[time], group[i].segmentations[time]) for i in order])
    return [
        dataclasses.replace(
            track, boxes=tuple(f[place][0] for f in frames), segmentations=tuple(f[place][1] for f in frames)
        )
        for place, track in enumerate(group)
    ]


def without_strong(true_set, out):
    shutil.copytree(true_set, out)
    (out / "train_strong.json").unlink()
    prepared = read_prepared(out)
    splits = {name: dataclasses.replace(split, strong=None) for name, split in prepared.splits.items()}
    write_prepared(dataclasses.replace(prepared, splits=splits))
    return out


def config_of(root, level, **loss):
    return config_from_dict(
        {
            "data": {
                "root": str(root),
                "clips_per_step": 2,
                "frame_range": 4,
                "short_sides": [48],
                "crop_scale": 0.8,
                "workers": 0,
            },
            "model": {
                "backbone": "resnet10t",
                "backbone_args": {"channels": [8, 16, 16, 16], "stem_width": 8},
                "pretrained": False,
                "backbone_norm": "group",
                "hidden_dim": 16,
                "contrast_dim": 8,
                "heads": 2,
                "queries": 11,
                "located_queries": True,
                "encoder_layers": 1,
                "encoder_feedforward": 16,
                "decoder_layers": 1,
                "decoder_feedforward": 16,
            },
            "loss": {"pairwise_warmup": 0, "exchange": "decoder"} | EVERY_TERM | loss,
            "optim": {"warmup_steps": 0},
            "train": {"supervision": level, "steps": 9, "precision": "32-true"},
        },
        "test",
    )


def learn(root, level, **loss):
    """Losses and gradients of a few steps as bytes, and the figures of the log."""
    config = config_of(root, level, **loss)
    data = load_training_data(config)
    torch.manual_seed(5)
    model = FrameSegmenter(config.model, len(data.prepared.categories))
    fabric = Fabric(accelerator="cpu", devices=1, precision="32-true")
    wrapped, optimizer = fabric.setup(model, build_optimizer(model, config.optim))
    criterion = SetCriterion(config.loss, config.matching, config.pairs)
    window, record = LogWindow(), []
    for step, (batch, audit) in enumerate(islice(batches(data.clips, config.data, first=0, last=STEPS, seed=1), STEPS)):
        result = train_step(fabric, wrapped, optimizer, criterion, [batch], config, step)
        record += [(name, value.item()) for name, value in result.terms.items()]
        record += [(name, p.grad.numpy().tobytes()) for name, p in model.named_parameters() if p.grad is not None]
        window.add({}, step_figures(result, criterion, batch, audit, exchange=True), frames=1)
    return record, window.close()[1]


@pytest.fixture(scope="module")
def truth(true_set):
    return {level: learn(true_set, level) for level in ("box", "box+id", "mask", "mask+id")}


@pytest.fixture(scope="module")
def other_sets(true_set, tmp_path_factory):
    folder = tmp_path_factory.mktemp("spoiled")
    return {
        "masks": spoiled(true_set, folder / "masks", masks=True),
        "ids": spoiled(true_set, folder / "ids", ids=True),
        "both": spoiled(true_set, folder / "both", masks=True, ids=True),
        "none": without_strong(true_set, folder / "none"),
    }


def test_every_term_takes_part(truth):
    taught = {level: {name for name, _ in record} & set(TERM_NAMES) for level, (record, _) in truth.items()}
    assert taught["box"] | taught["mask"] == set(TERM_NAMES)
    assert taught["box"] == taught["box+id"]
    assert taught["mask"] == taught["mask+id"]


@pytest.mark.parametrize("spoil", ["masks", "ids", "both", "none"])
def test_boxes_are_learned_from_alone(truth, other_sets, spoil):
    assert learn(other_sets[spoil], "box")[0] == truth["box"][0]


def test_boxes_are_learned_from_alone_also_where_exchanged_queries_only_draw(true_set, truth, other_sets):
    record = learn(true_set, "box", exchange="mask")[0]
    assert record == learn(other_sets["both"], "box", exchange="mask")[0]
    assert record != truth["box"][0]


@pytest.mark.parametrize(
    ("level", "spoil", "changes"),
    [
        ("box+id", "masks", False),
        ("box+id", "ids", True),
        ("mask", "masks", True),
        ("mask", "ids", False),
        ("mask+id", "masks", True),
        ("mask+id", "ids", True),
    ],
)
def test_garbage_changes_the_levels_that_read_it_and_no_other(truth, other_sets, level, spoil, changes):
    assert (learn(other_sets[spoil], level)[0] != truth[level][0]) == changes


@pytest.mark.parametrize("level", ["box", "mask"])
def test_wrong_identities_are_seen_by_the_log_and_not_by_the_loss(truth, other_sets, level):
    told, (record, mistold) = truth[level][1], learn(other_sets["ids"], level)
    assert record == truth[level][0]
    assert mistold["pair_precision"] < told["pair_precision"]
    assert mistold["pair_recall"] != told["pair_recall"]
    assert [mistold[name] for name in FIGURE_NAMES[2:]] == [told[name] for name in FIGURE_NAMES[2:]]


def test_without_identities_in_the_data_the_log_judges_no_pairs(other_sets, true_set, tmp_path):
    assert set(learn(other_sets["none"], "box")[1]) & set(FIGURE_NAMES) == {"exchanged_iou", "exchanged_mass"}
    damaged = tmp_path / "damaged"
    shutil.copytree(true_set, damaged)
    (damaged / "train_strong.json").write_text("{", encoding="utf-8")
    assert set(learn(damaged, "box")[1]) & set(FIGURE_NAMES) == {"exchanged_iou", "exchanged_mass"}


@pytest.mark.parametrize("level", ["box", "box+id", "mask", "mask+id"])
def test_every_level_tells_every_figure_also_with_the_terms_off(true_set, level):
    off = dict.fromkeys(("contrast_weight", "contrast_auxiliary_weight", "intra_weight", "inter_weight"), 0)
    figures = learn(true_set, level, **off)[1]
    assert set(FIGURE_NAMES) <= set(figures)
    assert all(0 <= figures[name] <= 1 for name in FIGURE_NAMES[:3])
    assert figures["exchanged_mass"] > 0
