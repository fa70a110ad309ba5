from fractions import Fraction

import numpy as np
import pytest
from browser import find_browser, play
from synthetic_sound import clicking_video
from synthetic_video import stamps_of

from qcen_core.video.writer import VideoWriter

BROWSER = find_browser()
HEIGHT, WIDTH = 131, 227  # both odd: the writer pads them
COUNT, RATE = 50, Fraction(30000, 1001)
POINTS = [(29, 23), (173, 31), (101, 107)]


def colored(index: int) -> np.ndarray:
    """Three fields: red that grows, blue that shrinks, and below them green that jumps."""
    image = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    image[:71, :113] = (40 + 4 * index, 30, 30)
    image[:71, 113:] = (30, 30, 240 - 4 * index)
    image[71:] = (60, 200 if index % 10 < 5 else 90, 60)
    return image


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on the path")
@pytest.mark.parametrize("codec", ["aac", "pcm_s16le"])
def test_a_written_video_plays_in_a_browser(tmp_path, codec):
    sound = clicking_video(
        tmp_path / "sound.mov", codec, click=0.5, length=1.6, stamps=range(5), time_base=Fraction(1, 25)
    )
    path = tmp_path / "out.mp4"
    with VideoWriter(path, height=HEIGHT, width=WIDTH, frame_rate=RATE, audio_source=sound) as writer:
        for index in range(COUNT):
            writer.write(colored(index))
    assert len(stamps_of(path, "audio")) > 60
    seen = play(BROWSER, path, POINTS, tmp_path / "profile")
    assert seen["error"] is None
    assert (seen["width"], seen["height"]) == (WIDTH + 1, HEIGHT + 1)
    assert seen["duration"] == pytest.approx(float(COUNT / RATE), abs=float(1 / RATE))
    assert seen["currentTime"] == pytest.approx(seen["duration"], abs=float(1 / RATE))
    assert seen["frames"] >= COUNT // 2  # a busy machine leaves frames out
    assert seen["soundBytes"] > 0
    shown = seen["shown"]
    indices = [round(frame["time"] * RATE) for frame in shown]
    assert len(indices) >= 5
    assert indices == sorted(set(indices))
    for frame, index in zip(shown, indices, strict=True):
        expected = [colored(index)[y, x] for x, y in POINTS]
        assert np.abs(np.array(frame["colors"]) - np.array(expected, dtype=int)).max() <= 12, index
