"""Which videos are held out: by video, over all categories, the same for the same seed and names."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from qcen_core.records import BoolArray


def choose_holdout(names: Sequence[str], classes: Sequence[frozenset[int]], share: float, seed: int) -> tuple[int, ...]:
    """Chooses the videos to hold out.

    Every category is held out in about the same share of its videos, and none loses its last training video,
    so fewer videos than asked for may be held out. Only where that would leave the hold-out empty, a video of a
    category that has no other video is taken.

    Args:
        names: names of the videos; their order plays no part.
        classes: the classes that each video shows.
        share: of the videos to hold out, 0 to 1; at least one video is held out if it is above 0, and at
            least one is left.
        seed: another seed, another choice.

    Returns:
        Indices into `names`, ascending.
    """
    wanted = min(max(1, round(share * len(names))), len(names) - 1) if share > 0 else 0
    if wanted <= 0:
        return ()
    order = sorted(range(len(names)), key=lambda i: hashlib.sha256(f"{seed}/{names[i]}".encode()).digest())
    shows = np.zeros((len(names), 1 + max((c for found in classes for c in found), default=0)), np.int64)
    for row, index in enumerate(order):
        shows[row, list(classes[index])] = 1
    in_training = shows.sum(axis=0)
    missing = share * in_training.astype(np.float64)
    held = np.zeros(len(names), np.bool_)
    for _ in range(wanted):
        # Held out now, these would take a category's last training video.
        last = ((shows == 1) & (in_training == 1)).any(axis=1)
        candidates = ~held & ~last
        if not candidates.any():
            break
        row = _most_missed(candidates, shows @ missing)
        held[row] = True
        in_training -= shows[row]
        missing -= shows[row]
    if not held.any():
        alone = (shows * (in_training == 1)).sum(axis=1)
        held[_most_missed(alone == alone.min(), shows @ missing)] = True
    return tuple(sorted(order[int(row)] for row in np.flatnonzero(held)))


def _most_missed(candidates: BoolArray, gain: NDArray[np.float64]) -> int:
    """The first candidate of those that bring the categories nearest to their share."""
    return int(np.argmax(np.where(candidates, gain, -np.inf)))


def hash_names(names: Sequence[str], content: str = "") -> str:
    """SHA-256 of a set of video names, by which two hold-outs are compared; empty for no names.

    Args:
        names: of the videos.
        content: what they are made of, where names alone do not tell.
    """
    return hashlib.sha256("\n".join([*sorted(names), *filter(None, [content])]).encode()).hexdigest() if names else ""
