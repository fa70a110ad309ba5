"""Loss terms as sums and counts: several processes divide by what all of them counted, after one exchange."""

from typing import NamedTuple

import torch
from torch import Tensor

from qcen_core.ops.ranks import Ranks

Terms = dict[str, Tensor]
TINY = 1e-5


class Share(NamedTuple):
    """What one process adds to a term.

    Attributes:
        total: scalar, or (n,) where a term is a sum of n means.
        divisor: of the same shape: a number of labels, pairs or edges, or a sum of weights.
    """

    total: Tensor
    divisor: Tensor


Shares = dict[str, Share]


def divided(shares: Shares, ranks: Ranks) -> Terms:
    """Every term: totals over divisors, these averaged over the processes, so that each label weighs the same wherever.

    A total of nothing is 0, and stays 0. All divisors travel in one message.

    Args:
        shares: the same names and shapes on all processes.
        ranks: the processes.
    """
    if not shares:
        return {}
    divisors = torch.cat([share.divisor.detach().reshape(-1).float() for share in shares.values()])
    means = ranks.mean(divisors).clamp(min=TINY).split([share.divisor.numel() for share in shares.values()])
    return {
        name: (share.total.reshape(-1) / mean).sum() for (name, share), mean in zip(shares.items(), means, strict=True)
    }
