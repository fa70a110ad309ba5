"""Identities: joining the instances of one frame to those seen before, in constant memory.

Rules for both trackers: ids count from 1 in the order in which tracks are born (within a frame: in the order
of the prediction, best first); an id is never given again in a video, not even after its track has ended.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from qcen_core.config import TrackerConfig
from qcen_core.inference.postprocess import mask_iou, take_guests
from qcen_core.structures import FramePrediction, Guests


@dataclass(slots=True)
class Track:
    """What is remembered of one object; renewed in place, so read it before the next step.

    Attributes:
        id: from 1, never used again.
        embedding: (E,) float32, unit length.
        class_logits: (K + 1,) float32, mean over the frames in which the object was matched.
        mask: (h, w) bool, where it was last seen.
        mask_embedding: (C,) float32, what draws its mask: a moving average over the frames in which it was matched.
        guest: its query of the frame in which it was last seen (N = G = 1), to visit the next one.
        frames: number of frames in which it was seen.
        missed: number of frames since.
        carried: number of frames in a row, up to the last, in which only its guest saw it.
    """

    id: int
    embedding: Tensor
    class_logits: Tensor
    mask: Tensor
    mask_embedding: Tensor
    guest: Guests
    frames: int = 1
    missed: int = 0
    carried: int = 0


class Tracker(Protocol):
    """One video's identities, frame by frame."""

    def step(self, prediction: FramePrediction) -> tuple[Track | None, ...]:
        """The track of each instance of the next frame; `None` for one that is too weak to start a track."""
        ...


def build_tracker(config: TrackerConfig) -> Tracker:
    """A fresh tracker for one video."""
    match config.kind:
        case "memory":
            return MemoryTracker(config)
        case "minvis":
            return MinvisTracker()


class MemoryTracker:
    """Matches instances to a memory of contrast embeddings (section 4 of the method).

    - Similarity = cosine of embeddings + `overlap_weight` x IoU with the mask last seen; one-to-one assignment
      (Hungarian) of the largest total above `match_threshold`.
    - A matched track moves its embedding towards the new one, `momentum` being the share of the old, its mask
      embedding likewise with the share `exchange`, and averages its class logits.
    - An unmatched instance of score `new_track` or more starts a track.
    - An unmatched track waits through at most `max_age` frames without a match and keeps its id if its object
      comes back; then it ends, and the object, should it come later still, is a new track with a new id.
    - At most `max_instances` tracks are remembered; beyond that the ones missing longest end first, among
      equals the youngest.
    """

    def __init__(self, config: TrackerConfig) -> None:
        self._config = config
        self._tracks: list[Track] = []
        self._born = 0

    @property
    def remembered(self) -> int:
        """Number of tracks in memory."""
        return len(self._tracks)

    @torch.no_grad()
    def step(self, prediction: FramePrediction) -> tuple[Track | None, ...]:
        """The track of each of the D instances of the next frame, `None` where there is none."""
        self._age()
        couples = self._match(prediction, self._last_masks()) if self._tracks else []
        assigned = self._follow(prediction, couples)
        self._start(prediction, assigned, torch.ones_like(prediction.scores, dtype=torch.bool))
        self._forget()
        return tuple(assigned)

    def _age(self) -> None:
        for track in self._tracks:
            track.missed += 1

    def _last_masks(self) -> Tensor:
        """(R, h, w) bool, where the tracks were last seen; there must be one."""
        return torch.stack([track.mask for track in self._tracks])

    def _match(self, prediction: FramePrediction, expected: Tensor) -> list[tuple[int, int]]:
        """Couples (row, place in memory) of instances and tracks, which are expected at (R, h, w) bool."""
        similarity = cosine_similarity(prediction, self._tracks)
        if self._config.overlap_weight:
            similarity += self._config.overlap_weight * mask_iou(prediction.mask_logits > 0, expected)
        return assign(similarity, self._config.match_threshold)

    def _follow(self, prediction: FramePrediction, couples: Sequence[tuple[int, int]]) -> list[Track | None]:
        """Renew the matched tracks; the track of each instance, `None` where there is none."""
        assigned: list[Track | None] = [None] * len(prediction.scores)
        for row, column in couples:
            self._renew(self._tracks[column], prediction, row)
            assigned[row] = self._tracks[column]
        return assigned

    def _start(self, prediction: FramePrediction, assigned: list[Track | None], allowed: Tensor) -> None:
        """Give instances without a track a new one, where (D,) bool allows it and they are strong enough."""
        for row, (score, may_start) in enumerate(zip(prediction.scores.tolist(), allowed.tolist(), strict=True)):
            if may_start and assigned[row] is None and score >= self._config.new_track:
                self._born += 1
                track = new_track(self._born, prediction, row)
                self._tracks.append(track)
                assigned[row] = track

    def _renew(self, track: Track, prediction: FramePrediction, row: int) -> None:
        share = self._config.momentum
        mixed = share * track.embedding + (1 - share) * prediction.embeddings[row]
        track.embedding = F.normalize(mixed, dim=0)
        memory = self._config.exchange
        track.mask_embedding = memory * track.mask_embedding + (1 - memory) * prediction.mask_embeddings[row]
        track.carried = 0
        observe(track, prediction, row)

    def _forget(self) -> None:
        alive = [track for track in self._tracks if track.missed <= self._config.max_age]
        alive.sort(key=lambda track: (track.missed, track.id))
        self._tracks = sorted(alive[: self._config.max_instances], key=lambda track: track.id)


class MinvisTracker:
    """Matches the queries of a frame to those of the frame before, and remembers nothing else (MinVIS).

    Meant for all Q queries of every frame, objects or not: then the assignment is a permutation, each of the Q
    tracks lives through the whole video, and what a track shows in a frame is left to the score of its query
    there. A track without a partner in a frame ends; an instance without a partner starts one.
    """

    def __init__(self) -> None:
        self._tracks: tuple[Track, ...] = ()
        self._born = 0

    @torch.no_grad()
    def step(self, prediction: FramePrediction) -> tuple[Track, ...]:
        """The track of each of the D instances of the next frame."""
        partner: dict[int, Track] = {}
        if self._tracks:
            for row, column in assign(cosine_similarity(prediction, self._tracks), -np.inf):
                partner[row] = self._tracks[column]
        tracks = []
        for row in range(len(prediction.scores)):
            if row in partner:
                track = partner[row]
                track.embedding = prediction.embeddings[row].clone()
                track.mask_embedding = prediction.mask_embeddings[row].clone()
                observe(track, prediction, row)
            else:
                self._born += 1
                track = new_track(self._born, prediction, row)
            tracks.append(track)
        self._tracks = tuple(tracks)
        return self._tracks


def new_track(track_id: int, prediction: FramePrediction, row: int) -> Track:
    """A track born from one instance of a frame."""
    return Track(
        id=track_id,
        embedding=prediction.embeddings[row].clone(),  # a view would keep the whole frame's tensor
        class_logits=prediction.class_logits[row].clone(),
        mask=prediction.mask_logits[row] > 0,
        mask_embedding=prediction.mask_embeddings[row].clone(),
        guest=take_guest(prediction.guests, row),
    )


def observe(track: Track, prediction: FramePrediction, row: int) -> None:
    """Take one more sight of the track's object into its class mean; its mask and its guest are those of this sight."""
    track.frames += 1
    track.missed = 0
    track.class_logits = track.class_logits + (prediction.class_logits[row] - track.class_logits) / track.frames
    track.mask = prediction.mask_logits[row] > 0
    track.guest = take_guest(prediction.guests, row)


def take_guest(guests: Guests, row: int) -> Guests:
    """One of the guests, without keeping the memory of the others."""
    return take_guests(guests, torch.tensor([row], device=guests.queries.device))


def cosine_similarity(prediction: FramePrediction, tracks: Sequence[Track]) -> Tensor:
    """(D, R) cosines between the instances of a frame and R tracks."""
    return prediction.embeddings @ torch.stack([track.embedding for track in tracks]).T


def assign(similarity: Tensor, threshold: float) -> list[tuple[int, int]]:
    """One-to-one couples (row, column) of the largest total similarity in excess of a threshold.

    Couples below the threshold count nothing, so that a hopeless one never takes the partner of a good one.

    Args:
        similarity: (D, R).
        threshold: least similarity of a couple; minus infinity couples as many as there are.
    """
    # A diverged model must not stop the run here.
    values = np.nan_to_num(similarity.double().cpu().numpy(), nan=-1.0)
    gain = values if threshold == -np.inf else np.maximum(values - threshold, 0.0)
    rows, columns = linear_sum_assignment(gain, maximize=True)
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if values[r, c] >= threshold]
