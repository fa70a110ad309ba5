"""What a step tells the log beside its losses."""

from torch import Tensor

from qcen_core.method.criterion import SetCriterion
from qcen_core.method.diagnostics import Ratio, exchange_figures, pair_figures
from qcen_core.structures import ClipBatch
from qcen_core.training.train_step import StepResult


def step_figures(
    result: StepResult, criterion: SetCriterion, batch: ClipBatch, audit: tuple[Tensor, ...] | None, *, exchange: bool
) -> dict[str, Ratio]:
    """The figures of `FIGURE_NAMES`, after the step is done; at every level they are about pseudo-identity pairs.

    Pairs that the losses used are judged at every step. Where the losses use none, or true ones, pseudo-identity pairs
    are made for the log alone, and only with `exchange`.

    Args:
        result: of the step.
        criterion: of the step.
        batch: of the step.
        audit: N tensors (G,) int64, the true track of each label, -1 where not known; `None` leaves the pairs unjudged.
        exchange: also draw the exchanged masks, which costs more than comparing numbers.
    """
    found, clip_frames = result.found, result.found.scene.clip_frames
    identities_known = batch.strong is not None and batch.strong.track_ids is not None
    pairs = None if identities_known else found.pairs
    if pairs is None and exchange:
        pairs = criterion.pseudo_pairs(result.output, found.match, found.scene)
    if pairs is None:
        return {}
    figures: dict[str, Ratio] = {}
    if audit is not None:
        track_ids = tuple(ids.to(found.match.frames.device, non_blocking=True) for ids in audit)
        figures = pair_figures(pairs, found.match, track_ids, clip_frames)
    if exchange:
        figures |= exchange_figures(
            result.output, found.match, pairs, found.scene.valid, batch.step_sources, clip_frames, criterion.ranks
        )
    return figures
