"""A frame and what was found in it, on its way to the log and the overlay."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from qcen_core.ops.mask_window import MaskWindow
from qcen_core.video.frames import SourceFrame


@dataclass(frozen=True, slots=True)
class FoundInstance:
    """An object in one frame.

    Attributes:
        track_id: from 1.
        name: of its class by all frames so far.
        score: of this frame.
        mask: its pixels.
    """

    track_id: int
    name: str
    score: float
    mask: MaskWindow


@dataclass(frozen=True, slots=True)
class FoundFrame:
    """A frame on its way to the log and the overlay.

    Attributes:
        frame: the picture.
        instances: best first.
        is_new: whether it is not in the log yet.
        tracker: the tracker's memory after it, where that is to be saved.
    """

    frame: SourceFrame
    instances: tuple[FoundInstance, ...]
    is_new: bool
    tracker: Mapping[str, Tensor] | None = None
