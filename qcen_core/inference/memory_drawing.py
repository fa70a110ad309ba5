"""Masks drawn by the memory of tracks: for models that learned to exchange the drawing of masks alone."""

from collections.abc import Sequence

import torch
from torch import Tensor

from qcen_core.inference.tracker import Track
from qcen_core.ops.place import PLACE_CHANNELS
from qcen_core.structures import FramePrediction


def exchanged_drawing(
    prediction: FramePrediction,
    tracks: Sequence[Track | None],
    rows: Sequence[int],
    mask_features: Tensor,
    *,
    located: bool,
) -> Tensor:
    """Masks drawn by the tracks' memory instead of by this frame's queries alone: (S, h, w) logits.

    Exchange learning teaches the query of one frame to draw its instance in another; so the average of a track's
    queries draws it as well, with less noise. Where queries have a place, that of this frame is kept.

    Args:
        prediction: of the frame.
        tracks: of its instances.
        rows: the S instances to draw, each with a track.
        mask_features: (C, h, w).
        located: whether the last channels hold a place.
    """
    embeddings = prediction.mask_embeddings[list(rows)].clone()
    appearance = embeddings.shape[1] - (PLACE_CHANNELS if located else 0)
    for place, row in enumerate(rows):
        track = tracks[row]
        if track is not None:
            embeddings[place, :appearance] = track.mask_embedding[:appearance]
    return torch.einsum("sc,chw->shw", embeddings, mask_features)
