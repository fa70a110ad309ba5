"""`qcen infer` as a person calls it; the model is tiny, knows nothing, and shows whatever it finds."""

import json
import signal
import subprocess
import sys
import time
from fractions import Fraction

import av
import numpy as np
import pytest
import torch

from qcen_core.config import load_config
from qcen_core.model.checkpoint import save_checkpoint
from qcen_core.model.segmenter import FrameSegmenter
from qcen_core.records import Category
from qcen_core.video.writer import VideoWriter

HEIGHT, WIDTH, LENGTH = 66, 102, 7
CATEGORIES = (Category(3, "circle"), Category(5, "square"))
FIND_ALL = ["--weights", "w.safetensors", "--device", "cpu", "--conf", "0", "--max-instances", "3"]


def write_video(path, length=LENGTH):
    """A bright square moves over grey, seven frames a second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, height=HEIGHT, width=WIDTH, frame_rate=Fraction(7), time_base=Fraction(1, 7000)) as writer:
        for t in range(length):
            image = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
            left = 5 * t % 71
            image[13:42, left : left + 29] = (240, 180, 20)
            writer.write(image, Fraction(t, 7))
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(3)
    config = load_config("shapes_tiny", ["data.test_short_side=64"])
    path = tmp_path_factory.mktemp("model") / "w.safetensors"
    save_checkpoint(path, FrameSegmenter(config.model, len(CATEGORIES)).state_dict(), config, CATEGORIES, {})
    return path


@pytest.fixture
def place(tmp_path, weights):
    """A folder with `w.safetensors` and `clip.mp4`."""
    (tmp_path / "w.safetensors").symlink_to(weights)
    write_video(tmp_path / "clip.mp4")
    return tmp_path


@pytest.fixture
def call(place, monkeypatch, run_qcen):
    """Runs `qcen` with arguments in that folder; returns exit code, stdout and stderr."""
    monkeypatch.chdir(place)
    return run_qcen


def names_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_one_object_and_nothing_else_on_stdout(call, place):
    code, out, err = call("infer", "clip.mp4", *FIND_ALL, "--out", "drawn/o.mp4", "--save", "mot,davis", "--json")
    report = json.loads(out)
    assert code == 0
    assert list(report) == ["frames", "tracks", "fps", "outputs"]
    assert report["frames"] == LENGTH
    assert report["fps"] > 0
    run = "runs/infer/1"
    assert report["outputs"] == {
        "results": f"{run}/results.json",
        "tracks": f"{run}/tracks.json",
        "csv": f"{run}/tracks.csv",
        "mot": f"{run}/mot",
        "davis": f"{run}/masks",
        "frames": f"{run}/frames.jsonl",
        "summary": f"{run}/summary.json",
        "overlay": "drawn/o.mp4",
    }
    assert all((place / path).exists() for path in report["outputs"].values())
    assert all(line.startswith(("infer: ", "note: ")) for line in err.splitlines())
    rows = (place / run / "tracks.csv").read_text().splitlines()[1:]
    assert report["tracks"] == len({row.split(",")[2] for row in rows}) > 0


def test_lines_for_a_person_name_every_file(call, place):
    code, out, _ = call("infer", "clip.mp4", *FIND_ALL, "--run", "r", "--end", "0:00.5", "--stride", "2")
    first, *files = out.splitlines()
    assert code == 0
    assert first.startswith("2 frames, ")  # frames 0 and 2, of those before 0.5 s: 0 to 3
    assert first.endswith(" frames a second")
    assert [line.partition(": ")[0] for line in files] == ["results", "tracks", "csv", "frames", "summary"]
    assert all((place / line.partition(": ")[2]).is_file() for line in files)


@pytest.mark.parametrize(
    ("arguments", "cause", "hint"),
    [
        (["clip.mp4", "--save", "gif"], "no form is called 'gif'", "known: results, tracks, csv, davis"),
        (["clip.mp4", "--classes", "circel"], "the model knows no class 'circel'", "did you mean 'circle'?"),
        (["clip.mp4", "--classes", "dragon"], "the model knows no class 'dragon'", "known: circle, square"),
        (["none.mp4"], "none.mp4: no such file or folder", "give a video file"),
        (["text.mp4"], "text.mp4: not a video that can be read", "see whether a player opens it"),
        (["sound.m4a"], "sound.m4a: there is no video in this file", "sound only"),
        (["empty"], "empty: no frames and no videos in this folder", "folders below it"),
        (["*.bmp"], "*.bmp: no file matches", "quote a pattern"),
        (["ftp://127.0.0.1/x.mp4"], "unknown kind of address 'ftp'", "known: http"),
        (["clip.mp4", "--start", "1:xx"], "--start 1:xx is no time", "mm:ss"),
        (["clip.mp4", "--start", "2", "--end", "1"], "is not after the start", "--end"),
        (["clip.mp4", "--start", "9"], "no frame from 9 s on: the video is 1.00 s long", "lies within"),
        (["clip.mp4", "--out", "o.gif"], "o.gif: cannot write a .gif video", ".mp4"),
        (["clip.mp4", "--out", "mine.mp4"], "mine.mp4: exists already", "--overwrite"),
        (["clip.mp4", "--out", "full"], "full: is not empty", "--overwrite"),
        (["clip.mp4", "--out", "text.mp4/o.mp4"], "text.mp4: a file, not a folder", "choose another --out"),
        (["clip.mp4", "--run", "text.mp4/r"], "text.mp4: is a file, not a folder", "give --run another folder"),
        (["clip.mp4", "--run", "full"], "full: is not empty", "give --run another folder, or add --overwrite"),
        (["clip.mp4", "--device", "toaster"], "no device 'toaster' on this machine", "use auto or cpu"),
        (["clip.mp4", "--processes", "2"], "--processes goes with --gpus 0", "each of them"),
        (["clip.mp4", "--weights", "none.safetensors"], "none.safetensors: there is no such checkpoint", None),
        (["--resume", "clip.mp4"], "clip.mp4: no such run", "the runs lie in runs/infer/"),
        (["--resume", "9"], "9: no such run", "the runs lie in runs/infer/"),
        (["--resume"], "no run.json in any folder of runs/infer/", "run 'qcen infer' first"),
        (["--resume", "full"], "full/run.json: no run to go on with", "give the folder of a run"),
        (["--resume", "full", "--conf", "0.5"], "--conf does not go with --resume", "leave it out"),
        (["--resume", "full", "--no-masks"], "--masks does not go with --resume", "leave it out"),
    ],
)
def test_a_refusal_is_one_line_and_a_hint_and_leaves_nothing(call, place, arguments, cause, hint):
    (place / "text.mp4").write_text("no video at all")
    (place / "mine.mp4").write_bytes(b"mine")
    (place / "full").mkdir()
    (place / "full" / "letter.txt").write_text("dear")
    (place / "empty").mkdir()
    with av.open(str(place / "sound.m4a"), "w") as file:
        stream = file.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        file.mux([*stream.encode(frame), *stream.encode(None)])
    before = names_in(place)
    own = [] if {"--weights", "--resume"} & set(arguments) else ["--weights", "w.safetensors"]
    code, out, err = call("infer", *arguments, *own)
    assert (code, out) == (2, "")
    lines = [line for line in err.splitlines() if not line.startswith("run: ")]
    assert len(lines) == 2
    assert lines[0].startswith("error: ")
    assert cause in lines[0]
    assert lines[1].startswith("hint: ")
    assert hint is None or hint in lines[1]
    assert [name for name in names_in(place) if name not in {"runs", "runs/infer"}] == before
    assert (place / "mine.mp4").read_bytes() == b"mine"


def test_one_broken_video_of_several_fails_at_the_end(call, place):
    for name, length in (("a", 3), ("c", 5)):
        write_video(place / "in" / f"{name}.mp4", length)
    (place / "in" / "b.mp4").write_bytes(b"no video at all")
    (place / "in" / "notes.txt").write_text("not looked at")
    code, out, err = call("infer", "in", *FIND_ALL, "--run", "r", "--json")
    assert code == 1
    assert json.loads(out)["frames"] == 8
    *_, error, hint = err.splitlines()
    assert error.startswith("error: ")
    assert "b.mp4: not a video that can be read" in error
    assert hint.startswith("hint: ")
    assert names_in(place / "r" / "frames") == ["a.jsonl", "c.jsonl"]


def test_an_interrupted_run_tells_how_to_go_on_and_does(call, place, monkeypatch):
    assert call("infer", "clip.mp4", *FIND_ALL, "--run", "whole")[0] == 0

    def interrupt(_):
        def stop(progress):
            if progress.frame == 4:
                raise KeyboardInterrupt

        return stop

    with monkeypatch.context() as patch:
        patch.setattr("qcen_cli.infer.frame_progress", interrupt)
        code, out, err = call("infer", "clip.mp4", *FIND_ALL, "--run", "r", "--save", "mot")
    assert (code, out) == (130, "")
    assert err.splitlines()[-2:] == ["what was done is kept: 'qcen infer --resume r' goes on", "interrupted"]
    assert {"frames.jsonl", "run.json"} == {path.name for path in (place / "r").iterdir()}

    code, out, err = call("infer", "clip.mp4", *FIND_ALL, "--run", "r")
    assert (code, out) == (2, "")
    assert "r: is not empty" in err
    assert "qcen infer --resume r" in err

    code, out, err = call("infer", "--resume", "r", "--device", "cpu", "--json")
    assert code == 0
    assert err.startswith("run: r (begun ")
    assert json.loads(out)["outputs"]["mot"] == "r/mot"
    assert (place / "r" / "frames.jsonl").read_bytes() == (place / "whole" / "frames.jsonl").read_bytes()


def test_converted_is_what_a_run_writes(call, place):
    assert call("infer", "clip.mp4", *FIND_ALL, "--run", "r", "--save", "mot,coco-vid")[0] == 0
    for form, name in (("tracks", "tracks.json"), ("csv", "tracks.csv"), ("coco-vid", "coco_vid.json")):
        code, out, _ = call("convert", "r/frames.jsonl", name, "--json")
        assert (code, json.loads(out)["to"]) == (0, form)
        assert (place / name).read_bytes() == (place / "r" / name).read_bytes()
    assert call("convert", "r/tracks.json", "mot")[0] == 0
    assert (place / "mot/clip/gt/gt.txt").read_bytes() == (place / "r/mot/clip/gt/gt.txt").read_bytes()


@pytest.mark.slow
def test_a_killed_process_goes_on_byte_for_byte(call, place):
    long = write_video(place / "long.mp4", 301)
    command = [sys.executable, "-c", KEEPS_ITS_STATE_OFTEN, "infer", long, *FIND_ALL, "--run", "r"]
    with subprocess.Popen(command, cwd=place, stderr=subprocess.DEVNULL) as process:
        state = place / "r" / "state.safetensors"
        while not state.exists() and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    log = place / "r" / "frames.jsonl"
    done = log.read_bytes()
    assert done
    assert b'"end"' not in done
    assert not (place / "r" / "results.json").exists()

    again = [sys.executable, "-m", "qcen_cli", "infer", "--resume", "r", "--device", "cpu", "--json"]
    resumed = subprocess.run(again, cwd=place, capture_output=True, text=True, check=True)
    assert json.loads(resumed.stdout)["frames"] == 301
    segmented = json.loads((place / "r" / "summary.json").read_text())["segmented_frames"]
    assert segmented < 301  # the state was used
    assert call("infer", long, *FIND_ALL, "--run", "whole")[0] == 0
    assert log.read_bytes() == (place / "whole" / "frames.jsonl").read_bytes()
    assert log.read_bytes().startswith(done[: done.rfind(b"\n")])
    assert not state.exists()


KEEPS_ITS_STATE_OFTEN = """
from qcen_cli import main
from qcen_core.inference import segment_inputs

segment_inputs.STATE_SECONDS = 0.2
main.run()
"""
