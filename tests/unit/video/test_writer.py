from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from synthetic_video import HEIGHT, WIDTH, check_pictures, color_frame, make_video, packets_of, stamps_of

from qcen_core.errors import InputError
from qcen_core.video.reader import open_source
from qcen_core.video.writer import VideoWriter, choose_encoder

RUNNING = tuple(36000 * 90000 + 3600 * n for n in range(12))
UNEVEN = (0, 17, 50, 61, 161, 201, 234, 300, 431, 440, 511)


def copy_video(source_path: Path, target: Path, **options) -> VideoWriter:
    source = open_source(source_path)
    writer = VideoWriter(
        target,
        height=source.height,
        width=source.width,
        frame_rate=source.frame_rate,
        time_base=source.time_base,
        audio_source=source.audio_source,
        **options,
    )
    with source, writer:
        for frame in source.frames():
            writer.write(frame.image, frame.time)
    return writer


def write_plain(target: Path, count: int = 7, height: int = HEIGHT, width: int = WIDTH, **options) -> VideoWriter:
    with VideoWriter(target, height=height, width=width, frame_rate=Fraction(25), **options) as writer:
        for index in range(count):
            writer.write(color_frame(index, height, width))
    return writer


def write_and_fail(target: Path) -> None:
    with VideoWriter(target, height=HEIGHT, width=WIDTH, frame_rate=Fraction(25)) as writer:
        writer.write(color_frame(0))
        writer.write(color_frame(1, height=5))


@pytest.mark.parametrize(
    ("stamps", "time_base"),
    [
        (UNEVEN, Fraction(1, 1000)),
        (tuple(3 + 1001 * n for n in range(9)), Fraction(1, 30000)),
        (tuple(range(12)), Fraction(1, 25)),
    ],
)
def test_time_stamps_come_out_exactly_as_they_went_in(tmp_path, stamps, time_base):
    source = make_video(
        tmp_path / "in.mkv" if time_base.denominator == 1000 else tmp_path / "in.mp4",
        stamps=stamps,
        time_base=time_base,
        options={"movie_timescale": "30000"} if time_base.denominator == 30000 else None,
    )
    writer = copy_video(source, tmp_path / "out.mp4")
    assert stamps_of(tmp_path / "out.mp4") == stamps_of(source) == [stamp * time_base for stamp in stamps]
    assert writer.frame_count == len(stamps)
    assert writer.notes == []


def test_pictures_survive(tmp_path):
    write_plain(tmp_path / "out.mp4")
    with open_source(tmp_path / "out.mp4") as source:
        check_pictures([frame.image for frame in source.frames()])


def test_file_is_what_browsers_play(tmp_path):
    write_plain(tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")
        assert (context.colorspace, context.color_range) == (1, 1)
        assert container.duration == 7 * 40_000
    data = (tmp_path / "out.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_odd_sizes_are_padded_by_the_last_row_and_column(tmp_path):
    write_plain(tmp_path / "out.mp4", height=53, width=71)
    with open_source(tmp_path / "out.mp4") as source:
        image = next(iter(source.frames())).image.astype(int)
    assert image.shape == (54, 72, 3)
    assert np.abs(image[53, 30:] - image[52, 30:]).max() <= 6
    assert np.abs(image[20:, 71] - image[20:, 70]).max() <= 6


def test_sound_is_copied_packet_for_packet(tmp_path):
    source = make_video(tmp_path / "in.mp4", sound="aac")
    copy_video(source, tmp_path / "out.mp4")
    assert len(packets_of(source, "audio")) > 20
    assert packets_of(tmp_path / "out.mp4", "audio") == packets_of(source, "audio")
    assert stamps_of(tmp_path / "out.mp4") == stamps_of(source)


def test_sound_that_mp4_does_not_hold_is_encoded(tmp_path):
    source = make_video(tmp_path / "in.mov", sound="pcm_s16le")
    writer = copy_video(source, tmp_path / "out.mp4")
    assert writer.notes == ["the sound was encoded to AAC: MP4 does not hold pcm_s16le"]
    with av.open(str(tmp_path / "out.mp4")) as container:
        stream = container.streams.audio[0]
        assert stream.codec_context.name == "aac"
        samples = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(stream)])
    expected = np.tile(np.sin(np.arange(1024) / 13) * 9000 / 32768, 30)
    # Same length up to a block, and the same loudness in the middle.
    assert abs(len(samples) - len(expected)) <= 2048
    middle = slice(5000, 25000)
    assert np.std(samples[middle]) == pytest.approx(np.std(expected[middle]), rel=0.05)


def test_sound_and_picture_of_a_running_clock_stay_together(tmp_path):
    source = make_video(
        tmp_path / "in.ts", sound="aac", time_base=Fraction(1, 90000), stamps=RUNNING, sound_start=36000
    )
    copy_video(source, tmp_path / "out.mp4")
    before = packets_of(source, "audio")[5][0] - stamps_of(source)[0]
    after = packets_of(tmp_path / "out.mp4", "audio")[5][0] - stamps_of(tmp_path / "out.mp4")[0]
    assert abs(after - before) < Fraction(1, 1000)
    assert stamps_of(tmp_path / "out.mp4")[0] < Fraction(1, 10)


def test_an_error_leaves_nothing_behind(tmp_path):
    target = tmp_path / "new" / "out.mp4"
    with pytest.raises(ValueError, match="must be"):
        write_and_fail(target)
    assert list(target.parent.iterdir()) == []


def test_an_error_leaves_the_old_file(tmp_path):
    write_plain(tmp_path / "out.mp4")
    before = (tmp_path / "out.mp4").read_bytes()
    with (
        pytest.raises(ValueError, match="not one frame"),
        VideoWriter(tmp_path / "out.mp4", height=HEIGHT, width=WIDTH, frame_rate=Fraction(25)),
    ):
        pass
    assert (tmp_path / "out.mp4").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


def test_missing_sound_file_leaves_nothing(tmp_path):
    with (
        pytest.raises(InputError, match="no such file"),
        VideoWriter(
            tmp_path / "out.mp4",
            height=HEIGHT,
            width=WIDTH,
            frame_rate=Fraction(25),
            audio_source=tmp_path / "gone.mp4",
        ),
    ):
        pytest.fail("must not open")
    assert list(tmp_path.iterdir()) == []


def test_wrong_frames_are_refused(tmp_path):
    with VideoWriter(tmp_path / "out.mp4", height=HEIGHT, width=WIDTH, frame_rate=Fraction(25)) as writer:
        writer.write(color_frame(0), Fraction(1, 25))
        with pytest.raises(ValueError, match="not later"):
            writer.write(color_frame(1), Fraction(1, 25))
        with pytest.raises(ValueError, match="must be"):
            writer.write(color_frame(1, WIDTH, HEIGHT), Fraction(2, 25))
        with pytest.raises(ValueError, match="must be"):
            writer.write(color_frame(1).astype(np.float32), Fraction(2, 25))
    with pytest.raises(ValueError, match="not open"):
        writer.write(color_frame(1), Fraction(3, 25))


def test_other_suffixes_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"\.avi"):
        VideoWriter(tmp_path / "out.avi", height=HEIGHT, width=WIDTH, frame_rate=Fraction(25))


def test_without_an_h264_encoder_mpeg4_is_written_with_a_note(tmp_path):
    assert choose_encoder(64, 48, ("no_such_encoder",)) == "mpeg4"
    writer = write_plain(tmp_path / "out.mp4", encoders=("no_such_encoder",), time_base=Fraction(1, 90000))
    assert len(writer.notes) == 1
    assert "MPEG-4" in writer.notes[0]
    with open_source(tmp_path / "out.mp4") as source:
        assert [frame.time for frame in source.frames()] == [Fraction(n, 25) for n in range(7)]


def test_one_frame_is_a_video(tmp_path):
    write_plain(tmp_path / "out.mp4", count=1)
    with open_source(tmp_path / "out.mp4") as source:
        assert len(list(source.frames())) == 1
