"""Identities: joining the instances of one frame to those seen before, in constant memory.

Rules for both trackers: ids count from 1 in the order in which tracks are born (within a frame: in the order
of the prediction, best first); an id is never given again in a video, not even after its track has ended.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from qcen_core.config import TrackerConfig
from qcen_core.inference.track_memory import Sights, TrackMemory, sights_of
from qcen_core.ops.mask_overlap import iou
from qcen_core.structures import FramePrediction


@dataclass(frozen=True, slots=True)
class FrameTracks:
    """The tracks of the D instances of a frame, as they are after it.

    Attributes:
        ids: (D,) int64 on the host; 0 for an instance that has no track and is too weak to start one.
        class_logits: (D, K + 1) float32, mean over the track's frames so far; of the instance where it has no track.
        mask_embeddings: (D, C) float32, moving average over the frames in which the track was matched; likewise.
    """

    ids: Tensor
    class_logits: Tensor
    mask_embeddings: Tensor


class Tracker(Protocol):
    """One video's identities, frame by frame."""

    def step(self, prediction: FramePrediction) -> FrameTracks:
        """The tracks of the instances of the next frame."""
        ...

    def state(self) -> dict[str, Tensor]:
        """All that is remembered; what `restore` makes of it goes on as this tracker would."""
        ...

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from the `state` of a tracker of the same kind and configuration.

        Args:
            state: on the device of the predictions to come.

        Raises:
            ValueError: it is that of a tracker of another kind.
        """
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
        self._memory: TrackMemory | None = None  # before the first frame, which tells how wide its columns are
        self._born = 0

    @property
    def remembered(self) -> int:
        """Number of tracks in memory."""
        return 0 if self._memory is None else len(self._memory.ids)

    def state(self) -> dict[str, Tensor]:
        """All that is remembered, see `Tracker`."""
        return {"born": torch.tensor(self._born)} | ({} if self._memory is None else self._memory.state())

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a state, see `Tracker`."""
        self._born = born_before(state)
        self._memory = TrackMemory.of(state) if len(state) > 1 else None

    @torch.no_grad()
    def step(self, prediction: FramePrediction) -> FrameTracks:
        """The tracks of the D instances of the next frame."""
        seen = self._see(prediction)
        memory = self._aged(seen)
        memory, tracks = self._follow(memory, seen, *self._match(memory, seen, memory.sights.masks))
        memory, tracks = self._start(memory, seen, tracks, prediction.scores)
        self._memory = self._forget(memory)
        return tracks

    def _see(self, prediction: FramePrediction) -> Sights:
        return sights_of(prediction, with_masks=self._config.overlap_weight != 0, with_guests=False)

    def _aged(self, seen: Sights) -> TrackMemory:
        if self._memory is None:
            none = torch.zeros(0, dtype=torch.int64)
            return TrackMemory.born(none, seen.at(none))
        return self._memory.aged()

    def _match(self, memory: TrackMemory, seen: Sights, expected: Tensor) -> tuple[Tensor, Tensor]:
        """Couples (rows, places in memory) of instances and tracks, whose masks are expected at (R, W) bits."""
        similarity = seen.embeddings @ memory.sights.embeddings.T
        if self._config.overlap_weight:
            similarity += self._config.overlap_weight * iou(seen.masks, expected)
        return assign(similarity, self._config.match_threshold)

    def _follow(
        self, memory: TrackMemory, seen: Sights, rows: Tensor, places: Tensor
    ) -> tuple[TrackMemory, FrameTracks]:
        """Renew the tracks at `places`, which are matched to `rows` of the frame."""
        new, old = seen.at(rows), memory.sights
        share, drawing_share = self._config.momentum, self._config.exchange
        mixed = share * old.embeddings[places] + (1 - share) * new.embeddings
        drawing = drawing_share * old.mask_embeddings[places] + (1 - drawing_share) * new.mask_embeddings
        new = new._replace(embeddings=F.normalize(mixed, dim=1), mask_embeddings=drawing)
        memory = memory.seen(places, new, carried=torch.zeros_like(places))
        there = rows.to(drawing.device)
        tracks = FrameTracks(
            torch.zeros(len(seen.embeddings), dtype=torch.int64).index_copy(0, rows, memory.ids[places]),
            seen.class_logits.index_copy(0, there, memory.sights.class_logits[places]),
            seen.mask_embeddings.index_copy(0, there, drawing),
        )
        return memory, tracks

    def _start(
        self, memory: TrackMemory, seen: Sights, tracks: FrameTracks, scores: Tensor, allowed: Tensor | None = None
    ) -> tuple[TrackMemory, FrameTracks]:
        """Give instances without a track a new one, where (D,) bool allows it and their scores are high enough."""
        may_start = (tracks.ids == 0) & (scores.cpu().double() >= self._config.new_track)
        if allowed is not None:
            may_start &= allowed.cpu()
        rows = may_start.nonzero()[:, 0]
        if not len(rows):
            return memory, tracks
        ids = torch.arange(1, len(rows) + 1) + self._born
        self._born += len(rows)
        memory = memory.followed_by(TrackMemory.born(ids, seen.at(rows)))
        return memory, replace(tracks, ids=tracks.ids.index_copy(0, rows, ids))

    def _forget(self, memory: TrackMemory) -> TrackMemory:
        alive = (memory.missed <= self._config.max_age).nonzero()[:, 0]
        if len(alive) > self._config.max_instances:
            order = memory.missed[alive].argsort(stable=True)  # by age among equals, as memory is in that order
            alive = alive[order[: self._config.max_instances]].sort().values
        return memory if len(alive) == len(memory.ids) else memory.at(alive)


class MinvisTracker:
    """Matches the queries of a frame to those of the frame before, and remembers nothing else (MinVIS).

    Meant for all Q queries of every frame, objects or not: then the assignment is a permutation, each of the Q
    tracks lives through the whole video, and what a track shows in a frame is left to the score of its query
    there. A track without a partner in a frame ends; an instance without a partner starts one.
    """

    def __init__(self) -> None:
        self._last: dict[str, Tensor] = {}  # ids, frames, embeddings and mean class logits of the frame before
        self._born = 0

    def state(self) -> dict[str, Tensor]:
        """All that is remembered, see `Tracker`."""
        return {"born": torch.tensor(self._born)} | self._last

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a state, see `Tracker`."""
        self._born = born_before(state)
        numbers, others = {"ids", "frames"}, {"embeddings", "class_logits"}
        if state.keys() not in ({"born"}, {"born"} | numbers | others):
            raise ValueError(f"a state of other tracks, with {', '.join(sorted(state))}")
        self._last = {name: state[name].cpu().clone() for name in state if name in numbers}
        self._last |= {name: state[name].clone() for name in state if name in others}

    @torch.no_grad()
    def step(self, prediction: FramePrediction) -> FrameTracks:
        """The tracks of the D instances of the next frame, each of which has one."""
        count = len(prediction.scores)
        ids, frames = torch.zeros(count, dtype=torch.int64), torch.ones(count, dtype=torch.int64)
        class_logits = prediction.class_logits.clone()
        if self._last:
            rows, places = assign(prediction.embeddings @ self._last["embeddings"].T, -np.inf)
            ids[rows] = self._last["ids"][places]
            frames[rows] += self._last["frames"][places]
            old = self._last["class_logits"][places]
            class_logits[rows] = old + (class_logits[rows] - old) / frames[rows, None].to(old.device)
        new = ids == 0
        ids[new] = torch.arange(1, int(new.sum()) + 1) + self._born
        self._born += int(new.sum())
        embeddings = prediction.embeddings.clone()  # not the frame's, which may be a part of something larger
        self._last = {"ids": ids, "frames": frames, "embeddings": embeddings, "class_logits": class_logits}
        return FrameTracks(ids, class_logits, prediction.mask_embeddings)


def born_before(state: Mapping[str, Tensor]) -> int:
    """Number of tracks that a video had until a tracker's state was taken."""
    if "born" not in state:
        raise ValueError("not the state of a tracker: it does not tell how many tracks there were")
    return int(state["born"])


def assign(similarity: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """One-to-one couples (rows, columns) of the largest total similarity in excess of a threshold.

    Couples below the threshold count nothing, so that a hopeless one never takes the partner of a good one.

    Args:
        similarity: (D, R).
        threshold: least similarity of a couple; minus infinity couples as many as there are.

    Returns:
        Rows and columns of the M couples, (M,) int64 each on the host, rows ascending.
    """
    values = similarity.cpu().double().numpy()
    if not np.isfinite(values).all():  # a diverged model must not stop the run here
        values = np.nan_to_num(values, nan=-1.0)
    gain = values if threshold == -np.inf else np.maximum(values - threshold, 0.0)
    rows, columns = linear_sum_assignment(gain, maximize=True)
    good = values[rows, columns] >= threshold
    return torch.from_numpy(rows[good]), torch.from_numpy(columns[good])
