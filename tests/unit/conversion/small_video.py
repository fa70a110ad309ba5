"""Small video files for the tests, whose frames tell their index."""

from pathlib import Path

import av
import numpy as np

HEIGHT, WIDTH = 62, 98


def grey_of(index):
    return 40 + 15 * index


def frame_of(index):
    """Grey that tells the index, with a red block at the top left."""
    image = np.full((HEIGHT, WIDTH, 3), grey_of(index), np.uint8)
    image[:16, :24] = (230, 20, 20)
    return image


def make_video(path: Path, frames: int = 6, rotation: int | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    codec = "mjpeg" if path.suffix == ".avi" else "libx264"
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=25)
        stream.height, stream.width = HEIGHT, WIDTH
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        if rotation is not None:
            stream.set_display_rotation(rotation)
        for index in range(frames):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(frame_of(index), format="rgb24")))
        output.mux(stream.encode(None))
    return path
