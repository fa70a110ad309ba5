"""Small videos for the tests, made with PyAV alone."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

HEIGHT, WIDTH = 58, 94


def color_frame(index: int, height: int = HEIGHT, width: int = WIDTH) -> NDArray[np.uint8]:
    """Grey that tells the index, with a red corner at the top left and a blue one at the top right."""
    image = np.full((height, width, 3), 20 + 5 * (index % 40), np.uint8)
    image[:16, :24] = (230, 20, 20)
    image[:16, -24:] = (20, 20, 230)
    return image


def check_pictures(images: Sequence[NDArray[np.uint8]]) -> None:
    """Compare with `color_frame`, away from the corners' edges, where pixels share their chroma."""
    for index, image in enumerate(images):
        difference = np.abs(image.astype(int) - color_frame(index, *image.shape[:2]))
        assert image.dtype == np.uint8
        assert max(difference[2:12, 2:20].max(), difference[2:12, -20:-2].max(), difference[24:50, 9:80].max()) <= 12


def make_video(
    path: Path,
    *,
    stamps: Sequence[int] = tuple(range(0, 480, 40)),
    time_base: Fraction = Fraction(1, 1000),
    codec: str = "libx264",
    pixels: str = "yuv420p",
    size: tuple[int, int] = (HEIGHT, WIDTH),
    sound: str | None = None,
    sound_start: int = 0,
    rotation: int | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """A video with one frame a stamp and, if asked for, 0.7 seconds of sound."""
    with av.open(str(path), "w", options=options or {}) as output:
        video = output.add_stream(codec, rate=25)
        video.height, video.width = size
        video.pix_fmt = pixels
        video.codec_context.time_base = time_base
        if rotation is not None:
            video.set_display_rotation(rotation)
        audio = output.add_stream(sound, rate=44100, layout="mono") if sound else None
        for index, stamp in enumerate(stamps):
            frame = av.VideoFrame.from_ndarray(color_frame(index, *size), format="rgb24")
            frame.pts, frame.time_base = stamp, time_base
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        if audio is not None:
            for block in range(30):
                wave = (np.sin(np.arange(1024) / 13) * 9000).astype(np.int16)[None]
                piece = av.AudioFrame.from_ndarray(wave, format="s16", layout="mono")
                piece.sample_rate, piece.time_base = 44100, Fraction(1, 44100)
                piece.pts = sound_start * 44100 + block * 1024
                output.mux(audio.encode(piece))
            output.mux(audio.encode(None))
    return path


def stamps_of(path: Path, kind: str = "video") -> list[Fraction]:
    """Presentation times of all packets, sorted, read without decoding."""
    return [time for time, _ in packets_of(path, kind)]


def packets_of(path: Path, kind: str) -> list[tuple[Fraction, bytes]]:
    """Presentation time and content of all packets of a stream."""
    with av.open(str(path)) as container:
        stream = getattr(container.streams, kind)[0]
        packets = [p for p in container.demux(stream) if p.pts is not None]
        return sorted((p.pts * p.time_base, bytes(p)) for p in packets)
