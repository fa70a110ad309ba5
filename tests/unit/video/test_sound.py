from fractions import Fraction
from itertools import accumulate

import av
import pytest
from synthetic_sound import click_time, clicking_video, duration_of, sound_of
from synthetic_video import packets_of, stamps_of
from test_writer import copy_video

from qcen_core.video.excerpt import Excerpt
from qcen_core.video.reader import open_source
from qcen_core.video.sound import SoundTrack
from qcen_core.video.writer import VideoWriter

PACKET = 0.027  # seconds; the longest packet here has 1152 samples at 44.1 kHz
CLOCKS = {
    "29.97": (Fraction(1, 30000), tuple(1001 * n for n in range(45))),
    "24": (Fraction(1, 24), tuple(range(36))),
    "60": (Fraction(1, 60), tuple(range(90))),
    "variable": (Fraction(1, 1000), tuple(accumulate(7 + 13 * (n % 3) + 5 * (n % 7) for n in range(44)))),
}


def write_excerpt(source_path, target, **part):
    with Excerpt(open_source(source_path), **part) as source:
        writer = VideoWriter(
            target,
            height=source.height,
            width=source.width,
            frame_rate=source.frame_rate,
            time_base=source.time_base,
            audio_source=source.audio_source,
            audio_start=source.audio_start,
            audio_end=source.audio_end,
        )
        with writer:
            for frame in source.frames():
                writer.write(frame.image, frame.time)


@pytest.mark.parametrize("clock", CLOCKS)
@pytest.mark.parametrize("length", [0.9, 1.5, 2.3], ids=["shorter", "equal", "longer"])
def test_sound_stays_in_step_at_every_frame_rate(tmp_path, clock, length):
    time_base, stamps = CLOCKS[clock]
    source = clicking_video(
        tmp_path / "in.mp4", "aac", click=0.7, length=length, stamps=stamps, time_base=time_base, rate=44100
    )
    copy_video(source, tmp_path / "out.mp4")
    assert stamps_of(tmp_path / "out.mp4") == stamps_of(source) == [stamp * time_base for stamp in stamps]
    assert packets_of(tmp_path / "out.mp4", "audio") == packets_of(source, "audio")
    assert click_time(tmp_path / "out.mp4") == pytest.approx(0.7, abs=0.002)
    last_frame = float((stamps[-1] - stamps[-2]) * time_base)
    assert duration_of(tmp_path / "out.mp4") == pytest.approx(duration_of(source), abs=max(last_frame, PACKET))


@pytest.mark.parametrize(
    ("codec", "suffix", "layout", "rate", "carried"),
    [
        ("aac", ".mp4", "5.1", 48000, "aac 6"),
        ("aac", ".ts", "mono", 44100, "aac 1"),
        ("pcm_s16le", ".mov", "mono", 44100, "aac 1"),
        ("pcm_s16le", ".mkv", "5.1", 48000, "aac 6"),
        ("pcm_s16le", ".avi", "stereo", 32000, "aac 2"),
        ("pcm_s16le", ".mkv", "stereo", 192000, "aac 2"),
        ("opus", ".mkv", "stereo", 48000, "opus 2"),
        ("vorbis", ".mkv", "stereo", 48000, "aac 2"),
        ("libmp3lame", ".mkv", "stereo", 44100, "mp3 2"),
        ("mp2", ".ts", "stereo", 48000, "aac 2"),
        ("flac", ".mkv", "stereo", 48000, "flac 2"),
        ("ac3", ".mkv", "5.1", 48000, "ac3 6"),
    ],
)
def test_sound_of_any_kind_comes_along_in_step(tmp_path, codec, suffix, layout, rate, carried):
    if codec not in av.codecs_available:
        pytest.skip(f"this PyAV cannot write {codec}")
    stamps = tuple(range(40))
    source = clicking_video(
        tmp_path / f"in{suffix}",
        codec,
        click=0.9,
        length=1.6,
        stamps=stamps,
        time_base=Fraction(1, 25),
        layout=layout,
        rate=rate,
    )
    copy_video(source, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        context = container.streams.audio[0].codec_context
        assert f"{context.codec.canonical_name} {context.layout.nb_channels}" == carried
    assert click_time(tmp_path / "out.mp4") - float(stamps_of(tmp_path / "out.mp4")[0]) == pytest.approx(0.9, abs=0.004)
    assert duration_of(tmp_path / "out.mp4") == pytest.approx(duration_of(source), abs=0.04)


@pytest.mark.parametrize("kind", ["aac .mp4", "pcm_s16le .mov", "aac .ts", "opus .mkv"])
def test_the_sound_of_an_excerpt_begins_and_ends_with_it(tmp_path, kind):
    codec, suffix = kind.split()
    # Frames from 0.48 to 1.08 s after the first; sound clicks 0.9 s after it.
    source = clicking_video(
        tmp_path / f"in{suffix}", codec, click=0.9, length=1.6, stamps=tuple(range(40)), time_base=Fraction(1, 25)
    )
    write_excerpt(source, tmp_path / "out.mp4", start=Fraction(12, 25), end=Fraction(27, 25))
    assert len(stamps_of(tmp_path / "out.mp4")) == 15
    assert click_time(tmp_path / "out.mp4") == pytest.approx(0.42, abs=0.004)
    sound = stamps_of(tmp_path / "out.mp4", "audio")
    assert -0.03 <= float(sound[0]) <= PACKET
    assert 0.6 - PACKET <= float(sound[-1]) <= 0.6
    assert duration_of(tmp_path / "out.mp4") == pytest.approx(0.6, abs=0.04)


def test_the_sound_of_an_open_excerpt_goes_on_to_its_end(tmp_path):
    source = clicking_video(
        tmp_path / "in.mp4", "aac", click=0.9, length=2.3, stamps=tuple(range(40)), time_base=Fraction(1, 25)
    )
    write_excerpt(source, tmp_path / "out.mp4", start=Fraction(12, 25))
    assert duration_of(tmp_path / "out.mp4") == pytest.approx(2.3 - 0.48, abs=PACKET)


def test_damaged_sound_breaks_off_with_a_note_and_the_picture_goes_on(tmp_path, monkeypatch):
    source = clicking_video(
        tmp_path / "in.mp4", "aac", click=0.2, length=1.6, stamps=tuple(range(40)), time_base=Fraction(1, 25)
    )

    def unreadable(track):
        yield from list(packets(track))[:20]
        raise av.error.OSError(5, "Input/output error", str(source))

    packets = SoundTrack._part
    monkeypatch.setattr(SoundTrack, "_part", unreadable)
    writer = copy_video(source, tmp_path / "out.mp4")
    assert writer.notes == ["the sound breaks off where its file is damaged"]
    assert len(stamps_of(tmp_path / "out.mp4")) == 40
    assert len(stamps_of(tmp_path / "out.mp4", "audio")) == 20


def test_a_stretch_of_silence_behind_the_sound_is_no_error(tmp_path):
    source = clicking_video(
        tmp_path / "in.mp4", "aac", click=0.2, length=0.5, stamps=tuple(range(40)), time_base=Fraction(1, 25)
    )
    write_excerpt(source, tmp_path / "out.mp4", start=Fraction(1))
    assert duration_of(tmp_path / "out.mp4") == pytest.approx(0.6, abs=0.001)
    assert sound_of(source)[0]
