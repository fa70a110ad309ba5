"""How the clips of a step are shared out: over processes, and over parts that follow one another."""

from dataclasses import dataclass

from qcen_core.config import QcenConfig
from qcen_core.errors import InputError


@dataclass(frozen=True, slots=True)
class BatchSplit:
    """The share of one process.

    Attributes:
        clips: clips it takes at once.
        parts: how many times in a step; their gradients are added up.
    """

    clips: int
    parts: int


def split_batch(config: QcenConfig, world: int) -> BatchSplit:
    """Share `train.effective_batch` clips out, at most `data.clips_per_step` at once on each of `world` devices.

    Raises:
        InputError: the clips cannot be shared out evenly, or too few are taken at once for the exchange between videos.
    """
    most, wanted = config.data.clips_per_step, config.train.effective_batch
    if wanted is None:
        clips, parts = most, 1
    else:
        if wanted % world:
            below = wanted // world * world
            near = f"{below} or {below + world}" if below else str(world)
            fitting = ", ".join(str(count) for count in range(1, wanted + 1) if wanted % count == 0)
            raise InputError(
                f"{wanted} clips a step cannot be shared out evenly over {world} processes",
                hint=f"take one of {fitting} processes, or --effective-batch {near}",
            )
        share = wanted // world
        clips = max(count for count in range(1, min(most, share) + 1) if share % count == 0)
        parts = share // clips
    if config.loss.inter_weight and clips * world < 2:
        raise InputError(
            "the exchange between videos needs at least two clips at once",
            hint="--set data.clips_per_step=2, or --set loss.inter_weight=0 to do without",
        )
    return BatchSplit(clips, parts)
