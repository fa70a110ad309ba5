"""What the reader of a labelling format gives back."""

from dataclasses import dataclass
from pathlib import Path

from qcen_core.conversion.annotations import Annotations
from qcen_core.conversion.frame_library import FrameLibrary


@dataclass(frozen=True, slots=True)
class ReadLabels:
    """Annotations, and where their frames are.

    Attributes:
        annotations: what they say.
        frames_root: folder that frame files are relative to.
        library: where frames were looked for by name, `None` where the annotations name the files. Videos of it may be
            video files, whose frames are yet to be taken out.
    """

    annotations: Annotations
    frames_root: Path
    library: FrameLibrary | None = None
