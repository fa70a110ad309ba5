import errno
import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from synthetic_video import HEIGHT, WIDTH, make_video
from test_writer import copy_video, write_plain

from qcen_core.errors import QcenError
from qcen_core.video.write_errors import write_errors_named
from qcen_core.video.writer import VideoWriter

FULL_DEVICE = Path("/dev/full")
needs_full_device = pytest.mark.skipif(not FULL_DEVICE.exists(), reason="this system has no device that is always full")


def write_noise(target: Path, count: int) -> None:
    generator = np.random.default_rng(3)
    with VideoWriter(target, height=HEIGHT, width=WIDTH, frame_rate=Fraction(25)) as writer:
        for _ in range(count):
            writer.write(generator.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8))


@needs_full_device
@pytest.mark.parametrize("count", [1, 100])
def test_a_full_disk_is_one_clear_line_and_leaves_nothing(tmp_path, count):
    # What the writer opens leads to a device that is always full; short videos fail when they are closed.
    (tmp_path / ".out.partial.mp4").symlink_to(FULL_DEVICE)
    with pytest.raises(QcenError) as caught:
        write_noise(tmp_path / "out.mp4", count)
    assert str(caught.value) == f"{tmp_path / 'out.mp4'}: the disk is full"
    assert "make room" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


@needs_full_device
def test_a_full_disk_is_not_taken_for_damaged_sound(tmp_path):
    source = make_video(tmp_path / "in.mp4", sound="aac")
    (tmp_path / ".out.partial.mp4").symlink_to(FULL_DEVICE)
    with pytest.raises(QcenError, match="the disk is full"):
        copy_video(source, tmp_path / "out.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    write_plain(tmp_path / "out.mp4")
    before = (tmp_path / "out.mp4").read_bytes()

    def full(_, target):
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT), str(target))

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(QcenError, match="the disk is full"):
        write_plain(tmp_path / "out.mp4", count=3)
    assert (tmp_path / "out.mp4").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


@pytest.mark.parametrize("below", ["file.txt/out.mp4", "file.txt/new/out.mp4"])
def test_a_folder_that_is_a_file_is_named(tmp_path, below):
    (tmp_path / "file.txt").touch()
    with pytest.raises(QcenError, match="a part of this path is a file") as caught:
        write_plain(tmp_path / below)
    assert caught.value.place == str(tmp_path / below)
    assert [path.name for path in tmp_path.iterdir()] == ["file.txt"]


def test_a_closed_folder_is_named(tmp_path):
    with pytest.raises(QcenError) as caught, write_errors_named(tmp_path / "out.mp4"):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), "something.partial")
    assert str(caught.value) == f"{tmp_path / 'out.mp4'}: cannot be written: Permission denied"
    assert "rights" in caught.value.hint


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is closed to root")
def test_a_folder_without_the_right_to_write(tmp_path):
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    with pytest.raises(QcenError, match="Permission denied"):
        write_plain(folder / "out.mp4")


def test_other_errors_pass(tmp_path):
    with pytest.raises(ValueError, match="no number"), write_errors_named(tmp_path):
        raise ValueError("no number")


@needs_full_device
def test_a_writer_that_failed_takes_nothing_more(tmp_path):
    (tmp_path / ".out.partial.mp4").symlink_to(FULL_DEVICE)
    noise = np.random.default_rng(3).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    writer = VideoWriter(tmp_path / "out.mp4", height=HEIGHT, width=WIDTH, frame_rate=Fraction(25))
    writer.__enter__()
    while "the disk is full" not in failure_of(writer, noise):
        assert writer.frame_count < 500
    assert "not open" in failure_of(writer, noise)
    with pytest.raises(ValueError, match="not one frame"):
        writer.__exit__(None, None, None)
    assert list(tmp_path.iterdir()) == []


def failure_of(writer: VideoWriter, image: np.ndarray) -> str:
    try:
        writer.write(image)
    except (QcenError, ValueError) as error:
        return str(error)
    return ""
