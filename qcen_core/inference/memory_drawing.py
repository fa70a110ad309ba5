"""Masks drawn by the memory of tracks: for models that learned to exchange the drawing of masks alone."""

import torch
from torch import Tensor

from qcen_core.ops.place import PLACE_CHANNELS


def exchanged_drawing(own: Tensor, remembered: Tensor, mask_features: Tensor, *, located: bool) -> Tensor:
    """Masks drawn by the tracks' memory instead of by this frame's queries alone: (S, h, w) logits.

    Exchange learning teaches the query of one frame to draw its instance in another; so the average of a track's
    queries draws it as well, with less noise. Where queries have a place, that of this frame is kept.

    Args:
        own: (S, C) mask embeddings of the instances to draw.
        remembered: (S, C) those of their tracks.
        mask_features: (C, h, w).
        located: whether the last channels hold a place.
    """
    appearance = own.shape[1] - (PLACE_CHANNELS if located else 0)
    embeddings = torch.cat((remembered[:, :appearance], own[:, appearance:]), dim=1)
    return torch.einsum("sc,chw->shw", embeddings, mask_features)
