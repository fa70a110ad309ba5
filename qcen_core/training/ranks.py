"""Several processes that learn together, over torch.distributed."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable

from qcen_core.ops.ranks import Ranks


def build_ranks() -> Ranks:
    """Those of the process group, or this process on its own."""
    several = dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
    return DistributedRanks() if several else Ranks()


class DistributedRanks(Ranks):
    """The processes of torch.distributed.

    What is gathered travels in a group of its own: in the backward pass its order among the sums of gradients is not
    the same on every process.
    """

    def __init__(self) -> None:
        self.index = dist.get_rank()
        self.count = dist.get_world_size()
        self._exchange: Any = dist.new_group()

    def mean(self, values: Tensor) -> Tensor:
        """See `Ranks.mean`."""
        total = values.detach().clone()
        dist.all_reduce(total)
        return total / self.count

    def gather(self, values: Tensor) -> Tensor:
        """See `Ranks.gather`."""
        gathered: Tensor = _Gather.apply(values, self._exchange, self.index, self.count)
        return gathered


class Agreement:
    """Decisions that all processes take together, at once on the host: no device waits for them."""

    def __init__(self) -> None:
        several = dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
        self._group: Any = dist.new_group(backend="gloo") if several else None

    def any(self, wish: bool) -> bool:
        """Whether any process wishes it."""
        if self._group is None:
            return wish
        wishes = torch.tensor(int(wish))
        dist.all_reduce(wishes, dist.ReduceOp.MAX, group=self._group)
        return bool(wishes)


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, group: Any, index: int, count: int) -> Tensor:  # noqa: ANN401
        ctx.group, ctx.rows = group, slice(index * len(values), (index + 1) * len(values))
        parts = [torch.empty_like(values, memory_format=torch.contiguous_format) for _ in range(count)]
        dist.all_gather(parts, values.contiguous(), group=group)
        return torch.cat(parts)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:  # noqa: ANN401
        total = grad.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total, group=ctx.group)
        return total[ctx.rows], None, None, None
