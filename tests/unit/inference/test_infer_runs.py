"""Runs that are stopped and go on, runs over several videos, and parts of videos."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from color_segmenter import CATEGORIES, color_checkpoint, draw_frame

from qcen_core.config import load_config
from qcen_core.errors import InputError, QcenError
from qcen_core.inference import infer as infer_module
from qcen_core.inference import segment_inputs
from qcen_core.inference.infer import infer_to_folder, resume_infer
from qcen_core.inference.inputs import distinct_names, free_videos, name_of_source
from qcen_core.inference.options import InferOptions
from qcen_core.inference.run_files import found_from_anywhere, only_one
from qcen_core.model.checkpoint import save_checkpoint
from qcen_core.model.segmenter import FrameSegmenter
from qcen_core.trackfile import read_annotations
from qcen_core.trackforms.frame_log import FrameLogWriter, logged_frame_count
from qcen_core.video.frame_folder import write_jpeg
from qcen_core.video.reader import open_source
from qcen_core.video.writer import VideoWriter

HEIGHT, WIDTH, LENGTH = 66, 102, 11


@pytest.fixture(autouse=True)
def model(monkeypatch):
    checkpoint = color_checkpoint()
    monkeypatch.setattr(infer_module, "load_checkpoint", lambda *_: checkpoint)
    return checkpoint.model


def scene(t: int) -> np.ndarray:
    """Red moves right; green is there from frame 2 to 4 and again from frame 7 on."""
    squares = {"red": (5 + 5 * t, 9, 26 + 5 * t, 31)}
    if 2 <= t <= 4 or t >= 7:
        squares["green"] = (61, 37, 83, 59)
    return draw_frame(HEIGHT, WIDTH, squares)


def write_video(path: Path, length: int = LENGTH) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, height=HEIGHT, width=WIDTH, frame_rate=Fraction(7), time_base=Fraction(1, 7000)) as writer:
        for t in range(length):
            writer.write(scene(t), Fraction(t, 7))
    return path


def frame_lines(log: Path) -> list[dict]:
    return [record for line in log.read_text().splitlines() if "frame" in (record := json.loads(line))]


def stop_after(count: int):
    def stop(progress):
        if progress.frame == count:
            raise KeyboardInterrupt

    return stop


@pytest.mark.parametrize("with_overlay", [False, True])
@pytest.mark.parametrize("cut", [0, 30])
def test_a_run_that_was_stopped_goes_on_exactly(tmp_path, monkeypatch, model, with_overlay, cut):
    monkeypatch.setattr(segment_inputs, "STATE_SECONDS", 0.0)
    source, overlay = write_video(tmp_path / "clip.mp4"), tmp_path / "o.mp4" if with_overlay else None
    whole = infer_to_folder(source, weights="w", out=tmp_path / "whole", overlay=tmp_path / "whole.mp4")
    with pytest.raises(KeyboardInterrupt):
        infer_to_folder(source, weights="w", out=tmp_path / "out", overlay=overlay, on_progress=stop_after(6))
    log = tmp_path / "out" / "frames.jsonl"
    assert logged_frame_count(log) == 6
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "frames.jsonl", "run.json", "state.safetensors"
    ]  # fmt: skip
    with log.open("ab") as file:
        file.write(b'{"frame":6,"time_s":0.8571'[:cut])  # a line that a kill cut off
    model.shapes.clear()
    report = resume_infer(tmp_path / "out", device="cpu")
    assert len(model.shapes) == LENGTH - 6
    assert log.read_bytes() == (tmp_path / "whole" / "frames.jsonl").read_bytes()
    for kind in ("results", "tracks", "csv"):
        assert report.outputs[kind].read_bytes() == whole.outputs[kind].read_bytes()
    assert not (tmp_path / "out" / "state.safetensors").exists()
    if overlay is not None:
        with open_source(overlay) as drawn, open_source(tmp_path / "whole.mp4") as expected:
            for found, wanted in zip(drawn.frames(), expected.frames(), strict=True):
                assert found.time == wanted.time
                # The encoder does not give the same bytes every time.
                np.testing.assert_allclose(found.image, wanted.image.astype(int), atol=6)


def test_a_run_whose_state_is_lost_begins_anew(tmp_path, monkeypatch, model):
    monkeypatch.setattr(segment_inputs, "STATE_SECONDS", 0.0)
    source = write_video(tmp_path / "clip.mp4")
    infer_to_folder(source, weights="w", out=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        infer_to_folder(source, weights="w", out=tmp_path / "out", on_progress=stop_after(6))
    (tmp_path / "out" / "state.safetensors").write_bytes(b"damaged")
    model.shapes.clear()
    resume_infer(tmp_path / "out", device="cpu")
    assert len(model.shapes) == LENGTH
    logs = [(tmp_path / name / "frames.jsonl").read_bytes() for name in ("out", "whole")]
    assert logs[0] == logs[1]


def test_a_finished_run_goes_on_without_the_model(tmp_path, model):
    source = write_video(tmp_path / "clip.mp4")
    infer_to_folder(source, weights="w", out=tmp_path / "out")
    model.shapes.clear()
    (tmp_path / "out" / "results.json").unlink()
    report = resume_infer(tmp_path / "out", device="cpu")
    assert (report.frames, model.shapes) == (LENGTH, [])
    assert report.outputs["results"].is_file()


def test_a_run_does_not_go_on_with_something_else(tmp_path):
    source = write_video(tmp_path / "clip.mp4")
    weights = tmp_path / "w.safetensors"
    weights.write_bytes(b"one")
    with pytest.raises(KeyboardInterrupt):
        infer_to_folder(source, weights=weights, out=tmp_path / "out", on_progress=stop_after(6))
    with pytest.raises(InputError, match="begun with stride 1, not 2"):
        infer_to_folder(source, weights=weights, out=tmp_path / "out", options=InferOptions(stride=2), resume=True)
    weights.write_bytes(b"two")
    with pytest.raises(InputError, match="begun with weights_sha256"):
        resume_infer(tmp_path / "out", device="cpu")
    weights.write_bytes(b"one")
    write_video(source, LENGTH)
    with VideoWriter(source, height=HEIGHT, width=WIDTH + 2, frame_rate=Fraction(7)) as writer:
        writer.write(draw_frame(HEIGHT, WIDTH + 2, {}))
    with pytest.raises(InputError, match="the video changed"):
        resume_infer(tmp_path / "out", device="cpu")
    with pytest.raises(InputError, match="no run to go on with"):
        resume_infer(tmp_path / "elsewhere", device="cpu")


def test_a_new_run_in_the_same_folder_takes_nothing_over(tmp_path):
    infer_to_folder(write_video(tmp_path / "a.mp4"), weights="w", out=tmp_path / "out")
    report = infer_to_folder(write_video(tmp_path / "b.mp4", 3), weights="w", out=tmp_path / "out")
    assert (report.frames, logged_frame_count(tmp_path / "out" / "frames.jsonl")) == (3, 3)


def test_a_folder_of_videos_is_one_run_with_an_overlay_each(tmp_path):
    for name, length in (("b2", 3), ("b10", 4)):
        write_video(tmp_path / "in" / f"{name}.mp4", length)
    (tmp_path / "in" / "b3.mp4").write_bytes(b"no video at all")
    report = infer_to_folder(tmp_path / "in", weights="w", out=tmp_path / "out", overlay=tmp_path / "drawn")
    assert [(video.id, video.name) for video in read_annotations(report.outputs["tracks"]).videos] == [
        (1, "b2"), (3, "b10")
    ]  # fmt: skip
    assert report.frames == 7
    assert list(report.failed) == ["b3"]
    assert "b3.mp4" in report.failed["b3"].line()
    assert sorted(path.name for path in (tmp_path / "drawn").iterdir()) == ["b10.mp4", "b2.mp4"]
    assert sorted(path.name for path in (tmp_path / "out" / "frames").iterdir()) == ["b10.jsonl", "b2.jsonl"]
    summary = json.loads(report.outputs["summary"].read_text())
    assert (summary["videos"], list(summary["failed"])) == (2, ["b3"])


@pytest.mark.slow
def test_several_processes_find_what_one_finds(tmp_path, monkeypatch):
    monkeypatch.undo()
    torch.manual_seed(3)
    config = load_config("shapes_tiny", ["data.test_short_side=64"])
    state = FrameSegmenter(config.model, len(CATEGORIES)).state_dict()
    weights = tmp_path / "tiny.safetensors"
    save_checkpoint(weights, state, config, CATEGORIES, {})
    for number in range(3):
        write_video(tmp_path / "in" / f"v{number}.mp4", 3 + number)
    options = InferOptions(confidence=0.0, max_instances=5, device="cpu")
    arguments = {"source": tmp_path / "in", "weights": weights, "options": options}
    one = infer_to_folder(**arguments, out=tmp_path / "one", overlay=tmp_path / "drawn1")
    seen = []
    devices = ("cpu", "cpu")
    two = infer_to_folder(
        **arguments, out=tmp_path / "two", overlay=tmp_path / "drawn2", devices=devices, on_progress=seen.append
    )
    assert one.tracks > 0
    assert two.outputs["results"].read_bytes() == one.outputs["results"].read_bytes()
    assert sorted(path.name for path in (tmp_path / "drawn2").iterdir()) == ["v0.mp4", "v1.mp4", "v2.mp4"]
    assert sorted({progress.video for progress in seen}) == ["v0", "v1", "v2"]
    with pytest.raises(InputError, match="several processes cannot draw into one video"):
        infer_to_folder(**arguments, out=tmp_path / "x", overlay=tmp_path / "x.mp4", devices=devices)


def test_a_part_of_a_video(tmp_path):
    source = write_video(tmp_path / "clip.mp4")
    options = InferOptions(start=2 / 7, end=9 / 7, stride=3)
    infer_to_folder(source, weights="w", out=tmp_path / "out", overlay=tmp_path / "o.mp4", options=options)
    # Frames 2, 5, 8 of the source: green is there in the first and the last.
    lines = frame_lines(tmp_path / "out" / "frames.jsonl")
    assert [line["frame"] for line in lines] == [0, 1, 2]
    assert [len(line["instances"]) for line in lines] == [2, 1, 2]
    assert [line["time_s"] for line in lines] == pytest.approx([0, 3 / 7, 6 / 7], abs=2e-4)
    with open_source(tmp_path / "o.mp4") as overlay:
        times = [float(frame.time) for frame in overlay.frames()]
    assert times == pytest.approx([0, 3 / 7, 6 / 7], abs=2e-4)
    with pytest.raises(InputError, match=r"clip"):
        infer_to_folder(source, weights="w", out=tmp_path / "x", options=InferOptions(start=99))


def test_further_forms_are_written(tmp_path):
    source = write_video(tmp_path / "clip.mp4", 3)
    forms = ("davis", "mots", "mots-png", "mot", "coco-vid", "zip")
    report = infer_to_folder(source, weights="w", out=tmp_path / "out", forms=forms)
    assert set(forms) <= set(report.outputs)
    assert all(report.outputs[form].exists() for form in forms)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("0", "camera_0"),
        ("rtsp://user:secret@camera.local/live/one", "one"),
        ("https://example.org/videos/a%20b.mp4", "a_20b"),
        ("videos/01 dog.mp4", "01_dog"),
        ("clips/run/*.png", "run"),
    ],
)
def test_names_of_sources(source, name):
    assert name_of_source(source) == name


def test_names_are_distinct_also_where_case_does_not_count():
    assert distinct_names(["a b", "A_b", "a_b_2", "???"]) == ["a_b", "A_b_2", "a_b_2_2", "video"]


def test_an_empty_folder_is_no_source(tmp_path):
    with pytest.raises(InputError):
        free_videos(str(tmp_path), CATEGORIES, None)


def test_two_processes_never_write_one_run(tmp_path):
    source = write_video(tmp_path / "clip.mp4")
    (tmp_path / "out").mkdir()
    with only_one(tmp_path / "out"), pytest.raises(InputError, match="another process is writing this run"):
        infer_to_folder(source, weights="w", out=tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
    infer_to_folder(source, weights="w", out=tmp_path / "out")


def test_videos_of_different_rates_follow_one_another_in_one_overlay(tmp_path):
    write_video(tmp_path / "in" / "a.mp4", 3)
    with VideoWriter(tmp_path / "in" / "b.mp4", height=HEIGHT, width=WIDTH, frame_rate=Fraction(60)) as writer:
        for t in range(4):
            writer.write(scene(t))
    infer_to_folder(tmp_path / "in", weights="w", out=tmp_path / "out", overlay=tmp_path / "all.mp4")
    with open_source(tmp_path / "all.mp4") as overlay:
        times = [float(frame.time) for frame in overlay.frames()]
    assert times == pytest.approx([0, 1 / 7, 2 / 7, *(3 / 7 + t / 60 for t in range(4))], abs=2e-5)


def test_an_overlay_never_replaces_its_source(tmp_path):
    source = write_video(tmp_path / "in" / "a.mp4", 3)
    before = source.read_bytes()
    for given, overlay in ((source, source), (source.parent, source.parent)):
        with pytest.raises(InputError, match="would replace the video it is drawn from"):
            infer_to_folder(given, weights="w", out=tmp_path / "out", overlay=overlay)
    assert source.read_bytes() == before
    assert not (tmp_path / "out").exists()


def test_if_no_video_of_a_folder_can_be_read_the_reason_is_told_and_nothing_stays(tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / "in" / name).write_bytes(b"no video")
    with pytest.raises(InputError, match=r"a\.mp4"):
        infer_to_folder(tmp_path / "in", weights="w", out=tmp_path / "out", forms=("davis",))
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_a_full_disk_ends_the_run_of_a_folder(tmp_path, monkeypatch):
    for name in ("a", "b"):
        write_video(tmp_path / "in" / f"{name}.mp4", 3)

    def full(*_):
        raise QcenError("the disk is full")

    monkeypatch.setattr(FrameLogWriter, "write", full)
    with pytest.raises(QcenError, match="full"):
        infer_to_folder(tmp_path / "in", weights="w", out=tmp_path / "out")


def test_a_pattern_is_found_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert found_from_anywhere("frames/*.png") == str(tmp_path / "frames" / "*.png")
    assert found_from_anywhere("0") == "0"
    assert found_from_anywhere("rtsp://camera/live") == "rtsp://camera/live"
    assert found_from_anywhere("hf:owner/name") == "hf:owner/name"


def test_a_complete_log_is_drawn_as_far_as_it_goes(tmp_path, model):
    folder = tmp_path / "frames"
    folder.mkdir()
    for t in range(4):
        write_jpeg(scene(t), folder / f"{t}.jpg")
    infer_to_folder(folder, weights="w", out=tmp_path / "out", overlay=tmp_path / "o.mp4")
    (tmp_path / "o.mp4").unlink()
    write_jpeg(scene(4), folder / "4.jpg")
    model.shapes.clear()
    resume_infer(tmp_path / "out", device="cpu")
    with open_source(tmp_path / "o.mp4") as overlay:
        assert len(list(overlay.frames())) == 4
    assert model.shapes == []
