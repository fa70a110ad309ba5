"""The trackers written out plainly: a list of tracks, one after the other, each with its own few tensors."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment


@dataclass
class Track:
    id: int
    embedding: torch.Tensor
    class_logits: torch.Tensor
    mask: torch.Tensor
    mask_embedding: torch.Tensor
    query: torch.Tensor
    frames: int = 1
    missed: int = 0


def born(track_id, frame, row):
    return Track(
        track_id,
        frame.embeddings[row].clone(),
        frame.class_logits[row].clone(),
        frame.mask_logits[row] > 0,
        frame.mask_embeddings[row].clone(),
        frame.guests.queries[0, row].clone(),
    )


def observe(track, frame, row):
    track.frames += 1
    track.missed = 0
    track.class_logits = track.class_logits + (frame.class_logits[row] - track.class_logits) / track.frames
    track.mask = frame.mask_logits[row] > 0
    track.query = frame.guests.queries[0, row].clone()


def iou(mask, other):
    union = int((mask | other).sum())
    return int((mask & other).sum()) / union if union else 0.0


def couples(similarity, threshold):
    values = np.nan_to_num(similarity, nan=-1.0)
    rows, columns = linear_sum_assignment(np.maximum(values - threshold, 0.0), maximize=True)
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if values[r, c] >= threshold]


class SlowMemoryTracker:
    def __init__(self, config):
        self.config, self.tracks, self.born = config, [], 0

    def step(self, frame):
        """The track of each instance of the frame, `None` where there is none."""
        for track in self.tracks:
            track.missed += 1
        found = [None] * len(frame.scores)
        for row, column in self.match(frame):
            track = found[row] = self.tracks[column]
            mixed = self.config.momentum * track.embedding + (1 - self.config.momentum) * frame.embeddings[row]
            track.embedding = mixed / mixed.norm()
            share = self.config.exchange
            track.mask_embedding = share * track.mask_embedding + (1 - share) * frame.mask_embeddings[row]
            observe(track, frame, row)
        for row, score in enumerate(frame.scores.tolist()):
            if found[row] is None and score >= self.config.new_track:
                self.born += 1
                found[row] = born(self.born, frame, row)
                self.tracks.append(found[row])
        alive = [track for track in self.tracks if track.missed <= self.config.max_age]
        alive.sort(key=lambda track: (track.missed, track.id))
        self.tracks = sorted(alive[: self.config.max_instances], key=lambda track: track.id)
        return found

    def match(self, frame):
        if not self.tracks:
            return []
        similarity = (frame.embeddings @ torch.stack([track.embedding for track in self.tracks]).T).double().numpy()
        if self.config.overlap_weight:
            for row, logits in enumerate(frame.mask_logits):
                for column, track in enumerate(self.tracks):
                    similarity[row, column] += self.config.overlap_weight * iou(logits > 0, track.mask)
        return couples(similarity, self.config.match_threshold)


class SlowMinvisTracker:
    def __init__(self):
        self.tracks, self.born = [], 0

    def step(self, frame):
        partner = {}
        if self.tracks:
            similarity = frame.embeddings @ torch.stack([track.embedding for track in self.tracks]).T
            rows, columns = linear_sum_assignment(similarity.double().numpy(), maximize=True)
            partner = {row: self.tracks[column] for row, column in zip(rows, columns, strict=True)}
        tracks = []
        for row in range(len(frame.scores)):
            if row in partner:
                track = partner[row]
                track.embedding, track.mask_embedding = frame.embeddings[row], frame.mask_embeddings[row]
                observe(track, frame, row)
            else:
                self.born += 1
                track = born(self.born, frame, row)
            tracks.append(track)
        self.tracks = tracks
        return tracks
