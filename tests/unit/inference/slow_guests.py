"""Association with guests, written out pixel by pixel and by trying every assignment."""

from dataclasses import dataclass
from itertools import permutations

import numpy as np


@dataclass
class Sight:
    """One instance, or what one guest predicts: `mask` (h, w) of logits, a name in the place of its query."""

    embedding: np.ndarray
    mask: np.ndarray
    score: float
    classes: np.ndarray
    name: float

    @property
    def pixels(self):
        return pixels_of(self.mask)


@dataclass
class SlowTrack:
    id: int
    embedding: np.ndarray
    sights: list
    missed: int = 0
    carried: int = 0


def pixels_of(mask):
    return {(y, x) for y in range(mask.shape[0]) for x in range(mask.shape[1]) if mask[y, x] > 0}


def iou(some, others):
    return len(some & others) / max(1, len(some | others))


class SlowTracker:
    def __init__(self, config):
        self.config, self.tracks, self.born = config, [], 0

    def step(self, sights, visits):
        """[(id or None, mask, score)] of the instances, then of the guests that are shown."""
        c = self.config
        shown = [[None, sight.mask, sight.score] for sight in sights]
        for track in self.tracks:
            track.missed += 1
        free = set(range(len(self.tracks)))
        for row, column in self.couples(sights, visits):
            free.remove(column)
            track, sight, guest = self.tracks[column], sights[row], visits[column]
            mixed = c.momentum * track.embedding + (1 - c.momentum) * sight.embedding
            track.embedding = mixed / np.linalg.norm(mixed)
            track.missed = track.carried = 0
            track.sights.append(sight)
            shown[row][0] = track.id
            if guest.score >= 0.3 and iou(sight.pixels, guest.pixels) > 0.5:
                shown[row][1] = c.exchange * guest.mask + (1 - c.exchange) * sight.mask
        visible = [pixels_of(mask) for track_id, mask, _ in shown if track_id is not None]
        for column in sorted(free, key=lambda column: -visits[column].score):
            track, guest = self.tracks[column], visits[column]
            covered = any(
                iou(guest.pixels, other) > c.nms_iou or len(guest.pixels & other) >= 0.9 * len(guest.pixels)
                for other in visible
            )
            if guest.score >= 0.5 and track.carried < c.guest_frames and not covered:
                track.missed, track.carried = 0, track.carried + 1
                track.sights.append(guest)
                visible.append(guest.pixels)
                shown.append([track.id, guest.mask, guest.score])
        for row, sight in enumerate(sights):
            duplicate = any(iou(sight.pixels, other) > c.nms_iou for other in visible)
            if shown[row][0] is None and sight.score >= c.new_track and not duplicate:
                self.born += 1
                self.tracks.append(SlowTrack(self.born, sight.embedding, [sight]))
                shown[row][0] = self.born
        alive = sorted((t for t in self.tracks if t.missed <= c.max_age), key=lambda t: (t.missed, t.id))
        self.tracks = sorted(alive[: c.max_instances], key=lambda t: t.id)
        return shown

    def couples(self, sights, visits):
        """The assignment of the largest total above the threshold, found by trying all."""
        gain = {}
        for row, sight in enumerate(sights):
            for column, track in enumerate(self.tracks):
                guest = visits[column]
                place = guest.pixels if guest.score >= 0.3 else track.sights[-1].pixels
                value = float(sight.embedding @ track.embedding)
                value += self.config.overlap_weight * iou(sight.pixels, place)
                if value >= self.config.match_threshold:
                    gain[row, column] = value - self.config.match_threshold
        rows, columns = range(len(sights)), range(len(self.tracks))
        if len(rows) <= len(columns):
            choices = (list(zip(rows, choice, strict=True)) for choice in permutations(columns, len(rows)))
        else:
            choices = (list(zip(choice, columns, strict=True)) for choice in permutations(rows, len(columns)))
        best = max(choices, key=lambda couples: sum(gain.get(couple, 0.0) for couple in couples))
        return [couple for couple in best if couple in gain]
