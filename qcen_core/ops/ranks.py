"""The processes that learn together: what one of them asks the others."""

from torch import Tensor


class Ranks:
    """One process on its own; `training.ranks` has the one for several.

    All processes must make the same calls in the same order, whatever their data.

    Attributes:
        index: of this process.
        count: number of processes.
    """

    index = 0
    count = 1

    def mean(self, values: Tensor) -> Tensor:
        """The mean over all processes of a tensor of any shape; without gradient."""
        return values

    def gather(self, values: Tensor) -> Tensor:
        """The rows of all processes, process by process: (count * n, ...) for (n, ...) on each; with gradient."""
        return values
