"""What happens to a run that goes on, or cannot: other settings, other categories, bad numbers, too little memory."""

import json
import os
import signal
import warnings

import pytest
import torch
from test_training import losses, prepared, same_tensors, tiny_config  # noqa: F401  # a fixture

from qcen_cli import main
from qcen_core.config import dump_config
from qcen_core.errors import InputError, QcenError
from qcen_core.model.checkpoint import read_header
from qcen_core.training import trainer
from qcen_core.training.batch_picture import load_batch
from qcen_core.training.train_state import load_newest_state, saved_states
from qcen_core.training.trainer import train

QUIET = {"evaluate_split": "none", "log_every": 1}


def config_of(root, **train_settings):
    return tiny_config(root, train={**QUIET, **train_settings})


@pytest.fixture
def run(prepared, tmp_path):  # noqa: F811
    """A run of three steps in two parts each."""
    train(config_of(prepared, steps=3, save_every=2, effective_batch=4), tmp_path / "run")
    return tmp_path / "run"


def test_the_state_knows_the_clips_of_all_parts(run):
    assert load_newest_state(run).record["clips"] == 4
    assert [row["step"] for row in losses(run)] == ["1", "2", "3"]
    assert read_header(run / "last.safetensors")["info"]["step"] == 3


def test_parts_hold_the_clips_of_the_whole_step(prepared, tmp_path, monkeypatch):  # noqa: F811
    seen = []
    train_step = trainer.train_step

    def recorded(*arguments, **named):
        seen.append([part.sources for part in arguments[4]])
        return train_step(*arguments, **named)

    monkeypatch.setattr(trainer, "train_step", recorded)
    train(config_of(prepared, steps=2, effective_batch=4), tmp_path / "parts")
    whole = config_of(prepared, steps=2)
    whole = whole.model_copy(update={"data": whole.data.model_copy(update={"clips_per_step": 4})})
    train(whole, tmp_path / "whole")
    flat = [tuple(name for part in step for name in part) for step in seen]
    assert flat[:2] == flat[2:]
    assert [len(step) for step in seen] == [2, 2, 1, 1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_stop_between_rows_of_the_log_goes_on_to_the_same_rows(prepared, tmp_path, monkeypatch, number):  # noqa: F811
    """Sums that were open at the stop are part of the state."""
    config = tiny_config(prepared, train={"evaluate_split": "none", "log_every": 4, "steps": 8, "save_every": 100})
    train(config, tmp_path / "one")
    train_step = trainer.train_step

    def stopped(*arguments, **named):
        if arguments[6] == 2:
            os.kill(os.getpid(), number)
        return train_step(*arguments, **named)

    monkeypatch.setattr(trainer, "train_step", stopped)
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "two")
    monkeypatch.undo()
    assert [state.name for state in saved_states(tmp_path / "two")] == ["step-000003"]
    train(config, tmp_path / "two", resume=True)
    assert losses(tmp_path / "two") == losses(tmp_path / "one")
    for part in ("model", "optimizer", "average"):
        file = f"state/step-000008/{part}.safetensors"
        assert same_tensors(tmp_path / "one" / file, tmp_path / "two" / file)


def test_a_damaged_state_falls_back_and_ends_the_same(run, prepared, tmp_path, capsys):  # noqa: F811
    newest = saved_states(run)[0]
    data = bytearray((newest / "optimizer.safetensors").read_bytes())
    data[-5] ^= 4
    (newest / "optimizer.safetensors").write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert main.execute(["train", "--resume", str(run), "--steps", "5"]) == 0
    told = capsys.readouterr()
    assert "warning: " in told.err
    assert "step-000003 is damaged and is passed over" in told.err
    assert "trained 3 steps" in told.out
    train(config_of(prepared, steps=5, save_every=2, effective_batch=4), tmp_path / "one")
    file = "state/step-000005/model.safetensors"
    assert same_tensors(run / file, tmp_path / "one" / file)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--set", "loss.intra_weight=0.5"], "loss.intra_weight 1.0 -> 0.5"),
        (["--seed", "7"], "train.seed 0 -> 7"),
        (["--supervision", "mask"], "train.supervision box -> mask"),
        (["--recipe", "shapes_tiny"], "data.frame_range 2 -> 3"),
        (["--effective-batch", "8"], "learned from 4 clips a step, and not from 8"),
        (["--steps", "2"], "has done 3 steps, more than the 2 asked for"),
    ],
)
def test_another_way_to_train_is_refused_with_the_difference(run, words, told):
    before = (run / "config.yaml").read_bytes(), losses(run)
    with pytest.raises(InputError) as caught:
        main.execute(["train", "--resume", str(run), *words])
    assert told in caught.value.line()
    assert ((run / "config.yaml").read_bytes(), losses(run)) == before


def test_what_changes_nothing_may_change(run, tmp_path, prepared):  # noqa: F811
    recipe = tmp_path / "same.yaml"
    recipe.write_text(dump_config(config_of(prepared, steps=4, save_every=2, effective_batch=4)), encoding="utf-8")
    words = ["train", "--resume", str(run), "--recipe", str(recipe), "--set", "data.clips_per_step=4"]
    assert main.execute([*words, "--set", "train.checkpointing=true"]) == 0
    assert load_newest_state(run).step == 4


@pytest.mark.parametrize("clips", [2, 4])
def test_a_step_keeps_its_clips_however_they_are_taken(run, clips):
    words = ["train", "--resume", str(run), "--steps", "4", "--set", f"data.clips_per_step={clips}"]
    assert main.execute(words) == 0
    assert load_newest_state(run).record["clips"] == 4


def test_epochs_extend_a_run(run, capsys):
    """Four videos at four clips a step: an epoch is a step."""
    assert main.execute(["train", "--resume", str(run), "--epochs", "4.5"]) == 0
    assert "trained 2 steps" in capsys.readouterr().out
    assert load_newest_state(run).step == 5


def test_other_categories_are_refused_with_the_difference(run, prepared, tmp_path):  # noqa: F811
    text = (prepared / "dataset.yaml").read_text(encoding="utf-8")
    changed = tmp_path / "changed"
    changed.mkdir()
    for file in prepared.iterdir():
        if file.name != "dataset.yaml":
            (changed / file.name).symlink_to(file)
    assert "circle" in text
    (changed / "dataset.yaml").write_text(text.replace("circle", "disc"), encoding="utf-8")
    with pytest.raises(InputError, match=r"changed since the run began \(gone: circle; new: disc\)"):
        train(config_of(changed, steps=5, effective_batch=4), run, resume=True)


def test_the_batch_of_a_loss_that_is_not_finite_is_kept(prepared, tmp_path, monkeypatch):  # noqa: F811
    train_step = trainer.train_step

    def poisoned(fabric, model, optimizer, criterion, parts, config, step, **named):
        if step == 2:
            with torch.no_grad():
                next(iter(model.parameters()))[:] = float("nan")
        return train_step(fabric, model, optimizer, criterion, parts, config, step, **named)

    monkeypatch.setattr(trainer, "train_step", poisoned)
    with pytest.raises(QcenError, match="not finite at step 2") as caught:
        train(config_of(prepared, steps=6, save_every=2), tmp_path)
    assert "bad_batch" in caught.value.hint
    kept = load_batch(tmp_path / "bad_batch")
    assert len(kept.sources) == 2
    assert (tmp_path / "bad_batch" / "batch.jpg").is_file()
    about = json.loads((tmp_path / "bad_batch" / "about.json").read_text(encoding="utf-8"))
    assert about["step"] == 2
    assert load_newest_state(tmp_path).step == 2
    assert all(torch.isfinite(tensor).all() for tensor in load_newest_state(tmp_path).tensors["model"].values())


def test_too_little_memory_names_the_next_command(prepared, tmp_path, monkeypatch):  # noqa: F811
    train_step = trainer.train_step

    def hungry(*arguments, **named):
        if arguments[6] == 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return train_step(*arguments, **named)

    monkeypatch.setattr(trainer, "train_step", hungry)
    with pytest.raises(QcenError, match="memory ran out in a step on 2 clips of 2 frames") as caught:
        train(config_of(prepared, steps=6, save_every=2), tmp_path)
    assert caught.value.hint == f"qcen train --resume {tmp_path} --set train.checkpointing=true"
    monkeypatch.undo()
    config = config_of(prepared, steps=6, save_every=2, checkpointing=True)
    assert train(config, tmp_path, resume=True).first == 2


def test_recomputed_activations_give_the_same_gradients(prepared, tmp_path):  # noqa: F811
    for name, switch in (("kept", False), ("again", True)):
        train(config_of(prepared, steps=3, checkpointing=switch), tmp_path / name)
    one, two = (load_newest_state(tmp_path / name).tensors["model"] for name in ("kept", "again"))
    for key, value in one.items():
        torch.testing.assert_close(two[key], value, atol=1e-5, rtol=1e-4, msg=key)


def test_one_video_trains_without_the_exchange_between_videos(tmp_path):
    from qcen_core.conversion.prepare import prepare

    out = tmp_path / "set"
    prepare(out=out, dataset="shapes", clips=1, holdout_clips=0, size=(64, 96), length=4)
    train(config_of(out, steps=4, effective_batch=8), tmp_path / "run")
    rows = losses(tmp_path / "run")
    assert rows[-1]["contrast"]
    assert rows[-1]["inter"] == ""
