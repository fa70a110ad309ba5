"""What is remembered of the tracks of one video: a row for each track in a few tensors, all renewed at once.

Nothing here is changed in place, and no tensor is a view of a frame: a memory is as large as its rows.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from qcen_core.ops.mask_overlap import packed
from qcen_core.structures import FramePrediction, Guests


class Sights(NamedTuple):
    """How n objects look: those of a frame, or those of tracks. What a tracker has no need for has no columns.

    Attributes:
        embeddings: (n, E) float32, unit length.
        class_logits: (n, K + 1) float32.
        masks: (n, W) int64, bits of `packed`.
        mask_embeddings: (n, C) float32, what draws each mask.
        queries: (n, D) as in `Guests`, without its frames.
        positions: (n, D), likewise.
        boxes: (n, 4), likewise, or (n, 0) where queries have no place.
    """

    embeddings: Tensor
    class_logits: Tensor
    masks: Tensor
    mask_embeddings: Tensor
    queries: Tensor
    positions: Tensor
    boxes: Tensor

    def at(self, places: Tensor) -> "Sights":
        """Those at (S,) int64 places, in that order, without keeping the memory of the others."""
        places = places.to(self.embeddings.device)
        return Sights(*(part.index_select(0, places) for part in self))

    def followed_by(self, others: "Sights") -> "Sights":
        """These and then others."""
        return Sights(*(torch.cat(parts) for parts in zip(self, others, strict=True)))

    def with_rows(self, places: Tensor, others: "Sights") -> "Sights":
        """These, but at (S,) int64 places others."""
        places = places.to(self.embeddings.device)
        return Sights(*(part.index_copy(0, places, other) for part, other in zip(self, others, strict=True)))

    def guests(self) -> Guests:
        """Their queries as guests of one frame: N = 1, G = n."""
        boxes = self.boxes[None] if self.boxes.shape[1] else None
        return Guests(self.queries[None], self.positions[None], boxes)


def sights_of(prediction: FramePrediction, *, with_masks: bool, with_guests: bool) -> Sights:
    """The D instances of a frame; some of it are views of the prediction."""
    nothing = prediction.scores.new_zeros(len(prediction.scores), 0)
    queries, positions, boxes = prediction.guests if with_guests else (nothing[None], nothing[None], None)
    return Sights(
        prediction.embeddings,
        prediction.class_logits,
        packed(prediction.mask_logits) if with_masks else nothing.long(),
        prediction.mask_embeddings,
        queries[0],
        positions[0],
        nothing if boxes is None else boxes[0],
    )


class TrackMemory(NamedTuple):
    """R tracks in the order of their ids.

    Attributes:
        ids: (R,) int64 on the host, as all numbers are; from 1, never used again.
        frames: (R,) int64, number of frames in which each was seen.
        missed: (R,) int64, number of frames since.
        carried: (R,) int64, number of frames in a row, up to the last, in which only its guest saw it.
        sights: embeddings and mask embeddings are moving averages over the frames in which the track was matched,
            class logits are means over those in which it was seen; mask and query are those of the last of these.
    """

    ids: Tensor
    frames: Tensor
    missed: Tensor
    carried: Tensor
    sights: Sights

    @classmethod
    def born(cls, ids: Tensor, sights: Sights) -> "TrackMemory":
        """Tracks that begin with these sights."""
        none = torch.zeros_like(ids)
        return cls(ids, none + 1, none, none, sights)

    def at(self, places: Tensor) -> "TrackMemory":
        """The tracks at (S,) int64 places, ascending."""
        return TrackMemory(
            self.ids[places], self.frames[places], self.missed[places], self.carried[places], self.sights.at(places)
        )

    def followed_by(self, others: "TrackMemory") -> "TrackMemory":
        """These tracks and younger ones."""
        return TrackMemory(
            torch.cat((self.ids, others.ids)),
            torch.cat((self.frames, others.frames)),
            torch.cat((self.missed, others.missed)),
            torch.cat((self.carried, others.carried)),
            self.sights.followed_by(others.sights),
        )

    def aged(self) -> "TrackMemory":
        """A frame later, before anything is seen in it."""
        return self._replace(missed=self.missed + 1)

    def seen(self, places: Tensor, sights: Sights, carried: Tensor) -> "TrackMemory":
        """The memory after one more sight of some tracks.

        Args:
            places: (S,) int64, where they stand.
            sights: of the S tracks; class logits are those of this sight, embeddings those to be remembered.
            carried: (S,) int64, frames in a row in which only the guest saw them.
        """
        frames = self.frames.index_add(0, places, torch.ones_like(places))
        old = self.sights.class_logits.index_select(0, places.to(sights.class_logits.device))
        weight = frames[places].to(old.device, old.dtype)[:, None]
        mean = old + (sights.class_logits - old) / weight
        return TrackMemory(
            self.ids,
            frames,
            self.missed.index_fill(0, places, 0),
            self.carried.index_copy(0, places, carried),
            self.sights.with_rows(places, sights._replace(class_logits=mean)),
        )

    def state(self) -> dict[str, Tensor]:
        """Everything by its name."""
        numbers = {name: value for name, value in self._asdict().items() if name != "sights"}
        return numbers | self.sights._asdict()

    @classmethod
    def of(cls, state: Mapping[str, Tensor]) -> "TrackMemory":
        """The memory of a `state`, which stays with its owner.

        Raises:
            ValueError: something is missing.
        """
        numbers = [name for name in cls._fields if name != "sights"]
        missing = {*numbers, *Sights._fields} - set(state)
        if missing:
            raise ValueError(f"a state of tracks without {', '.join(sorted(missing))}")
        # Copies: sums may be rounded in another way where tensors begin at other addresses, as those of a file do.
        sights = Sights(*(state[name].clone() for name in Sights._fields))
        return cls(**{name: state[name].cpu().clone() for name in numbers}, sights=sights)
