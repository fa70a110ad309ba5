"""Exported models give what the segmenter gives, and say what they are."""

import json
import sys

import numpy as np
import onnxruntime
import pytest
import torch
from tiny_segmenter import CLASSES, TINY, all_valid, random_frames

from qcen_cli import main
from qcen_cli.export import TRACING
from qcen_core.config import QcenConfig, config_from_dict
from qcen_core.errors import InputError, QcenError
from qcen_core.model import export
from qcen_core.model.checkpoint import load_checkpoint, save_checkpoint
from qcen_core.model.segmenter import FrameSegmenter
from qcen_core.records import Category

CATEGORIES = tuple(Category(number, name) for number, name in ((4, "cat"), (7, "Köter"), (9, "x, y")))
NAMES = ("class_logits", "mask_logits", "contrast_embeddings", "boxes")
TOLERANCE = 1e-4
ROUNDING = 5e-6  # relative to the largest mask logit: place embeddings are large numbers that cancel


def write_checkpoint(path, **changes):
    model = TINY.model_copy(update={"encoder_layers": 1, "decoder_layers": 1, **changes})
    torch.manual_seed(3)
    segmenter = FrameSegmenter(model, CLASSES)
    with torch.no_grad():
        for parameter in segmenter.parameters():  # some begin at zero, and boxes then never move
            parameter += 0.05 * torch.randn_like(parameter)
    config = QcenConfig().model_copy(update={"model": model})
    save_checkpoint(path, segmenter.state_dict(), config, CATEGORIES, {"step": 12})
    return path


def padded(count, height, width):
    frames = random_frames(count, height, width, seed=height + width)
    valid = all_valid(frames)
    valid[0, height - 19 :], valid[-1, :, width - 7 :] = False, False
    return frames, valid


@torch.no_grad()
def reference(checkpoint, frames, valid):
    output = load_checkpoint(checkpoint, torch.device("cpu")).model(frames, valid)
    found = [output.final.class_logits, output.final.mask_logits, output.contrast_embeddings, output.final.boxes]
    return [tensor.numpy() for tensor in found if tensor is not None]


def assert_same(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        assert np.abs(one - other).max() <= max(TOLERANCE, ROUNDING * np.abs(other).max())


@pytest.fixture(scope="module", params=[False, True], ids=["learned", "located"])
def checkpoint(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    return write_checkpoint(folder / "best.safetensors", located_queries=request.param)


@pytest.fixture(scope="module")
def any_size_session(checkpoint):
    written = export.export_onnx(checkpoint, checkpoint.with_name("any.onnx"), size=(64, 96), any_size=True)
    assert written.size is None
    return onnxruntime.InferenceSession(str(written.path), providers=["CPUExecutionProvider"])


@pytest.mark.slow
@pytest.mark.parametrize(("count", "height", "width"), [(2, 64, 96), (1, 96, 224), (3, 128, 64)])
def test_onnx_gives_what_the_segmenter_gives_at_any_size(checkpoint, any_size_session, count, height, width):
    frames, valid = padded(count, height, width)
    found = any_size_session.run(None, {"frames": frames.numpy(), "valid": valid.numpy()})
    assert_same(found, reference(checkpoint, frames, valid))


@pytest.mark.slow
def test_onnx_says_what_it_is(checkpoint, any_size_session):
    metadata = any_size_session.get_modelmeta().custom_metadata_map
    assert (metadata["format"], metadata["version"]) == ("qcen-segmenter", "1")
    names = [(record["id"], record["name"]) for record in json.loads(metadata["categories"])]
    assert names == [(4, "cat"), (7, "Köter"), (9, "x, y")]
    config = config_from_dict(json.loads(metadata["config"]), "onnx")
    assert config == load_checkpoint(checkpoint, torch.device("cpu")).config
    assert json.loads(metadata["info"]) == {"step": 12}
    assert [put.name for put in any_size_session.get_inputs()] == ["frames", "valid"]
    expected = NAMES if config.model.located_queries else NAMES[:-1]
    assert tuple(put.name for put in any_size_session.get_outputs()) == expected


@pytest.mark.slow
def test_a_program_gives_what_the_segmenter_gives_at_any_size(checkpoint, tmp_path):
    written = export.export_program(checkpoint, tmp_path / "new" / "m.pt2", size=(64, 96), any_size=True)
    extra = {export.METADATA_FILE: ""}
    program = torch.export.load(written.path, extra_files=extra).module()
    for count, height, width in ((1, 64, 96), (3, 96, 224)):
        frames, valid = padded(count, height, width)
        with torch.no_grad():
            found = [tensor.numpy() for tensor in program(frames, valid)]
        assert_same(found, reference(checkpoint, frames, valid))
    names = [record["name"] for record in json.loads(json.loads(extra["qcen.json"])["categories"])]
    assert names == ["cat", "Köter", "x, y"]
    assert [path.name for path in written.path.parent.iterdir()] == ["m.pt2"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vit_small_patch14_dinov2", "vit_small_patch16_dinov3"])
def test_a_vision_transformer_is_exported_for_one_size(tmp_path, name):
    arguments = {"depth": 1, "embed_dim": 24, "num_heads": 2}
    source = write_checkpoint(tmp_path / "v.safetensors", backbone=name, backbone_args=arguments)
    written = export.export_onnx(source, tmp_path / "v.onnx", size=(64, 96))
    frames, valid = padded(3, 64, 96)
    session = onnxruntime.InferenceSession(str(written.path), providers=["CPUExecutionProvider"])
    found = session.run(None, {"frames": frames.numpy(), "valid": valid.numpy()})
    assert_same(found, reference(source, frames, valid))


@pytest.fixture
def call(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["qcen", "export", *arguments])
        monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # put back after the test
        with pytest.raises(SystemExit) as leaving:
            main.run()
        printed = capsys.readouterr()
        return leaving.value.code, printed.out, printed.err

    return run


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["onnx", "pt2"])
def test_the_command_writes_a_file(call, tmp_path, kind):
    write_checkpoint(tmp_path / "best.safetensors")
    code, out, err = call("best.safetensors", f"m.{kind}", "--height", "64", "--width", "96", "--json")
    assert (code, err) == (0, f"{TRACING}\n")
    told = json.loads(out)
    assert told == {
        "file": f"m.{kind}",
        "bytes": (tmp_path / f"m.{kind}").stat().st_size,
        "height": 64,
        "width": 96,
        "outputs": ["class_logits", "mask_logits", "contrast_embeddings"],
    }


@pytest.mark.parametrize(
    ("arguments", "cause", "hint"),
    [
        (["best.safetensors", "m.trt"], "'m.trt' is neither .onnx nor .pt2", "the ending says"),
        (["best.safetensors", "m.pt2", "--height", "64"], "only one of --height and --width", "both or none"),
        (["best.safetensors", "m.pt2", "--height", "60", "--width", "96"], "a size of 60 x 96", "give 64 x 96"),
        (["best.safetensors", "m.pt2", "--height", "0", "--width", "96"], "a size of 0 x 96", "give 32 x 96"),
        (["none.safetensors", "m.pt2"], "none.safetensors: there is no such checkpoint", "training run"),
        (["best.safetensors", "folder.onnx"], "folder.onnx: this is a folder", "give the file"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(call, tmp_path, arguments, cause, hint):
    write_checkpoint(tmp_path / "best.safetensors")
    (tmp_path / "folder.onnx").mkdir()
    code, out, err = call(*arguments)
    told, advice = err.splitlines()
    assert (code, out) == (2, "")
    assert cause in told
    assert hint in advice
    assert not list(tmp_path.glob("*m.*"))


def test_a_missing_package_is_named(call, monkeypatch, tmp_path):
    write_checkpoint(tmp_path / "best.safetensors")
    monkeypatch.setattr(export, "find_spec", lambda name: None if name == "onnxscript" else name)
    code, _, err = call("best.safetensors", "m.onnx")
    told, advice = err.splitlines()
    assert code == 2
    assert "onnxscript" in told
    assert 'pip install "qcen[export]"' in advice


def test_what_pytorch_cannot_export_is_said_in_one_line(monkeypatch, tmp_path):
    source = write_checkpoint(tmp_path / "best.safetensors")

    def refuse(*_, **__):
        try:
            raise TypeError("first line\nsecond line")
        except TypeError as error:
            raise RuntimeError("a long story") from error

    monkeypatch.setattr(torch.export, "export", refuse)
    with pytest.raises(QcenError) as caught:
        export.export_program(source, tmp_path / "m.pt2", any_size=True)
    assert caught.value.line() == "the model cannot be exported: first line"
    assert caught.value.hint == "export it for one size only"


def test_nothing_half_written_stays(monkeypatch, tmp_path):
    source = write_checkpoint(tmp_path / "best.safetensors")
    monkeypatch.setattr(export, "_traced", lambda *_: None)

    def fail(_, path, **__):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch.export, "save", fail)
    with pytest.raises(OSError, match="No space"):
        export.export_program(source, tmp_path / "m.pt2")
    assert [path.name for path in tmp_path.iterdir()] == ["best.safetensors"]


def test_the_size_of_frames():
    config = QcenConfig()
    assert config.data.test_short_side == 480
    assert export.input_size(config, None) == (480, 864)  # 480 x 853, padded
    assert export.input_size(config, (32, 640)) == (32, 640)
    with pytest.raises(InputError):
        export.input_size(config, (640, 33))
