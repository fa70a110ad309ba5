"""Videos whose sound is silent but for one click, to see whether sound and picture are in step."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from synthetic_video import HEIGHT, WIDTH, color_frame

CLICK = 0.02  # seconds


def clicking_video(
    path: Path,
    codec: str,
    *,
    click: float,
    length: float,
    stamps: Sequence[int],
    time_base: Fraction,
    layout: str = "stereo",
    rate: int = 48000,
) -> Path:
    """A video with one frame a stamp, and `length` seconds of sound that clicks at `click` seconds."""
    with av.open(str(path), "w", options={"strict": "-2", "movie_timescale": str(time_base.denominator)}) as output:
        video = output.add_stream("libx264", rate=25)
        video.height, video.width, video.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        video.codec_context.time_base = time_base
        audio = output.add_stream(codec, rate=rate, layout=layout)
        for index, stamp in enumerate(stamps):
            frame = av.VideoFrame.from_ndarray(color_frame(index), format="rgb24")
            frame.pts, frame.time_base = stamp, time_base
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        for piece in _pieces(audio, click, length, layout, rate):
            output.mux(audio.encode(piece))
        output.mux(audio.encode(None))
    return path


def _pieces(audio: av.AudioStream, click: float, length: float, layout: str, rate: int) -> list[av.AudioFrame]:
    samples = np.zeros((av.AudioLayout(layout).nb_channels, round(length * rate)), np.float32)
    start, count = round(click * rate), round(CLICK * rate)
    samples[:, start : start + count] = 0.8 * np.sin(np.arange(count) / 4)[: samples.shape[1] - start]
    context = audio.codec_context
    resampler = av.AudioResampler(context.format, layout, rate, frame_size=context.frame_size or 1024)
    pieces = []
    for first in range(0, samples.shape[1], 1024):
        block = np.ascontiguousarray(samples[:, first : first + 1024])
        piece = av.AudioFrame.from_ndarray(block, format="fltp", layout=layout)
        piece.sample_rate, piece.pts, piece.time_base = rate, first, Fraction(1, rate)
        pieces += resampler.resample(piece)
    return pieces + resampler.resample(None)


def sound_of(path: Path) -> tuple[list[tuple[float, NDArray[np.float64]]], int]:
    """(time, samples of the first channel) of each decoded block, and the rate."""
    blocks = []
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        for frame in container.decode(stream):
            samples = frame.to_ndarray().astype(float)
            first = samples[0] if frame.format.is_planar else samples[0, :: frame.layout.nb_channels]
            blocks.append((frame.time, first))
        return blocks, stream.codec_context.sample_rate


def click_time(path: Path) -> float:
    """Where the click begins, in seconds on the clock of the file."""
    blocks, rate = sound_of(path)
    loudest = max(np.abs(samples).max() for _, samples in blocks)
    for time, samples in blocks:
        loud = np.flatnonzero(np.abs(samples) > loudest / 2)
        if len(loud):
            return time + loud[0] / rate
    raise AssertionError("no click")


def duration_of(path: Path) -> float:
    """Seconds, as the container states them."""
    with av.open(str(path)) as container:
        return container.duration / 1_000_000
