"""Tracked frames for the `supervision` package: its annotators, zones and counters work on what we find."""

from typing import TYPE_CHECKING

import numpy as np

from qcen_core.errors import InputError
from qcen_core.inference.stream import FrameObjects

if TYPE_CHECKING:
    from supervision import Detections


def to_supervision(frame: FrameObjects) -> "Detections":
    """The objects of a frame as `supervision.Detections`: boxes, masks, confidence, class and tracker ids, and names.

    Raises:
        InputError: the package is not installed.
    """
    try:
        from supervision import Detections
    except ImportError:
        raise InputError("the package supervision is not installed", hint="pip install supervision") from None
    return Detections(
        xyxy=frame.boxes,
        mask=frame.masks,
        confidence=frame.scores,
        class_id=frame.class_ids,
        tracker_id=frame.track_ids,
        data={"class_name": np.array(frame.names, dtype=str)},
    )
