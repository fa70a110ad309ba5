"""Videos as they come from the world: broken, empty, of two sizes, with stamps that lie."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from synthetic_video import check_pictures, color_frame, make_video

from qcen_core.errors import InputError
from qcen_core.video.reader import VideoFile, open_source


def test_a_video_without_frames_is_named(tmp_path):
    path = tmp_path / "empty.mp4"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = 34, 46, "yuv420p"
        output.start_encoding()
    with pytest.raises(InputError) as caught:
        VideoFile(path)
    assert caught.value.place == str(path)
    assert "\n" not in str(caught.value)


def test_one_frame_is_a_video(tmp_path):
    with open_source(make_video(tmp_path / "one.mkv", stamps=[40])) as source:
        assert [frame.time for frame in source.frames()] == [Fraction(1, 25)]
        assert source.start_time == Fraction(1, 25)
    assert source.notes == []


def test_a_picture_of_a_song_is_no_video(tmp_path):
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as output:
        sound = output.add_stream("aac", rate=44100, layout="mono")
        cover = output.add_stream("mjpeg", rate=1)
        cover.height, cover.width, cover.pix_fmt = 34, 46, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        output.mux(cover.encode(av.VideoFrame.from_ndarray(color_frame(0, 34, 46), format="rgb24")))
        output.mux(cover.encode(None))
        piece = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.int16), format="s16", layout="mono")
        piece.sample_rate = 44100
        output.mux(sound.encode(piece))
        output.mux(sound.encode(None))
    with pytest.raises(InputError, match="there is no video"):
        VideoFile(path)


def test_frames_of_changing_size_are_scaled_with_one_note(tmp_path):
    clock = {"time_base": Fraction(1, 90000)}
    first = make_video(tmp_path / "first.ts", stamps=range(0, 36000, 3600), **clock)
    second = make_video(tmp_path / "second.ts", stamps=range(36000, 72000, 3600), size=(82, 138), **clock)
    both = tmp_path / "both.ts"
    both.write_bytes(first.read_bytes() + second.read_bytes())
    with open_source(both) as source:
        frames = list(source.frames())
    assert len(frames) == 20
    assert {frame.image.shape for frame in frames} == {(58, 94, 3)}
    assert source.notes == ["frames change their size within the video; all are scaled to 94x58"]
    assert all(before.time < after.time for before, after in pairwise(frames))
    with open_source(both) as source:
        assert [frame.index for frame in source.frames(19)] == [19]
        assert len(source.notes) == 1


def test_frames_coded_out_of_order_in_a_container_without_stamps(tmp_path):
    path = make_video(tmp_path / "old.avi", stamps=range(12), time_base=Fraction(1, 25))
    with open_source(path) as source:
        frames = list(source.frames())
    assert [frame.time for frame in frames] == [Fraction(n, 25) for n in range(12)]
    check_pictures([frame.image for frame in frames])


def test_damage_costs_its_own_frames_and_is_noted(tmp_path):
    whole = make_video(tmp_path / "whole.mov", stamps=range(0, 1200, 40), codec="png", pixels="rgb24")
    with av.open(str(whole)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    data = whole.read_bytes()
    for number in (11, 12, 13):
        assert data.count(packets[number]) == 1
        data = data.replace(packets[number], b"\xff" * len(packets[number]))
    whole.write_bytes(data)
    with open_source(whole) as source:
        frames = list(source.frames())
    assert source.notes == ["3 damaged packets could not be decoded"]
    assert [frame.time for frame in frames] == [Fraction(40 * n, 1000) for n in range(30) if n not in (11, 12, 13)]
    assert [frame.index for frame in frames] == list(range(27))


def test_a_sound_file_that_is_longer_than_the_picture_is_no_damage(tmp_path):
    path = make_video(tmp_path / "in.mp4", stamps=range(0, 80, 40), sound="aac")
    with open_source(path) as source:
        assert len(list(source.frames())) == 2
    assert source.notes == []


def test_a_rotated_video_of_odd_size(tmp_path):
    path = make_video(tmp_path / "odd.mov", size=(53, 71), codec="png", pixels="rgb24", rotation=90)
    with open_source(path) as source:
        image = next(source.frames()).image
    assert (source.height, source.width) == (71, 53)
    np.testing.assert_array_equal(image, np.rot90(color_frame(0, 53, 71)))


def test_notes_of_one_reading_do_not_pile_up(tmp_path):
    whole = make_video(tmp_path / "whole.mp4", stamps=range(0, 4000, 40), options={"movflags": "+faststart"})
    cut = Path(tmp_path / "cut.mp4")
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    with open_source(cut) as source:
        for _ in range(2):
            assert len(list(source.frames())) > 5
            assert len(source.notes) == 1
