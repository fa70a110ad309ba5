"""Whole training runs on a handful of procedural clips: files left behind, repetition, resume, failures."""

import csv
import json
import os
import signal
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from qcen_core.config import config_from_dict, load_config
from qcen_core.conversion.prepare import prepare
from qcen_core.errors import InputError, QcenError
from qcen_core.model.checkpoint import load_checkpoint, read_header
from qcen_core.training import run_keeper, trainer
from qcen_core.training.train_state import saved_states
from qcen_core.training.trainer import train

TIMES = ("frames_per_second", "data_wait", "memory_mb")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    out = tmp_path_factory.mktemp("sets") / "shapes"
    prepare(
        out=out, dataset="shapes", clips=4, holdout_clips=1, size=(64, 96), length=4, keep_masks=True, keep_ids=True
    )
    return out


def tiny_config(root, **changes):
    values = {
        "data": {
            "root": str(root),
            "clips_per_step": 2,
            "frame_range": 2,
            "short_sides": [48, 64],
            "test_short_side": 64,
            "crop_scale": 0.7,
            "color_jitter": 0.2,
            "workers": 0,
        },
        "model": {
            "backbone": "resnet10t",
            "backbone_args": {"channels": [8, 16, 16, 16], "stem_width": 8},
            "pretrained": False,
            "backbone_norm": "group",
            "hidden_dim": 32,
            "contrast_dim": 16,
            "heads": 4,
            "queries": 7,
            "encoder_layers": 1,
            "encoder_feedforward": 48,
            "decoder_layers": 2,
            "decoder_feedforward": 48,
        },
        "loss": {"pairwise_warmup": 4, "exchange_start": 2, "filled_box_weight": 1.0, "filled_box_steps": 4},
        "optim": {"learning_rate": 1e-3, "schedule": "cosine", "warmup_steps": 2, "clip_norm": 1.0, "ema_decay": 0.9},
        "train": {"precision": "32-true", "steps": 6, "log_every": 2, "save_every": 3},
    }
    for section, fields in changes.items():
        values[section] = values[section] | fields
    return config_from_dict(values, "test")


def losses(run):
    with (run / "metrics.csv").open(newline="", encoding="utf-8") as file:
        return [{name: cell for name, cell in row.items() if name not in TIMES} for row in csv.DictReader(file)]


def same_tensors(one, other):
    a, b = load_file(one), load_file(other)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture(scope="module")
def whole(prepared, tmp_path_factory):
    """A run of six steps and what it told."""
    run = tmp_path_factory.mktemp("runs") / "whole"
    told = []
    report = train(tiny_config(prepared), run, on_progress=told.append)
    return run, report, told


def test_a_run_leaves_its_files(whole, prepared):
    run, report, told = whole
    assert {"config.yaml", "env.json", "metrics.csv", "best.safetensors", "last.safetensors", "state"} <= {
        file.name for file in run.iterdir()
    }
    assert not [file for file in run.rglob("*") if file.suffix in {".part", ".new", ".old"}]
    assert load_config(run / "config.yaml") == tiny_config(prepared)
    assert json.loads((run / "env.json").read_text(encoding="utf-8"))["torch"]
    assert [row["step"] for row in losses(run)] == ["2", "4", "6"]
    trained = [progress for progress in told if progress.evaluating is None]
    assert [(progress.step, progress.steps) for progress in trained] == [(2, 6), (4, 6), (6, 6)]
    assert all(progress.frames_per_second > 0 for progress in trained)
    assert {progress.step for progress in told if progress.evaluating} == {6}
    assert report.run == run
    assert report.steps == 6
    assert report.losses["total"] == pytest.approx(float(losses(run)[-1]["total"]), rel=1e-4)
    assert report.best["step"] == 6
    assert 0 <= report.best["AP"] <= report.best["AP50"] <= 1
    assert losses(run)[-1]["AP"]


def test_terms_begin_when_they_should(whole):
    first, second, third = losses(whole[0])
    assert first["contrast"] == first["inter"] == ""
    assert second["contrast"]
    assert second["inter"]
    assert first["filled_box"]
    assert third["filled_box"] == ""
    assert all(first[name] == "" for name in ("mask_bce", "mask_dice"))


def test_the_checkpoint_can_be_used_and_says_what_it_saw(whole):
    run = whole[0]
    loaded = load_checkpoint(run / "best.safetensors", torch.device("cpu"))
    assert [category.name for category in loaded.categories]
    info = read_header(run / "last.safetensors")["info"]
    assert (info["step"], info["supervision"]) == (6, ["box"])
    assert same_tensors(run / "last.safetensors", saved_states(run)[0] / "average.safetensors")
    assert not same_tensors(run / "last.safetensors", saved_states(run)[0] / "model.safetensors")


def test_the_same_seed_gives_the_same_run_to_the_last_bit(whole, prepared, tmp_path):
    train(tiny_config(prepared), tmp_path / "again")
    assert losses(tmp_path / "again") == losses(whole[0])
    for name in ("last.safetensors", "state/step-000006/model.safetensors", "state/step-000006/optimizer.safetensors"):
        assert same_tensors(whole[0] / name, tmp_path / "again" / name)


class LostMachineError(Exception):
    """The run stops where nothing can be saved any more."""


@pytest.mark.parametrize("stop", [4, 5])
def test_stopped_and_resumed_is_the_same_as_one_go_to_the_last_bit(whole, prepared, tmp_path, monkeypatch, stop):
    """Saved after step 3 and lost at `stop`: the resumed run does the lost steps again."""
    run = tmp_path / "run"
    config = tiny_config(prepared, train={"log_every": 1, "save_every": 3})
    train_step = trainer.train_step

    def interrupted_step(*arguments, **named):
        if arguments[6] == stop:
            raise LostMachineError
        return train_step(*arguments, **named)

    monkeypatch.setattr(trainer, "train_step", interrupted_step)
    with pytest.raises(LostMachineError):
        train(config, run)
    assert read_header(run / "last.safetensors")["info"]["step"] == 3
    monkeypatch.undo()
    report = train(config, run, resume=True)
    assert report.steps == 6
    assert [row["step"] for row in losses(run)] == ["1", "2", "3", "4", "5", "6"]
    for part in ("model", "optimizer", "average"):
        file = f"state/step-000006/{part}.safetensors"
        assert same_tensors(whole[0] / file, run / file), part
    assert same_tensors(whole[0] / "last.safetensors", run / "last.safetensors")
    # The run in one go wrote the mean of two steps to a row.
    totals = [float(row["total"]) for row in losses(run)]
    for row, pair in zip(losses(whole[0]), (totals[0:2], totals[2:4], totals[4:6]), strict=True):
        assert float(row["total"]) == pytest.approx(sum(pair) / 2, rel=1e-5)
    assert losses(run)[-1]["AP"] == losses(whole[0])[-1]["AP"]


def test_losses_of_a_resumed_run_are_those_of_one_go(prepared, tmp_path, monkeypatch):
    config = tiny_config(prepared, train={"steps": 4, "log_every": 1, "save_every": 2, "evaluate_split": "none"})
    train(config, tmp_path / "one")
    train_step = trainer.train_step

    def interrupted_step(*arguments, **named):
        if arguments[6] == 3:
            raise LostMachineError
        return train_step(*arguments, **named)

    monkeypatch.setattr(trainer, "train_step", interrupted_step)
    with pytest.raises(LostMachineError):
        train(config, tmp_path / "two")
    monkeypatch.undo()
    train(config, tmp_path / "two", resume=True)
    assert losses(tmp_path / "two") == losses(tmp_path / "one")


def test_a_run_that_is_done_can_be_resumed_without_harm(prepared, tmp_path):
    config = tiny_config(prepared, train={"steps": 2, "evaluate_split": "none"})
    train(config, tmp_path)
    before = losses(tmp_path)
    assert train(config, tmp_path, resume=True).steps == 2
    assert losses(tmp_path) == before


def test_without_ground_truth_the_last_is_the_best(prepared, tmp_path):
    report = train(tiny_config(prepared, train={"steps": 2, "evaluate_split": "none"}), tmp_path)
    assert report.best == {"step": 2}
    assert same_tensors(tmp_path / "best.safetensors", tmp_path / "last.safetensors")


def test_evaluation_between_reports_writes_the_losses_since_the_last_row(prepared, tmp_path, monkeypatch):
    monkeypatch.setattr(run_keeper, "validate", lambda *_: {"AP": 0.5, "AP50": 0.75})
    seen = []
    train_step = trainer.train_step

    def recorded_step(*arguments, **named):
        result = train_step(*arguments, **named)
        seen.append(float(result.terms["total"]))
        return result

    monkeypatch.setattr(trainer, "train_step", recorded_step)
    train(tiny_config(prepared, train={"steps": 5, "log_every": 4, "evaluate_every": 3}), tmp_path)
    rows = losses(tmp_path)
    assert [row["step"] for row in rows] == ["3", "4", "5"]
    assert [bool(row["AP"]) for row in rows] == [True, False, True]
    expected = [sum(seen[:3]) / 3, seen[3], seen[4]]
    assert [float(row["total"]) for row in rows] == pytest.approx(expected, rel=1e-5)


def test_speed_does_not_count_the_time_of_saving_and_evaluating(prepared, tmp_path, monkeypatch):
    clock = [0.0]
    train_step = trainer.train_step

    def step_of_one_second(*arguments, **named):
        clock[0] += 1
        return train_step(*arguments, **named)

    def evaluation_of_an_hour(*_):
        clock[0] += 3600
        return {"AP": 0.5, "AP50": 0.75}

    monkeypatch.setattr(trainer, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    monkeypatch.setattr(trainer, "train_step", step_of_one_second)
    monkeypatch.setattr(run_keeper, "validate", evaluation_of_an_hour)
    told = []
    train(tiny_config(prepared, train={"steps": 4, "evaluate_every": 1}), tmp_path, on_progress=told.append)
    assert [progress.frames_per_second for progress in told] == [4.0] * 4  # two clips of two frames a second


@pytest.mark.parametrize(("figures", "best"), [((0.2, 0.6, 0.4), 2), ((0.2, 0.6, 0.6), 3), ((0.0, 0.0, 0.0), 3)])
def test_the_best_is_kept_and_the_later_of_two_equals(prepared, tmp_path, monkeypatch, figures, best):
    given = iter(figures)
    monkeypatch.setattr(run_keeper, "validate", lambda *_: {"AP": 0.5, "box_AP": next(given)})
    report = train(tiny_config(prepared, train={"steps": 3, "evaluate_every": 1}), tmp_path)
    assert report.best == {"step": best, "AP": 0.5, "box_AP": max(figures)}
    assert read_header(tmp_path / "best.safetensors")["info"]["step"] == best
    assert read_header(tmp_path / "last.safetensors")["info"]["step"] == 3
    state = json.loads((saved_states(tmp_path)[0] / "state.json").read_text(encoding="utf-8"))
    assert state["best"]["step"] == best


@pytest.mark.parametrize(("level", "best"), [("box", 2), ("box+id", 2), ("mask", 1), ("mask+id", 1)])
def test_masks_choose_the_checkpoint_only_where_masks_were_learned_from(prepared, tmp_path, monkeypatch, level, best):
    given = iter([{"AP": 0.9, "box_AP": 0.1}, {"AP": 0.1, "box_AP": 0.9}])
    monkeypatch.setattr(run_keeper, "validate", lambda *_: next(given))
    config = tiny_config(prepared, train={"supervision": level, "steps": 2, "evaluate_every": 1})
    assert train(config, tmp_path).best["step"] == best


def test_a_new_run_in_an_old_folder_keeps_nothing_of_the_old_one(prepared, tmp_path, monkeypatch):
    train(tiny_config(prepared, train={"steps": 2, "evaluate_split": "none"}), tmp_path)

    def interrupted_step(*_, **__):
        raise LostMachineError

    monkeypatch.setattr(trainer, "train_step", interrupted_step)
    with pytest.raises(LostMachineError):
        train(tiny_config(prepared), tmp_path)
    assert not list(tmp_path.glob("*.safetensors"))
    assert not (tmp_path / "state").exists()
    assert losses(tmp_path) == []


def test_fewer_steps_than_are_done_are_refused(prepared, tmp_path):
    train(tiny_config(prepared, train={"steps": 2, "evaluate_split": "none"}), tmp_path)
    before = (tmp_path / "config.yaml").read_bytes()
    with pytest.raises(InputError, match="has done 2 steps"):
        train(tiny_config(prepared, train={"steps": 1, "evaluate_split": "none"}), tmp_path, resume=True)
    assert (tmp_path / "config.yaml").read_bytes() == before


@pytest.mark.parametrize("level", ["box+id", "mask", "mask+id"])
def test_the_stronger_levels_run(prepared, tmp_path, level):
    config = tiny_config(prepared, train={"supervision": level, "steps": 3, "evaluate_split": "none"})
    report = train(config, tmp_path)
    assert ("mask_dice" in report.losses) == level.startswith("mask")
    assert read_header(tmp_path / "last.safetensors")["info"]["supervision"] == [level]


def test_a_start_from_stronger_weights_is_remembered_also_after_a_resume(prepared, tmp_path):
    strong = tiny_config(prepared, train={"supervision": "mask", "steps": 1, "evaluate_split": "none"})
    train(strong, tmp_path / "mask")
    weights = str(tmp_path / "mask" / "last.safetensors")
    config = tiny_config(prepared, train={"steps": 1, "evaluate_split": "none", "init_weights": weights})
    train(config, tmp_path / "box")
    assert read_header(tmp_path / "box" / "last.safetensors")["info"]["supervision"] == ["mask", "box"]
    (tmp_path / "mask" / "last.safetensors").unlink()
    longer = tiny_config(prepared, train={"steps": 2, "evaluate_split": "none", "init_weights": weights})
    train(longer, tmp_path / "box", resume=True)
    info = read_header(tmp_path / "box" / "last.safetensors")["info"]
    assert (info["step"], info["supervision"]) == (2, ["mask", "box"])


def test_a_loss_that_is_not_finite_is_a_one_line_error(prepared, tmp_path, monkeypatch):
    def diverge(*_, **__):
        raise FloatingPointError("class nan")

    monkeypatch.setattr(trainer, "train_step", diverge)
    with pytest.raises(QcenError, match="not finite at step 0") as caught:
        train(tiny_config(prepared), tmp_path)
    assert not isinstance(caught.value, InputError)
    assert "train_0000" in caught.value.line()  # the videos it happened on
    assert "\n" not in caught.value.line()
    assert "learning_rate" in caught.value.hint


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"data": {"root": None}}, "no data set is configured"),
        ({"data": {"split": "trian"}}, "there is no split 'trian'"),
        ({"train": {"init_weights": "absent.safetensors"}}, "there is no such checkpoint"),
    ],
)
def test_a_run_that_cannot_begin_writes_nothing(prepared, tmp_path, changes, cause):
    with pytest.raises(InputError, match=cause):
        train(tiny_config(prepared, **changes), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_resume_without_a_state_is_an_error(prepared, tmp_path):
    with pytest.raises(InputError, match="no saved state"):
        train(tiny_config(prepared), tmp_path, resume=True)


def test_masks_that_were_not_kept_cannot_be_trained_on(tmp_path):
    out = tmp_path / "set"
    prepare(out=out, dataset="shapes", clips=1, holdout_clips=0, size=(64, 96), length=2)
    with pytest.raises(InputError, match="needs more than the boxes") as caught:
        train(tiny_config(out, train={"supervision": "mask"}), tmp_path / "run")
    assert "--keep-masks" in caught.value.hint


def test_a_run_that_is_interrupted_goes_on_to_the_same_weights(whole, prepared, tmp_path):
    run, _, _ = whole
    stopped = tmp_path / "stopped"

    def interrupt(progress):
        if progress.step == 4:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(tiny_config(prepared), stopped, on_progress=interrupt)
    assert [state.name for state in saved_states(stopped)] == ["step-000004", "step-000003"]
    train(tiny_config(prepared), stopped, resume=True)
    assert (stopped / "last.safetensors").read_bytes() == (run / "last.safetensors").read_bytes()
    assert losses(stopped) == losses(run)
