"""Identities with the help of guests: every track's query visits the next frame and says where its object is."""

from dataclasses import replace

import torch
from torch import Tensor

from qcen_core.inference.guests import averaged_masks, expected_masks, missed_objects, overlaps
from qcen_core.inference.postprocess import join, join_guests, take
from qcen_core.inference.tracker import MemoryTracker, Track, observe
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
        return join_guests([track.guest for track in self._tracks]) if self._tracks else None

    @torch.no_grad()
    def step_with_guests(
        self, prediction: FramePrediction, visit: FramePrediction
    ) -> tuple[FramePrediction, tuple[Track | None, ...]]:
        """The next frame as it is to be shown, and the track of each of its instances.

        Args:
            prediction: the D instances found by the queries of the frame.
            visit: what `guests()` predict for it, in that order.

        Returns:
            The D instances, drawn together with their guests, followed by those that only guests see; and their
            tracks, `None` for an instance that has none.
        """
        self._age()
        couples = self._match(prediction, expected_masks(visit, self._last_masks()))
        logits = averaged_masks(prediction, visit, couples, share=self._config.exchange)
        assigned = self._follow(prediction, couples)
        shown = logits[[row for row, _ in couples]] > 0
        carried = self._carry(visit, {column for _, column in couples}, shown)
        indices = torch.tensor(carried, dtype=torch.int64, device=logits.device)
        shown = torch.cat((shown, visit.mask_logits[indices] > 0))
        tracks = [self._tracks[column] for column in carried]
        self._start(prediction, assigned, ~overlaps(prediction.mask_logits > 0, shown, self._config.nms_iou))
        self._forget()
        return join(replace(prediction, mask_logits=logits), take(visit, indices)), (*assigned, *tracks)

    def _carry(self, visit: FramePrediction, matched: set[int], shown: Tensor) -> list[int]:
        """Let tracks go on from what their guests see alone; where they stand in memory."""
        waiting = [
            column
            for column, track in enumerate(self._tracks)
            if column not in matched and track.carried < self._config.guest_frames
        ]
        carried = missed_objects(visit, waiting, shown, self._config.nms_iou)
        for column in carried:
            observe(self._tracks[column], visit, column)
            self._tracks[column].carried += 1
        return carried
