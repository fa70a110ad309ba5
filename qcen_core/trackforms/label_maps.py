"""Masks of a frame as one map of numbers, for forms in which a pixel belongs to one track, and such maps as PNG."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from qcen_core.errors import InputError
from qcen_core.ops import rle
from qcen_core.trackforms.store import Sighting, StoredFrame, StoredVideo, TrackStore, seen_by_mask
from qcen_core.trackforms.wording import counted
from qcen_core.video.frame_folder import natural_order

LABEL_MAP_MODES = {"P", "L", "I;16", "I;16B", "I"}


@dataclass(slots=True)
class Covering:
    """What overlapping masks lost so far: `masks` that lost pixels, of which `whole` are not visible at all."""

    masks: int = 0
    whole: int = 0

    def notes(self, form: str) -> tuple[str, ...]:
        """One line, or none where no masks overlap."""
        if not self.masks:
            return ()
        hidden = f", {self.whole} of them all" if self.whole else ""
        return (f"{form} holds one track a pixel; {counted(self.masks, 'mask')} lost pixels to better ones{hidden}",)


def label_map(
    sightings: Sequence[Sighting], numbers: Mapping[int, int], height: int, width: int, covering: Covering
) -> NDArray[np.uint16]:
    """The number of the track at each pixel, 0 where there is none; the higher score in the frame lies on top.

    Args:
        sightings: of one frame; those without a mask are passed over. Of equal scores the lower track id is on top,
            and sightings without a score are at the bottom.
        numbers: track id -> number, from 1 to 65535.
        height: of the frame.
        width: of the frame.
        covering: is told what lies below.

    Returns:
        (height, width) uint16.
    """
    labels = np.zeros((height, width), dtype=np.uint16)
    ranked = sorted(sightings, key=lambda seen: (-1.0 if seen.score is None else seen.score, -seen.track_id))
    drawn = [(seen, rle.decode(seen.mask)) for seen in ranked if seen.mask is not None]
    for seen, mask in drawn:
        labels[mask] = numbers[seen.track_id]
    for seen, mask in drawn:
        left = int(np.count_nonzero(labels[mask] == numbers[seen.track_id]))
        covering.masks += left < int(np.count_nonzero(mask))
        covering.whole += left == 0
    return labels


def map_sightings(labels: NDArray[np.integer], frame: int) -> Iterator[Sighting]:
    """The masks of a map of numbers, (H, W); each number above 0 is a track."""
    small = labels.dtype in (np.uint8, np.uint16)  # counting is quicker than sorting
    for number in np.flatnonzero(np.bincount(labels.ravel())) if small else np.unique(labels):
        if number > 0:
            seen = seen_by_mask(int(number), frame, None, rle.encode(labels == number))
            if seen is not None:
                yield seen


def read_label_map(path: Path) -> NDArray[np.integer]:
    """A PNG with a number a pixel, (H, W): of a palette its indices, else its grey values of 8 or 16 bits.

    Raises:
        InputError: it is cut off, no picture, or one of colours.
    """
    try:
        with Image.open(path) as image:
            image.load()
            if image.mode in LABEL_MAP_MODES:
                return np.asarray(image)
            mode = image.mode
    except (OSError, UnidentifiedImageError, SyntaxError, Image.DecompressionBombError) as error:
        cause = f"cannot be read as a picture: {error}"
        raise InputError(cause, place=path, hint="it may be cut off; write it again") from None
    raise InputError(
        f"a picture of kind {mode}, not of one number a pixel", place=path, hint="pass palette or 16-bit grey PNG"
    )


def label_map_files(folder: Path) -> list[Path]:
    """The PNG files of a folder in natural order; hidden ones are left out."""
    return sorted(
        (file for file in folder.glob("*.png") if not file.name.startswith(".")),
        key=natural_order,
    )


def frames_with_stems(
    store: TrackStore, video: StoredVideo, least_score: float | None
) -> Iterator[tuple[str, StoredFrame]]:
    """Each frame, and what its PNG is called: as its picture where such names are in order, else by its number from 0.

    Args:
        store: holds the video.
        video: the video.
        least_score: of the sightings of the frames; all by default.
    """
    plain, last = True, natural_order(Path())
    for _, _, file in store.listed_frames(video):
        order = natural_order(Path(PurePosixPath(file).stem)) if file else last
        plain = plain and order > last
        last = order
    for frame in store.frames(video, least_score):
        yield PurePosixPath(frame.file).stem if plain and frame.file else f"{frame.index:05d}", frame
