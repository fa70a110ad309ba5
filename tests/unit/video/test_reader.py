from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_video import HEIGHT, WIDTH, check_pictures, color_frame, make_video, stamps_of

from qcen_core.errors import InputError
from qcen_core.video.frame_folder import natural_order, read_image
from qcen_core.video.reader import FrameFolder, VideoFile, open_source

RUNNING = tuple(36000 * 90000 + 3600 * n for n in range(12))
UNEVEN = (0, 17, 50, 61, 161, 201, 234, 300, 431, 440, 511)


def write_frames(folder: Path, count: int = 3, size: tuple[int, int] = (31, 47)) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"frame{index}.png" for index in range(count)]
    for index, path in enumerate(paths):
        cv2.imwrite(str(path), color_frame(index, *size)[:, :, ::-1])
    return paths


def test_frames_carry_the_stamps_of_the_file_also_at_a_variable_rate(tmp_path):
    path = make_video(tmp_path / "uneven.mp4", stamps=UNEVEN)
    with open_source(path) as source:
        frames = list(source.frames())
    assert [frame.time for frame in frames] == [Fraction(stamp, 1000) for stamp in UNEVEN]
    assert [frame.index for frame in frames] == list(range(len(UNEVEN)))
    assert (source.height, source.width, source.frame_count) == (HEIGHT, WIDTH, len(UNEVEN))
    assert source.name == "uneven"
    assert source.audio_source is None
    assert all(frame.time % source.time_base == 0 for frame in frames)
    assert source.notes == []


def test_frames_are_rgb_and_in_order(tmp_path):
    path = make_video(tmp_path / "a.mkv")
    with open_source(path) as source:
        check_pictures([frame.image for frame in source.frames()])


def test_a_source_can_be_read_twice(tmp_path):
    with open_source(make_video(tmp_path / "a.mp4")) as source:
        once = next(iter(source.frames())).image
        again = [frame.image for frame in source.frames()]
    assert len(again) == 12
    np.testing.assert_array_equal(once, again[0])


@pytest.mark.parametrize("degrees", [90, -90, 180])
def test_rotation_mark_is_honoured(tmp_path, degrees):
    if not hasattr(av.VideoStream, "set_display_rotation"):
        pytest.skip("this PyAV cannot write a rotation mark")
    with open_source(make_video(tmp_path / "turned.mp4", rotation=degrees)) as source:
        image = next(iter(source.frames())).image
    with open_source(make_video(tmp_path / "straight.mp4")) as source_straight:
        straight = next(iter(source_straight.frames())).image
    np.testing.assert_array_equal(image, np.rot90(straight, degrees // 90))
    assert (source.height, source.width) == image.shape[:2]


def test_odd_sizes_are_kept(tmp_path):
    path = make_video(tmp_path / "odd.mkv", size=(53, 71), codec="ffv1", pixels="bgr0")
    with open_source(path) as source:
        images = [frame.image for frame in source.frames()]
    assert (source.height, source.width) == (53, 71)
    np.testing.assert_array_equal(images[3], color_frame(3, 53, 71))


def test_raw_stream_without_stamps_moves_on_at_its_frame_rate(tmp_path):
    path = make_video(tmp_path / "raw.h264", stamps=range(12), time_base=Fraction(1, 25))
    with open_source(path) as source:
        times = [frame.time for frame in source.frames()]
    assert len(times) == 12
    np.testing.assert_allclose(np.diff([float(time) for time in times]), 0.04, atol=1e-6)


def test_a_running_clock_starts_at_zero(tmp_path):
    path = make_video(tmp_path / "broadcast.ts", time_base=Fraction(1, 90000), stamps=RUNNING)
    assert stamps_of(path)[0] > 30000
    with open_source(path) as source:
        assert 0 <= next(iter(source.frames())).time < Fraction(1, 10)


def test_a_file_that_is_cut_off_yields_its_beginning_and_a_note(tmp_path):
    whole = make_video(
        tmp_path / "whole.mp4", stamps=range(0, 4000, 40), options={"movflags": "+faststart"}, sound="aac"
    )
    cut = tmp_path / "cut.mp4"
    data = whole.read_bytes()
    cut.write_bytes(data[: len(data) * 6 // 10])
    with open_source(cut) as source:
        frames = list(source.frames())
    assert 5 < len(frames) < 100
    # Frames that lean on a later, lost one are lost with it.
    times = [frame.time for frame in frames]
    assert times[:8] == [Fraction(n * 40, 1000) for n in range(8)]
    assert times == sorted(set(times))
    assert len(source.notes) == 1
    assert "4.0 s" in source.notes[0]


def test_damage_in_the_middle_does_not_end_the_video(tmp_path):
    whole = make_video(
        tmp_path / "whole.mp4", stamps=range(0, 1200, 40), codec="mpeg4", options={"movflags": "+faststart"}
    )
    data = bytearray(whole.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 200] = b"\xff" * 200
    whole.write_bytes(data)
    with open_source(whole) as source:
        frames = list(source.frames())
    assert len(frames) >= 25
    assert frames[-1].time == Fraction(29 * 40, 1000)


def test_unusable_files_are_named(tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("a list of things to do\n" * 40)
    noise = tmp_path / "noise.mp4"
    noise.write_bytes(np.random.default_rng(0).bytes(5000))
    whole = make_video(tmp_path / "whole.mp4")
    headless = tmp_path / "headless.mp4"
    headless.write_bytes(whole.read_bytes()[:-1500])
    for path in (text, noise, headless, tmp_path / "empty.mp4", tmp_path / "missing.mp4"):
        if path.name == "empty.mp4":
            path.touch()
        with pytest.raises(InputError) as caught:
            open_source(path)
        assert caught.value.place == str(path)
        assert "\n" not in str(caught.value)


def test_sound_alone_is_not_a_video(tmp_path):
    path = tmp_path / "sound.m4a"
    with av.open(str(path), "w", format="mp4") as output:
        stream = output.add_stream("aac", rate=44100, layout="mono")
        piece = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.int16), format="s16", layout="mono")
        piece.sample_rate = 44100
        output.mux(stream.encode(piece))
        output.mux(stream.encode(None))
    with pytest.raises(InputError, match="no video"):
        VideoFile(path)


def test_folder_is_read_in_natural_order(tmp_path):
    write_frames(tmp_path / "clip", count=12)
    (tmp_path / "clip" / "readme.txt").write_text("not a frame")
    (tmp_path / "clip" / "._frame3.png").write_text("litter of another system")
    with open_source(tmp_path / "clip", frame_rate=Fraction(30000, 1001)) as source:
        frames = list(source.frames())
    assert [int(frame.image[-1, 30, 0]) for frame in frames] == [20 + 5 * n for n in range(12)]
    assert frames[7].time == Fraction(7 * 1001, 30000)
    assert (source.name, source.height, source.width, source.frame_count) == ("clip", 31, 47, 12)
    assert source.time_base == Fraction(1001, 30000)
    np.testing.assert_array_equal(frames[0].image, color_frame(0, 31, 47))


def test_list_of_frames_keeps_its_order(tmp_path):
    paths = write_frames(tmp_path / "clip")[::-1]
    assert [int(frame.image[-1, 30, 0]) for frame in open_source(paths).frames()] == [30, 25, 20]
    assert FrameFolder(paths, name="mine").name == "mine"


def test_a_frame_of_another_size_is_named(tmp_path):
    write_frames(tmp_path / "clip")
    cv2.imwrite(str(tmp_path / "clip" / "frame7.png"), np.zeros((47, 31, 3), np.uint8))
    with pytest.raises(InputError, match=r"31x47 pixels among frames of 47x31") as caught:
        list(open_source(tmp_path / "clip").frames())
    assert caught.value.place.endswith("frame7.png")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kept", [0, 0.5])
def test_a_frame_that_is_cut_off_is_named(tmp_path, kept):
    paths = write_frames(tmp_path / "clip")
    data = paths[1].read_bytes()
    paths[1].write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(InputError) as caught:
        list(open_source(tmp_path / "clip").frames())
    assert caught.value.place == str(paths[1])


def test_folder_without_frames(tmp_path):
    with pytest.raises(InputError, match="no frames"):
        open_source(tmp_path)
    with pytest.raises(InputError, match="no such"):
        open_source(tmp_path / "missing")
    with pytest.raises(InputError, match="no frames"):
        open_source([])


def test_grey_and_transparent_pictures_become_rgb(tmp_path):
    grey = np.arange(31 * 47, dtype=np.uint16).reshape(31, 47) * 40
    cv2.imwrite(str(tmp_path / "grey.png"), grey)
    image = read_image(tmp_path / "grey.png")
    assert image.shape == (31, 47, 3)
    assert np.abs(image[:, :, 1].astype(int) - grey // 256).max() <= 1
    cv2.imwrite(str(tmp_path / "clear.png"), np.full((31, 47, 4), (10, 20, 30, 0), np.uint8))
    np.testing.assert_array_equal(read_image(tmp_path / "clear.png"), np.full((31, 47, 3), (30, 20, 10)))


@given(st.lists(st.integers(0, 99999), min_size=1, max_size=8, unique=True))
def test_natural_order_is_the_order_of_the_numbers(numbers):
    names = [Path(f"img_{number}.jpg") for number in numbers]
    assert sorted(names, key=natural_order) == [Path(f"img_{number}.jpg") for number in sorted(numbers)]


def test_real_phone_clip_is_read_as_stated():
    folder = Path(__file__).resolve().parents[3] / ".." / "shared" / "data" / "videos"
    if not folder.is_dir():
        pytest.skip("needs videos of a phone, which are no part of the project")
    with open_source(folder / "01_dog.mp4") as source:
        assert (source.height, source.width, source.frame_rate) == (720, 1280, Fraction(30000, 1001))
        stamps = stamps_of(folder / "01_dog.mp4")
        for frame, stamp in zip(source.frames(), stamps[:20], strict=False):
            assert frame.time == stamp
