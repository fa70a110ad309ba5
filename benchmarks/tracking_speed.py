"""How long a frame's identities take on one CPU thread, for 100 queries a frame.

    python -m benchmarks.tracking_speed [--frames 10000] [--queries 100] [--height 720] [--width 1280]

The video: objects of one look each, seen with noise, by queries in a changing order. Now and then one is hidden, for a
while that the memory tracker outlasts, or for longer, so that it ends and comes back as a new one; so tracks are born,
renewed, waited for and forgotten. With overlap every object also has a mask, an ellipse on its way through the frame
at a quarter of its size; together they would cover nine tenths of it. The time includes reading all the mask logits.

- memory: contrast embeddings alone; with as many objects as queries, and with ten.
- overlap: embeddings and masks, `qcen infer`'s usual tracker; likewise.
- minvis: all queries, matched to the frame before.
- list: the memory tracker as the tests write it out, track by track, on the first frames of the same video.

The thread's own time tells more than the clock where other programs run beside.
"""

import argparse
import runpy
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from qcen_core.config import ModelConfig, TrackerConfig
from qcen_core.inference.tracker import MemoryTracker, MinvisTracker
from qcen_core.model.pixel_decoder import MASK_STRIDE
from qcen_core.structures import FramePrediction, Guests

SLOW_TRACKER = Path(__file__).resolve().parents[1] / "tests" / "unit" / "inference" / "slow_tracker.py"
CLASSES = 40  # of YouTube-VIS
NOISE = 0.6  # length of what is added to an embedding of length 1
HIDING = 0.002  # chance of an object to be hidden in a frame
LONGEST_GAP = 40  # frames; up to 20 are waited for
PREPARED = 50  # frames with masks, which go to and fro


class Video:
    """Objects that come and go.

    Args:
        count: number of objects, at most one query each.
        cells: rows and columns of the masks; 1 x 1 without.
    """

    def __init__(self, count: int, cells: tuple[int, int] = (1, 1)) -> None:
        model = ModelConfig()
        self._random = torch.Generator().manual_seed(7)
        self._looks = F.normalize(self._normal(count, model.contrast_dim), dim=1)
        self._classes, self._drawing = self._normal(count, CLASSES + 1), self._normal(count, model.hidden_dim)
        self._hidden = torch.zeros(count, dtype=torch.int64)  # frames to go
        self._centres, self._speeds = self._uniform(count, 2), 0.01 * self._normal(count, 2)
        # The fewer, the larger: they cover the same share of the frame.
        self._radii = (0.4 + self._uniform(count, 2)) * 0.6 / count**0.5
        self._masks = [self._drawn(step, cells) for step in range(PREPARED if cells != (1, 1) else 1)]

    def frames(self) -> Iterator[FramePrediction]:
        """One frame after the other, without end."""
        step = 0
        while True:
            vanish = (self._uniform(len(self._hidden)) < HIDING) & (self._hidden == 0)
            gap = (self._uniform(len(self._hidden)) * LONGEST_GAP).long()
            self._hidden = torch.where(vanish, gap, (self._hidden - 1).clamp(min=0))
            seen = torch.randperm(len(self._hidden), generator=self._random)
            seen = seen[self._hidden[seen] == 0]
            turn = step % (2 * len(self._masks))
            masks = self._masks[min(turn, 2 * len(self._masks) - 1 - turn)]
            yield self._prediction(seen, masks)
            step += 1

    def _prediction(self, seen: Tensor, masks: Tensor) -> FramePrediction:
        looks, drawing = self._looks[seen], self._drawing[seen]
        looks = looks + NOISE / looks.shape[1] ** 0.5 * self._normal(*looks.shape)
        return FramePrediction(
            class_logits=self._classes[seen],
            scores=0.2 + 0.8 * self._uniform(len(seen)),
            mask_logits=masks[seen],
            embeddings=F.normalize(looks, dim=1),
            mask_embeddings=drawing,
            guests=Guests(drawing[None], drawing[None]),
        )

    def _drawn(self, step: int, cells: tuple[int, int]) -> Tensor:
        """(objects, *cells) logits, positive in ellipses."""
        y, x = ((torch.arange(size) + 0.5) / size for size in cells)
        centres = (self._centres + step * self._speeds) % 1
        rows = ((y - centres[:, :1]) / self._radii[:, :1]) ** 2
        columns = ((x - centres[:, 1:]) / self._radii[:, 1:]) ** 2
        logits: Tensor = 5 * (1 - rows[:, :, None] - columns[:, None, :]).clamp(min=-1)
        return logits

    def _normal(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self._random)

    def _uniform(self, *shape: int) -> Tensor:
        return torch.rand(*shape, generator=self._random)


def milliseconds(step: Callable[[FramePrediction], object], video: Video, frames: int) -> tuple[float, float]:
    """Mean of a frame, by the clock and of the thread's own time; making the frames is not counted."""
    elapsed = own = 0.0
    for prediction in islice(video.frames(), frames):
        started, own_started = time.perf_counter(), time.thread_time()
        step(prediction)
        own += time.thread_time() - own_started
        elapsed += time.perf_counter() - started
    return 1000 * elapsed / frames, 1000 * own / frames


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--few", type=int, default=10, help="objects of the rows with few")
    parser.add_argument("--height", type=int, default=720, help="of the model's input, for masks")
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--list-frames", type=int, default=200, help="for the tracker written out")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    cells = (-(-chosen.height // MASK_STRIDE), -(-chosen.width // MASK_STRIDE))
    alone, both = TrackerConfig(overlap_weight=0.0), TrackerConfig()
    slow: Any = runpy.run_path(str(SLOW_TRACKER))["SlowMemoryTracker"]
    rows: list[tuple[str, Callable[[FramePrediction], object], int, int]] = [
        ("memory", MemoryTracker(alone).step, chosen.queries, chosen.frames),
        ("memory", MemoryTracker(alone).step, chosen.few, chosen.frames),
        ("minvis", MinvisTracker().step, chosen.queries, chosen.frames),
        ("list", slow(alone).step, chosen.queries, min(chosen.list_frames, chosen.frames)),
        ("overlap", MemoryTracker(both).step, chosen.queries, chosen.frames),
        ("overlap", MemoryTracker(both).step, chosen.few, chosen.frames),
    ]
    for name, step, count, frames in rows:
        with_masks = name == "overlap"
        elapsed, own = milliseconds(step, Video(count, cells) if with_masks else Video(count), frames)
        masks = f", masks of {cells[0]} x {cells[1]}" if with_masks else ""
        print(f"{name:8} {frames:6} frames x {count:3} queries{masks}: {elapsed:.3f} ms a frame, {own:.3f} of CPU time")


if __name__ == "__main__":
    main()
