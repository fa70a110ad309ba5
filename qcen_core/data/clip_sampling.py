"""Which clips a step sees: pure functions of the seed and the step, so that a resumed run goes on exactly."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

ORDER, CHOICES = 0, 1  # the order of the videos and the choices in a clip draw from streams of their own


@dataclass(frozen=True, slots=True)
class ClipDraw:
    """One clip to load: a video, and the seed of all choices made inside it."""

    video: int
    seed: tuple[int, ...]


def draws_of_step(step: int, *, videos: int, clips: int, seed: int, rank: int = 0, world: int = 1) -> list[ClipDraw]:
    """The clips that one process loads at one step.

    Every pass over the set visits each video once, in an order of its own.

    Args:
        step: optimizer step, from 0.
        videos: number of videos.
        clips: clips a process and step.
        seed: of the run.
        rank: of the process.
        world: number of processes.
    """
    first = (step * world + rank) * clips
    draws = []
    for index in range(first, first + clips):
        epoch, place = divmod(index, videos)
        draws.append(ClipDraw(int(_order(seed, epoch, videos)[place]), (seed, CHOICES, index)))
    return draws


@lru_cache(maxsize=2)  # shuffling a large set for every clip would take longer than a step
def _order(seed: int, epoch: int, videos: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, ORDER, epoch]).permutation(videos)


def sample_clip(candidates: Sequence[int], length: int, reach: int, rng: np.random.Generator) -> tuple[int, ...]:
    """Choose the frames of a clip.

    Args:
        candidates: frames to choose from (the labelled ones), ascending, at least one.
        length: frames of the clip.
        reach: frames lie at most this far from a randomly drawn first one.
        rng: source of randomness.

    Returns:
        `length` frames, ascending; frames repeat only where fewer than `length` are in reach.
    """
    centre = int(rng.integers(len(candidates)))
    near = [frame for frame in candidates if frame != candidates[centre] and abs(frame - candidates[centre]) <= reach]
    others = rng.permutation(near)[: length - 1].tolist()
    chosen = [candidates[centre], *others]
    while len(chosen) < length:
        chosen.append(chosen[int(rng.integers(len(chosen)))])
    return tuple(sorted(chosen))
