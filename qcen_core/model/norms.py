"""Normalisation that does not depend on the batch."""

from torch import nn

NORM_GROUPS = 32


def group_norm(dim: int) -> nn.GroupNorm:
    """Group norm as in Mask2Former's pixel decoder, with fewer groups where the network is narrow."""
    return nn.GroupNorm(min(NORM_GROUPS, dim // 4), dim)
