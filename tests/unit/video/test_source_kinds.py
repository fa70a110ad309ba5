import sys
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from synthetic_video import make_video
from test_reader import write_frames

from qcen_core.errors import InputError
from qcen_core.video import reader
from qcen_core.video.frame_folder import frames_of_pattern
from qcen_core.video.reader import FrameFolder, VideoFile, kind_of_folder, list_videos, open_source

PLAIN_SIGNS = pytest.mark.skipif(sys.platform == "win32", reason="this system allows no * in a file name")


def touch(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()


def test_a_pattern_gives_pictures_in_natural_order_of_the_whole_path(tmp_path):
    for part in ("shot10", "shot9"):
        write_frames(tmp_path / part, count=11)
        touch(tmp_path / part, "frame3.txt", ".frame4.png")
    found = frames_of_pattern(str(tmp_path / "shot*" / "*"))
    names = [str(path.relative_to(tmp_path)) for path in found]
    assert names == [str(Path(f"shot{part}") / f"frame{n}.png") for part in (9, 10) for n in range(11)]
    assert frames_of_pattern(str(tmp_path / "**" / "frame[23].png")) == [found[2], found[3], found[13], found[14]]


@pytest.mark.parametrize(("pattern", "cause"), [("*.gif", "no file matches"), ("*.txt", "none of the files")])
def test_a_pattern_without_pictures_is_named(tmp_path, pattern, cause):
    touch(tmp_path, "notes.txt")
    with pytest.raises(InputError, match=cause) as caught:
        open_source(str(tmp_path / pattern))
    assert caught.value.place == str(tmp_path / pattern)


@pytest.mark.parametrize("form", [str, Path])
def test_pattern_folder_and_file_are_told_apart(tmp_path, form):
    write_frames(tmp_path / "clip", count=5)
    with open_source(form(tmp_path / "clip" / "frame[1-3].png"), frame_rate=Fraction(7)) as source:
        assert [frame.time for frame in source.frames()] == [0, Fraction(1, 7), Fraction(2, 7)]
    assert isinstance(open_source(form(tmp_path / "clip")), FrameFolder)
    assert isinstance(open_source(form(make_video(tmp_path / "a.mp4"))), VideoFile)
    with pytest.raises(InputError, match="no such file"):
        open_source(form(tmp_path / "missing.mp4"))


@PLAIN_SIGNS
def test_what_exists_is_taken_by_its_name(tmp_path, monkeypatch):
    write_frames(tmp_path / "what?", count=2)
    write_frames(tmp_path / "0", count=3)
    assert open_source(str(tmp_path / "what?")).frame_count == 2
    monkeypatch.chdir(tmp_path)
    assert open_source("0").frame_count == 3


def test_numbers_are_cameras_and_addresses_are_streams(monkeypatch):
    monkeypatch.setattr(reader, "open_camera", lambda index: f"camera {index}")
    monkeypatch.setattr(reader, "open_address", lambda address: f"stream {address}")
    assert open_source("3") == "camera 3"
    assert open_source(Path("12")) == "camera 12"
    assert open_source("rtsp://host/one*two") == "stream rtsp://host/one*two"


def test_videos_of_a_folder_in_natural_order(tmp_path):
    touch(tmp_path, "b10.MP4", "b9.mkv", "a.webm", ".b1.mp4", "cover.jpg", "list.txt")
    (tmp_path / "folder.mp4").mkdir()
    assert [path.name for path in list_videos(tmp_path)] == ["a.webm", "b9.mkv", "b10.MP4"]


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        (["1.png", "2.png"], "frames"),
        (["a.mp4"], "videos"),
        (["a.mp4", "b.mp4", "cover.jpg"], "videos"),
        (["a.mp4", "a.jpg"], "videos"),
        (["1.jpg", "2.jpg", "overlay.mp4"], "frames"),
    ],
)
def test_the_majority_decides_what_a_folder_holds(tmp_path, files, kind):
    touch(tmp_path, *files)
    assert kind_of_folder(tmp_path) == kind


def test_a_folder_of_videos_is_no_video(tmp_path):
    touch(tmp_path, "a.mp4")
    with pytest.raises(InputError, match="a folder of videos"):
        open_source(tmp_path)
    touch(tmp_path / "empty", "readme.txt")
    with pytest.raises(InputError, match="no frames and no videos"):
        kind_of_folder(tmp_path / "empty")


def test_frames_before_an_unreadable_picture_come_out(tmp_path):
    paths = write_frames(tmp_path / "clip", count=5)
    paths[3].write_bytes(cv2.imencode(".jpg", np.zeros((31, 47, 3), np.uint8))[1].tobytes()[:200])
    frames = open_source(tmp_path / "clip").frames()
    assert [next(frames).index for _ in range(3)] == [0, 1, 2]
    with pytest.raises(InputError) as caught:
        next(frames)
    assert caught.value.place == str(paths[3])
