"""Stores made up by hypothesis, and what is in a store as plain data."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

from qcen_core.ops import rle
from qcen_core.records import Category
from qcen_core.trackforms.store import Sighting, StoredVideo, TrackStore, seen_by_mask

NAMES = ("cat", "dog", "große Katze", 'a "b", c', "fox")


@dataclass(frozen=True)
class Kind:
    """What made-up stores hold."""

    boxes: bool = True  # sightings without a mask, too
    overlaps: bool = True
    unscored: bool = True  # sightings and tracks without a score, too
    videos: int = 2
    unnumbered: bool = True  # track ids anywhere


@st.composite
def stores(draw, kind=Kind()):
    """A function that makes the same store whenever it is called."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True))
    ids = draw(st.lists(st.integers(1, 99), min_size=len(names), max_size=len(names), unique=True))
    categories = [Category(number, name) for number, name in zip(ids, names, strict=True)]
    videos = []
    numbers = draw(st.lists(st.integers(1, 10**6), min_size=1, max_size=kind.videos, unique=True))
    for index, number in enumerate(sorted(numbers)):
        videos.append(draw(_videos(number, f"film_{index}.b", len(categories), kind)))

    def make():
        store = TrackStore(categories)
        for video, frames, tracks in videos:
            store.add_video(video)
            store.add_frames(video.id, frames)
            for track, class_id, score, sightings in tracks:
                store.add_track(video.id, track, class_id, score)
                store.add_sightings(video.id, sightings)
        return store

    return make


@st.composite
def _videos(draw, number, name, classes, kind):
    height, width, length = (
        draw(st.sampled_from([3, 5, 7])),
        draw(st.sampled_from([2, 11, 13])),
        draw(st.integers(1, 5)),
    )
    rate = draw(st.sampled_from([None, Fraction(30), Fraction(30_000, 1001)]))
    base = draw(st.sampled_from([None, Fraction(1, 90_000), Fraction(1001, 30_000)]))
    pictures, timed = draw(st.booleans()), base is not None
    ticks = draw(st.lists(st.integers(0, 10**6), min_size=length, max_size=length, unique=True).map(sorted))
    frames = [(f, ticks[f] if timed else None, f"{name}/{f:04d}.png" if pictures else None) for f in range(length)]
    limit = 300 if kind.unnumbered else 9
    scores = st.floats(0.01, 1).map(lambda v: round(v, 6))
    scores = st.none() | scores if kind.unscored else scores
    taken = np.zeros((length, height, width), bool)
    tracks = []
    for track in sorted(draw(st.lists(st.integers(1, limit), max_size=4, unique=True))):
        sightings = []
        for frame in draw(st.lists(st.integers(0, length - 1), min_size=1, unique=True)):
            score = draw(scores)
            if kind.boxes and draw(st.booleans()):
                x, y = draw(st.integers(-8, 40)) / 8, draw(st.integers(-8, 40)) / 8
                size = draw(st.integers(1, 40)) / 8
                sightings.append(Sighting(track, frame, score, (x, y, x + size, y + 2 * size), None))
                continue
            bits = draw(st.binary(min_size=height * width // 8 + 1, max_size=height * width // 8 + 1))
            mask = np.unpackbits(np.frombuffer(bits, np.uint8))[: height * width].reshape(height, width) > 0
            mask = mask & (kind.overlaps | ~taken[frame])
            taken[frame] |= mask
            sightings.append(seen_by_mask(track, frame, score, rle.encode(mask)))
        sightings = [seen for seen in sightings if seen is not None]
        if sightings:
            tracks.append((track, draw(st.integers(0, classes - 1)), draw(scores), sightings))
    return StoredVideo(number, name, height, width, rate, base), frames, tracks


def content(store, *, ids=True, times=True, files=True, masks=True, frame_scores=True, track_scores=True, classes="id"):
    """What a store holds, without what is not asked for; `classes` are told by `id`, by `name`, or `None`."""
    videos = []
    for video in store.videos():
        frames = [(f.index, f.ticks if times else None, f.file if files else None) for f in store.frames(video)]
        tracks = {}
        for track in store.tracks(video):
            category = store.categories[track.class_id]
            label = {"id": category.source_id, "name": category.name, None: None}[classes]
            seen = {
                s.frame: (s.score if frame_scores else None, s.box, s.mask["counts"] if masks and s.mask else None)
                for s in track.sightings
            }
            tracks[track.id] = (label, track.score if track_scores else None, seen)
        rate = (video.frame_rate, video.time_base) if times else None
        videos.append((video.id if ids else None, video.name, video.height, video.width, rate, frames, tracks))
    return videos
