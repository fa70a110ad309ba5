"""Identities with the help of guests: every track's query visits the next frame and says where its object is."""

from dataclasses import replace

import torch
from torch import Tensor

from qcen_core.inference.guests import agreeing, expected_masks, missed_objects, overlaps
from qcen_core.inference.postprocess import join, take
from qcen_core.inference.track_memory import Sights, TrackMemory, sights_of
from qcen_core.inference.tracker import FrameTracks, MemoryTracker
from qcen_core.ops.mask_overlap import packed
from qcen_core.structures import FramePrediction, Guests


class GuestTracker(MemoryTracker):
    """A `MemoryTracker` for models that learned to exchange queries through the decoder (section 4 of the method).

    What the guests add:

    - The overlap in the similarity is that with the guest's mask, if the guest sees its object at all.
    - A matched instance is drawn by the mean of its own mask and that of its guest, `exchange` being the share of
      the guest, where the two agree.
    - A track without a match is shown from its guest if that one is sure of an object which nothing else shows,
      at most `guest_frames` frames in a row: then a query of the frame must have found it again.
    - An instance that shows the same as any of these starts no track.
    """

    def guests(self) -> Guests | None:
        """Queries of the R remembered tracks, in the order of their ids: N = 1, G = R; `None` if there are none."""
        return None if self._memory is None or not self.remembered else self._memory.sights.guests()

    @torch.no_grad()
    def step_with_guests(
        self, prediction: FramePrediction, visit: FramePrediction
    ) -> tuple[FramePrediction, FrameTracks]:
        """The next frame as it is to be shown, and the tracks of its instances.

        Args:
            prediction: the D instances found by the queries of the frame.
            visit: what `guests()` predict for it, in that order.

        Returns:
            The D instances, drawn together with their guests, followed by those that only guests see; and the tracks
            of all of them.
        """
        seen, visitors = self._see(prediction), self._see(visit)
        memory = self._aged(seen)
        expected = expected_masks(visitors.masks, visit.scores, memory.sights.masks)
        rows, places = self._match(memory, seen, expected)
        agree = agreeing(seen.masks[rows], visitors.masks[places], visit.scores[places]).cpu()
        logits = self._averaged(prediction, visit, rows[agree], places[agree])
        memory, tracks = self._follow(memory, seen, rows, places)
        shown = packed(logits[rows])
        memory, carried = self._carry(memory, visitors, visit.scores, places, shown)
        carried_tracks = FrameTracks(
            memory.ids[carried], memory.sights.class_logits[carried], memory.sights.mask_embeddings[carried]
        )
        shown = torch.cat((shown, visitors.masks[carried]))
        free = ~overlaps(seen.masks, shown, self._config.nms_iou)
        memory, tracks = self._start(memory, seen, tracks, prediction.scores, free)
        self._memory = self._forget(memory)
        drawn = join(replace(prediction, mask_logits=logits), take(visit, carried.to(logits.device)))
        return drawn, _joined(tracks, carried_tracks)

    def _see(self, prediction: FramePrediction) -> Sights:
        return sights_of(prediction, with_masks=True, with_guests=True)

    def _averaged(self, prediction: FramePrediction, visit: FramePrediction, rows: Tensor, places: Tensor) -> Tensor:
        """(D, h, w) mask logits of the frame, those of `rows` averaged with those of the guests at `places`."""
        masks, share = prediction.mask_logits.clone(), self._config.exchange
        masks[rows] = (1 - share) * masks[rows] + share * visit.mask_logits[places]
        return masks

    def _carry(
        self, memory: TrackMemory, visitors: Sights, scores: Tensor, matched: Tensor, shown: Tensor
    ) -> tuple[TrackMemory, Tensor]:
        """Let tracks go on from what their guests see alone; also where these stand, the best guest first."""
        waiting = (memory.carried < self._config.guest_frames).index_fill(0, matched, value=False)
        carried = missed_objects(visitors.masks, scores, waiting, shown, self._config.nms_iou)
        old = memory.sights.at(carried)
        sights = visitors.at(carried)._replace(embeddings=old.embeddings, mask_embeddings=old.mask_embeddings)
        return memory.seen(carried, sights, carried=memory.carried[carried] + 1), carried


def _joined(first: FrameTracks, second: FrameTracks) -> FrameTracks:
    return FrameTracks(
        torch.cat((first.ids, second.ids)),
        torch.cat((first.class_logits, second.class_logits)),
        torch.cat((first.mask_embeddings, second.mask_embeddings)),
    )
